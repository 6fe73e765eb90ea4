import { isId } from '../../kernel/identifier.js';
import type { Scope } from '../../operation/scope.js';

/** Roles that may be granted a compartment: those that treat. */
const CLINICIANS = ['physician', 'nurse'];

/** Whether the visit is one of the patient's. Of what compartment it is is not asked. */
export async function isVisitOf(scope: Scope, patientId: string, visitId: string): Promise<boolean> {
  const { tenant } = scope.actor;
  if (!isId(visitId)) return false;
  const rows = await scope.services.database.query(tenant, {
    name: 'compartment_visit',
    text: `SELECT 1 FROM visit WHERE tenant_id = $1 AND patient_id = $2::uuid AND id = $3::uuid AND assert_tenant($1)`,
    values: [tenant, patientId, visitId],
  });
  return rows.length > 0;
}

/** The role of a living clinician's account of the tenant; null for every other account, and for none. */
export async function grantableRole(scope: Scope, accountId: string): Promise<string | null> {
  const { tenant } = scope.actor;
  if (!isId(accountId)) return null;
  const [row] = await scope.services.database.query<{ role: string }>(tenant, {
    name: 'compartment_grantee',
    text:
      `SELECT role FROM account WHERE tenant_id = $1 AND id = $2::uuid AND role = ANY ($3::text[]) ` +
      `AND disabled_at IS NULL AND assert_tenant($1)`,
    values: [tenant, accountId, CLINICIANS],
  });
  return row?.role ?? null;
}
