import { registry } from '../../kernel/attribute.js';
import { notFound } from '../../kernel/failure.js';
import { isId } from '../../kernel/identifier.js';
import { readFacts } from '../../operation/row-facts.js';
import type { Scope } from '../../operation/scope.js';
import { fetchStored } from '../../operation/stored-row.js';

/** Somebody who may be erased, or was. */
export interface Person {
  readonly id: string;
  /** The name in the ledger. */
  readonly reference: string;
  readonly version: number;
  readonly erased: boolean;
  /** As it is stored, with `subject_id` and `row_version`. */
  readonly row: Readonly<Record<string, unknown>>;
  readonly decision: ReturnType<Scope['obliged']>;
}

/** The person, where the policy lets the caller erase. One of whom that is not so is told like a missing one. */
export async function personOf(scope: Scope, patientId: string): Promise<Person> {
  const decision = scope.obliged('erase', 'Patient');
  const noun = registry.noun('Patient');
  const row = isId(patientId) ? await fetchStored(scope, noun, patientId) : null;
  if (row === null) throw notFound();
  if (!decision.matches(readFacts(noun, row))) throw notFound('NO_CARE_RELATIONSHIP');
  return {
    id: patientId,
    reference: String(row['subject_reference']),
    version: Number(row['version']),
    erased: row['erased'] === true,
    row,
    decision,
  };
}
