import type { KeyObject } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CompactRange } from '../../audit/merkle.mjs';
import { DatabaseFault } from '../persistence/sqlstate.js';
import type { Queryable } from '../persistence/statement.js';
import { headForged, LedgerFault, rollbackDetected } from './fault.js';
import { decodeRange, headHolds, headMac } from './head.js';
import { appendLeaf, completeNodes, type TreeNode } from './nodes.js';
import { OwnRecords } from './own-records.js';
import { type HeadMove, passStatement } from './pass-statement.js';
import { strayFault } from './state-check.js';
import {
  type Position,
  type Reading,
  type RecordForm,
  RowCheck,
  unsequencedAfter,
  type UnsequencedRow,
} from './unsequenced.js';
import { refuseReleased } from './writer-ending.js';

/** Most entries of one pass: what one transaction hashes, inserts and commits. */
export const LARGEST_PASS = 8_192;
/** Entries that are hashed in one turn of the event loop, so that requests need not wait for a whole pass. */
const TURN = 1_024;
/** PostgreSQL has a record that is no UTF-8 text. */
const NOT_TEXT = '22021';
const UNIQUE_VIOLATION = '23505';

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

/** What a pass takes up. */
interface PassInput {
  readonly rows: readonly UnsequencedRow[];
  /** By place of the row: the bytes of a record that was not fetched, because this process has it. */
  readonly held: readonly (Buffer | null)[];
}

/** What a pass adds. */
interface Growth {
  readonly heads: Map<string, Head>;
  readonly indexes: number[];
  readonly leaves: Buffer[];
  readonly nodes: TreeNode[];
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
  private readonly rows: RowCheck;

  constructor(
    private readonly macKey: KeyObject,
    private readonly own = new OwnRecords(''),
  ) {
    this.rows = new RowCheck(macKey);
  }

  /** Forgets what was read from the database: it may have changed through another leader. */
  forget(): void {
    this.position = null;
    this.heads = new Map();
    this.own.clear();
  }

  /**
   * One pass on a connection that holds the leader's lock. Returns how many entries were sequenced; throws
   * {@link LedgerFault} when the ledger is not what it should be. `restored`: see {@link unsequencedAfter}.
   */
  async pass(session: Queryable, { restored = false }: { restored?: boolean } = {}): Promise<number> {
    if (this.position === null) await completeNodes(session);
    try {
      return await this.transaction(session, { form: 'text', restored, own: this.own.writer });
    } catch (error) {
      if (!(error instanceof DatabaseFault) || error.sqlstate !== NOT_TEXT) throw error;
      return this.transaction(session, { form: 'hex', restored, own: '' });
    }
  }

  private async transaction(session: Queryable, reading: Reading): Promise<number> {
    try {
      await session.query({ text: 'BEGIN ISOLATION LEVEL REPEATABLE READ', values: [] });
      const count = await this.sequence(session, reading);
      if (count === 0) await session.query({ text: 'COMMIT', values: [] });
      return count;
    } catch (error) {
      this.forget();
      await session.query({ text: 'ROLLBACK', values: [] }).catch(() => undefined);
      const met = error instanceof DatabaseFault && error.sqlstate === UNIQUE_VIOLATION;
      throw (met ? await strayFault(session) : null) ?? error;
    }
  }

