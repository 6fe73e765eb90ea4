import { CompactRange, sameBytes } from '../../audit/merkle.mjs';
import { type Checkpoint, parseCheckpoint, splitNote } from '../../audit/note.mjs';
import type { Database } from '../persistence/database.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { headForged, LedgerFault } from './fault.js';
import { decodeRange, headHolds } from './head.js';
import type { LedgerKeys } from './keys.js';

/** A row of `ledger_head`. */
export interface HeadRow {
  readonly log: string;
  readonly size: string;
  readonly last_leaf: Buffer;
  readonly compact_range: Buffer;
  readonly mac: Buffer;
}

const PAGE = 4_096;

/**
 * Walks the leaves of a log that was restored: the database must have been what was signed for it, at every size of which a
 * checkpoint is kept, and must end with a head that a sequencer wrote. Throws a {@link LedgerFault} where it is not so: then
 * this is no earlier state of the log, but another log.
 */
export async function requirePriorState(
  { database, store, keys }: { database: Database; store: CheckpointStore; keys: LedgerKeys },
  head: HeadRow,
  signed: Checkpoint | null,
): Promise<void> {
  const { log, last_leaf: lastLeaf, compact_range: bytes } = head;
  const size = Number(head.size);
  const kept = (await store.kept(log)).map((note) => parseCheckpoint(splitNote(note).text));
  const roots = new Map([...kept, ...(signed === null ? [] : [signed])].map((known) => [known.size, known.root]));
  const range = new CompactRange();
  while (range.size < size) {
    const rows = await database.query<{ idx: string; leaf: Buffer }>(null, {
      name: 'ledger_leaves_from',
      text: 'SELECT idx, leaf FROM ledger_leaf WHERE log = $1 AND idx >= $2 ORDER BY idx LIMIT $3',
      values: [log, range.size, Math.min(PAGE, size - range.size)],
    });
    if (rows.length === 0) throw other(log, range.size);
    for (const { idx, leaf } of rows) {
      if (Number(idx) !== range.size) throw other(log, range.size);
      range.append(leaf);
      const root = roots.get(range.size);
      if (root !== undefined && !sameBytes(range.root(), root)) throw other(log, range.size);
    }
  }
  if (!sameBytes(range.root(), decodeRange(size, bytes).root())) throw other(log, size);
  if (!headHolds(keys.macKey, { log, size, lastLeaf, range: bytes }, head.mac)) throw headForged(log, size);
}

function other(log: string, index: number): LedgerFault {
  return new LedgerFault(
    log,
    index,
    'consistency',
    `The database is no earlier state of log ${log}: its entries are not those that were signed.`,
  );
}
