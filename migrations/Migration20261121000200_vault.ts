import { Migration } from '@mikro-orm/migrations';

/**
 * Wrapped keys. Nothing here opens without the root key, which is not in the database. Tenant keys are readable in every
 * session because a process loads them before it serves any tenant; subject keys are rows of their tenant.
 * No UPDATE: a key is never replaced in place.
 */
export class Migration20261121000200_vault extends Migration {
  override up(): void {
    this.addSql(`
      CREATE TABLE tenant_key (
        tenant_id text NOT NULL PRIMARY KEY,
        key_id integer NOT NULL CHECK (key_id > 0),
        wrapped bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      );
      ALTER TABLE tenant_key ENABLE ROW LEVEL SECURITY;
      ALTER TABLE tenant_key FORCE ROW LEVEL SECURITY;
      CREATE POLICY tenant_key_read ON tenant_key FOR SELECT TO custodia_app USING (true);
      CREATE POLICY tenant_key_create ON tenant_key FOR INSERT TO custodia_app
        WITH CHECK (tenant_id = current_setting('custodia.tenant', true));
      GRANT SELECT, INSERT ON tenant_key TO custodia_app;
    `);
    this.addSql(`
      CREATE TABLE subject_key (
        tenant_id text NOT NULL,
        subject_id uuid NOT NULL,
        key_id integer NOT NULL CHECK (key_id > 0),
        wrapped bytea NOT NULL,
        commitment bytea NOT NULL CHECK (length(commitment) = 32),
        PRIMARY KEY (tenant_id, subject_id)
      );
    `);
    this.addSql(`SELECT govern_tenant_table('subject_key', 'SELECT, INSERT')`);
  }

  override down(): void {
    this.addSql('DROP TABLE subject_key');
    this.addSql('DROP TABLE tenant_key');
  }
}
