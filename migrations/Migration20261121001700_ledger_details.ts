import { Migration } from '@mikro-orm/migrations';

/**
 * Details can be erased by the running system: those of the tenant that a connection is set to, found by their keys. What
 * they say it cannot read, neither the name of the key that they are under nor the ciphertext. Each deletion is committed
 * with a record that names whose they were; one without is found by every verifier. The owner, who archives and drops whole
 * months, is not behind the wall.
 */
export class Migration20261121001700_ledger_details extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const OWN = `log = current_setting('custodia.tenant', true)`;

const UP = [
  `ALTER TABLE ledger_detail ENABLE ROW LEVEL SECURITY`,
  // Records of many tenants are written at once, by a connection that is set to none.
  `CREATE POLICY detail_add ON ledger_detail FOR INSERT TO custodia_app WITH CHECK (true)`,
  `CREATE POLICY detail_find ON ledger_detail FOR SELECT TO custodia_app USING (${OWN})`,
  `CREATE POLICY detail_erase ON ledger_detail FOR DELETE TO custodia_app USING (${OWN})`,
  `CREATE POLICY detail_read ON ledger_detail FOR SELECT TO custodia_sequencer, custodia_auditor USING (true)`,
  `GRANT SELECT (log, writer, number, recorded_at), DELETE ON ledger_detail TO custodia_app`,
];

const DOWN = [
  `REVOKE SELECT (log, writer, number, recorded_at), DELETE ON ledger_detail FROM custodia_app`,
  `DROP POLICY detail_read ON ledger_detail`,
  `DROP POLICY detail_erase ON ledger_detail`,
  `DROP POLICY detail_find ON ledger_detail`,
  `DROP POLICY detail_add ON ledger_detail`,
  `ALTER TABLE ledger_detail DISABLE ROW LEVEL SECURITY`,
];
