import { Migration } from '@mikro-orm/migrations';

/**
 * What patients decided, and who may speak for them. A consent is never changed but for the mark of its withdrawal: the
 * privileges say so. The patient's row repeats what is in force, so that a policy reads it without a join.
 */
export class Migration20261121000800_consent extends Migration {
  override up(): void {
    this.addSql(`ALTER TABLE patient ADD COLUMN consents jsonb NOT NULL DEFAULT '{}'`);
    // From 2 kB on, PostgreSQL would compress the consents of a row, and every look at one of them would unpack them all.
    this.addSql(`ALTER TABLE patient SET (toast_tuple_target = 4096)`);

    this.addSql(`
      CREATE TABLE consent (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        purpose text NOT NULL,
        decision text NOT NULL,
        status text NOT NULL,
        recorded_at timestamptz NOT NULL,
        recorded_by_role text NOT NULL,
        expires_at timestamptz NULL,
        withdrawn_at timestamptz NULL,
        withdrawn_by_role text NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL
      )`);
    this.addSql(
      `CREATE INDEX consent_tenant_id_patient_id_recorded_at_index ON consent (tenant_id, patient_id, recorded_at)`,
    );

    this.addSql(`
      CREATE TABLE related_person (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        relationship text NOT NULL,
        account_id uuid NOT NULL,
        status text NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL,
        account_role text NOT NULL,
        sealed_identity bytea NULL
      )`);
    this.addSql(
      `CREATE INDEX related_person_tenant_id_patient_id_start_at_index ON related_person (tenant_id, patient_id, start_at)`,
    );
    this.addSql(`CREATE INDEX related_person_tenant_id_account_id_index ON related_person (tenant_id, account_id)`);
    // One patient is one account, and one account is one patient. A guardian may have several wards, each bound once.
    this.addSql(
      `CREATE UNIQUE INDEX related_person_patient_living ON related_person (tenant_id, patient_id) ` +
        `WHERE relationship = 'SELF' AND status = 'active'`,
    );
    this.addSql(
      `CREATE UNIQUE INDEX related_person_account_living ON related_person (tenant_id, account_id) ` +
        `WHERE relationship = 'SELF' AND status = 'active'`,
    );
    this.addSql(
      `CREATE UNIQUE INDEX related_person_guardian_living ON related_person (tenant_id, patient_id, account_id) ` +
        `WHERE relationship = 'GUARDIAN' AND status = 'active'`,
    );

    // The role is part of the key: an account of staff, or of another tenant, can never speak for a patient.
    this.addSql(`ALTER TABLE account ADD CONSTRAINT account_tenant_id_id_role_key UNIQUE (tenant_id, id, role)`);
    this.addSql(
      `ALTER TABLE related_person ADD CONSTRAINT related_person_account_fkey ` +
        `FOREIGN KEY (tenant_id, account_id, account_role) REFERENCES account (tenant_id, id, role)`,
    );
    for (const child of ['consent', 'related_person']) {
      this.addSql(
        `ALTER TABLE ${child} ADD CONSTRAINT ${child}_patient FOREIGN KEY (tenant_id, patient_id) ` +
          `REFERENCES patient (tenant_id, id)`,
      );
    }

    this.addSql(
      `SELECT govern_tenant_table('consent', 'SELECT, INSERT, UPDATE (version, status, withdrawn_at, withdrawn_by_role)')`,
    );
    this.addSql(`SELECT govern_tenant_table('related_person', 'SELECT, INSERT, UPDATE (version, status, end_at)')`);
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
