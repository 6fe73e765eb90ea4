import { CompactRange, sameBytes } from '../../audit/merkle.mjs';
import { checkpointText, parseCheckpoint, signNote, verifyNote, vkey } from '../../audit/note.mjs';
import type { Statement } from '../persistence/statement.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { headForged, LedgerFault, rollbackDetected } from './fault.js';
import { decodeRange, headHolds } from './head.js';
import type { LedgerKeys } from './keys.js';
import type { Publication } from './publication.js';

export interface CheckpointerOptions {
  /** A role that may read the ledger's tables. */
  readonly database: { query<Row>(tenant: null, statement: Statement): Promise<Row[]> };
  readonly store: CheckpointStore;
  readonly keys: LedgerKeys;
  /** Asks witnesses and shows auditors what is stored; absent: the stored checkpoint is what auditors are shown. */
  readonly publication?: Publication;
}

interface HeadRow {
  readonly log: string;
  readonly size: string;
  readonly last_leaf: Buffer;
  readonly compact_range: Buffer;
  readonly mac: Buffer;
}

/** The newest checkpoint of a log that this process knows to be stored, and the tree under it. */
interface Signed {
  readonly note: string | null;
  readonly range: CompactRange;
}

const PAGE = 4_096;

/**
 * Signs what the sequencer committed. A log that once signed a state must never sign another that does not extend it,
 * so every new checkpoint is reached from the stored one by reading the leaves between the two, and the root that
 * comes out must be the head's. Only the leader calls `publish`.
 */
export class Checkpointer {
  private signed = new Map<string, Signed>();
  /** A witness has shown that this ledger went back in time: nothing more is signed until `verify` finds otherwise. */
  private stopped: LedgerFault | null = null;

  constructor(private readonly options: CheckpointerOptions) {}

  /**
   * Compares every stored checkpoint with the database, from the store, not from memory, and with what witnesses hold.
   * Throws a {@link LedgerFault} ("ledger rollback detected …") when a log does not extend what was signed for it: then
   * nothing may be written.
   */
  async verify(): Promise<void> {
    this.signed = new Map();
    for (const log of await this.options.store.logs()) {
      const { signed, head } = await this.load(log);
      if (head !== undefined) await this.extend(log, signed.range.clone(), head);
      this.signed.set(log, signed);
    }
    const logs = (await this.heads()).map(({ log }) => [log, null] as const);
    const notes = [...this.signed].map(([log, { note }]) => [log, note] as const);
    await this.options.publication?.verify(new Map([...logs, ...notes]));
    this.stopped = null;
  }

  /**
   * Signs and stores a checkpoint for every log that grew since its last one, then shows what is stored, with cosignatures,
   * to auditors. Returns the sizes that are signed. The first part is done when the second fails.
   */
  async publish(): Promise<ReadonlyMap<string, number>> {
    if (this.stopped !== null) throw this.stopped;
    for (const head of await this.heads()) {
      const { log } = head;
      if (Number(head.size) === 0) continue;
      const signed = this.signed.get(log) ?? (await this.load(log)).signed;
      this.signed.set(log, signed);
      const size = Number(head.size);
      if (size < signed.range.size) throw rollbackDetected(log, signed.range.size, size);
      if (size > signed.range.size) await this.sign(log, signed, head);
    }
    const notes = [...this.signed].flatMap(([log, { note }]) => (note === null ? [] : [[log, note] as const]));
    await this.options.publication?.show(new Map(notes)).catch((error: unknown) => {
      if (error instanceof LedgerFault) this.stopped = error;
      throw error;
    });
    return new Map([...this.signed].map(([log, { range }]) => [log, range.size]));
  }

