/** Every code that an outsider may meet, with its HTTP status where it is not 200 (GraphQL over HTTP). */
export const FAILURE_STATUS = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 200,
  NOT_FOUND: 200,
  BAD_USER_INPUT: 200,
  VERSION_CONFLICT: 200,
  RATE_LIMITED: 429,
  CURSOR_INVALID: 200,
  IDEMPOTENCY_CONFLICT: 200,
  STEP_UP_REQUIRED: 200,
  CONSENT_REQUIRED: 200,
  CONSENT_WITHDRAWN: 200,
  GUARDIAN_CONSENT_REQUIRED: 200,
  GONE: 410,
  PURPOSE_REQUIRED: 200,
  PURPOSE_NOT_PERMITTED: 200,
  FIELD_NOT_FILTERABLE: 200,
  QUERY_COST_EXCEEDED: 200,
  DOCUMENT_NOT_TRUSTED: 403,
  REQUEST_TIMEOUT: 503,
  BULK_LIMIT: 200,
  RETENTION_MINIMUM: 200,
  LEGAL_HOLD: 200,
  PROOF_NOT_READY: 200,
  INTEGRITY_FAILED: 200,
  UNCLASSIFIED_FIELD: 500,
  AUDIT_UNAVAILABLE: 503,
  INTERNAL_SERVER_ERROR: 500,
} as const;
export type FailureCode = keyof typeof FAILURE_STATUS;

/**
 * A refusal that may be told to the caller: a stable code, one sentence with values that are safe to show, and the
 * next step. The cause stays inside: it is never serialised. `recordedAs` is what the ledger says instead of the
 * public code where the public one must not tell (a missing care relationship looks like a missing row).
 */
export class Failure extends Error {
  override readonly name = 'Failure';

  constructor(
    readonly code: FailureCode,
    message: string,
    readonly nextStep: string,
    readonly options: { cause?: unknown; recordedAs?: string; extensions?: Record<string, unknown> } = {},
  ) {
    super(message, { cause: options.cause });
  }
}

/** The one answer for "there is none" and "not for you": the same bytes, so that neither can be told from the other. */
export function notFound(recordedAs?: string): Failure {
  return new Failure('NOT_FOUND', 'There is no such record.', 'Check the id, or list what you may see.', {
    recordedAs,
  });
}
