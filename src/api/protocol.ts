import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Socket } from 'node:net';
import type { Log } from '../telemetry/log.js';
import { answerType, isJson, LEGACY_TYPE } from './media-type.js';

/** How long a request may take, in milliseconds: to send its head and body, to be answered, to take the next bytes. */
export interface TimeLimits {
  readonly head: number;
  readonly request: number;
  readonly answer: number;
  readonly silence: number;
}
/** An answer has twice what PostgreSQL gives a statement; a request may be an upload of 20 MiB over a slow line. */
export const TIME_LIMITS: TimeLimits = { head: 10_000, request: 120_000, answer: 30_000, silence: 60_000 };

const PATH = '/graphql';
const OTHER_METHODS = ['PUT', 'PATCH', 'DELETE'];

/** What goes wrong before there is a document, so that nothing was read and nothing is owed to the ledger. */
const PROBLEMS = {
  400: ['BAD_REQUEST', 'The body is not JSON.', 'Send a JSON object with "query" and, where needed, "variables".'],
  405: ['METHOD_NOT_ALLOWED', 'This method is not allowed here.', 'Use POST, or GET for a query.'],
  406: ['NOT_ACCEPTABLE', 'No acceptable media type can be answered.', 'Accept application/graphql-response+json.'],
  408: ['REQUEST_TIMEOUT', 'The request was sent too slowly.', 'Send it again over a better connection.'],
  413: ['REQUEST_TOO_LARGE', 'The request is too large.', 'Send at most one mebibyte.'],
  415: ['UNSUPPORTED_MEDIA_TYPE', 'The body has no media type that is understood.', 'Send application/json in UTF-8.'],
  431: ['REQUEST_TOO_LARGE', 'The header of the request is too large.', 'Send fewer or shorter headers.'],
  500: ['INTERNAL_SERVER_ERROR', 'The request failed.', 'Try again; give the time to the operator.'],
  503: [
    'REQUEST_TIMEOUT',
    'The document took too long.',
    'Nothing was released, but a change may have been made: read it again, or repeat a creation with its Idempotency-Key.',
  ],
} as const;
type ProblemStatus = keyof typeof PROBLEMS;

/** What the checks here find. */
class Problem extends Error {
  constructor(readonly statusCode: ProblemStatus) {
    super(PROBLEMS[statusCode][0]);
  }
}

/**
 * Puts the rules of HTTP before the GraphQL endpoint: methods, media types, size and time, each refused with `errors[]` as a
 * client expects it. Call before the routes are made. What runs on after its time is recorded as usual, but never sent.
 */
export function governEndpoint(server: FastifyInstance, limits: TimeLimits, log: Log): void {
  const answerError = (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    const status = statusOf(error);
    if (status === 500) log.error('request failed', { status, error });
    if (status === 503) log.warn('request failed', { status, code: 'REQUEST_TIMEOUT' });
    if (status === 405) void reply.header('allow', 'GET, POST');
    void reply
      .status(status)
      .header('content-type', answerType(request.headers.accept) ?? LEGACY_TYPE)
      .header('cache-control', 'no-store')
      .send(bodyOf(status));
  };
  server.addHook('onRoute', (route) => {
    if (route.url !== PATH) return;
    route.errorHandler = answerError;
    route.onRequest = [endAfter(limits.answer), checkHead];
  });
  server.route({ method: OTHER_METHODS, url: PATH, handler: refuseMethod });
}

/** Fastify's own `handlerTimeout` ends with the request's body, so that it never ends a POST. */
function endAfter(milliseconds: number) {
  return (_: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const timer = setTimeout(() => {
      if (!reply.sent) void reply.send(new Problem(503));
    }, milliseconds);
    reply.raw.once('close', () => clearTimeout(timer));
    done();
  };
}

/** Before the body is read. What Apollo would find out only after the document ran, is found out here. */
function checkHead({ method, headers }: FastifyRequest, _: FastifyReply, done: (error?: Error) => void): void {
  if (method === 'HEAD') return done(new Problem(405));
  if (method === 'POST' && !isJson(headers['content-type'])) return done(new Problem(415));
  if (method !== 'OPTIONS' && answerType(headers.accept) === null) return done(new Problem(406));
  done();
}

function refuseMethod(): never {
  throw new Problem(405);
}

function statusOf({ statusCode = 500 }: { statusCode?: number }): ProblemStatus {
  if (statusCode in PROBLEMS) return statusCode as ProblemStatus;
  return statusCode >= 400 && statusCode < 500 ? 400 : 500;
}

function bodyOf(status: ProblemStatus): string {
  const [code, message, nextStep] = PROBLEMS[status];
  return JSON.stringify({ errors: [{ message, extensions: { code, nextStep } }] });
}

const CLIENT_ERRORS: Readonly<Record<string, ProblemStatus>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

/** Answers what never became a request: bytes that are not HTTP, heads without end, senders that are too slow. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const status = CLIENT_ERRORS[error.code ?? ''] ?? 400;
  const body = bodyOf(status);
  const reason = PROBLEMS[status][0].replaceAll('_', ' ');
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    `content-type: ${LEGACY_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
