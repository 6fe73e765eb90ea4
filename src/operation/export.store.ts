import type { Database } from '../persistence/database.js';
import type { ExportShape } from './export-page.js';

export type ExportStatus = 'PENDING' | 'RUNNING' | 'READY' | 'FAILED' | 'CANCELLED' | 'DOWNLOADED' | 'EXPIRED';
export type ExportFormat = 'CSV' | 'NDJSON';

/** How far an export is: what the next run goes on from. Bytes count the sealed file, plain bytes what is delivered. */
export interface ExportProgress {
  readonly rowsWritten: number;
  readonly plainBytes: number;
  readonly fileVersion: number;
  readonly fileBytes: number;
  readonly fileFrames: number;
  /** Where the last row stands in the order of its list; null before the first. */
  readonly last: ExportPosition | null;
}
export interface ExportPosition {
  readonly position: string;
  readonly id: string;
}

export interface ExportJobRow extends ExportProgress {
  readonly tenant: string;
  readonly id: string;
  readonly version: number;
  readonly accountId: string;
  readonly sessionId: string;
  readonly purpose: string;
  readonly reasonGiven: boolean;
  readonly type: string;
  readonly format: ExportFormat;
  /** Sealed; see `sealFilter` in exports.ts. */
  readonly filter: string;
  readonly columns: readonly string[];
  /** How the columns were shown when it was asked for; null for one that is older than this column. */
  readonly shown: ExportShape | null;
  readonly status: ExportStatus;
  readonly attempts: number;
  readonly rowsExpected: number | null;
  readonly sha256: Buffer | null;
  readonly expiresAt: Date | null;
}

/** The columns of a new row. */
export type NewExportJob = Pick<
  ExportJobRow,
  | 'tenant'
  | 'id'
  | 'accountId'
  | 'sessionId'
  | 'purpose'
  | 'reasonGiven'
  | 'type'
  | 'format'
  | 'filter'
  | 'columns'
  | 'shown'
>;

const COLUMNS =
  `tenant_id AS tenant, id, version, account_id AS "accountId", session_id AS "sessionId", purpose, ` +
  `reason_given AS "reasonGiven", type, format, filter, columns, shown, status, attempts, rows_expected AS "rowsExpected", ` +
  `rows_written AS "rowsWritten", plain_bytes::float8 AS "plainBytes", file_version AS "fileVersion", ` +
  `file_bytes::float8 AS "fileBytes", file_frames AS "fileFrames", last_position AS "lastPosition", last_id AS "lastId", ` +
  `sha256, expires_at AS "expiresAt"`;

type Stored = Omit<ExportJobRow, 'last'> & { readonly lastPosition: string | null; readonly lastId: string | null };

/**
 * The table `export_job`. Every change of state raises `version` and demands the one before: of two that change at once
 * one wins. Changes that need a record go through an operation; here is what the work on an export notes for itself.
 */
export class ExportStore {
  constructor(private readonly database: Database) {}

  /** The values of a new row, for the unit of the operation that asks for the export. */
  static row(job: NewExportJob, now: Date): Record<string, unknown> {
    return {
      tenant_id: job.tenant,
      id: job.id,
      version: 1,
      account_id: job.accountId,
      session_id: job.sessionId,
      purpose: job.purpose,
      reason_given: job.reasonGiven,
      type: job.type,
      format: job.format,
      filter: job.filter,
      columns: job.columns,
      shown: JSON.stringify(job.shown),
      status: 'PENDING',
      requested_at: now,
    };
  }

  /** An export by its id; of one account where it is given. */
  async find(tenant: string, id: string, accountId: string | null = null): Promise<ExportJobRow | null> {
    const [row] = await this.database.query<Stored>(tenant, {
      name: 'export_find',
      text:
        `SELECT ${COLUMNS} FROM export_job WHERE assert_tenant($1) AND tenant_id = $1 AND id = $2::uuid ` +
        `AND account_id = COALESCE($3::uuid, account_id)`,
      values: [tenant, id, accountId],
    });
    return row === undefined ? null : jobOf(row);
  }

