import { Failure, notFound } from '../../kernel/failure.js';
import { isId, newId } from '../../kernel/identifier.js';
import { subjectErased } from '../../operation/erasure-failures.js';
import { readInstant } from '../../operation/input.js';
import { defineOperation } from '../../operation/operation.js';
import type { Scope } from '../../operation/scope.js';
import { versionConflict } from '../../operation/writing.js';
import { holdRows, stageRelease, type HoldRow } from './legal-hold.store.js';
import { personOf } from './person.js';

/** That a person's data is evidence: nobody erases it until the hold is released. It opens nothing to anybody. */
export interface LegalHoldView {
  readonly id: string;
  readonly patientId: string;
  /** Number of the matter. */
  readonly matter: string;
  /** Instants are RFC 3339, UTC. */
  readonly from: string;
  readonly placedAt: string;
  /** Accounts. */
  readonly placedBy: string;
  readonly releasedAt: string | null;
  readonly releasedBy: string | null;
}

export interface PlaceLegalHoldArguments {
  readonly patientId: string;
  readonly matter: string;
  readonly from?: string | null;
  readonly challengeId?: string | null;
}

const LABEL = 'legal-hold-matter';
const LONGEST_MATTER = 100;
const WRITTEN = Object.freeze({ hold: 'WRITTEN' } as const);
const SHOWN = Object.freeze({ hold: 'CLEAR' } as const);
const TYPE = 'LegalHold';

/** Holds a person's data. An erasure that is under way at this moment is waited for: then there is nothing to hold. */
export const placeLegalHold = defineOperation<PlaceLegalHoldArguments, LegalHoldView>({
  name: 'placeLegalHold',
  kind: 'CREATE',
  action: 'erase',
  type: 'Patient',
  mode: 'write',
  handler: async (scope, { patientId, matter, from }) => {
    const { actor, now, services, write, document } = scope;
    const person = await personOf(scope, patientId);
    if (person.erased) throw subjectErased();
    const number = matter.trim();
    if (number === '' || number.length > LONGEST_MATTER) {
      throw refuse('matter', `has 1 to ${LONGEST_MATTER} characters`, 'Send the number of the matter.');
    }
    const begins = from == null ? now.toISOString() : readInstant(from);
    if (begins === null) throw refuse('from', 'is not an instant with a zone', 'Send RFC 3339.');
    const id = newId(now.getTime());
    write.unit.hold('patient', { tenant: actor.tenant, id: person.id, version: person.version });
    write.unit.insert('legal_hold', {
      tenant_id: actor.tenant,
      id,
      subject_reference: person.reference,
      sealed_matter: services.vault.sealToken(LABEL, `${actor.tenant} ${id}`, number),
      from_at: begins,
      placed_at: now,
      placed_by: actor.id,
    });
    write.conflict = versionConflict('Patient');
    await services.vault.loadSubjectKeys(actor.tenant, [person.id], document.keyUse);
    document.know(person.reference, person.id);
    write.record.noteOther({ type: TYPE, rows: 1, fields: WRITTEN, subjects: [person.reference] }, person.decision);
    const placed = { placedAt: now.toISOString(), placedBy: actor.id, releasedAt: null, releasedBy: null };
    return { id, patientId, matter: number, from: begins, ...placed };
  },
});

/** Releases a hold: by another person than the one who placed it. Nothing is erased by that: ask for it again. */
export const releaseLegalHold = defineOperation<
  { readonly id: string; readonly challengeId?: string | null },
  LegalHoldView
>({
  name: 'releaseLegalHold',
  kind: 'UPDATE',
  action: 'erase',
  type: 'Patient',
  mode: 'write',
  handler: async (scope, { id }) => {
    const { actor, now, write } = scope;
    const [row] = isId(id) ? await holdRows(scope, 'hold.id = $2::uuid', id) : [];
    if (row === undefined) throw notFound();
    const person = await personOf(scope, row.patientId);
    if (row.releasedAt !== null) throw refuse('id', 'names a hold that was released', 'Nothing is to be done.');
    if (row.placedBy === actor.id) {
      throw new Failure('FORBIDDEN', 'Nobody releases a hold of his own.', 'Ask another privacy officer.');
    }
    stageRelease(write.unit, { tenant: actor.tenant, id, by: actor.id, at: now });
    write.record.noteOther({ type: TYPE, rows: 1, fields: WRITTEN, subjects: [person.reference] }, person.decision);
    return viewOf(scope, { ...row, releasedAt: now, releasedBy: actor.id });
  },
});

/** The holds of a person, the newest first. */
export const legalHolds = defineOperation<{ readonly patientId: string }, LegalHoldView[]>({
  name: 'legalHolds',
  kind: 'READ',
  action: 'erase',
  type: 'Patient',
  mode: 'read',
  continues: true,
  handler: async (scope, { patientId }) => {
    const person = await personOf(scope, patientId);
    const rows = await holdRows(scope, 'hold.subject_reference = $2', person.reference);
    scope.document.note({ type: TYPE, rows: rows.length, fields: SHOWN, subjects: [person.reference] });
    return rows.map((row) => viewOf(scope, row));
  },
});

function viewOf({ actor, services }: Scope, row: HoldRow): LegalHoldView {
  const matter = services.vault.openToken(LABEL, `${actor.tenant} ${row.id}`, row.sealed);
  if (matter === null) {
    throw new Failure('INTEGRITY_FAILED', 'A hold was changed in the database.', 'Tell the security team.');
  }
  const { id, patientId, placedBy, releasedBy } = row;
  return {
    ...{ id, patientId, matter, placedBy, releasedBy },
    from: row.from.toISOString(),
    placedAt: row.placedAt.toISOString(),
    releasedAt: row.releasedAt?.toISOString() ?? null,
  };
}

function refuse(field: string, what: string, nextStep: string): Failure {
  return new Failure('BAD_USER_INPUT', `LegalHold.${field} ${what}.`, nextStep);
}
