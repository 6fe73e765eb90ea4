import { execute, type ExecutionArgs, type ExecutionResult, type FormattedExecutionResult } from 'graphql';
import type { Admission } from '../identity/admission.js';
import { Failure, type FailureCode } from '../kernel/failure.js';
import type { Answering } from '../operation/answering.js';
import type { Document } from '../operation/document.js';
import { ChangesMissed } from '../operation/notices.js';
import type { Turns } from '../operation/turn.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { isOurFault, receiptOf } from './document-plugin.js';
import { formatError } from './error-format.js';
import type { ApiContext } from './request-document.js';
import type { SubscriptionCaller } from './subscription-caller.js';

/** What a push may come to for a subscriber who may not see the change: nothing is sent, not even that there was one. */
const WITHHELD: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'NOT_FOUND',
  'FORBIDDEN',
  'PURPOSE_NOT_PERMITTED',
  'STEP_UP_REQUIRED',
  'CONSENT_REQUIRED',
  'CONSENT_WITHDRAWN',
  'GUARDIAN_CONSENT_REQUIRED',
]);

export interface SubscriptionServices {
  readonly answering: Answering;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly turns: Turns;
  /** How many pushes are worked on at once: a change that thousands watch must leave room for requests. */
  readonly admission: Admission;
}

/** What a subscription was accepted with. */
export interface AcceptedSubscription {
  readonly caller: SubscriptionCaller;
  readonly args: ExecutionArgs;
  /** Of the document, for the ledger. */
  readonly digest: string;
  /** Ids of what changes. */
  readonly source: AsyncGenerator<unknown, void>;
}

/**
 * One open subscription, as the iteration of what is sent. Every change is decided anew: who the caller is now, what the
 * policy and the patient's consent say now. Its record is durable before the push is handed on. A push that is withheld
 * leaves no trace here or there: nothing was released. What fails otherwise ends the subscription and tells `broken`, so
 * that a caller whose subscription goes on has missed nothing that was for him.
 */
export class Subscription implements AsyncGenerator<FormattedExecutionResult, void> {
  constructor(
    private readonly services: SubscriptionServices,
    private readonly accepted: AcceptedSubscription,
    private readonly broken: (error: unknown) => void,
    private readonly left: () => void,
  ) {}

  async next(): Promise<IteratorResult<FormattedExecutionResult, void>> {
    try {
      for (;;) {
        const change = await this.accepted.source.next();
        if (change.done === true) return await this.return();
        const pushed = await this.push(change.value);
        if (pushed !== null) return { value: pushed, done: false };
      }
    } catch (error) {
      this.broken(error);
      return this.return();
    }
  }

  /** Ends it, also while `next` waits. */
  async return(): Promise<IteratorResult<FormattedExecutionResult, void>> {
    this.left();
    await this.accepted.source.return();
    return { value: undefined, done: true };
  }

  async throw(error: unknown): Promise<never> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** What is sent for one change, recorded; null where nothing is to be sent. Throws where it cannot be told or recorded. */
  private async push(change: unknown): Promise<FormattedExecutionResult | null> {
    const startedAt = performance.now();
    const { caller, args, digest } = this.accepted;
    const { admission, answering, turns } = this.services;
    const { document, result } = await admission.run(async () => {
      const document = await caller.document(digest, turns);
      const contextValue: ApiContext = { document, startedAt };
      return { document, result: await execute({ ...args, rootValue: change, contextValue }) };
    });
    const failure = failureOf(result);
    if (failure !== null && WITHHELD.has(failure.code)) return null;
    if (result.data == null) {
      const code = failure?.code ?? 'INTERNAL_SERVER_ERROR';
      await answering.settle(document, code);
      this.finish(document, startedAt, result, code);
      throw new ChangesMissed();
    }
    const receipts = await answering.settle(document, null);
    const policy = answering.policyReport(document);
    const errors = result.errors?.map((error) => formatError(error.toJSON(), error));
    const [first] = errors ?? [];
    this.finish(document, startedAt, result, first === undefined ? null : String(first.extensions?.['code']));
    return {
      ...(errors === undefined ? {} : { errors }),
      data: result.data,
      extensions: { ...(policy === null ? {} : { policy }), ledger: receiptOf(receipts) },
    };
  }

  private finish(document: Document, startedAt: number, result: ExecutionResult, code: string | null): void {
    const { metrics, log } = this.services;
    const milliseconds = performance.now() - startedAt;
    const outcome = code === null ? 'success' : 'failed';
    const { requestId } = document.facts;
    metrics.operation(document.leadingOperation(), outcome, milliseconds / 1000);
    log.info('request', {
      requestId,
      operation: document.leadingOperation(),
      outcome,
      code: code ?? undefined,
      milliseconds: Math.round(milliseconds),
    });
    for (const { originalError } of result.errors ?? []) {
      if (originalError !== undefined && isOurFault(originalError)) {
        log.error('operation failed', { requestId, error: originalError });
      }
    }
  }
}

/** Why there is no data at all, as far as it is known. */
function failureOf({ data, errors }: ExecutionResult): Failure | null {
  if (data != null) return null;
  return (errors ?? []).map(({ originalError }) => originalError).find((error) => error instanceof Failure) ?? null;
}
