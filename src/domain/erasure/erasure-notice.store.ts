import type { Unit } from '../../operation/unit.js';
import type { Database } from '../../persistence/database.js';
import type { NewNotice } from './erasure-material.store.js';

export interface NoticeRow {
  readonly id: string;
  readonly erasureId: string;
  readonly patientId: string;
  readonly subject: string;
  readonly kind: 'RECIPIENT' | 'EXPORT' | 'BACKUP';
  readonly sealed: string | null;
  readonly exportId: string | null;
  readonly accountId: string | null;
  readonly dueAt: Date;
  readonly completedAt: Date | null;
}

const SELECT =
  `SELECT notice.id, notice.erasure_id AS "erasureId", erasure.patient_id AS "patientId", erasure.subject_reference AS subject, ` +
  `notice.kind, notice.sealed_content AS sealed, notice.export_id AS "exportId", notice.account_id AS "accountId", ` +
  `notice.due_at AS "dueAt", notice.completed_at AS "completedAt" FROM erasure_notice notice ` +
  `JOIN erasure ON erasure.tenant_id = notice.tenant_id AND erasure.id = notice.erasure_id ` +
  `WHERE notice.tenant_id = $1 AND assert_tenant($1)`;

/** Notices in the order in which they are due, those in one state or all, after a position. */
export function noticeRows(
  database: Database,
  tenant: string,
  now: Date,
  { state, due, id }: { readonly state: string | null; readonly due: unknown; readonly id: unknown },
  limit: number,
): Promise<NoticeRow[]> {
  return database.query<NoticeRow>(tenant, {
    text:
      `${SELECT} AND ($3::text IS NULL OR $3 = CASE WHEN notice.completed_at IS NOT NULL THEN 'DONE' ` +
      `WHEN notice.due_at <= $2::timestamptz THEN 'OVERDUE' ELSE 'OPEN' END) ` +
      `AND ($4::timestamptz IS NULL OR (notice.due_at, notice.id) > ($4::timestamptz, $5::uuid)) ` +
      `ORDER BY notice.due_at, notice.id LIMIT $6`,
    values: [tenant, now, state, due, id, limit],
  });
}

export async function noticeRow(database: Database, tenant: string, id: string): Promise<NoticeRow | undefined> {
  const [row] = await database.query<NoticeRow>(tenant, {
    text: `${SELECT} AND notice.id = $2::uuid`,
    values: [tenant, id],
  });
  return row;
}

/** Stages that somebody was told; by what is forgotten. */
export function stageCompletion(
  unit: Unit,
  { tenant, id, by, at }: { readonly tenant: string; readonly id: string; readonly by: string; readonly at: Date },
): void {
  unit.change(
    (bind, happened) =>
      `UPDATE erasure_notice SET completed_at = ${bind(at)}, completed_by = ${bind(by)}, sealed_content = NULL ` +
      `WHERE tenant_id = ${bind(tenant)} AND id = ${bind(id)}::uuid AND completed_at IS NULL AND ${happened}`,
  );
}

/** Stages the notices that an erasure makes. */
export function stageNotices(unit: Unit, tenant: string, erasure: string, notices: readonly NewNotice[]): void {
  const column = <Key extends keyof NewNotice>(key: Key) => notices.map((notice) => notice[key]);
  unit.change(
    (bind, happened) =>
      `INSERT INTO erasure_notice (tenant_id, erasure_id, id, kind, sealed_content, export_id, account_id, due_at) ` +
      `SELECT ${bind(tenant)}, ${bind(erasure)}::uuid, task.* FROM unnest(${bind(column('id'))}::uuid[], ` +
      `${bind(column('kind'))}::text[], ${bind(column('sealedContent'))}::text[], ${bind(column('exportId'))}::uuid[], ` +
      `${bind(column('accountId'))}::uuid[], ${bind(column('dueAt'))}::timestamptz[]) AS task WHERE ${happened}`,
  );
}
