import { Migration } from '@mikro-orm/migrations';

/**
 * What left about patients, the accountings that were given of it, what agencies had suspended, and research that is
 * accounted for as a whole. None of it is deleted, and only the end of a suspension is ever changed: the privileges say so.
 */
export class Migration20261121001600_disclosure extends Migration {
  override up(): void {
    this.addSql(`
      CREATE TABLE disclosure (
        id uuid NOT NULL PRIMARY KEY,
        disclosed_at timestamptz NOT NULL,
        category text NOT NULL,
        exclusion text NULL,
        consent text NOT NULL,
        channel text NOT NULL,
        recorded_at timestamptz NOT NULL,
        recorded_by_role text NOT NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL,
        sealed_access bytea NULL
      )`);
    this.addSql(
      `CREATE INDEX disclosure_tenant_id_patient_id_disclosed_at_index ON disclosure (tenant_id, patient_id, disclosed_at)`,
    );

    this.addSql(`
      CREATE TABLE accounting_request (
        id uuid NOT NULL PRIMARY KEY,
        mode text NOT NULL,
        period_from timestamptz NOT NULL,
        period_to timestamptz NOT NULL,
        requested_at timestamptz NOT NULL,
        requester text NOT NULL,
        account_id uuid NOT NULL,
        sha256 text NOT NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL
      )`);
    this.addSql(
      `CREATE INDEX accounting_request_tenant_id_patient_id_requested_at_index ` +
        `ON accounting_request (tenant_id, patient_id, requested_at)`,
    );

    this.addSql(`
      CREATE TABLE accounting_suspension (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        patient_id uuid NOT NULL,
        statement text NOT NULL,
        stated_at timestamptz NOT NULL,
        until_at timestamptz NOT NULL,
        status text NOT NULL,
        ended_at timestamptz NULL,
        tenant_id text NOT NULL,
        subject_reference text NOT NULL,
        care_team_ids uuid[] NOT NULL DEFAULT '{}',
        sealed_access bytea NULL,
        CONSTRAINT accounting_suspension_oral_check
          CHECK (statement <> 'ORAL' OR until_at <= stated_at + '720:00:00'::interval)
      )`);
    this.addSql(
      `CREATE INDEX accounting_suspension_tenant_id_patient_id_index ON accounting_suspension (tenant_id, patient_id)`,
    );

    this.addSql(`
      CREATE TABLE research_protocol (
        id uuid NOT NULL PRIMARY KEY,
        name text NOT NULL,
        description text NOT NULL,
        criteria text NOT NULL,
        types text NOT NULL,
        disclosed_from timestamptz NOT NULL,
        disclosed_to timestamptz NOT NULL,
        persons integer NOT NULL,
        sponsor_name text NOT NULL,
        sponsor_address text NOT NULL,
        sponsor_phone text NOT NULL,
        researcher_name text NOT NULL,
        researcher_address text NOT NULL,
        researcher_phone text NOT NULL,
        created_at timestamptz NOT NULL,
        tenant_id text NOT NULL
      )`);
    this.addSql(
      `CREATE INDEX research_protocol_tenant_id_created_at_id_index ON research_protocol (tenant_id, created_at, id)`,
    );

    for (const child of ['disclosure', 'accounting_request', 'accounting_suspension']) {
      this.addSql(
        `ALTER TABLE ${child} ADD CONSTRAINT ${child}_patient FOREIGN KEY (tenant_id, patient_id) ` +
          `REFERENCES patient (tenant_id, id)`,
      );
    }
    for (const table of ['disclosure', 'accounting_request', 'research_protocol']) {
      this.addSql(`SELECT govern_tenant_table('${table}', 'SELECT, INSERT')`);
    }
    this.addSql(
      `SELECT govern_tenant_table('accounting_suspension', 'SELECT, INSERT, UPDATE (version, status, ended_at)')`,
    );
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