  private async sequence(session: Queryable, reading: Reading): Promise<number> {
    const position = (this.position ??= await readPosition(session));
    const input = await this.read(session, position, reading);
    const { rows } = input;
    const last = rows.at(-1);
    if (last === undefined) return 0;
    await refuseReleased(session, rows);
    await this.loadHeads(session, new Set(rows.map((row) => row.log)));
    const growth = await this.grow(input, reading.form);
    const { heads } = growth;
    const [done] = await session.query<{ moved: string[]; stepped: number }>(
      passStatement({ ...growth, rows, heads: this.moves(heads), from: position, to: last }),
    );
    for (const log of heads.keys()) {
      if (done?.moved.includes(log) === true) continue;
      const size = this.heads.get(log)?.range.size ?? 0;
      throw new LedgerFault(log, size, 'consistency', `The head of log ${log} is not the one that was written last.`);
    }
    if (done?.stepped !== 1) throw new Error('The position of the sequencer was moved by somebody else.');
    await session.query({ text: 'COMMIT', values: [] });

    this.position = { ...position, xid: last.xid, id: last.id };
    for (const [log, head] of heads) {
      this.heads.set(log, head);
      this.committed.set(log, head.range.size);
    }
    for (const { log, number, writer } of rows) if (writer === this.own.writer) this.own.forget(log, Number(number));
    return rows.length;
  }

  /**
   * What is said to be this process's own and is not at hand is fetched after all, as all of the pass. The bytes are taken
   * hold of here: while the pass waits for something, requests go on and may push them out of what is kept.
   */
  private async read(session: Queryable, position: Position, reading: Reading): Promise<PassInput> {
    const rows = await session.query<UnsequencedRow>(unsequencedAfter(position, reading, LARGEST_PASS));
    const held = rows.map((row) => (row.record === null ? this.ownRecord(row) : null));
    if (rows.every((row, place) => row.record !== null || held[place] !== null)) return { rows, held };
    const all = unsequencedAfter(position, { ...reading, own: '' }, LARGEST_PASS);
    return { rows: await session.query<UnsequencedRow>(all), held: [] };
  }

  private ownRecord({ log, number, proof }: UnsequencedRow): Buffer | null {
    return this.own.find(log, Number(number), proof);
  }

  /** Checks every row and puts it behind the one before. Nothing of this chain changes until it is committed. */
  private async grow({ rows, held }: PassInput, form: RecordForm): Promise<Growth> {
    const growth: Growth = { heads: new Map(), indexes: [], leaves: [], nodes: [] };
    for (let place = 0; place < rows.length; place++) {
      if (place % TURN === TURN - 1) await nextTurn();
      const row = rows[place] as UnsequencedRow;
      const head = growth.heads.get(row.log) ?? copy(this.heads.get(row.log));
      if (head === undefined) throw new LedgerFault(row.log, 0, 'record', `The log ${row.log} was never started.`);
      const { range } = head;
      const own = held[place] ?? null;
      const bytes =
        own === null ? this.rows.leaf(row, form, head.lastLeaf, range.size) : this.rows.ownLeaf(own, head.lastLeaf);
      const leaf = Buffer.from(bytes, 'latin1');
      growth.indexes.push(range.size);
      growth.leaves.push(leaf);
      growth.heads.set(row.log, { range, lastLeaf: leaf });
      for (const tile of appendLeaf(range, leaf)) growth.nodes.push({ log: row.log, ...tile });
    }
    return growth;
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

  private moves(next: ReadonlyMap<string, Head>): HeadMove[] {
    return [...next].map(([log, { range, lastLeaf }]) => {
      const old = this.heads.get(log) as Head;
      const bytes = { log, size: range.size, lastLeaf, range: Buffer.concat(range.hashes) };
      return { ...bytes, mac: headMac(this.macKey, bytes), oldSize: old.range.size, oldLeaf: old.lastLeaf };
    });
  }
}

function copy(head: Head | undefined): Head | undefined {
  return head && { range: head.range.clone(), lastLeaf: head.lastLeaf };
}

async function readPosition(session: Queryable): Promise<Position> {
  const [row] = await session.query<{ last_xid: string; last_id: string; restored_id: string }>({
    text: 'SELECT last_xid, last_id, restored_id FROM ledger_sequence',
    values: [],
  });
  if (row === undefined) throw new Error('The table ledger_sequence has lost its row.');
  return { xid: row.last_xid, id: row.last_id, restoredId: row.restored_id };
}
