import type { ApolloServerPlugin, GraphQLRequestContextWillSendResponse } from '@apollo/server';
import { hash } from 'node:crypto';
import { Kind, print, visit, type DocumentNode } from 'graphql';
import type { Receipt } from '../ledger/record.js';
import { Failure } from '../kernel/failure.js';
import { auditUnavailable, type Answering } from '../operation/answering.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { failureExtensions, statusOf } from './error-format.js';
import { refuseDeep } from './limits.js';
import type { ApiContext } from './request-document.js';

const digests = new WeakMap<DocumentNode, string>();

type Answer = GraphQLRequestContextWillSendResponse<ApiContext>;

/**
 * The last step before a byte leaves: every record of the document becomes durable, or the whole answer becomes
 * AUDIT_UNAVAILABLE. It must run after everything that could still add data to the answer.
 */
export function documentPlugin(answering: Answering, metrics: Metrics, log: Log): ApolloServerPlugin<ApiContext> {
  return {
    requestDidStart: async ({ contextValue }) => {
      const { document } = contextValue;
      return {
        didResolveOperation: async ({ document: syntax, request }) => {
          refuseDeep(request.variables);
          document.digest = digestOf(syntax);
        },
        willSendResponse: async (answer) => {
          const failure = await release(answer, answering);
          finish(answer, failure, metrics, log);
        },
      };
    },
  };
}

async function release(answer: Answer, answering: Answering): Promise<Failure | null> {
  const { document } = answer.contextValue;
  const { body } = answer.response;
  if (body.kind !== 'single') throw new Error('Incremental answers are not governed.');
  const codes = (body.singleResult.errors ?? []).map((error) => String(error.extensions?.['code']));
  try {
    const receipts = await answering.settle(document, codes[0] ?? null);
    const policy = answering.policyReport(document);
    const extensions = {
      ...(policy === null ? {} : { policy }),
      ...(receipts.length === 0 ? {} : { ledger: receiptOf(receipts) }),
    };
    if (Object.keys(extensions).length > 0) body.singleResult.extensions = extensions;
    answer.response.http.status = statusOf(codes) ?? answer.response.http.status;
    return null;
  } catch (error) {
    const failure = auditUnavailable(error);
    body.singleResult = {
      data: null,
      errors: [{ message: failure.message, extensions: failureExtensions(failure) }],
    };
    answer.response.http.status = statusOf([failure.code]);
    return failure;
  } finally {
    answer.response.http.headers.set('x-request-id', document.facts.requestId);
    answer.response.http.headers.set('cache-control', 'no-store');
    if (answer.response.http.status === 401) answer.response.http.headers.set('www-authenticate', 'Bearer');
  }
}

/** The record of the write, where there is one, else of the read; `records` has them all. */
function receiptOf(receipts: readonly Receipt[]) {
  return { ...receipts[0], records: receipts };
}

function finish(answer: Answer, unavailable: Failure | null, metrics: Metrics, log: Log): void {
  const { document, startedAt } = answer.contextValue;
  const { body } = answer.response;
  const codes =
    body.kind === 'single' ? (body.singleResult.errors ?? []).map((error) => String(error.extensions?.['code'])) : [];
  const outcome =
    unavailable !== null || codes.includes('INTERNAL_SERVER_ERROR')
      ? 'failed'
      : codes.length > 0
        ? 'denied'
        : 'success';
  const milliseconds = performance.now() - startedAt;
  metrics.operation(document.leadingOperation(), outcome, milliseconds / 1000);
  log.info('request', {
    requestId: document.facts.requestId,
    operation: document.leadingOperation(),
    outcome,
    code: codes[0],
    milliseconds: Math.round(milliseconds),
  });
  const { requestId } = document.facts;
  for (const { originalError } of answer.errors ?? []) {
    if (originalError === undefined) continue;
    if (isOurFault(originalError)) log.error('operation failed', { requestId, error: originalError });
    else log.debug('operation failed', { requestId, error: originalError });
  }
  if (unavailable !== null) log.error('ledger writer failed', { requestId, error: unavailable });
}

/** A refusal is the caller's affair; what nobody meant, and a ledger that cannot be written, is the operator's. */
function isOurFault(error: unknown): boolean {
  return !(error instanceof Failure) || error.code === 'INTERNAL_SERVER_ERROR' || error.code === 'AUDIT_UNAVAILABLE';
}

/** SHA-256 of the document with its literals removed and its white space normal: the same for the same shape of request. */
function digestOf(syntax: DocumentNode): string {
  const known = digests.get(syntax);
  if (known !== undefined) return known;
  const shape = visit(syntax, {
    [Kind.STRING]: (node) => ({ ...node, value: '', block: false }),
    [Kind.INT]: (node) => ({ ...node, value: '0' }),
    [Kind.FLOAT]: (node) => ({ ...node, value: '0' }),
  }) as DocumentNode;
  const digest = hash('sha256', print(shape), 'hex');
  digests.set(syntax, digest);
  return digest;
}
