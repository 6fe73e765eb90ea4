import { Failure } from '../../kernel/failure.js';
import type { Connection } from '../../operation/connection.js';
import { readInstant } from '../../operation/input.js';
import { defineOperation } from '../../operation/operation.js';
import type { PageArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

export interface ConsentListArguments extends PageArguments {
  readonly patient: View;
  /** RFC 3339 with a zone: only what was in force then. */
  readonly asOf?: string | null;
}

/**
 * The consents of a patient, newest first: the whole history, or what was in force at an instant. In force is the newest
 * of each purpose that was recorded by then, unless it was withdrawn or had expired.
 */
export const listConsents = defineOperation<ConsentListArguments, Connection>({
  name: 'Patient.consents',
  kind: 'SEARCH',
  action: 'read',
  type: 'Consent',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { patient, asOf, ...page }) => scope.children('Consent', patient, page, instantOf(asOf ?? null)),
});

function instantOf(text: string | null): string | null {
  if (text === null) return null;
  const instant = readInstant(text);
  if (instant !== null) return instant;
  throw new Failure(
    'BAD_USER_INPUT',
    'asOf is not an instant with a zone.',
    'Send RFC 3339, such as 2026-01-31T08:00:00Z.',
  );
}
