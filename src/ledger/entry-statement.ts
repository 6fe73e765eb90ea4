import type { Statement } from '../persistence/statement.js';

/** A record with everything that its row needs. The bytes are final: what is hashed is what is stored. */
export interface PreparedRecord {
  readonly log: string;
  readonly writer: string;
  readonly number: number;
  /** Canonical JSON, UTF-8. */
  readonly bytes: Buffer;
  /** SHA-256 of the bytes. */
  readonly hash: Buffer;
  /** HMAC-SHA-256 of the bytes under the writers' key. */
  readonly mac: Buffer;
  readonly recordedAt: Date;
}

/** Pushes a parameter and returns its place: `$n`. */
export type Bind = (value: unknown) => string;

const COLUMNS = 'log, writer, number, recorded_at, record, record_hash, mac';

/**
 * The INSERT of one record, to stand in a larger statement. `from` names a CTE (`FROM changed`): the record is then
 * inserted only when that CTE has a row, and once however many it has.
 */
export function insertionText(record: PreparedRecord, bind: Bind, from?: string): string {
  const values = valuesOf(record, bind);
  const source = from === undefined ? `VALUES (${values})` : `SELECT ${values} ${from} LIMIT 1`;
  return `INSERT INTO ledger_entry (${COLUMNS}) ${source}`;
}

function valuesOf(record: PreparedRecord, bind: Bind): string {
  return (
    `${bind(record.log)}::text, ${bind(record.writer)}::text, ${bind(record.number)}::bigint, ` +
    `${bind(record.recordedAt)}::timestamptz, ${bind(record.bytes)}::bytea, ${bind(record.hash)}::bytea, ` +
    `${bind(record.mac)}::bytea`
  );
}

const INSERT_ENTRIES =
  `INSERT INTO ledger_entry (${COLUMNS}) SELECT * FROM ` +
  `unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::bytea[], $7::bytea[])`;

/** Above this, arrays: a text for every number of records would fill the connections with prepared statements. */
const MOST_LISTED = 16;

/**
 * Inserts records in the order given, all or none; a number that is taken fails the whole statement. Few records are
 * listed one by one, because the driver has to write an array of bytes as one long text.
 */
export function insertEntries(records: readonly PreparedRecord[]): Statement {
  if (records.length <= MOST_LISTED) return listEntries(records);
  return { name: 'ledger_insert', text: INSERT_ENTRIES, values: columns(records) };
}

/**
 * The same, leaving out records whose (log, writer, number) is taken: the unique key decides which of two records of
 * one number is in the ledger. It waits for a running transaction that holds such a number. No conflict target is
 * named, because naming one needs SELECT on its columns.
 */
export function insertMissingEntries(records: readonly PreparedRecord[]): Statement {
  return {
    name: 'ledger_insert_missing',
    text: `${INSERT_ENTRIES} ON CONFLICT DO NOTHING`,
    values: columns(records),
  };
}

function listEntries(records: readonly PreparedRecord[]): Statement {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const rows = records.map((record) => `(${valuesOf(record, bind)})`);
  return {
    name: `ledger_insert_${records.length}`,
    text: `INSERT INTO ledger_entry (${COLUMNS}) VALUES ${rows.join(', ')}`,
    values,
  };
}

function columns(records: readonly PreparedRecord[]): unknown[] {
  return [
    records.map((record) => record.log),
    records.map((record) => record.writer),
    records.map((record) => record.number),
    records.map((record) => record.recordedAt.toISOString()),
    records.map((record) => record.bytes),
    records.map((record) => record.hash),
    records.map((record) => record.mac),
  ];
}
