import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { encodeEntry } from '../../audit/entry.mjs';
import { type CompactRange, leafHash, sha256 } from '../../audit/merkle.mjs';
import type { Queryable, Statement } from '../persistence/statement.js';
import { headForged, LedgerFault, rollbackDetected } from './fault.js';
import { decodeRange, headHolds, headMac } from './head.js';

/** Most entries of one pass: what one transaction hashes, inserts and commits. */
export const LARGEST_PASS = 8_192;

interface Position {
  readonly xid: string;
  readonly id: string;
}

interface EntryRow {
  readonly id: string;
  readonly xid: string;
  readonly log: string;
  readonly writer: string;
  readonly number: string;
  readonly recorded_at: Date;
  readonly record: Buffer;
  readonly record_hash: Buffer;
  readonly mac: Buffer;
}

interface HeadRow {
  readonly log: string;
  readonly size: string;
  readonly last_leaf: Buffer;
  readonly compact_range: Buffer;
  readonly mac: Buffer;
}

/** Where a log ends. Never changed in place: a pass that fails leaves the old one. */
interface Head {
  readonly range: CompactRange;
  readonly lastLeaf: Buffer;
}

interface Leaves {
  readonly logs: string[];
  readonly indexes: number[];
  readonly entryIds: string[];
  readonly recordedAt: string[];
  readonly hashes: Buffer[];
}

/**
 * Turns committed entries into chain and tree, one transaction a pass. Holds in memory what it sealed last, so that
 * a head that changes under it is noticed; drops it after any error, because a COMMIT whose answer was lost may have
 * happened, and reads it again from the database, which must then hold at least as much as before.
 */
export class Chain {
  private position: Position | null = null;
  private heads = new Map<string, Head>();
  /** Sizes that were committed for certain. The database may never show less. */
  private readonly committed = new Map<string, number>();

  constructor(private readonly macKey: KeyObject) {}

  /** Forgets what was read from the database: it may have changed through another leader. */
  forget(): void {
    this.position = null;
    this.heads = new Map();
  }

  /**
   * One pass on a connection that holds the leader's lock. Takes only entries of transactions below the watermark:
   * every transaction with a lower id has ended, so nothing can appear behind the position any more. Returns how many
   * entries were sequenced; throws {@link LedgerFault} when the ledger is not what it should be.
   */
  async pass(session: Queryable): Promise<number> {
    try {
      await session.query({ text: 'BEGIN ISOLATION LEVEL REPEATABLE READ', values: [] });
      const count = await this.sequence(session);
      if (count === 0) await session.query({ text: 'COMMIT', values: [] });
      return count;
    } catch (error) {
      this.forget();
      await session.query({ text: 'ROLLBACK', values: [] }).catch(() => undefined);
      throw error;
    }
  }

  private async sequence(session: Queryable): Promise<number> {
    const position = (this.position ??= await readPosition(session));
    const rows = await session.query<EntryRow>(entriesAfter(position));
    const last = rows.at(-1);
    if (last === undefined) return 0;
    await this.loadHeads(session, new Set(rows.map((row) => row.log)));

    const next = new Map<string, Head>();
    const leaves: Leaves = { logs: [], indexes: [], entryIds: [], recordedAt: [], hashes: [] };
    for (const row of rows) {
      const head = next.get(row.log) ?? copy(this.heads.get(row.log));
      if (head === undefined) throw new LedgerFault(row.log, 0, 'record', `The log ${row.log} was never started.`);
      this.check(row, head.range.size);
      const leaf = leafHash(encodeEntry(head.lastLeaf, row.record));
      leaves.logs.push(row.log);
      leaves.indexes.push(head.range.size);
      leaves.entryIds.push(row.id);
      leaves.recordedAt.push(row.recorded_at.toISOString());
      leaves.hashes.push(leaf);
      head.range.append(leaf);
      next.set(row.log, { range: head.range, lastLeaf: leaf });
    }

    await session.query(insertLeaves(leaves));
    const moved = await session.query<{ log: string }>(this.moveHeads(next));
    for (const log of next.keys()) {
      if (moved.some((row) => row.log === log)) continue;
      const size = this.heads.get(log)?.range.size ?? 0;
      throw new LedgerFault(log, size, 'consistency', `The head of log ${log} is not the one that was written last.`);
    }
    const stepped = await session.query(movePosition(position, last));
    if (stepped.length !== 1) throw new Error('The position of the sequencer was moved by somebody else.');
    await session.query({ text: 'COMMIT', values: [] });

    this.position = { xid: last.xid, id: last.id };
    for (const [log, head] of next) {
      this.heads.set(log, head);
      this.committed.set(log, head.range.size);
    }
    return rows.length;
  }

