import { Migration } from '@mikro-orm/migrations';

/**
 * What every other migration stands on: who may do what by default (nothing), how a statement proves its tenant, and
 * how a table of tenants is walled. Runs as the owner, who needs no superuser.
 */
export class Migration20261121000100_foundation extends Migration {
  override up(): void {
    this.addSql(`
      DO $$ BEGIN
        EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO custodia_app, custodia_sequencer, custodia_auditor', current_database());
      END $$`);
    this.addSql(`REVOKE ALL ON SCHEMA public FROM PUBLIC`);
    this.addSql(`GRANT USAGE ON SCHEMA public TO custodia_app, custodia_sequencer, custodia_auditor`);
    // Functions of later migrations are nobody's until they are granted.
    this.addSql(`ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC`);

    // STABLE without a column argument: the planner evaluates it once per statement, as a one-time filter.
    this.addSql(`
      CREATE FUNCTION assert_tenant(expected text) RETURNS boolean
      LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
      BEGIN
        IF expected IS NULL OR expected = '' OR expected IS DISTINCT FROM current_setting('custodia.tenant', true) THEN
          RAISE EXCEPTION 'the connection is set to another tenant' USING ERRCODE = 'CU001';
        END IF;
        RETURN true;
      END $$`);
    this.addSql(`GRANT EXECUTE ON FUNCTION assert_tenant(text) TO custodia_app, custodia_sequencer, custodia_auditor`);

    this.addSql(`
      CREATE FUNCTION govern_tenant_table(target regclass, app_privileges text) RETURNS void
      LANGUAGE plpgsql AS $$
      DECLARE
        privilege CONSTANT text := '(SELECT|INSERT|UPDATE|DELETE)( ?\\([a-z0-9_, ]+\\))?';
      BEGIN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
        EXECUTE format('CREATE POLICY tenant_wall ON %s USING (tenant_id = current_setting(''custodia.tenant'', true)) '
                       'WITH CHECK (tenant_id = current_setting(''custodia.tenant'', true))', target);
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', target);
        IF app_privileges <> '' THEN
          IF app_privileges !~ ('^' || privilege || '(, ?' || privilege || ')*$') THEN
            RAISE EXCEPTION 'not a list of privileges: %', app_privileges;
          END IF;
          EXECUTE format('GRANT %s ON %s TO custodia_app', app_privileges, target);
        END IF;
      END $$`);

    // Capitals only: the ledger's log "system" can never be a tenant.
    this.addSql(`
      CREATE TABLE tenant (
        id text PRIMARY KEY CHECK (id ~ '^[A-Z0-9][A-Z0-9-]{1,31}$'),
        name text NOT NULL,
        country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
        time_zone text NOT NULL,
        created_at timestamptz NOT NULL
      )`);
    this.addSql(`ALTER TABLE tenant ENABLE ROW LEVEL SECURITY`);
    this.addSql(`ALTER TABLE tenant FORCE ROW LEVEL SECURITY`);
    this.addSql(`CREATE POLICY tenant_wall ON tenant USING (id = current_setting('custodia.tenant', true))`);
    this.addSql(`CREATE POLICY every_tenant ON tenant FOR SELECT TO custodia_sequencer, custodia_auditor USING (true)`);
    this.addSql(`GRANT SELECT ON tenant TO custodia_app, custodia_sequencer, custodia_auditor`);
  }

  override down(): void {
    throw new Error('The foundation is not taken back: make a new database.');
  }
}
