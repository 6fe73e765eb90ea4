import type { ApolloServerPlugin, GraphQLRequest, GraphQLRequestContextWillSendResponse } from '@apollo/server';
import { hash } from 'node:crypto';
import { GraphQLError, Kind, parse, print, visit, type DocumentNode, type OperationDefinitionNode } from 'graphql';
import type { Receipt } from '../ledger/record.js';
import { Failure } from '../kernel/failure.js';
import { auditUnavailable, type Answering } from '../operation/answering.js';
import type { Log } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { isConditional } from './conditional-subscription.js';
import { answerStatus, failureExtensions, retryAfter } from './error-format.js';
import { costOf, LIMITS, refuseDeep } from './limits.js';
import { answerType, LEGACY_TYPE } from './media-type.js';
import type { ApiContext, Deployment } from './request-document.js';
import type { TrustedDocuments } from './trusted-documents.js';

const digests = new WeakMap<DocumentNode, string>();

type Answer = GraphQLRequestContextWillSendResponse<ApiContext>;

/**
 * The last step before a byte leaves: every record of the document becomes durable, or the whole answer becomes
 * AUDIT_UNAVAILABLE. It must run after everything that could still add data to the answer.
 */
export function documentPlugin(
  answering: Answering,
  metrics: Metrics,
  log: Log,
  { production, trusted }: Pick<Deployment, 'production' | 'trusted'>,
): ApolloServerPlugin<ApiContext> {
  return {
    unexpectedErrorProcessingRequest: async ({ requestContext, error }) => {
      log.error('operation failed', { requestId: requestContext.contextValue.document.facts.requestId, error });
    },
    requestDidStart: async ({ request, contextValue }) => {
      const { document } = contextValue;
      const refusal = trusted.exists ? substitute(request, trusted) : null;
      return {
        // In the place of what validation would choke on: refused below, where it is answered and recorded like any other.
        validationDidStart: async (request) => {
          if (isConditional(request.document)) Object.assign(request, { document: UNFIT });
        },
        didResolveOperation: async ({ document: syntax, ...resolved }) => {
          if (refusal !== null) throw refusal;
          if (syntax === UNFIT) throw unfit();
          // Apollo's type is wrong: a name that no operation has gets here too.
          const operation = resolved.operation as OperationDefinitionNode | undefined;
          if (operation?.operation === 'subscription') throw notByHttp();
          refuseDeep(request.variables);
          document.digest = digestOf(syntax);
        },
        willSendResponse: async (answer) => {
          const failure = await release(answer, answering, production);
          finish(answer, failure, metrics, log);
        },
      };
    },
  };
}

/**
 * Puts the trusted text in the place of an id. What is not trusted is replaced by a document that asks nothing, so that it
 * is not even parsed, and the refusal is handed back: thrown later, where it is answered and recorded like any other.
 */
function substitute(request: GraphQLRequest, trusted: TrustedDocuments): Failure | null {
  const id = documentIdIn(request);
  if (request.query === undefined && id === undefined) return null;
  try {
    request.query = trusted.resolve({ text: request.query, id });
    return null;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    request.query = NOTHING;
    delete request.operationName;
    return error;
  } finally {
    delete request.extensions?.['persistedQuery'];
  }
}

function notByHttp(): Failure {
  return new Failure(
    'BAD_USER_INPUT',
    'Subscriptions do not run by HTTP.',
    'Open a WebSocket on the same address with the protocol graphql-transport-ws.',
  );
}

const NOTHING = '{ __typename }';
const UNFIT = parse(NOTHING);

/** What the rules of graphql-js do not find out, answered as what they do. */
export function unfit(): GraphQLError {
  return new GraphQLError('The document does not fit the schema.', {
    extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
  });
}

function documentIdIn({ http, extensions }: GraphQLRequest): string | undefined {
  const body = http?.method === 'POST' ? (http.body as Record<string, unknown>) : {};
  const candidates = [
    body['documentId'],
    http?.method === 'GET' ? new URLSearchParams(http.search).get('documentId') : undefined,
    (extensions?.['persistedQuery'] as Record<string, unknown> | undefined)?.['sha256Hash'],
  ];
  return candidates.find((one) => typeof one === 'string') as string | undefined;
}

async function release(answer: Answer, answering: Answering, production: boolean): Promise<Failure | null> {
  const { document, cookie } = answer.contextValue;
  const { body } = answer.response;
  if (body.kind !== 'single') throw new Error('Incremental answers are not governed.');
  const { headers } = answer.response.http;
  const codes = (body.singleResult.errors ?? []).map((error) => String(error.extensions?.['code']));
  try {
    const receipts = await answering.settle(document, codes[0] ?? null);
    const policy = answering.policyReport(document);
    const cost = production ? null : costOf(answer.document);
    const extensions = {
      ...(policy === null ? {} : { policy }),
      ...(cost === null ? {} : { cost: { document: cost, limit: LIMITS.cost } }),
      ...(receipts.length === 0 ? {} : { ledger: receiptOf(receipts) }),
    };
    if (Object.keys(extensions).length > 0) body.singleResult.extensions = extensions;
    const setCookie = cookie?.header() ?? null;
    if (setCookie !== null) headers.set('set-cookie', setCookie);
    return null;
  } catch (error) {
    const failure = auditUnavailable(error);
    body.singleResult = {
      data: null,
      errors: [{ message: failure.message, extensions: failureExtensions(failure) }],
    };
    return failure;
  } finally {
    const { accept } = Object.fromEntries(answer.request.http?.headers ?? []);
    const type = answerType(accept) ?? LEGACY_TYPE;
    const status = answerStatus(body.singleResult, type, answer.response.http.status);
    answer.response.http.status = status;
    headers.set('content-type', type);
    headers.set('x-request-id', document.facts.requestId);
    headers.set('cache-control', 'no-store');
    if (status === 401) headers.set('www-authenticate', 'Bearer');
    const retry = retryAfter(body.singleResult.errors ?? []);
    if (retry !== null) headers.set('retry-after', String(retry));
  }
}

/** The record of the write, where there is one, else of the read; `records` has them all. */
export function receiptOf(receipts: readonly Receipt[]) {
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
  for (const { originalError, path } of answer.errors ?? []) {
    if (originalError === undefined) continue;
    // Without a path it is of the document or its variables.
    const isTheirs = path === undefined && originalError instanceof GraphQLError;
    if (!isTheirs && isOurFault(originalError)) log.error('operation failed', { requestId, error: originalError });
    else log.debug('operation failed', { requestId, error: originalError });
  }
  if (unavailable !== null) log.error('ledger writer failed', { requestId, error: unavailable });
}

/** A refusal is the caller's affair; what nobody meant, and a ledger that cannot be written, is the operator's. */
export function isOurFault(error: unknown): boolean {
  return !(error instanceof Failure) || error.code === 'INTERNAL_SERVER_ERROR' || error.code === 'AUDIT_UNAVAILABLE';
}

/** SHA-256 of the document with its literals removed and its white space normal: the same for the same shape of request. */
export function digestOf(syntax: DocumentNode): string {
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
