import { Migration } from '@mikro-orm/migrations';

/**
 * The ledger for many years. Entries and their details lie in partitions by month, so that a month which is archived can be
 * dropped as a whole; leaves stay, because proofs are made of them for ever. A VOID record carries the `recorded_at` of the
 * record whose number it closes: only so does the unique key, which must name the partition's column, let in one of the two.
 */
export class Migration20261121001300_ledger_months extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  `ALTER TABLE ledger_entry RENAME TO ledger_entry_before`,
  `ALTER INDEX ledger_entry_pkey RENAME TO ledger_entry_before_pkey`,
  `ALTER TABLE ledger_entry_before RENAME CONSTRAINT ledger_entry_log_writer_number_key TO ledger_entry_before_key`,
  `ALTER INDEX ledger_entry_sequencing RENAME TO ledger_entry_before_sequencing`,
  `ALTER SEQUENCE ledger_entry_id_seq RENAME TO ledger_entry_before_id_seq`,

  `CREATE TABLE ledger_entry (
     id bigint GENERATED ALWAYS AS IDENTITY,
     log text NOT NULL,
     xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
     writer text NOT NULL,
     number bigint NOT NULL CHECK (number > 0),
     recorded_at timestamptz NOT NULL,
     record bytea NOT NULL,
     record_hash bytea NOT NULL CHECK (length(record_hash) = 32),
     mac bytea NOT NULL CHECK (length(mac) = 32),
     PRIMARY KEY (id, recorded_at),
     UNIQUE (log, writer, number, recorded_at)
   ) PARTITION BY RANGE (recorded_at)`,
  `CREATE INDEX ledger_entry_sequencing ON ledger_entry (xid, id)`,
  // What happened in clear, sealed: old and new values, variables, address of the caller. Its SHA-256 is in the record.
  `CREATE TABLE ledger_detail (
     log text NOT NULL,
     writer text NOT NULL,
     number bigint NOT NULL,
     recorded_at timestamptz NOT NULL,
     key text NOT NULL,
     ciphertext bytea NOT NULL,
     PRIMARY KEY (log, writer, number, recorded_at)
   ) PARTITION BY RANGE (recorded_at)`,
  // For a clock that is months ahead: without these the entry, and so the operation, would fail.
  `CREATE TABLE ledger_entry_other PARTITION OF ledger_entry DEFAULT`,
  `CREATE TABLE ledger_detail_other PARTITION OF ledger_detail DEFAULT`,

  // A month in which entries came before it had a partition stays in the default one.
  `CREATE FUNCTION ensure_ledger_months(first timestamptz, months integer) RETURNS integer
   LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
   DECLARE
     low timestamptz;
     made integer := 0;
     label text;
   BEGIN
     IF months NOT BETWEEN 1 AND 120 THEN RAISE EXCEPTION 'One to 120 months at once.'; END IF;
     PERFORM pg_advisory_xact_lock(hashtextextended('ledger months', 0));
     FOR step IN 0 .. months - 1 LOOP
       low := (date_trunc('month', first AT TIME ZONE 'UTC') + make_interval(months => step)) AT TIME ZONE 'UTC';
       label := to_char(low AT TIME ZONE 'UTC', '"y"YYYY"m"MM');
       CONTINUE WHEN to_regclass('public.ledger_entry_' || label) IS NOT NULL;
       CONTINUE WHEN EXISTS (SELECT 1 FROM ledger_entry_other
                              WHERE recorded_at >= low AND recorded_at < (low AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
       CONTINUE WHEN EXISTS (SELECT 1 FROM ledger_detail_other
                              WHERE recorded_at >= low AND recorded_at < (low AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
       EXECUTE format('CREATE TABLE public.%I PARTITION OF public.ledger_entry FOR VALUES FROM (%L) TO (%L)',
                      'ledger_entry_' || label, low, (low AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
       EXECUTE format('CREATE TABLE public.%I PARTITION OF public.ledger_detail FOR VALUES FROM (%L) TO (%L)',
                      'ledger_detail_' || label, low, (low AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
       made := made + 1;
     END LOOP;
     RETURN made;
   END $$`,
  `REVOKE ALL ON FUNCTION ensure_ledger_months(timestamptz, integer) FROM PUBLIC`,
  `GRANT EXECUTE ON FUNCTION ensure_ledger_months(timestamptz, integer) TO custodia_sequencer`,

  `SELECT ensure_ledger_months(recorded_at, 1)
     FROM (SELECT DISTINCT date_trunc('month', recorded_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS recorded_at
             FROM ledger_entry_before) AS months`,
  `SELECT ensure_ledger_months(now(), 3)`,
  `INSERT INTO ledger_entry (id, log, xid, writer, number, recorded_at, record, record_hash, mac) OVERRIDING SYSTEM VALUE
   SELECT id, log, xid, writer, number, recorded_at, record, record_hash, mac FROM ledger_entry_before`,
  `SELECT setval(pg_get_serial_sequence('ledger_entry', 'id'), coalesce(max(id), 0) + 1, false) FROM ledger_entry`,

  `ALTER TABLE ledger_leaf ADD COLUMN recorded_at timestamptz`,
  `ALTER TABLE ledger_leaf DISABLE TRIGGER ledger_leaf_only_grows`,
  `UPDATE ledger_leaf SET recorded_at = entry.recorded_at FROM ledger_entry_before AS entry WHERE entry.id = entry_id`,
  // A leaf without its entry is evidence of a deletion, which an upgrade must not hide.
  `UPDATE ledger_leaf SET recorded_at = 'epoch' WHERE recorded_at IS NULL`,
  `ALTER TABLE ledger_leaf ENABLE TRIGGER ledger_leaf_only_grows`,
  `ALTER TABLE ledger_leaf ALTER COLUMN recorded_at SET NOT NULL`,
  `DROP TABLE ledger_entry_before`,

  // Roots of full tiles, by the level of the tile that they stand in: level 0 is ledger_leaf. Derived from the leaves.
  `CREATE TABLE ledger_node (
     log text NOT NULL,
     level smallint NOT NULL CHECK (level BETWEEN 1 AND 7),
     idx bigint NOT NULL CHECK (idx >= 0),
     hash bytea NOT NULL CHECK (length(hash) = 32),
     PRIMARY KEY (log, level, idx)
   )`,
  // Ids up to here were sequenced before a declared restore; their transaction ids belong to another cluster.
  `ALTER TABLE ledger_sequence ADD COLUMN restored_id bigint NOT NULL DEFAULT 0`,

  `CREATE TRIGGER ledger_entry_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
   FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()`,
  `CREATE TRIGGER ledger_node_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_node
   FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()`,

  `REVOKE ALL ON ledger_entry, ledger_entry_other, ledger_detail, ledger_detail_other, ledger_node FROM PUBLIC`,
  `GRANT INSERT (log, writer, number, recorded_at, record, record_hash, mac) ON ledger_entry TO custodia_app`,
  `GRANT INSERT ON ledger_detail TO custodia_app`,
  `GRANT SELECT ON ledger_entry, ledger_detail TO custodia_sequencer, custodia_auditor`,
  `GRANT SELECT, INSERT ON ledger_node TO custodia_sequencer`,
  `GRANT SELECT ON ledger_node TO custodia_auditor`,
];

