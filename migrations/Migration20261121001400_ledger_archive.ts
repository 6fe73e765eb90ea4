import { Migration } from '@mikro-orm/migrations';

/**
 * How long each log is kept, which of its months were archived, and the writers whose keys were released. Only the owner
 * writes here: the roles of the running system can neither shorten a retention nor make a month look archived.
 */
export class Migration20261121001400_ledger_archive extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  // A log without a row has the defaults. The floors stand in the code too; here they hold against everybody but the owner.
  `CREATE TABLE ledger_retention (
     log text PRIMARY KEY,
     months integer NOT NULL CHECK (months >= 6),
     transfer_months integer NOT NULL CHECK (transfer_months >= 120),
     hot_months integer NOT NULL CHECK (hot_months BETWEEN 1 AND months),
     hold boolean NOT NULL,
     changed_at timestamptz NOT NULL
   )`,
  `CREATE TABLE ledger_archive (
     log text NOT NULL,
     month text NOT NULL CHECK (month ~ '^[0-9]{4}-[0-9]{2}$'),
     entries bigint NOT NULL CHECK (entries > 0),
     first_index bigint NOT NULL CHECK (first_index >= 0),
     last_index bigint NOT NULL CHECK (last_index >= first_index),
     manifest bytea NOT NULL CHECK (length(manifest) = 32),
     archived_at timestamptz NOT NULL,
     dropped_at timestamptz,
     PRIMARY KEY (log, month)
   )`,
  `COMMENT ON COLUMN ledger_archive.manifest IS 'SHA-256 of the file that names every file of the month with its SHA-256.'`,
  // Writers of months that were dropped, and those whose keys are public: the sequencer takes no record of the latter.
  `CREATE TABLE ledger_writer (
     log text NOT NULL,
     writer text NOT NULL,
     last_recorded_at timestamptz NOT NULL,
     registered boolean NOT NULL,
     released_at timestamptz,
     PRIMARY KEY (log, writer)
   )`,
  `REVOKE ALL ON ledger_retention, ledger_archive, ledger_writer FROM PUBLIC`,
  `GRANT SELECT ON ledger_retention, ledger_archive, ledger_writer TO custodia_sequencer, custodia_auditor`,
];

const DOWN = [`DROP TABLE ledger_writer, ledger_archive, ledger_retention`];