  /** Before a record is sealed for good: are these the bytes that the writer made, in the row that it made? */
  private check(row: EntryRow, index: number): void {
    const bytesHold = sha256(row.record).equals(row.record_hash);
    const macHolds = timingSafeEqual(createHmac('sha256', this.macKey).update(row.record).digest(), row.mac);
    if (!bytesHold || !macHolds) {
      const what = bytesHold ? 'MAC' : 'hash';
      throw new LedgerFault(
        row.log,
        index,
        'record',
        `Entry row ${row.id} of log ${row.log} does not match its ${what}.`,
      );
    }
    // In canonical JSON these members stand in this order, and no quote inside a text is without a backslash.
    const place = `,"log":"${row.log}","number":${row.number},"operation":"`;
    const end = `,"writer":"${row.writer}"}`;
    if (!row.record.includes(place) || !row.record.subarray(-end.length).equals(Buffer.from(end))) {
      throw new LedgerFault(
        row.log,
        index,
        'record',
        `Entry row ${row.id} of log ${row.log} is not where its record says.`,
      );
    }
  }

  private async loadHeads(session: Queryable, logs: ReadonlySet<string>): Promise<void> {
    const unknown = [...logs].filter((log) => !this.heads.has(log));
    if (unknown.length === 0) return;
    const rows = await session.query<HeadRow>({
      text: 'SELECT log, size, last_leaf, compact_range, mac FROM ledger_head WHERE log = ANY($1)',
      values: [unknown],
    });
    for (const row of rows) {
      const size = Number(row.size);
      const committed = this.committed.get(row.log) ?? 0;
      if (size < committed) throw rollbackDetected(row.log, committed, size);
      const head = { log: row.log, size, lastLeaf: row.last_leaf, range: row.compact_range };
      if (!headHolds(this.macKey, head, row.mac)) throw headForged(row.log, size);
      this.heads.set(row.log, { range: decodeRange(size, row.compact_range), lastLeaf: row.last_leaf });
    }
  }

  /** Compare-and-swap: a head moves only from the state on which the new one was built. */
  private moveHeads(next: ReadonlyMap<string, Head>): Statement {
    const heads = [...next].map(([log, { range, lastLeaf }]) => {
      return { log, size: range.size, lastLeaf, range: Buffer.concat(range.hashes) };
    });
    const old = heads.map(({ log }) => this.heads.get(log) as Head);
    return {
      name: 'ledger_move_heads',
      text:
        'UPDATE ledger_head AS head ' +
        'SET size = moved.size, last_leaf = moved.last_leaf, compact_range = moved.range, mac = moved.mac ' +
        'FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[], $7::bytea[]) ' +
        'AS moved (log, size, last_leaf, range, mac, old_size, old_leaf) ' +
        'WHERE head.log = moved.log AND head.size = moved.old_size AND head.last_leaf = moved.old_leaf ' +
        'RETURNING head.log',
      values: [
        heads.map((head) => head.log),
        heads.map((head) => head.size),
        heads.map((head) => head.lastLeaf),
        heads.map((head) => head.range),
        heads.map((head) => headMac(this.macKey, head)),
        old.map((head) => head.range.size),
        old.map((head) => head.lastLeaf),
      ],
    };
  }
}

function copy(head: Head | undefined): Head | undefined {
  return head && { range: head.range.clone(), lastLeaf: head.lastLeaf };
}

async function readPosition(session: Queryable): Promise<Position> {
  const [row] = await session.query<{ last_xid: string; last_id: string }>({
    text: 'SELECT last_xid, last_id FROM ledger_sequence',
    values: [],
  });
  if (row === undefined) throw new Error('The table ledger_sequence has lost its row.');
  return { xid: row.last_xid, id: row.last_id };
}

function entriesAfter(position: Position): Statement {
  return {
    name: 'ledger_entries_after',
    text:
      'SELECT id, xid, log, writer, number, recorded_at, record, record_hash, mac FROM ledger_entry ' +
      'WHERE (xid, id) > ($1::xid8, $2::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot()) ' +
      `ORDER BY xid, id LIMIT ${LARGEST_PASS}`,
    values: [position.xid, position.id],
  };
}

function insertLeaves(leaves: Leaves): Statement {
  return {
    name: 'ledger_insert_leaves',
    text:
      'INSERT INTO ledger_leaf (log, idx, entry_id, recorded_at, leaf) ' +
      'SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bytea[])',
    values: [leaves.logs, leaves.indexes, leaves.entryIds, leaves.recordedAt, leaves.hashes],
  };
}

function movePosition(from: Position, to: Position): Statement {
  return {
    name: 'ledger_move_position',
    text:
      'UPDATE ledger_sequence SET last_xid = $1::xid8, last_id = $2::bigint ' +
      'WHERE last_xid = $3::xid8 AND last_id = $4::bigint RETURNING last_id',
    values: [to.xid, to.id, from.xid, from.id],
  };
}
