import { Migration } from '@mikro-orm/migrations';

/**
 * Exports of lists: who asked, for what, and how far it is. No personal value: the filter is sealed, the rows lie in a
 * sealed file outside. `version` counts the changes of state; whoever works on the export holds one of them (and a lease),
 * and what it writes with another version than the row's is lost.
 */
export class Migration20261121001100_export extends Migration {
  override up(): void {
    this.addSql(`
      CREATE TABLE export_job (
        tenant_id text NOT NULL,
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        account_id uuid NOT NULL,
        session_id uuid NOT NULL,
        purpose text NOT NULL,
        reason_given boolean NOT NULL,
        type text NOT NULL,
        format text NOT NULL CHECK (format IN ('CSV', 'NDJSON')),
        filter text NOT NULL,
        columns text[] NOT NULL,
        status text NOT NULL
          CHECK (status IN ('PENDING', 'RUNNING', 'READY', 'FAILED', 'CANCELLED', 'DOWNLOADED', 'EXPIRED')),
        requested_at timestamptz NOT NULL,
        lease_until timestamptz,
        attempts integer NOT NULL DEFAULT 0,
        rows_expected integer,
        rows_written integer NOT NULL DEFAULT 0,
        plain_bytes bigint NOT NULL DEFAULT 0,
        file_version integer NOT NULL DEFAULT 0,
        file_bytes bigint NOT NULL DEFAULT 0,
        file_frames integer NOT NULL DEFAULT 0,
        last_position text,
        last_id uuid,
        sha256 bytea CHECK (length(sha256) = 32),
        expires_at timestamptz,
        CHECK (status NOT IN ('READY', 'DOWNLOADED', 'EXPIRED') OR (sha256 IS NOT NULL AND expires_at IS NOT NULL)),
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id)
      )`);
    this.addSql(
      `CREATE INDEX export_job_open ON export_job (tenant_id, status) WHERE status IN ('PENDING', 'RUNNING', 'READY')`,
    );
    this.addSql(
      `SELECT govern_tenant_table('export_job', 'SELECT, INSERT, UPDATE (version, status, lease_until, attempts, ` +
        `rows_expected, rows_written, plain_bytes, file_version, file_bytes, file_frames, last_position, last_id, ` +
        `sha256, expires_at)')`,
    );
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
