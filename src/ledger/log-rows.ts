import { encodeEntry, LARGEST_RECORD } from '../../audit/entry.mjs';
import { HASH_SIZE } from '../../audit/merkle.mjs';
import type { Database } from '../persistence/database.js';

/** What stands at one index of a log, as it is stored: unchecked. */
export interface LogRow {
  /** {@link NO_HASH} where there is none. */
  readonly leaf: Buffer;
  /** Leaf of the entry before ‖ record; null where the record is not there, or could be in no entry. */
  readonly entry: Buffer | null;
  /** Null: not in the database. */
  readonly row: EntryRow | null;
  readonly mac: Buffer | null;
  /** Sealed details; null where there are none. */
  readonly detail: Buffer | null;
}

/** The row in which a record lies. Only the record is evidence; what stands beside it was copied out of it. */
export interface EntryRow {
  readonly id: string;
  readonly xid: string;
  readonly log: string;
  readonly writer: string;
  readonly number: string;
  readonly recorded_at: Date;
  readonly record: Buffer;
  readonly record_hash: Buffer;
  readonly mac: Buffer;
  /** Of the key that the details of the record are said to be sealed with; null without details. */
  readonly detail_key: string | null;
}

interface JoinedRow extends Omit<EntryRow, 'id'> {
  readonly idx: string;
  readonly leaf: Buffer;
  /** Null: the leaf is there, its entry is not. */
  readonly id: string | null;
  readonly ciphertext: Buffer | null;
}

/** Stands where a hash could not be found; no leaf has it. */
export const NO_HASH: Buffer = Buffer.alloc(HASH_SIZE);

// The places are an array and not a range, of which a plan for all parameters would expect a part of the whole log.
const SELECT =
  'SELECT leaf.idx, leaf.leaf, entry.id, entry.xid, entry.log, entry.writer, entry.number, entry.recorded_at, ' +
  'entry.record, entry.record_hash, entry.mac, detail.key AS detail_key, detail.ciphertext ' +
  'FROM unnest($2::bigint[]) AS place (idx) ' +
  'JOIN ledger_leaf AS leaf ON leaf.log = $1 AND leaf.idx = place.idx ' +
  'LEFT JOIN ledger_entry AS entry ON entry.id = leaf.entry_id AND entry.recorded_at = leaf.recorded_at ' +
  'LEFT JOIN ledger_detail AS detail ON detail.log = entry.log AND detail.writer = entry.writer ' +
  'AND detail.number = entry.number AND detail.recorded_at = entry.recorded_at';

/** The rows from index `first` on, exactly `count`, in one statement. */
export async function readRows(database: Database, log: string, first: number, count: number): Promise<LogRow[]> {
  // With the leaf before the first one: the first entry begins with it.
  const places = Array.from({ length: count + 1 }, (_, at) => first - 1 + at);
  const found = await database.query<JoinedRow>(null, { name: 'ledger_rows', text: SELECT, values: [log, places] });
  const byIndex = new Map(found.map((row) => [Number(row.idx), row]));
  return places.slice(1).map((index) => {
    const joined = byIndex.get(index);
    if (joined === undefined) return { leaf: NO_HASH, entry: null, row: null, mac: null, detail: null };
    const row = joined.id === null ? null : { ...joined, id: joined.id };
    const fits = row !== null && row.record.length > 0 && row.record.length <= LARGEST_RECORD;
    const previous = byIndex.get(index - 1)?.leaf ?? NO_HASH;
    const entry = fits ? asBuffer(encodeEntry(previous, row.record)) : null;
    return { leaf: joined.leaf, entry, row, mac: row?.mac ?? null, detail: joined.ciphertext };
  });
}

const LEAVES =
  'SELECT idx, leaf AS hash FROM ledger_leaf WHERE log = $1 AND idx >= $2 AND idx < $2 + $3::bigint ORDER BY idx';
const NODES =
  'SELECT idx, hash FROM ledger_node WHERE log = $1 AND idx >= $2 AND idx < $2 + $3::bigint AND level = $4 ORDER BY idx';

/** The stored hashes of a level of the tiles from `first` on, by place; those that are missing are left out. */
export async function readHashes(
  database: Database,
  log: string,
  level: number,
  first: number,
  count: number,
): Promise<Map<number, Buffer>> {
  const rows = await database.query<{ idx: string; hash: Buffer }>(
    null,
    level === 0
      ? { name: 'ledger_leaves', text: LEAVES, values: [log, first, count] }
      : { name: 'ledger_nodes', text: NODES, values: [log, first, count, level] },
  );
  return new Map(rows.map(({ idx, hash }) => [Number(idx), hash]));
}

/** The same bytes: the verifier's own code knows nothing of Buffers. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
