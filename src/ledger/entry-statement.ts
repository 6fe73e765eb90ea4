import type { Statement } from '../persistence/statement.js';
import { bigintArray, byteaArray, instantArray, textArray } from './binary-array.js';
import type { SealedDetail } from './record.js';

/** A record with everything that its row needs. The bytes are final: what is hashed is what is stored. */
export interface PreparedRecord {
  readonly log: string;
  readonly writer: string;
  readonly number: number;
  /** Canonical JSON, UTF-8. */
  readonly bytes: Buffer;
  /** SHA-256 of the bytes. */
  readonly hash: Buffer;
  /** HMAC-SHA-256 of the bytes under the writer's key of this log. */
  readonly mac: Buffer;
  readonly recordedAt: Date;
  /** Stored beside the record, by the same statement. */
  readonly sealed: SealedDetail | null;
}

/** Pushes a parameter and returns its place: `$n`. */
export type Bind = (value: unknown) => string;

const ENTRY = 'log, writer, number, recorded_at, record_hash, mac, record';
const DETAIL = 'log, writer, number, recorded_at, key, ciphertext';

/**
 * The INSERT of one record, to stand in a larger statement. `from` names a CTE (`FROM changed`): the record is then
 * inserted only when that CTE has a row, and once however many it has.
 */
export function insertionText(record: PreparedRecord, bind: Bind, from?: string): string {
  const values =
    `${placeOf(record, bind)}, ${bind(record.hash)}::bytea, ${bind(record.mac)}::bytea, ` +
    `${bind(record.bytes)}::bytea`;
  return `INSERT INTO ledger_entry (${ENTRY}) ${sourceOf(values, from)}`;
}

/** The INSERT of a record's sealed details, likewise; null for a record without. Both go into one statement. */
export function detailInsertionText(record: PreparedRecord, bind: Bind, from?: string): string | null {
  if (record.sealed === null) return null;
  const { key, ciphertext } = record.sealed;
  const values = `${placeOf(record, bind)}, ${bind(key)}::text, ${bind(ciphertext)}::bytea`;
  return `INSERT INTO ledger_detail (${DETAIL}) ${sourceOf(values, from)}`;
}

function placeOf({ log, writer, number, recordedAt }: PreparedRecord, bind: Bind): string {
  return `${bind(log)}::text, ${bind(writer)}::text, ${bind(number)}::bigint, ${bind(recordedAt)}::timestamptz`;
}

function sourceOf(values: string, from: string | undefined): string {
  return from === undefined ? `VALUES (${values})` : `SELECT ${values} ${from} LIMIT 1`;
}

// In the list of a SELECT the arrays are walked in step; in its FROM each would first be written to a store of its own.
const ENTRIES =
  `INSERT INTO ledger_entry (${ENTRY}) SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::bigint[]), ` +
  'unnest($4::timestamptz[]), unnest($5::bytea[]), unnest($6::bytea[]), unnest($7::bytea[])';
const DETAILS =
  `INSERT INTO ledger_detail (${DETAIL}) SELECT unnest($8::text[]), unnest($9::text[]), unnest($10::bigint[]), ` +
  'unnest($11::timestamptz[]), unnest($12::text[]), unnest($13::bytea[])';

/** Inserts records in the order given with their details, all or none; a number that is taken fails the statement. */
export function insertEntries(records: readonly PreparedRecord[]): Statement {
  return insertion(records, '', 'ledger_insert');
}

/**
 * The same, leaving out records whose (log, writer, number) is taken: the unique key decides which of two records of
 * one number is in the ledger. It waits for a running transaction that holds such a number. No conflict target is
 * named, because naming one needs SELECT on its columns.
 */
export function insertMissingEntries(records: readonly PreparedRecord[]): Statement {
  return insertion(records, ' ON CONFLICT DO NOTHING', 'ledger_insert_missing');
}

function insertion(records: readonly PreparedRecord[], otherwise: string, name: string): Statement {
  const detailed = records.filter((record) => record.sealed !== null);
  const values = [
    ...placesOf(records),
    byteaArray(records.map((record) => record.hash)),
    byteaArray(records.map((record) => record.mac)),
    byteaArray(records.map((record) => record.bytes)),
  ];
  if (detailed.length === 0) return { name, text: ENTRIES + otherwise, values };
  const details = detailed.map((record) => record.sealed as SealedDetail);
  values.push(
    ...placesOf(detailed),
    textArray(details.map((detail) => detail.key)),
    byteaArray(details.map((detail) => detail.ciphertext)),
  );
  return {
    name: `${name}_detailed`,
    text: `WITH detail AS (${DETAILS}${otherwise}) ${ENTRIES}${otherwise}`,
    values,
  };
}

function placesOf(records: readonly PreparedRecord[]): Buffer[] {
  return [
    textArray(records.map((record) => record.log)),
    textArray(records.map((record) => record.writer)),
    bigintArray(records.map((record) => record.number)),
    instantArray(records.map((record) => record.recordedAt.getTime() * 1000)),
  ];
}