const DOWN = [
  `CREATE TABLE ledger_entry_before (
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
  `INSERT INTO ledger_entry_before (id, log, xid, writer, number, recorded_at, record, record_hash, mac) OVERRIDING SYSTEM VALUE
   SELECT id, log, xid, writer, number, recorded_at, record, record_hash, mac FROM ledger_entry`,
  `SELECT setval(pg_get_serial_sequence('ledger_entry_before', 'id'), coalesce(max(id), 0) + 1, false) FROM ledger_entry_before`,
  `DROP TABLE ledger_node, ledger_detail, ledger_entry`,
  `DROP FUNCTION ensure_ledger_months(timestamptz, integer)`,
  `ALTER TABLE ledger_entry_before RENAME TO ledger_entry`,
  `CREATE INDEX ledger_entry_sequencing ON ledger_entry (xid, id)`,
  `ALTER TABLE ledger_leaf DROP COLUMN recorded_at`,
  `ALTER TABLE ledger_sequence DROP COLUMN restored_id`,
  `CREATE TRIGGER ledger_entry_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
   FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()`,
  `REVOKE ALL ON ledger_entry FROM PUBLIC`,
  `GRANT INSERT (log, writer, number, recorded_at, record, record_hash, mac) ON ledger_entry TO custodia_app`,
  `GRANT SELECT ON ledger_entry TO custodia_sequencer, custodia_auditor`,
];
