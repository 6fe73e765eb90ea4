import type { FastifyReply, FastifyRequest } from 'fastify';
import { GraphQLError } from 'graphql';
import { hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { Failure, FAILURE_STATUS, type FailureCode } from '../kernel/failure.js';
import type { Receipt } from '../ledger/record.js';
import { auditUnavailable, type Answering } from '../operation/answering.js';
import type { Document } from '../operation/document.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { failureExtensions } from './error-format.js';
import type { RequestDocuments } from './request-document.js';

/** A file that is handed out. `bytes` is not read before the records of its document are durable. */
export interface Download {
  readonly contentType: string;
  /** In bytes; null where it is not known. A receiver tells a broken file from a whole one by it. */
  readonly size: number | null;
  /** Without personal data: it ends in folders and logs of others. Letters, digits, `.`, `_` and `-`. */
  readonly fileName: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** A small file that is given out whole, and may be kept by who got it. */
export interface Content {
  readonly contentType: string;
  readonly cacheControl: string;
  readonly bytes: Uint8Array;
}

type Work<Result> = (document: Document) => Promise<Result>;

interface Released<Result> {
  readonly document: Document;
  readonly result: Result;
  readonly receipts: readonly Receipt[];
}

/** HTTP status of a code outside GraphQL, where that is not the code's own and not 400. */
const STATUS: Partial<Record<FailureCode, number>> = {
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  VERSION_CONFLICT: 409,
  IDEMPOTENCY_CONFLICT: 409,
  STEP_UP_REQUIRED: 403,
  CONSENT_REQUIRED: 403,
  CONSENT_WITHDRAWN: 403,
  GUARDIAN_CONSENT_REQUIRED: 403,
  PURPOSE_NOT_PERMITTED: 403,
  BULK_LIMIT: 413,
  INTEGRITY_FAILED: 500,
};

/**
 * What every governed route beside GraphQL does: the document of the request (bearer token, purpose, request id), its
 * records durable before the first byte, errors in the form of GraphQL's. Without its record nothing leaves.
 */
export class GovernedHttp {
  constructor(
    private readonly documents: RequestDocuments,
    private readonly answering: Answering,
    private readonly services: { readonly log: Log; readonly metrics: Metrics },
  ) {}

  /** Answers what `work` returns as JSON. */
  async answer(request: FastifyRequest, reply: FastifyReply, work: Work<object>): Promise<void> {
    const released = await this.release(request, reply, work);
    if (released !== null) await reply.send(released.result);
  }

  /**
   * Answers with content that has a fingerprint: whoever has it already gets none of it again (RFC 9110, 13.1.2). Either
   * way the fetch is recorded.
   */
  async content(request: FastifyRequest, reply: FastifyReply, work: Work<Content>): Promise<void> {
    const released = await this.release(request, reply, work);
    if (released === null) return;
    const { contentType, cacheControl, bytes } = released.result;
    const etag = `"${hash('sha256', bytes, 'hex').slice(0, 32)}"`;
    void reply.headers({ 'cache-control': cacheControl, etag, vary: 'authorization' });
    if (isKnown(request.headers['if-none-match'], etag)) {
      await reply.status(304).send();
      return;
    }
    void reply.headers({
      'content-type': contentType,
      'content-length': bytes.length,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
    });
    await reply.send(bytes);
  }

  /**
   * Answers with a file. The first bytes are fetched before the head is sent, so that a file that is not there is an error
   * with a status; when it turns out later that bytes are not what was stored, the connection breaks off.
   */
  async download(request: FastifyRequest, reply: FastifyReply, work: Work<Download>): Promise<void> {
    const released = await this.release(request, reply, work);
    if (released === null) return;
    const { contentType, size, fileName, bytes } = released.result;
    const body = bytes[Symbol.asyncIterator]();
    let first: IteratorResult<Uint8Array>;
    try {
      first = await body.next();
    } catch (error) {
      await this.interrupted(released.document, error);
      await refuse(reply, failureOf(error));
      return;
    }
    void reply.headers({
      'content-type': contentType,
      'content-disposition': `attachment; filename="${fileName}"`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'accept-ranges': 'none',
      ...(size === null ? {} : { 'content-length': size }),
    });
    await reply.send(Readable.from(this.watched(released.document, first, body), { objectMode: false }));
  }

  /** Runs the work and makes its records durable; null when that, or the work, was answered with an error. */
  private async release<Result>(
    request: FastifyRequest,
    reply: FastifyReply,
    work: Work<Result>,
  ): Promise<Released<Result> | null> {
    const startedAt = performance.now();
    let document: Document | null = null;
    let released: Released<Result> | null = null;
    let failure: Failure | null = null;
    try {
      ({ document } = await this.documents.open(request));
      void reply.headers({ 'x-request-id': document.facts.requestId, 'cache-control': 'no-store' });
      const result = await work(document);
      released = { document, result, receipts: await this.settle(document, null) };
      const [receipt] = released.receipts;
      if (receipt !== undefined) void reply.header('x-ledger-record', receipt.recordHash);
    } catch (error) {
      failure = await this.settled(document, failureOf(error));
    }
    if (document !== null) this.finish(document, failure, performance.now() - startedAt);
    if (failure !== null) await refuse(reply, failure);
    return failure === null ? released : null;
  }

  private async settle(document: Document, code: string | null): Promise<readonly Receipt[]> {
    try {
      return await this.answering.settle(document, code);
    } catch (error) {
      throw auditUnavailable(error);
    }
  }

  /** The failure of a request, or that not even it could be recorded. */
  private async settled(document: Document | null, failure: Failure): Promise<Failure> {
    if (document === null || failure.code === 'AUDIT_UNAVAILABLE') return failure;
    try {
      await this.settle(document, failure.code);
      return failure;
    } catch (error) {
      return failureOf(error);
    }
  }

  private finish(document: Document, failure: Failure | null, milliseconds: number): void {
    const { log, metrics } = this.services;
    const operation = document.leadingOperation();
    const { requestId } = document.facts;
    const outcome = failure === null ? 'success' : isOurFault(failure) ? 'failed' : 'denied';
    metrics.operation(operation, outcome, milliseconds / 1000);
    log.info('request', { requestId, operation, outcome, code: failure?.code, milliseconds: Math.round(milliseconds) });
    if (failure === null) return;
    if (isOurFault(failure)) log.error('operation failed', { requestId, operation, error: failure });
    else log.debug('operation failed', { requestId, operation, error: failure });
  }

  /** The rest of a file that has begun. Closing it closes what it is read from. */
  private watched(
    document: Document,
    first: IteratorResult<Uint8Array>,
    body: AsyncIterator<Uint8Array>,
  ): AsyncIterableIterator<Uint8Array> {
    let ahead: IteratorResult<Uint8Array> | null = first;
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      const given = ahead;
      ahead = null;
      if (given !== null) return given;
      try {
        return await body.next();
      } catch (error) {
        await this.interrupted(document, error);
        throw error;
      }
    };
    const close = async (): Promise<IteratorResult<Uint8Array>> => {
      await body.return?.();
      return { done: true, value: undefined };
    };
    const watched = { next, return: close, [Symbol.asyncIterator]: () => watched };
    return watched;
  }

  /** A file that could not be given out whole: logged, and recorded beside the record of its opening. */
  private async interrupted(document: Document, error: unknown): Promise<void> {
    const { code } = failureOf(error);
    const { requestId } = document.facts;
    const operation = document.leadingOperation();
    this.services.log.error('operation failed', { requestId, operation, code, error });
    document.record({ ...document.frame(), operation, kind: 'READ', outcome: 'failed', code, accesses: [] });
    try {
      await this.settle(document, code);
    } catch (unrecorded) {
      this.services.log.error('ledger writer failed', { requestId, error: unrecorded });
    }
  }
}

/** Whether an If-None-Match names the fingerprint; a weak form of it counts. */
function isKnown(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(',').some((one) => [etag, `W/${etag}`, '*'].includes(one.trim()));
}

async function refuse(reply: FastifyReply, failure: Failure): Promise<void> {
  const { code } = failure;
  const own = FAILURE_STATUS[code];
  if (code === 'UNAUTHENTICATED') void reply.header('www-authenticate', 'Bearer');
  await reply
    .status(STATUS[code] ?? (own === 200 ? 400 : own))
    .header('cache-control', 'no-store')
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify({ errors: [{ message: failure.message, extensions: failureExtensions(failure) }] }));
}

function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof GraphQLError && error.originalError instanceof Failure) return error.originalError;
  const nextStep = 'Try again; give the request id to the operator.';
  return new Failure('INTERNAL_SERVER_ERROR', 'The request failed.', nextStep, { cause: error });
}

function isOurFault({ code }: Failure): boolean {
  return code === 'INTERNAL_SERVER_ERROR' || code === 'AUDIT_UNAVAILABLE' || code === 'INTEGRITY_FAILED';
}
