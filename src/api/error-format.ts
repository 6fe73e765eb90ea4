import { unwrapResolverError } from '@apollo/server/errors';
import type { FormattedExecutionResult, GraphQLFormattedError } from 'graphql';
import { Failure, FAILURE_STATUS, type FailureCode } from '../kernel/failure.js';
import { tooCostly } from './limits.js';
import { RESPONSE_TYPE, type AnswerType } from './media-type.js';

/** Messages of graphql-js that name only what is in the schema or in the document's own syntax, never a value. */
const HARMLESS = [
  /^Cannot query field "\w+" on type "\w+"\.$/,
  /^Unknown (argument|type|fragment|directive) "@?\w+"[^:]*$/,
  /^Field "\w+" of type "[\w![\]]+" must have a selection of subfields\.$/,
  /^Field "\w+" must not have a selection since type "[\w![\]]+" has no subfields\.$/,
  /^Field "[\w.]+" (argument "\w+" )?of (required )?type "[\w![\]]+" (is required, but it was not provided|was not provided)\.$/,
  /^Variable "\$\w+" (is never used|is not defined|of required type "[\w![\]]+" was not provided)[^:]*\.$/,
  /^Variable "\$\w+" of type "[\w![\]]+" used in position expecting type "[\w![\]]+"\.$/,
  /^Must provide (an )?operation name[^:]*\.?$/,
];

/** What graphql-js guesses from the schema: it would tell names that nobody asked for. */
const SUGGESTION = /\s*Did you mean .*$/s;

/** graphql-js: the parser's limit, and validation that gave up on too many errors or too many fields of one name. */
const TOO_LARGE = /Document contains more tha[nt] \d+ tokens|Validation aborted\.$/;

/**
 * What a caller hears of an error: code, one sentence, next step. graphql-js quotes the offending values in its messages;
 * those are replaced, because a value in an error is a value in every log that keeps errors.
 */
export function formatError(formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError {
  const cause = unwrapResolverError(error);
  const original =
    typeof error === 'object' && error !== null && 'originalError' in error ? error.originalError : undefined;
  const failure = cause instanceof Failure ? cause : original instanceof Failure ? original : null;
  const path = formatted.path === undefined ? {} : { path: formatted.path };
  if (failure !== null) return { message: failure.message, ...path, extensions: failureExtensions(failure) };
  const code = String(formatted.extensions?.['code'] ?? 'INTERNAL_SERVER_ERROR');
  if (TOO_LARGE.test(formatted.message)) return formatError({ ...formatted, message: '' }, tooCostly());
  if (code === 'INTERNAL_SERVER_ERROR') {
    return {
      message: 'The request failed.',
      ...path,
      extensions: { code, nextStep: 'Try again; give the request id to the operator.' },
    };
  }
  if (code === 'BAD_REQUEST') {
    const nextStep =
      'POST a JSON object with "query" and "variables", or GET a query with the header Apollo-Require-Preflight.';
    return { message: 'This is no GraphQL request.', extensions: { code, nextStep } };
  }
  const plain = formatted.message.replace(SUGGESTION, '');
  const message = HARMLESS.some((pattern) => pattern.test(plain))
    ? plain
    : 'The document or its variables do not fit the schema.';
  return {
    message,
    ...(formatted.locations === undefined ? {} : { locations: formatted.locations }),
    ...path,
    extensions: { code, nextStep: 'Compare the document and the names and types of its variables with the schema.' },
  };
}

export function failureExtensions(failure: Failure): Record<string, unknown> {
  return { ...failure.options.extensions, code: failure.code, nextStep: failure.nextStep };
}

/**
 * HTTP status of an answer (GraphQL over HTTP, 6.4). Codes with a status of their own have it, but in the newer media type
 * an answer that carries data is 2xx. Of a document that was not executed the newer type says 400; the older one says 200,
 * as for everything that was a well-formed request.
 * @param given what Apollo would say.
 */
export function answerStatus(result: FormattedExecutionResult, type: AnswerType, given: number | undefined): number {
  const codes = (result.errors ?? []).map((error) => String(error.extensions?.['code']));
  if (codes.length === 0) return given ?? 200;
  if (result.data != null && type === RESPONSE_TYPE) return 200;
  const gravest = Math.max(...codes.map((code) => FAILURE_STATUS[code as FailureCode] ?? 200));
  if (gravest > 200) return gravest;
  if (codes.includes('BAD_REQUEST')) return given ?? 400;
  return result.data === undefined && type === RESPONSE_TYPE ? 400 : 200;
}

/** Where the code that refuses does not know when it will be over. */
const UNKNOWN_WAIT = 10;

/** Seconds for the header Retry-After (RFC 9110, 10.2.3); null where nothing in the answer was one too many. */
export function retryAfter(errors: readonly GraphQLFormattedError[]): number | null {
  const waits = errors
    .filter((error) => error.extensions?.['code'] === 'RATE_LIMITED')
    .map((error) => Number(error.extensions?.['retryAfterSeconds'] ?? UNKNOWN_WAIT));
  return waits.length === 0 ? null : Math.max(...waits);
}
