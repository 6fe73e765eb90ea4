import { Migration } from '@mikro-orm/migrations';

/**
 * Appointments, the forms that patients sign, and the signatures. What was published or signed is never changed: the
 * privileges say so. Two living appointments of one practitioner never overlap: the table says so, whoever asks at once.
 */
export class Migration20261121000900_appointment extends Migration {
  override up(): void {
    // A trusted extension: the owner of the database may create it without being a superuser.
    this.addSql(`CREATE EXTENSION IF NOT EXISTS btree_gist`);

    this.addSql(`
      CREATE TABLE consent_form (
        id uuid NOT NULL PRIMARY KEY,
        code text NOT NULL,
        text_version text NOT NULL,
        language text NOT NULL,
        title text NOT NULL,
        text text NOT NULL,
        sha256 text NOT NULL,
        created_at timestamptz NOT NULL,
        tenant_id text NOT NULL
      )`);
    this.addSql(`CREATE INDEX consent_form_tenant_id_created_at_id_index ON consent_form (tenant_id, created_at, id)`);
    this.addSql(`ALTER TABLE consent_form ADD CONSTRAINT consent_form_tenant_id_id_unique UNIQUE (tenant_id, id)`);
    this.addSql(
      `ALTER TABLE consent_form ADD CONSTRAINT consent_form_version_unique ` +
        `UNIQUE (tenant_id, code, language, text_version)`,
    );

    this.addSql(`
      CREATE TABLE appointment (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        patient_id uuid NOT NULL,
        status text NOT NULL,
        start_at timestamptz NOT NULL,
        end_at timestamptz NOT NULL,
        practitioner_id uuid NULL,
        consent_form_id uuid NULL,
        informed_consent_id uuid NULL,
        reminder_at timestamptz NULL,
        reminder_status text NULL,
        created_at timestamptz NOT NULL,
        tenant_id text NOT NULL,
        compartment text NOT NULL DEFAULT 'NONE',
        sealed_record bytea NULL,
        sealed_clinical bytea NULL,
        CONSTRAINT appointment_status_check CHECK (status IN ('booked', 'confirmed', 'cancelled', 'fulfilled', 'noshow')),
        CONSTRAINT appointment_period_check CHECK (end_at > start_at),
        CONSTRAINT appointment_confirmed_check
          CHECK (status <> 'confirmed' OR consent_form_id IS NULL OR informed_consent_id IS NOT NULL)
      )`);
    this.addSql(
      `CREATE INDEX appointment_tenant_id_patient_id_start_at_index ON appointment (tenant_id, patient_id, start_at)`,
    );
    this.addSql(`CREATE INDEX appointment_tenant_id_start_at_id_index ON appointment (tenant_id, start_at, id)`);
    this.addSql(
      `CREATE INDEX appointment_tenant_id_reminder_status_reminder_at_index ` +
        `ON appointment (tenant_id, reminder_status, reminder_at)`,
    );
    this.addSql(
      `ALTER TABLE appointment ADD CONSTRAINT appointment_form_unique ` +
        `UNIQUE (tenant_id, patient_id, id, consent_form_id)`,
    );
    this.addSql(`
      ALTER TABLE appointment ADD CONSTRAINT appointment_one_per_practitioner EXCLUDE USING gist
        (tenant_id WITH =, practitioner_id WITH =, tstzrange(start_at, end_at) WITH &&)
        WHERE (practitioner_id IS NOT NULL AND status IN ('booked', 'confirmed'))`);

    // An exclusion constraint is checked after the row was written: of two that overlap, each would wait for the other
    // and one would end as a deadlock, a second later. Bookings of one practitioner therefore go one by one.
    this.addSql(`
      CREATE FUNCTION appointment_queue() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
      BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended(NEW.tenant_id || NEW.practitioner_id::text, 900));
        RETURN NEW;
      END $$`);
    this.addSql(`
      CREATE TRIGGER appointment_queue BEFORE INSERT OR UPDATE OF status, start_at, end_at, practitioner_id ON appointment
        FOR EACH ROW WHEN (NEW.practitioner_id IS NOT NULL AND NEW.status IN ('booked', 'confirmed'))
        EXECUTE FUNCTION appointment_queue()`);

    this.addSql(`
      CREATE TABLE informed_consent (
        id uuid NOT NULL PRIMARY KEY,
        appointment_id uuid NOT NULL,
        form_id uuid NOT NULL,
        signed_at timestamptz NOT NULL,
        tenant_id text NOT NULL,
        patient_id uuid NOT NULL,
        sealed_consent bytea NULL
      )`);
    this.addSql(
      `CREATE INDEX informed_consent_tenant_id_appointment_id_index ON informed_consent (tenant_id, appointment_id)`,
    );
    this.addSql(
      `ALTER TABLE informed_consent ADD CONSTRAINT informed_consent_signature_unique ` +
        `UNIQUE (tenant_id, patient_id, appointment_id, form_id, id)`,
    );

    for (const child of ['appointment', 'informed_consent']) {
      this.addSql(
        `ALTER TABLE ${child} ADD CONSTRAINT ${child}_patient FOREIGN KEY (tenant_id, patient_id) ` +
          `REFERENCES patient (tenant_id, id)`,
      );
    }
    this.addSql(
      `ALTER TABLE appointment ADD CONSTRAINT appointment_practitioner_fkey FOREIGN KEY (tenant_id, practitioner_id) ` +
        `REFERENCES practitioner (tenant_id, id)`,
    );
    this.addSql(
      `ALTER TABLE appointment ADD CONSTRAINT appointment_form_fkey FOREIGN KEY (tenant_id, consent_form_id) ` +
        `REFERENCES consent_form (tenant_id, id)`,
    );
    // A signature is of the appointment's own form and patient, and an appointment is confirmed with its own signature.
    this.addSql(
      `ALTER TABLE informed_consent ADD CONSTRAINT informed_consent_appointment_fkey ` +
        `FOREIGN KEY (tenant_id, patient_id, appointment_id, form_id) ` +
        `REFERENCES appointment (tenant_id, patient_id, id, consent_form_id)`,
    );
    this.addSql(
      `ALTER TABLE appointment ADD CONSTRAINT appointment_signature_fkey ` +
        `FOREIGN KEY (tenant_id, patient_id, id, consent_form_id, informed_consent_id) ` +
        `REFERENCES informed_consent (tenant_id, patient_id, appointment_id, form_id, id)`,
    );

    for (const table of ['consent_form', 'informed_consent']) {
      this.addSql(`SELECT govern_tenant_table('${table}', 'SELECT, INSERT')`);
    }
    this.addSql(
      `SELECT govern_tenant_table('appointment', 'SELECT, INSERT, UPDATE (version, status, start_at, end_at, ` +
        `informed_consent_id, reminder_at, reminder_status)')`,
    );
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
