import { Migration } from '@mikro-orm/migrations';

/** Grants of one visit: of the patient of whom the grant is, which the reference says. Those that are there stay whole. */
export class Migration20261121002100_visit_grants extends Migration {
  override up(): void {
    this.addSql(`ALTER TABLE compartment_grant ADD COLUMN visit_id uuid NULL`);
    this.addSql(
      `ALTER TABLE compartment_grant ADD CONSTRAINT compartment_grant_visit_fkey FOREIGN KEY (tenant_id, patient_id, visit_id) ` +
        `REFERENCES visit (tenant_id, patient_id, id)`,
    );
  }

  override down(): void {
    throw new Error('A grant of one visit would become one of the whole compartment: restore a backup.');
  }
}
