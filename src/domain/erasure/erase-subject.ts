import { newId } from '../../kernel/identifier.js';
import { legalHold, retentionMinimum, subjectErased } from '../../operation/erasure-failures.js';
import { LARGEST_ERASURE, stageDeletion, storedDetails } from '../../operation/ledger-erasure.js';
import { defineOperation } from '../../operation/operation.js';
import type { Scope } from '../../operation/scope.js';
import { erasureMaterial, firstObstacle } from './erasure-material.store.js';
import { stageNotices } from './erasure-notice.store.js';
import { personOf, type Person } from './person.js';

/** On which ground the person asks, or the organisation acts. */
export enum ErasureBasis {
  GDPR_17 = 'GDPR_17',
  PIPL_47 = 'PIPL_47',
  STATE_LAW = 'STATE_LAW',
  REQUEST = 'REQUEST',
}

export interface EraseSubjectArguments {
  readonly patientId: string;
  readonly legalBasis?: ErasureBasis | null;
  readonly challengeId?: string | null;
}

/** What became of the person's row, as the record says it. */
const ERASED = Object.freeze({ row: 'ERASED', children: 'ERASED', keys: 'ERASED', indexes: 'ERASED' } as const);

/**
 * Erases a person: keys in all versions, sealed values, indexes, tokens, facets, everything that hangs on the person, the own
 * account. One statement with its record; the database looks for holds and terms again inside it, under a lock, so that one
 * that came meanwhile wins. Answers the id of the erasure: what follows the commit is done by whoever asks for its receipt,
 * or by the job. The details of this very record are under the tenant's key and name nobody.
 */
export const eraseSubject = defineOperation<EraseSubjectArguments, string>({
  name: 'eraseSubject',
  kind: 'ERASE',
  action: 'erase',
  type: 'Patient',
  mode: 'write',
  withheld: ['patientId'],
  handler: async (scope, { patientId, legalBasis }) => {
    const { actor, now, services, write } = scope;
    const person = await personOf(scope, patientId);
    if (person.erased) throw subjectErased();
    await refuseObstacles(scope, person);
    const material = await erasureMaterial(scope, person);
    const before = await services.ledgerReader.end(actor.tenant);
    const sought = { log: actor.tenant, subject: person.reference, before };
    const details = await storedDetails(services, sought, LARGEST_ERASURE);
    const id = newId(now.getTime());
    write.unit.insert('erasure', {
      tenant_id: actor.tenant,
      id,
      patient_id: person.id,
      subject_reference: person.reference,
      legal_basis: legalBasis ?? (actor.country === 'CN' ? ErasureBasis.PIPL_47 : ErasureBasis.REQUEST),
      erased_at: now,
      requested_by: actor.id,
      attachments: material.attachments,
      blobs: material.blobs,
      notices: material.notices.length,
      details: details.length,
    });
    stageNotices(write.unit, actor.tenant, id, material.notices);
    if (details.length > 0) stageDeletion(write.unit, actor.tenant, details);
    write.record.noteOther({ type: 'Patient', rows: 1, fields: ERASED, subjects: [person.reference] }, person.decision);
    return id;
  },
});

/** LEGAL_HOLD, or RETENTION_MINIMUM with the longest term that runs. */
async function refuseObstacles(scope: Scope, { id, reference }: Person): Promise<void> {
  const { tenant, country } = scope.actor;
  const obstacle = await firstObstacle(scope.services.database, tenant, { id, reference }, scope.now);
  if (obstacle === undefined) return;
  if (obstacle.code === 'LEGAL_HOLD') throw legalHold(country);
  const { class: kind, clause, until } = obstacle;
  throw retentionMinimum({ class: kind, clause, until: until.toISOString() }, country);
}