  private async sign(log: string, from: Signed, head: HeadRow): Promise<void> {
    const range = await this.extend(log, from.range.clone(), head);
    const signer = this.options.keys.signer(log);
    const note = signNote(checkpointText({ origin: signer.name, size: range.size, root: range.root() }), signer);
    // The key first: whoever finds a checkpoint can verify it.
    if (from.note === null) await this.options.store.publishKey(log, vkey(signer.name, signer.privateKey));
    try {
      await this.options.store.replace(log, from.note, note, range.size);
    } catch (error) {
      this.signed.delete(log);
      throw error;
    }
    this.signed.set(log, { note, range });
    await this.options.store.writeRange(log, Buffer.concat(range.hashes));
  }

  /**
   * The stored checkpoint with the tree that it signs; an empty tree for a log that has none. The head is read after
   * the checkpoint: another process may lead and sign meanwhile, and only in this order can the head not be older.
   */
  private async load(log: string): Promise<{ signed: Signed; head: HeadRow | undefined }> {
    const note = await this.options.store.read(log);
    const [head] = await this.heads(log);
    if (note === null) return { signed: { note, range: new CompactRange() }, head };
    const { size, root } = this.open(log, note);
    const found = Number(head?.size ?? 0);
    if (found < size) throw rollbackDetected(log, size, found);
    const kept = await this.options.store.readRange(log);
    const shortcut = kept === null ? null : rangeOrNull(size, kept);
    if (shortcut !== null && sameBytes(shortcut.root(), root)) return { signed: { note, range: shortcut }, head };
    const range = await this.grow(log, new CompactRange(), size);
    if (!sameBytes(range.root(), root)) {
      throw new LedgerFault(log, size, 'root', `The leaves of log ${log} do not have the root that was signed.`);
    }
    return { signed: { note, range }, head };
  }

  private open(log: string, note: string): { size: number; root: Buffer } {
    const { name, privateKey } = this.options.keys.signer(log);
    try {
      return parseCheckpoint(verifyNote(note, [vkey(name, privateKey)]).text);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : '';
      throw new LedgerFault(log, 0, 'signature', `The stored checkpoint of log ${log} cannot be relied on. ${why}`);
    }
  }

  /** Grows a tree to the size of the head, from the leaves; its root must be the head's, and the head a sequencer's. */
  private async extend(log: string, from: CompactRange, head: HeadRow): Promise<CompactRange> {
    const start = from.size;
    const size = Number(head.size);
    if (size < start) throw rollbackDetected(log, start, size);
    const range = await this.grow(log, from, size);
    if (!sameBytes(range.root(), rangeOrNull(size, head.compact_range)?.root())) {
      throw new LedgerFault(
        log,
        start,
        'consistency',
        `Log ${log} does not extend the ${start} entries that were signed.`,
      );
    }
    const bytes = { log, size, lastLeaf: head.last_leaf, range: head.compact_range };
    if (!headHolds(this.options.keys.macKey, bytes, head.mac)) throw headForged(log, start);
    return range;
  }

  private async grow(log: string, range: CompactRange, size: number): Promise<CompactRange> {
    while (range.size < size) {
      const rows = await this.options.database.query<{ idx: string; leaf: Buffer }>(null, {
        name: 'ledger_leaves_between',
        text: 'SELECT idx, leaf FROM ledger_leaf WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx LIMIT $4',
        values: [log, range.size, size, PAGE],
      });
      if (rows.length === 0) throw missing(log, range.size);
      for (const row of rows) {
        if (Number(row.idx) !== range.size) throw missing(log, range.size);
        range.append(row.leaf);
      }
    }
    return range;
  }

  /** The heads of all logs, or of one. */
  private heads(log: string | null = null): Promise<HeadRow[]> {
    return this.options.database.query<HeadRow>(null, {
      name: 'ledger_heads',
      text: 'SELECT log, size, last_leaf, compact_range, mac FROM ledger_head WHERE $1::text IS NULL OR log = $1 ORDER BY log',
      values: [log],
    });
  }
}

function rangeOrNull(size: number, bytes: Buffer): CompactRange | null {
  try {
    return decodeRange(size, bytes);
  } catch {
    return null;
  }
}

function missing(log: string, index: number): LedgerFault {
  return new LedgerFault(log, index, 'missing-entry', `Log ${log} has no leaf ${index}.`);
}
