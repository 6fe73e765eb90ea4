import type { Scope } from '../../operation/scope.js';
import type { Unit } from '../../operation/unit.js';

export interface HoldRow {
  readonly id: string;
  readonly patientId: string;
  readonly sealed: string;
  readonly from: Date;
  readonly placedAt: Date;
  readonly placedBy: string;
  readonly releasedAt: Date | null;
  readonly releasedBy: string | null;
}

/** Rows of legal holds of the tenant, the newest first. @param condition one of this file; `$2` is the value */
export function holdRows(scope: Scope, condition: string, value: string): Promise<HoldRow[]> {
  const { tenant } = scope.actor;
  return scope.services.database.query<HoldRow>(tenant, {
    text:
      `SELECT hold.id, person.id AS "patientId", hold.sealed_matter AS sealed, hold.from_at AS "from", ` +
      `hold.placed_at AS "placedAt", hold.placed_by AS "placedBy", hold.released_at AS "releasedAt", ` +
      `hold.released_by AS "releasedBy" FROM legal_hold hold JOIN patient person ON person.tenant_id = hold.tenant_id ` +
      `AND person.subject_reference = hold.subject_reference ` +
      `WHERE hold.tenant_id = $1 AND ${condition} AND assert_tenant($1) ORDER BY hold.placed_at DESC, hold.id DESC LIMIT 100`,
    values: [tenant, value],
  });
}

/** Stages the end of a hold that has none yet. */
export function stageRelease(
  unit: Unit,
  { tenant, id, by, at }: { readonly tenant: string; readonly id: string; readonly by: string; readonly at: Date },
): void {
  unit.change(
    (bind, happened) =>
      `UPDATE legal_hold SET released_at = ${bind(at)}, released_by = ${bind(by)} ` +
      `WHERE tenant_id = ${bind(tenant)} AND id = ${bind(id)}::uuid AND released_at IS NULL AND ${happened}`,
  );
}
