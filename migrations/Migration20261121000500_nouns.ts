import { Migration } from '@mikro-orm/migrations';

/**
 * The tables of the nouns, as their model files declare them, behind the tenant wall. References carry the tenant, because
 * foreign keys are checked without row-level security: a row can never refer to another tenant's row.
 */
export class Migration20261121000500_nouns extends Migration {
  override up(): void {
    this.addSql(`
      CREATE TABLE patient (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        gender text NULL,
        birth_year integer NULL,
        region text NULL,
        status text NOT NULL,
        created_at timestamptz NOT NULL,
        tenant_id text NOT NULL,
        subject_reference text NOT NULL,
        care_team_ids uuid[] NOT NULL DEFAULT '{}',
        sealed_identity bytea NULL,
        sealed_contact bytea NULL,
        sealed_government bytea NULL,
        sealed_notes bytea NULL,
        phone_index bytea NULL,
        national_id_index bytea NULL,
        source_index bytea NULL,
        source_content bytea NULL
      )`);
    this.addSql(`CREATE INDEX patient_tenant_id_created_at_id_index ON patient (tenant_id, created_at, id)`);
    this.addSql(`CREATE INDEX patient_tenant_id_phone_index_index ON patient (tenant_id, phone_index)`);
    this.addSql(`CREATE INDEX patient_tenant_id_national_id_index_index ON patient (tenant_id, national_id_index)`);
    this.addSql(
      `ALTER TABLE patient ADD CONSTRAINT patient_tenant_id_source_index_unique UNIQUE (tenant_id, source_index)`,
    );
    this.addSql(`ALTER TABLE patient ADD CONSTRAINT patient_tenant_id_id_unique UNIQUE (tenant_id, id)`);

    this.addSql(`
      CREATE TABLE visit (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        status text NOT NULL,
        class text NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NULL,
        reason_chapter text NULL,
        practitioner_id uuid NULL,
        organization_id uuid NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL,
        compartment text NOT NULL DEFAULT 'NONE',
        sealed_record bytea NULL,
        sealed_clinical bytea NULL,
        source_index bytea NULL,
        source_content bytea NULL
      )`);
    this.addSql(`CREATE INDEX visit_tenant_id_patient_id_start_at_index ON visit (tenant_id, patient_id, start_at)`);
    this.addSql(
      `ALTER TABLE visit ADD CONSTRAINT visit_tenant_id_source_index_unique UNIQUE (tenant_id, source_index)`,
    );

    this.addSql(`
      CREATE TABLE diagnosis (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        code_system text NOT NULL,
        icd_chapter text NULL,
        clinical_status text NULL,
        recorded_at timestamptz NOT NULL,
        visit_id uuid NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL,
        compartment text NOT NULL DEFAULT 'UNMAPPED',
        sealed_clinical bytea NULL,
        source_index bytea NULL,
        source_content bytea NULL
      )`);
    this.addSql(
      `CREATE INDEX diagnosis_tenant_id_patient_id_recorded_at_index ON diagnosis (tenant_id, patient_id, recorded_at)`,
    );
    this.addSql(
      `ALTER TABLE diagnosis ADD CONSTRAINT diagnosis_tenant_id_source_index_unique UNIQUE (tenant_id, source_index)`,
    );

    this.addSql(`
      CREATE TABLE care_team (
        id uuid NOT NULL PRIMARY KEY,
        name text NOT NULL,
        created_at timestamptz NOT NULL,
        tenant_id text NOT NULL
      )`);
    this.addSql(`ALTER TABLE care_team ADD CONSTRAINT care_team_tenant_id_name_unique UNIQUE (tenant_id, name)`);
    this.addSql(`ALTER TABLE care_team ADD CONSTRAINT care_team_tenant_id_id_unique UNIQUE (tenant_id, id)`);

    this.addSql(`
      CREATE TABLE care_team_assignment (
        id uuid NOT NULL PRIMARY KEY,
        care_team_id uuid NOT NULL,
        assigned_at timestamptz NOT NULL,
        ended_at timestamptz NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL
      )`);
    this.addSql(
      `CREATE INDEX care_team_assignment_tenant_id_patient_id_assigned_at_index ` +
        `ON care_team_assignment (tenant_id, patient_id, assigned_at)`,
    );
    this.addSql(
      `CREATE UNIQUE INDEX care_team_assignment_living ON care_team_assignment (tenant_id, patient_id, care_team_id) ` +
        `WHERE ended_at IS NULL`,
    );

    for (const table of ['practitioner', 'organization']) {
      this.addSql(`
        CREATE TABLE ${table} (
          id uuid NOT NULL PRIMARY KEY,
          name text NOT NULL,
          identifier text NULL,
          created_at timestamptz NOT NULL,
          tenant_id text NOT NULL,
          source_index bytea NULL,
          source_content bytea NULL
        )`);
      this.addSql(`CREATE INDEX ${table}_tenant_id_created_at_id_index ON ${table} (tenant_id, created_at, id)`);
      this.addSql(
        `ALTER TABLE ${table} ADD CONSTRAINT ${table}_tenant_id_source_index_unique UNIQUE (tenant_id, source_index)`,
      );
      this.addSql(`ALTER TABLE ${table} ADD CONSTRAINT ${table}_tenant_id_id_unique UNIQUE (tenant_id, id)`);
      this.addSql(
        `ALTER TABLE visit ADD CONSTRAINT visit_${table} FOREIGN KEY (tenant_id, ${table}_id) ` +
          `REFERENCES ${table} (tenant_id, id)`,
      );
    }
    // The patient is part of the key: a diagnosis can only be of a visit of the same patient.
    this.addSql(
      `ALTER TABLE visit ADD CONSTRAINT visit_tenant_id_patient_id_id_unique UNIQUE (tenant_id, patient_id, id)`,
    );
    this.addSql(
      `ALTER TABLE diagnosis ADD CONSTRAINT diagnosis_visit FOREIGN KEY (tenant_id, patient_id, visit_id) ` +
        `REFERENCES visit (tenant_id, patient_id, id)`,
    );

    for (const child of ['visit', 'diagnosis', 'care_team_assignment']) {
      this.addSql(
        `ALTER TABLE ${child} ADD CONSTRAINT ${child}_patient FOREIGN KEY (tenant_id, patient_id) ` +
          `REFERENCES patient (tenant_id, id)`,
      );
    }
    this.addSql(
      `ALTER TABLE care_team_assignment ADD CONSTRAINT care_team_assignment_care_team ` +
        `FOREIGN KEY (tenant_id, care_team_id) REFERENCES care_team (tenant_id, id)`,
    );

    this.addSql(`
      CREATE TABLE care_team_member (
        tenant_id text NOT NULL,
        care_team_id uuid NOT NULL,
        account_id uuid NOT NULL,
        PRIMARY KEY (tenant_id, account_id, care_team_id),
        FOREIGN KEY (tenant_id, care_team_id) REFERENCES care_team (tenant_id, id),
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id)
      )`);

    this.addSql(`SELECT govern_tenant_table('patient', 'SELECT, INSERT, UPDATE')`);
    for (const table of ['visit', 'diagnosis', 'practitioner', 'organization', 'care_team', 'care_team_assignment']) {
      this.addSql(`SELECT govern_tenant_table('${table}', 'SELECT, INSERT')`);
    }
    this.addSql(`SELECT govern_tenant_table('care_team_member', 'SELECT, INSERT')`);
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
