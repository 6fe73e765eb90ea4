import { Migration } from '@mikro-orm/migrations';

/**
 * Where the ledger names whom: derived from the records, no evidence. One row for every 1,024 entries that name a
 * reference, so that an entry about a patient who comes once a year costs a row and a busy account costs two bytes.
 */
export class Migration20261121001500_ledger_references extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  `CREATE TABLE ledger_reference (
     log text NOT NULL,
     role "char" NOT NULL CHECK (role IN ('S', 'A', 'W')),
     reference uuid NOT NULL,
     first bigint NOT NULL CHECK (first >= 0),
     offsets smallint[] NOT NULL,
     PRIMARY KEY (reference, role, log, first)
   )`,
  `CREATE TABLE ledger_indexed (
     log text PRIMARY KEY,
     size bigint NOT NULL CHECK (size >= 0)
   )`,
  `COMMENT ON COLUMN ledger_reference.role IS 'S: subject, A: actor, W: writer (its 16 digits, then zeros).'`,
  `COMMENT ON COLUMN ledger_reference.offsets IS 'Indexes of entries, less first; ascending.'`,
  `REVOKE ALL ON ledger_reference, ledger_indexed FROM PUBLIC`,
  `GRANT SELECT, INSERT ON ledger_reference TO custodia_sequencer`,
  `GRANT SELECT, INSERT, UPDATE ON ledger_indexed TO custodia_sequencer`,
  `GRANT SELECT ON ledger_reference, ledger_indexed TO custodia_auditor`,
];

const DOWN = [`DROP TABLE ledger_indexed, ledger_reference`];
