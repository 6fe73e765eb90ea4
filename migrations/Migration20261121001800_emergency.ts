import { Migration } from '@mikro-orm/migrations';

/**
 * Special compartments that clinicians were granted, and accesses in emergencies. None of them is deleted; of a grant only
 * its end changes, of an access only its end, its review and the mark that the privacy office was told: the privileges say so.
 */
export class Migration20261121001800_emergency extends Migration {
  override up(): void {
    this.addSql(`
      CREATE TABLE compartment_grant (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        account_id uuid NOT NULL,
        patient_id uuid NOT NULL,
        compartment text NOT NULL,
        reason_code text NOT NULL,
        granted_by uuid NOT NULL,
        valid_from timestamptz NOT NULL,
        valid_until timestamptz NOT NULL,
        status text NOT NULL,
        revoked_at timestamptz NULL,
        tenant_id text NOT NULL,
        account_role text NOT NULL,
        subject_reference text NOT NULL,
        care_team_ids uuid[] NOT NULL DEFAULT '{}',
        CONSTRAINT compartment_grant_period_check CHECK (valid_until > valid_from)
      )`);
    this.addSql(
      `CREATE INDEX compartment_grant_tenant_id_account_id_valid_until_index ` +
        `ON compartment_grant (tenant_id, account_id, valid_until)`,
    );
    this.addSql(
      `CREATE INDEX compartment_grant_tenant_id_valid_from_id_index ON compartment_grant (tenant_id, valid_from, id)`,
    );

    this.addSql(`
      CREATE TABLE emergency_access (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        account_id uuid NOT NULL,
        reason_code text NOT NULL,
        started_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        review_due_at timestamptz NOT NULL,
        reviewed_at timestamptz NULL,
        reviewed_by uuid NULL,
        outcome text NOT NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL,
        noticed_at timestamptz NULL,
        sealed_notes bytea NULL,
        CONSTRAINT emergency_access_outcome_check CHECK (outcome IN ('PENDING', 'JUSTIFIED', 'UNJUSTIFIED')),
        CONSTRAINT emergency_access_reviewer_check CHECK (reviewed_by IS NULL OR reviewed_by <> account_id)
      )`);
    this.addSql(
      `CREATE INDEX emergency_access_tenant_id_patient_id_started_at_index ` +
        `ON emergency_access (tenant_id, patient_id, started_at)`,
    );
    this.addSql(
      `CREATE INDEX emergency_access_tenant_id_account_id_expires_at_index ` +
        `ON emergency_access (tenant_id, account_id, expires_at)`,
    );
    this.addSql(
      `CREATE INDEX emergency_access_tenant_id_started_at_id_index ON emergency_access (tenant_id, started_at, id)`,
    );

    for (const table of ['compartment_grant', 'emergency_access']) {
      this.addSql(
        `ALTER TABLE ${table} ADD CONSTRAINT ${table}_patient FOREIGN KEY (tenant_id, patient_id) ` +
          `REFERENCES patient (tenant_id, id)`,
      );
      this.addSql(
        `ALTER TABLE ${table} ADD CONSTRAINT ${table}_account_fkey FOREIGN KEY (tenant_id, account_id) ` +
          `REFERENCES account (tenant_id, id)`,
      );
    }
    this.addSql(
      `SELECT govern_tenant_table('compartment_grant', 'SELECT, INSERT, UPDATE (version, status, revoked_at)')`,
    );
    this.addSql(
      `SELECT govern_tenant_table('emergency_access', 'SELECT, INSERT, ` +
        `UPDATE (version, expires_at, reviewed_at, reviewed_by, outcome, noticed_at, sealed_notes)')`,
    );
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