  /** Takes an export that is to be done and that nobody works on. Until `leaseUntil` it is this caller's. */
  async claim(tenant: string, id: string, now: Date, leaseUntil: Date): Promise<ExportJobRow | null> {
    const [row] = await this.database.query<Stored>(tenant, {
      text:
        `UPDATE export_job SET status = 'RUNNING', version = version + 1, attempts = attempts + 1, lease_until = $4 ` +
        `WHERE assert_tenant($1) AND tenant_id = $1 AND id = $2::uuid AND status IN ('PENDING', 'RUNNING') ` +
        `AND (lease_until IS NULL OR lease_until <= $3) RETURNING ${COLUMNS}`,
      values: [tenant, id, now, leaseUntil],
    });
    return row === undefined ? null : jobOf(row);
  }

  /** Notes how far a claimed export is and renews the lease. False when the claim is gone: cancelled, or another's. */
  async advance(
    job: ExportJobRow,
    progress: ExportProgress,
    rowsExpected: number | null,
    leaseUntil: Date,
  ): Promise<boolean> {
    const rows = await this.database.query(job.tenant, {
      name: 'export_advance',
      text:
        `UPDATE export_job SET rows_written = $4, plain_bytes = $5, file_version = $6, file_bytes = $7, ` +
        `file_frames = $8, last_position = $9, last_id = $10::uuid, rows_expected = $11, lease_until = $12, attempts = 0 ` +
        `WHERE assert_tenant($1) AND tenant_id = $1 AND id = $2::uuid AND version = $3 AND status = 'RUNNING' RETURNING 1`,
      values: [
        job.tenant,
        job.id,
        job.version,
        progress.rowsWritten,
        progress.plainBytes,
        progress.fileVersion,
        progress.fileBytes,
        progress.fileFrames,
        progress.last?.position ?? null,
        progress.last?.id ?? null,
        rowsExpected,
        leaseUntil,
      ],
    });
    return rows.length > 0;
  }

  /** Lets a claimed export go, for whoever takes it next. */
  async release(job: ExportJobRow): Promise<void> {
    await this.database.query(job.tenant, {
      text:
        `UPDATE export_job SET lease_until = NULL WHERE assert_tenant($1) AND tenant_id = $1 AND id = $2::uuid ` +
        `AND version = $3 AND status = 'RUNNING'`,
      values: [job.tenant, job.id, job.version],
    });
  }

  /** Ends an export without a result, or what nobody fetched. False when it has changed meanwhile. */
  async end(job: ExportJobRow, status: 'FAILED' | 'EXPIRED'): Promise<boolean> {
    const rows = await this.database.query(job.tenant, {
      text:
        `UPDATE export_job SET status = $4, version = version + 1, lease_until = NULL WHERE assert_tenant($1) ` +
        `AND tenant_id = $1 AND id = $2::uuid AND version = $3 RETURNING 1`,
      values: [job.tenant, job.id, job.version, status],
    });
    return rows.length > 0;
  }

  /** Exports that somebody should work on: never begun, or their worker is silent. `all`: also those in somebody's hands. */
  async waiting(tenant: string, now: Date, all: boolean): Promise<string[]> {
    const rows = await this.database.query<{ id: string }>(tenant, {
      text:
        `SELECT id FROM export_job WHERE assert_tenant($1) AND tenant_id = $1 AND status IN ('PENDING', 'RUNNING') ` +
        `AND ($3 OR lease_until IS NULL OR lease_until <= $2) ORDER BY requested_at`,
      values: [tenant, now, all],
    });
    return rows.map((row) => row.id);
  }

  /** Finished exports whose time is over. */
  async overdue(tenant: string, now: Date): Promise<ExportJobRow[]> {
    const rows = await this.database.query<Stored>(tenant, {
      text:
        `SELECT ${COLUMNS} FROM export_job WHERE assert_tenant($1) AND tenant_id = $1 AND status = 'READY' ` +
        `AND expires_at <= $2`,
      values: [tenant, now],
    });
    return rows.map(jobOf);
  }

  /** Which of these exports of a tenant have a file that is still needed. */
  async alive(tenant: string, ids: readonly string[]): Promise<Set<string>> {
    const rows = await this.database.query<{ id: string }>(tenant, {
      text:
        `SELECT id FROM export_job WHERE assert_tenant($1) AND tenant_id = $1 AND id = ANY($2::uuid[]) ` +
        `AND status IN ('PENDING', 'RUNNING', 'READY')`,
      values: [tenant, ids],
    });
    return new Set(rows.map((row) => row.id));
  }
}

function jobOf({ lastPosition, lastId, ...row }: Stored): ExportJobRow {
  const last = lastPosition === null || lastId === null ? null : { position: lastPosition, id: lastId };
  return { ...row, last };
}
