import { sha256 } from '../../audit/merkle.mjs';
import type { Database } from '../persistence/database.js';
import { asBuffer, type EntryRow, type LogRow } from './log-rows.js';

const VOID = '"kind":"VOID"';

/**
 * Compares what stands beside the records in their rows with the records. The columns are no evidence, but the sequencer, the
 * queries and the archive go by them: who changes one hides an entry from those without touching a byte that is hashed.
 */
export class RowChecks {
  private last: { readonly index: number; readonly row: EntryRow } | null = null;
  /** Index of the first row that contradicts its record or its place; null: none. */
  first: number | null = null;

  constructor(
    private readonly log: string,
    /** Ids up to here have transaction ids of another cluster; see `ledger_sequence`. */
    private readonly restoredId: bigint,
  ) {}

  /** The rows of a log in the order of their index. One that is shown twice is looked at once. */
  take(index: number, { row }: LogRow): void {
    if (row === null || (this.last !== null && index <= this.last.index)) return;
    if (!this.agrees(row) || !this.follows(row)) this.first ??= index;
    this.last = { index, row };
  }

  private agrees({ log, writer, number, recorded_at, record, record_hash, detail_key }: EntryRow): boolean {
    // In canonical JSON these members stand in this order, before "obligations" or "operation", and no quote inside a text is
    // without a backslash.
    const place = `,"log":"${log}","number":${number},"o`;
    // A VOID record has the month of the record that it closes, a registration that of its first try, and a time of its own.
    const free = number === '1' || record.includes(VOID);
    const end = Buffer.from(`${free ? '' : `,"time":"${recorded_at.toISOString()}","v":1`},"writer":"${writer}"}`);
    return (
      log === this.log &&
      record.includes(place) &&
      (detail_key === null || record.includes(`,"sealed":{"key":${JSON.stringify(detail_key)},"sha256":"`)) &&
      record.subarray(-end.length).equals(end) &&
      asBuffer(sha256(record)).equals(record_hash)
    );
  }

  /** Entries get their index in the order of transaction id and id. */
  private follows(row: EntryRow): boolean {
    if (this.last === null || BigInt(this.last.row.id) <= this.restoredId || BigInt(row.id) <= this.restoredId)
      return true;
    const [before, now] = [BigInt(this.last.row.xid), BigInt(row.xid)];
    return before < now || (before === now && BigInt(this.last.row.id) < BigInt(row.id));
  }
}

/** The highest id whose entry was sequenced before a declared restore; 0 without one. */
export async function readRestoredId(database: Database): Promise<bigint> {
  const [row] = await database.query<{ restored_id: string }>(null, {
    text: 'SELECT restored_id FROM ledger_sequence',
    values: [],
  });
  return BigInt(row?.restored_id ?? 0);
}

const PAGE = 50_000;
const BEFORE_ALL = '-9223372036854775808';

/**
 * How many entries of each log the sequencer's position has passed although they have no index: it will never look at them
 * again. Only somebody who moved the position, or an entry's place below it, brings that about. Reads every id once.
 */
export async function unsequencedEntries(database: Database): Promise<Map<string, number>> {
  const lost = new Map<string, number>();
  for (let after: string | null = BEFORE_ALL; after !== null;) {
    // By the ids that exist and not by arithmetic: one that somebody set far away must not make this endless.
    const [end]: { id: string | null }[] = await database.query<{ id: string | null }>(null, {
      name: 'ledger_page_of_ids',
      text: 'SELECT max(id) AS id FROM (SELECT id FROM ledger_entry WHERE id > $1 ORDER BY id LIMIT $2) AS page',
      values: [after, PAGE],
    });
    const upTo: string | null = end?.id ?? null;
    if (upTo !== null) {
      const rows = await database.query<{ log: string; count: string }>(null, {
        name: 'ledger_passed_without_index',
        text:
          'SELECT entry.log, count(*) FROM ledger_sequence AS sequence, ' +
          '(SELECT id, xid, log FROM ledger_entry WHERE id > $1 AND id <= $2) AS entry ' +
          'LEFT JOIN (SELECT entry_id FROM ledger_leaf WHERE entry_id > $1 AND entry_id <= $2) AS leaf ' +
          'ON leaf.entry_id = entry.id WHERE leaf.entry_id IS NULL AND (entry.id <= sequence.restored_id ' +
          'OR (entry.xid, entry.id) <= (sequence.last_xid, sequence.last_id)) GROUP BY entry.log',
        values: [after, upTo],
      });
      for (const { log, count } of rows) lost.set(log, (lost.get(log) ?? 0) + Number(count));
    }
    after = upTo;
  }
  return lost;
}
