import { Failure } from '../kernel/failure.js';

/** What the caller hears who writes about somebody who was erased. */
export function subjectErased(): Failure {
  return new Failure('GONE', 'The person was erased.', 'Register the person anew: nothing of before comes back.');
}

/** A legal hold stands in the way of an erasure. `country` of the tenant: what the person is told. */
export function legalHold(country: string | null = null): Failure {
  return new Failure(
    'LEGAL_HOLD',
    'A legal hold keeps this record.',
    `Have the hold released, then ask again. ${toldOf(country)}`,
  );
}

/**
 * A term of the law has not ended. `until`: RFC 3339 of its end; class and clause are the law's, nothing of the person.
 */
export function retentionMinimum(
  term: { readonly class: string; readonly clause: string; readonly until: string } | null,
  country: string | null = null,
): Failure {
  const sentence =
    term === null
      ? 'The law demands that this record is kept.'
      : `The law demands that this record is kept until ${term.until} (${term.class}, ${term.clause}).`;
  const extensions = term === null ? {} : { extensions: { retention: { ...term } } };
  return new Failure('RETENTION_MINIMUM', sentence, toldOf(country), extensions);
}

/** What the answer to the person says: the laws give different rights where a record must be kept. */
function toldOf(country: string | null): string {
  if (country === 'US') {
    return 'Tell the person: HIPAA knows no right to erasure; a restriction can be asked for (45 CFR 164.522).';
  }
  if (country === 'CN') {
    return 'Tell the person: until then it is only stored and protected, and used for nothing else (PIPL 47).';
  }
  return 'Tell the person: the right to erasure does not apply until then (GDPR 17(3)); restriction can be asked for (18).';
}

/**
 * What the database refused for the sake of an erasure: CU003 a hold, CU004 a term, CU005 the person is gone, CU006 something
 * changed between the look and the erasure.
 */
export function erasureFailure(sqlstate: string | null): Failure | null {
  if (sqlstate === 'CU003') return legalHold();
  if (sqlstate === 'CU004') return retentionMinimum(null);
  if (sqlstate === 'CU005') return subjectErased();
  if (sqlstate !== 'CU006') return null;
  return new Failure('VERSION_CONFLICT', 'The record was changed meanwhile.', 'Ask for the erasure again.');
}
