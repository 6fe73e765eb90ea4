import { Migration } from '@mikro-orm/migrations';

/** What the door keeps between operations: results of creations by idempotency key, and counts for rate limits. */
export class Migration20261121000600_operation extends Migration {
  override up(): void {
    this.addSql(`
      CREATE TABLE idempotency_key (
        tenant_id text NOT NULL,
        account_id uuid NOT NULL,
        key bytea NOT NULL,
        request bytea NOT NULL,
        result_id uuid NOT NULL,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, account_id, key)
      )`);
    this.addSql(`SELECT govern_tenant_table('idempotency_key', 'SELECT, INSERT, DELETE')`);
    this.addSql(`
      CREATE TABLE rate_limit (
        tenant_id text NOT NULL,
        account_id uuid NOT NULL,
        action text NOT NULL,
        seconds integer NOT NULL,
        window_start timestamptz NOT NULL,
        uses integer NOT NULL,
        PRIMARY KEY (tenant_id, account_id, action, seconds)
      )`);
    this.addSql(`SELECT govern_tenant_table('rate_limit', 'SELECT, INSERT, UPDATE')`);
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
