import { Migration } from '@mikro-orm/migrations';

/**
 * The ledger. The API's role can only add entries, and not even choose their id or transaction id: a forged, lower
 * transaction id would put an entry below the sequencer's watermark, where nobody reads any more. There is no
 * row-level security here: no role that serves requests can read these tables, and one flush carries several tenants.
 */
export class Migration20261121000400_ledger extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  `CREATE TABLE ledger_entry (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     log text NOT NULL,
     xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
     writer text NOT NULL,
     number bigint NOT NULL CHECK (number > 0),
     recorded_at timestamptz NOT NULL,
     record bytea NOT NULL,
     record_hash bytea NOT NULL CHECK (length(record_hash) = 32),
     mac bytea NOT NULL CHECK (length(mac) = 32),
     UNIQUE (log, writer, number)
   )`,
  // Both columns: with (xid) alone the sequencer sorts all entries of a large transaction for every page of it.
  `CREATE INDEX ledger_entry_sequencing ON ledger_entry (xid, id)`,
  `CREATE TABLE ledger_leaf (
     log text NOT NULL,
     idx bigint NOT NULL CHECK (idx >= 0),
     entry_id bigint NOT NULL UNIQUE,
     leaf bytea NOT NULL CHECK (length(leaf) = 32),
     PRIMARY KEY (log, idx)
   )`,
  `CREATE TABLE ledger_head (
     log text PRIMARY KEY,
     size bigint NOT NULL CHECK (size >= 0),
     last_leaf bytea NOT NULL CHECK (length(last_leaf) = 32),
     compact_range bytea NOT NULL,
     mac bytea NOT NULL CHECK (length(mac) = 32),
     incarnation integer NOT NULL CHECK (incarnation > 0)
   )`,
  // One row. The incarnation counts the lives of this ledger: transaction ids start anew after a restore from a dump.
  `CREATE TABLE ledger_sequence (
     only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
     last_xid xid8 NOT NULL,
     last_id bigint NOT NULL,
     incarnation integer NOT NULL CHECK (incarnation > 0)
   )`,
  `INSERT INTO ledger_sequence (last_xid, last_id, incarnation) VALUES ('0', 0, 1)`,

  // A fence against accidents, not evidence: a superuser can disable it, and then the verifier tells.
  `CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN
     RAISE EXCEPTION 'The table % only grows.', TG_TABLE_NAME USING ERRCODE = '42501';
   END $$`,
  `CREATE TRIGGER ledger_entry_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
   FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()`,
  `CREATE TRIGGER ledger_leaf_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_leaf
   FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()`,

  `REVOKE ALL ON ledger_entry, ledger_leaf, ledger_head, ledger_sequence FROM PUBLIC`,
  `GRANT INSERT (log, writer, number, recorded_at, record, record_hash, mac) ON ledger_entry TO custodia_app`,
  `GRANT SELECT ON ledger_entry TO custodia_sequencer`,
  `GRANT SELECT, INSERT ON ledger_leaf TO custodia_sequencer`,
  `GRANT SELECT, INSERT, UPDATE ON ledger_head, ledger_sequence TO custodia_sequencer`,
  `GRANT SELECT ON ledger_entry, ledger_leaf, ledger_head, ledger_sequence TO custodia_auditor`,
];

const DOWN = [
  `DROP TABLE ledger_sequence, ledger_head, ledger_leaf, ledger_entry`,
  `DROP FUNCTION refuse_ledger_change()`,
];
