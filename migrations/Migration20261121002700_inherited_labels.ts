import { Migration } from '@mikro-orm/migrations';

/**
 * A diagnosis lies in the compartment of the visit at which it was recorded: until now it named a visit that was withheld.
 * A code of another compartment keeps its own label, and does not name the visit any more; what was recorded stands in the
 * sealed details of the ledger. And what an export showed when it was asked for, so that a file that a policy would not give
 * out any more is not fetched.
 */
export class Migration20261121002700_inherited_labels extends Migration {
  override up(): void {
    // The tables' owner is bound by the walls between tenants too, and there is nobody else to do it for all of them.
    for (const table of ['diagnosis', 'visit']) this.addSql(`ALTER TABLE ${table} NO FORCE ROW LEVEL SECURITY`);
    this.addSql(
      `UPDATE diagnosis AS d SET visit_id = NULL FROM visit AS v WHERE v.tenant_id = d.tenant_id AND v.id = d.visit_id ` +
        `AND v.compartment NOT IN ('NONE', 'UNMAPPED', d.compartment) AND d.compartment NOT IN ('NONE', 'UNMAPPED')`,
    );
    this.addSql(
      `UPDATE diagnosis AS d SET compartment = v.compartment, icd_chapter = NULL FROM visit AS v ` +
        `WHERE v.tenant_id = d.tenant_id AND v.id = d.visit_id AND v.compartment <> d.compartment AND v.compartment <> 'NONE' ` +
        `AND (d.compartment = 'NONE' OR (d.compartment = 'UNMAPPED' AND v.compartment <> 'UNMAPPED'))`,
    );
    for (const table of ['diagnosis', 'visit']) this.addSql(`ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`);
    this.addSql(`ALTER TABLE export_job ADD COLUMN shown jsonb`);
  }

  override down(): void {
    throw new Error('Labels that were too weak do not come back: restore a backup.');
  }
}
