import { instantText } from '../../kernel/clock.js';
import type { Scope } from '../../operation/scope.js';
import type { Unit } from '../../operation/unit.js';

/** The consent in force for one purpose. Instants are RFC 3339 in UTC. */
export interface ConsentState {
  readonly decision: 'PERMIT' | 'DENY';
  /** The consent counts before this instant; null where it has no end. */
  readonly until: string | null;
  /** When and as which consent it was recorded: an older one never replaces it. */
  readonly at: string;
  readonly id: string;
}

/** The patient whose row repeats what is in force. */
export interface PatientKey {
  readonly tenant: string;
  readonly patientId: string;
}

/**
 * When a consent that is recorded now was recorded: after all that were recorded before it, even where they have their time
 * from a clock that is ahead of this one. Else a refusal would count as older than the permission it takes back.
 */
export async function nextRecordedAt(scope: Scope, patientId: string, purpose: string): Promise<string> {
  const { tenant } = scope.actor;
  const [row] = await scope.services.database.query<{ newest: Date | null }>(tenant, {
    name: 'consent_newest',
    text:
      `SELECT max(recorded_at) AS newest FROM consent ` +
      `WHERE tenant_id = $1 AND patient_id = $2::uuid AND purpose = $3 AND assert_tenant($1)`,
    values: [tenant, patientId, purpose],
  });
  return instantText(Math.max(scope.now.getTime(), (row?.newest?.getTime() ?? 0) + 1));
}

/**
 * Stages that a consent becomes the patient's state for its purpose, unless a newer one is it already or was recorded and
 * withdrawn meanwhile. Statements on one patient wait for each other at his row and look at it again: whichever commits
 * last, the newest by (recordedAt, id) stands.
 */
export function stageState(unit: Unit, { tenant, patientId }: PatientKey, purpose: string, state: ConsentState): void {
  unit.change((bind, happened) => {
    const [name, at, id] = [`${bind(purpose)}::text`, `${bind(state.at)}::timestamptz`, `${bind(state.id)}::uuid`];
    const known = `consents -> ${name}`;
    return (
      `UPDATE patient SET consents = jsonb_set(consents, ARRAY[${name}], ${bind(JSON.stringify(state))}::jsonb) ` +
      `WHERE tenant_id = ${bind(tenant)} AND id = ${bind(patientId)}::uuid AND ${happened} ` +
      `AND (${known} IS NULL OR ((${known} ->> 'at')::timestamptz, (${known} ->> 'id')::uuid) < (${at}, ${id})) ` +
      `AND NOT EXISTS (SELECT 1 FROM consent newer WHERE newer.tenant_id = patient.tenant_id ` +
      `AND newer.patient_id = patient.id AND newer.purpose = ${name} AND (newer.recorded_at, newer.id) > (${at}, ${id}))`
    );
  });
}

/**
 * Stages what a withdrawal leaves, where the withdrawn consent is the one in force: a permission that was withdrawn is a
 * refusal, a refusal that was withdrawn is nothing. The mark of the withdrawal must be staged before.
 */
export function stageWithdrawal(unit: Unit, { tenant, patientId }: PatientKey, purpose: string, id: string): void {
  unit.change((bind, happened) => {
    const name = `${bind(purpose)}::text`;
    const refusal = bind(JSON.stringify({ decision: 'DENY', until: null }));
    return (
      `UPDATE patient SET consents = CASE consents -> ${name} ->> 'decision' WHEN 'PERMIT' ` +
      `THEN jsonb_set(consents, ARRAY[${name}], (consents -> ${name}) || ${refusal}::jsonb) ELSE consents - ${name} END ` +
      `WHERE tenant_id = ${bind(tenant)} AND id = ${bind(patientId)}::uuid AND ${happened} ` +
      `AND (consents -> ${name} ->> 'id')::uuid = ${bind(id)}::uuid`
    );
  });
}
