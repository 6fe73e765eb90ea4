import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { encodeBundle, encodeEntry, LARGEST_RECORD, ZERO_LEAF } from '../../audit/entry.mjs';
import { HASH_SIZE } from '../../audit/merkle.mjs';
import { parseCheckpoint, splitNote, vkey } from '../../audit/note.mjs';
import { entriesPath, TILE_WIDTH, TileWriter } from '../../audit/tiles.mjs';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';
import type { CheckpointStore } from './checkpoint-store.js';
import type { LedgerKeys } from './keys.js';

export interface ExportSource {
  /** A role that may read the ledger's tables. */
  readonly database: Database;
  readonly store: CheckpointStore;
  readonly keys: LedgerKeys;
}

interface Row {
  readonly idx: string;
  readonly leaf: Buffer;
  /** Null: the leaf is there, its entry is not. */
  readonly record: Buffer | null;
}

const PAGE = 4_096;
const MISSING = Buffer.alloc(0);
const NO_HASH = Buffer.alloc(HASH_SIZE);

/**
 * Dumps a log to a directory of files (c2sp.org/tlog-tiles) that `audit/verify.mjs` reads: the stored checkpoint, and
 * everything it covers. The rows go out as they are, unchecked and unrepaired: an entry that is not there becomes one of
 * length zero, tiles are made of the stored leaf hashes and not of the records, so that the verifier can tell which of
 * the two was changed. Memory does not grow with the log. Returns the number of entries that the checkpoint covers;
 * throws NOT_FOUND for a log without a checkpoint.
 */
export async function exportLog(source: ExportSource, log: string, directory: string): Promise<number> {
  const note = await source.store.read(log);
  if (note === null) {
    throw new Failure('NOT_FOUND', `There is no log ${log} with a checkpoint.`, 'Check the code of the tenant.');
  }
  const { size } = parseCheckpoint(splitNote(note).text);
  const signer = source.keys.signer(log);
  await write(directory, 'checkpoint', note);
  await write(directory, 'log.vkey', `${vkey(signer.name, signer.privateKey)}\n`);

  const tiles = new TileWriter();
  let bundle: Buffer[] = [];
  let previous: Buffer = ZERO_LEAF;
  const append = async (leaf: Buffer, record: Buffer | null): Promise<void> => {
    const whole = record !== null && record.length > 0 && record.length <= LARGEST_RECORD;
    bundle.push(whole ? encodeEntry(previous, record) : MISSING);
    previous = leaf;
    for (const tile of tiles.append(leaf)) await write(directory, tile.path, tile.data);
    if (bundle.length < TILE_WIDTH) return;
    await write(directory, entriesPath(tiles.size / TILE_WIDTH - 1), encodeBundle(bundle));
    bundle = [];
  };

  for await (const rows of pages(source.database, log, size)) {
    for (const row of rows) {
      while (tiles.size < Number(row.idx)) await append(NO_HASH, null);
      await append(row.leaf, row.record);
    }
  }
  while (tiles.size < size) await append(NO_HASH, null);
  for (const tile of tiles.partials()) await write(directory, tile.path, tile.data);
  if (bundle.length > 0) {
    await write(directory, entriesPath(Math.floor(size / TILE_WIDTH), bundle.length), encodeBundle(bundle));
  }
  return size;
}

/** The rows of a log by index, a page at a time; every page begins where the last one ended. */
async function* pages(database: Database, log: string, size: number): AsyncGenerator<Row[]> {
  for (let next = 0; next < size;) {
    const rows = await database.query<Row>(null, {
      name: 'ledger_export',
      text:
        'SELECT leaf.idx, leaf.leaf, entry.record FROM ledger_leaf AS leaf ' +
        'LEFT JOIN ledger_entry AS entry ON entry.id = leaf.entry_id AND entry.recorded_at = leaf.recorded_at ' +
        'WHERE leaf.log = $1 AND leaf.idx >= $2 AND leaf.idx < $3 ORDER BY leaf.idx LIMIT $4',
      values: [log, next, size, PAGE],
    });
    yield rows;
    const last = rows.at(-1);
    if (last === undefined) return;
    next = Number(last.idx) + 1;
  }
}

async function write(directory: string, path: string, content: string | Buffer): Promise<void> {
  const target = join(directory, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, content);
}
