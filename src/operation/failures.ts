import { Failure } from '../kernel/failure.js';
import { DatabaseFault } from '../persistence/sqlstate.js';
import { erasureFailure } from './erasure-failures.js';

const NOT_NULL_VIOLATION = '23502';

/**
 * What a caller may hear of an error. When the statement of a write fails for a reason that is not the caller's, neither the
 * rows nor their record were committed: that is an audit that is not available.
 */
export function asFailure(error: unknown, mode: 'read' | 'write'): Failure {
  if (error instanceof Failure) return error;
  const fault = error instanceof DatabaseFault ? error.kind : 'none';
  const erasure = error instanceof DatabaseFault ? erasureFailure(error.sqlstate) : null;
  if (erasure !== null) return erasure;
  if (fault === 'unique' || fault === 'reference') {
    return new Failure('BAD_USER_INPUT', 'The record contradicts one that exists.', 'Read it again before you write.', {
      cause: error,
    });
  }
  if (fault === 'exclusion') {
    // Nothing of why: what takes the time may be withheld from the caller.
    return new Failure('BAD_USER_INPUT', 'The time is not available.', 'Choose another time.', {
      cause: error,
    });
  }
  if (error instanceof DatabaseFault && error.sqlstate === NOT_NULL_VIOLATION) {
    return new Failure('BAD_USER_INPUT', 'A required value is empty.', 'Send a value for every required field.', {
      cause: error,
    });
  }
  if (mode === 'write' && fault !== 'none' && fault !== 'tenant') {
    return new Failure(
      'AUDIT_UNAVAILABLE',
      'Whether the operation was recorded is not known.',
      'It may not have been done: try again later, a creation with the same Idempotency-Key.',
      { cause: error },
    );
  }
  return new Failure(
    'INTERNAL_SERVER_ERROR',
    'The operation failed.',
    'Try again; give the request id to the operator.',
    { cause: error },
  );
}
