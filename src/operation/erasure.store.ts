import type { Database } from '../persistence/database.js';
import { detailColumns, type DetailKey } from './ledger-erasure.js';
import type { ErasedKey } from './subject-erasure.js';
import type { Unit } from './unit.js';

/** A row of `erasure`: what its trigger did, and what was done after it. */
export interface ErasureRow {
  readonly tenant: string;
  readonly id: string;
  readonly patientId: string;
  readonly subject: string;
  readonly legalBasis: string;
  readonly erasedAt: Date;
  readonly blobs: readonly string[];
  readonly notices: number;
  readonly stores: Readonly<Record<string, number>>;
  readonly columns: readonly string[];
  readonly keys: readonly ErasedKey[];
  readonly details: number;
  readonly replayOf: string | null;
  readonly tombstone: string | null;
  readonly receipt: string | null;
}

const COLUMNS =
  `tenant_id AS tenant, id, patient_id AS "patientId", subject_reference AS subject, legal_basis AS "legalBasis", ` +
  `erased_at AS "erasedAt", blobs, notices, stores, columns, keys, details, replay_of AS "replayOf", tombstone, receipt`;

/** The table `erasure` after its rows were made: who makes one erases somebody, see the operation. */
export class ErasureStore {
  constructor(private readonly database: Pick<Database, 'query'>) {}

  async find(tenant: string, id: string): Promise<ErasureRow | null> {
    const [row] = await this.database.query<ErasureRow>(tenant, {
      name: 'erasure_find',
      text: `SELECT ${COLUMNS} FROM erasure WHERE tenant_id = $1 AND id = $2::uuid AND assert_tenant($1)`,
      values: [tenant, id],
    });
    return row ?? null;
  }

  /** The id of the person whom the ledger knows by this name; null where there is no row of his. */
  async personNamed(tenant: string, reference: string): Promise<string | null> {
    const [row] = await this.database.query<{ id: string }>(tenant, {
      text: 'SELECT id FROM patient WHERE tenant_id = $1 AND subject_reference = $2 AND assert_tenant($1)',
      values: [tenant, reference],
    });
    return row?.id ?? null;
  }

  /** Erasures of which something is owed. */
  async unfinished(tenant: string): Promise<string[]> {
    const rows = await this.database.query<{ id: string }>(tenant, {
      name: 'erasure_unfinished',
      text: `SELECT id FROM erasure WHERE tenant_id = $1 AND finished_at IS NULL AND assert_tenant($1) ORDER BY erased_at LIMIT 100`,
      values: [tenant],
    });
    return rows.map((row) => row.id);
  }

  async buried(tenant: string, id: string, note: string): Promise<void> {
    await this.database.query(tenant, {
      text: `UPDATE erasure SET tombstone = $3 WHERE tenant_id = $1 AND id = $2::uuid AND tombstone IS NULL AND assert_tenant($1)`,
      values: [tenant, id, note],
    });
  }

  /** Of two that finish at once the first counts. */
  async finish(tenant: string, id: string, receipt: string): Promise<void> {
    await this.database.query(tenant, {
      text:
        `UPDATE erasure SET receipt = $3, finished_at = clock_timestamp() ` +
        `WHERE tenant_id = $1 AND id = $2::uuid AND finished_at IS NULL AND assert_tenant($1)`,
      values: [tenant, id, receipt],
    });
  }

  /** Deletes details of the ledger and counts them in the same statement. */
  async eraseDetails(tenant: string, id: string, keys: readonly DetailKey[]): Promise<void> {
    await this.database.query(tenant, {
      text:
        `WITH gone AS (DELETE FROM ledger_detail AS detail USING unnest($3::text[], $4::bigint[], $5::timestamptz[]) ` +
        `AS gone (writer, number, recorded_at) WHERE detail.log = $1 AND detail.writer = gone.writer ` +
        `AND detail.number = gone.number AND detail.recorded_at = gone.recorded_at RETURNING detail.number) ` +
        `UPDATE erasure SET details = details + (SELECT count(*) FROM gone)::integer ` +
        `WHERE tenant_id = $1 AND id = $2::uuid AND assert_tenant($1)`,
      values: [tenant, id, ...detailColumns(keys)],
    });
  }

  /** The exports of which an erasure has notices. */
  async exportsOf(tenant: string, id: string): Promise<string[]> {
    const rows = await this.database.query<{ export_id: string }>(tenant, {
      text:
        `SELECT export_id FROM erasure_notice WHERE tenant_id = $1 AND erasure_id = $2::uuid AND export_id IS NOT NULL ` +
        `AND assert_tenant($1)`,
      values: [tenant, id],
    });
    return rows.map((row) => row.export_id);
  }

  /** Of these persons those of whom the tenant has a key, or a row that is no tombstone. */
  async living(tenant: string, references: readonly string[]): Promise<Set<string>> {
    const rows = await this.database.query<{ reference: string }>(tenant, {
      text:
        `SELECT subject_reference AS reference FROM subject_key ` +
        `WHERE tenant_id = $1 AND subject_reference = ANY($2::text[]) AND assert_tenant($1) ` +
        `UNION SELECT subject_reference FROM patient WHERE tenant_id = $1 AND status <> 'erased' ` +
        `AND subject_reference = ANY($2::text[])`,
      values: [tenant, references],
    });
    return new Set(rows.map((row) => row.reference));
  }

  /** Notices of all these tenants that nobody completed in time. */
  async overdue(tenants: readonly string[], now: Date): Promise<number> {
    let sum = 0;
    for (const tenant of tenants) {
      const [row] = await this.database.query<{ found: number }>(tenant, {
        name: 'erasure_notices_overdue',
        text:
          `SELECT count(*)::integer AS found FROM erasure_notice ` +
          `WHERE tenant_id = $1 AND completed_at IS NULL AND due_at <= $2 AND assert_tenant($1)`,
        values: [tenant, now],
      });
      sum += row?.found ?? 0;
    }
    return sum;
  }
}

/** Stages that keys of somebody who has no row any more go. */
export function stageKeyDeletion(unit: Unit, tenant: string, reference: string): void {
  unit.change(
    (bind, happened) =>
      `DELETE FROM subject_key WHERE tenant_id = ${bind(tenant)} AND subject_reference = ${bind(reference)} AND ${happened}`,
  );
}
