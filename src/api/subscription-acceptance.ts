import { createSourceEventStream, getOperationAST, GraphQLError, parse, specifiedRules, validate } from 'graphql';
import type { ExecutionArgs, GraphQLFormattedError, GraphQLSchema } from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { Failure } from '../kernel/failure.js';
import type { Answering } from '../operation/answering.js';
import type { Document } from '../operation/document.js';
import { ChangesMissed } from '../operation/notices.js';
import { isConditional } from './conditional-subscription.js';
import { digestOf, unfit } from './document-plugin.js';
import { formatError } from './error-format.js';
import { LIMITS, limitRules, refuseDeep } from './limits.js';
import type { ApiContext } from './request-document.js';
import type { SubscriptionCaller } from './subscription-caller.js';
import type { AcceptedSubscription } from './subscription.js';
import type { TrustedDocuments } from './trusted-documents.js';

/** Accepts subscriptions under the same rules as a request by HTTP: trusted documents, limits, purpose, policy, record. */
export class Acceptance {
  constructor(
    private readonly schema: GraphQLSchema,
    private readonly trusted: TrustedDocuments,
    private readonly answering: Answering,
  ) {}

  /**
   * The subscription, or why there is none; either is recorded when this resolves. Rejects with Unauthenticated, with
   * ChangesMissed and with AUDIT_UNAVAILABLE.
   */
  async accept(
    caller: SubscriptionCaller,
    payload: SubscribePayload,
    isRoom: boolean,
  ): Promise<AcceptedSubscription | readonly GraphQLError[]> {
    const startedAt = performance.now();
    const document = await caller.document(null);
    const args = isRoom ? this.prepare(payload) : [asGraphQLError(tooMany())];
    if (!('schema' in args)) return this.refuse(document, args);
    const digest = digestOf(args.document);
    document.digest = digest;
    const contextValue: ApiContext = { document, startedAt };
    const source = await createSourceEventStream({ ...args, contextValue });
    if (!(Symbol.asyncIterator in source)) {
      const errors = source.errors ?? [];
      if (errors.some(({ originalError }) => originalError instanceof ChangesMissed)) throw new ChangesMissed();
      return this.refuse(
        document,
        errors.map((error) => coded(error, 'BAD_USER_INPUT')),
      );
    }
    const changes = source as AsyncGenerator<unknown, void>;
    try {
      await this.answering.settle(document, null);
    } catch (error) {
      await changes.return();
      throw error;
    }
    return { caller, args, digest, source: changes };
  }

  private async refuse(document: Document, errors: readonly GraphQLError[]): Promise<readonly GraphQLError[]> {
    const [code] = errors.map((error) => String(formatted(error).extensions?.['code']));
    await this.answering.settle(document, code ?? null);
    return errors;
  }

  private prepare(payload: SubscribePayload): ExecutionArgs | readonly GraphQLError[] {
    try {
      refuseDeep(payload.variables);
      const document = parse(this.textOf(payload), { maxTokens: LIMITS.tokens });
      if (isConditional(document)) return [unfit()];
      const errors = validate(this.schema, document, [...specifiedRules, ...limitRules]);
      if (errors.length > 0) return errors.map((error) => coded(error, 'GRAPHQL_VALIDATION_FAILED'));
      const operation = getOperationAST(document, payload.operationName);
      if (operation?.operation !== 'subscription') throw subscriptionsOnly();
      return {
        schema: this.schema,
        document,
        variableValues: payload.variables,
        operationName: payload.operationName,
      };
    } catch (error) {
      if (error instanceof Failure) return [asGraphQLError(error)];
      if (error instanceof GraphQLError) return [coded(error, 'GRAPHQL_PARSE_FAILED')];
      throw error;
    }
  }

  private textOf({ query, extensions }: SubscribePayload): string {
    if (!this.trusted.exists) return query;
    const { sha256Hash } = (extensions?.['persistedQuery'] ?? {}) as { sha256Hash?: unknown };
    return this.trusted.resolve({
      text: query === '' ? undefined : query,
      id: typeof sha256Hash === 'string' ? sha256Hash : undefined,
    });
  }
}

/** What a caller hears of an error, as by HTTP. */
export function formatted(error: GraphQLError): GraphQLFormattedError {
  return formatError(error.toJSON(), error);
}

export function asGraphQLError(failure: Failure): GraphQLError {
  return new GraphQLError(failure.message, { originalError: failure });
}

/** graphql-js knows no codes: what an error is follows from where it was found. One with a path is of a resolver. */
function coded(error: GraphQLError, code: string): GraphQLError {
  const { message, nodes, source, positions, path, originalError } = error;
  return new GraphQLError(message, {
    nodes,
    source,
    positions,
    path,
    originalError,
    extensions: originalError instanceof Failure || path !== undefined ? {} : { code },
  });
}

function subscriptionsOnly(): Failure {
  return new Failure('BAD_USER_INPUT', 'Only subscriptions run over a socket.', 'Send queries and mutations by HTTP.');
}

function tooMany(): Failure {
  return new Failure(
    'RATE_LIMITED',
    'There are too many open subscriptions.',
    'Complete some; the README lists the limits.',
  );
}
