import { Migration } from '@mikro-orm/migrations';

/** Files about patients. The bytes lie in the blob store; their name is inside `sealed_clinical`. */
export class Migration20261121001000_attachment extends Migration {
  override up(): void {
    this.addSql(`
      CREATE TABLE attachment (
        id uuid NOT NULL PRIMARY KEY,
        version integer NOT NULL,
        patient_id uuid NOT NULL,
        status text NOT NULL,
        category text NOT NULL,
        content_type text NOT NULL,
        size integer NOT NULL,
        created_at timestamptz NOT NULL,
        tenant_id text NOT NULL,
        sealed_notes bytea NULL,
        sealed_clinical bytea NULL
      )`);
    this.addSql(
      `CREATE INDEX attachment_tenant_id_patient_id_created_at_index ON attachment (tenant_id, patient_id, created_at)`,
    );
    this.addSql(
      `ALTER TABLE attachment ADD CONSTRAINT attachment_patient FOREIGN KEY (tenant_id, patient_id) ` +
        `REFERENCES patient (tenant_id, id)`,
    );
    this.addSql(
      `SELECT govern_tenant_table('attachment', 'SELECT, INSERT, UPDATE (version, status, sealed_clinical)')`,
    );
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
