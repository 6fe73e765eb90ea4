import type { Unit } from '../../operation/unit.js';

/**
 * Stages the instant at which every guardianship over a patient ends, because his date of birth changed; null where it is
 * no longer known. One that somebody ended stays ended. The change of the patient must be staged before. The version of these
 * rows stays: it moves only where what is sealed in them is sealed again.
 */
export function stageGuardianshipEnd(
  unit: Unit,
  { tenant, patientId }: { readonly tenant: string; readonly patientId: string },
  endAt: Date | null,
): void {
  unit.change(
    (bind, happened) =>
      `UPDATE related_person SET end_at = ${bind(endAt)}::timestamptz ` +
      `WHERE tenant_id = ${bind(tenant)} AND patient_id = ${bind(patientId)}::uuid ` +
      `AND relationship = 'GUARDIAN' AND status = 'active' AND ${happened}`,
  );
}
