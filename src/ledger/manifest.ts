import { createHash, hash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import { syncDirectory, writeDurably } from './durable-file.js';
import { hashesAt, type LogPlace, logPath } from './log-path.js';

/** The entries of a month of a log: they stand between these indexes, with others in between. */
export interface MonthRange {
  readonly month: string;
  readonly firstIndex: number;
  readonly lastIndex: number;
}

const BESIDE_ENTRIES = ['entries', 'mac', 'detail', 'tile'] as const;

/** Where the manifest of a month lies in the log's archive. */
export function manifestPath(month: string): string {
  return `manifest/${month}.sha256`;
}

/**
 * Writes which files hold a month, each with its SHA-256, so that `sha256sum -c` can check them; the checkpoint that covers
 * them lies beside it. Everything that it names is on the disk when it resolves: the export does not wait for that. A partial
 * file of the log's end is replaced when the log grows, and details may be erased: such lines fail later, and rightly.
 *
 * @param size of the archived log, by its checkpoint
 * @returns SHA-256 of the manifest
 */
export async function writeManifest(directory: string, range: MonthRange, size: number): Promise<Buffer> {
  const note = `manifest/${range.month}.checkpoint`;
  await writeDurably(join(directory, note), await readFile(join(directory, 'checkpoint')));
  const lines: string[] = [];
  const folders = new Set<string>();
  for (const path of [note, ...placesOf(range, size)]) {
    lines.push(`${await syncedHash(join(directory, path))}  ${path}\n`);
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) folders.add(folder);
  }
  for (const folder of [...folders, '.']) await syncDirectory(join(directory, folder));
  const text = lines.join('');
  await writeDurably(join(directory, manifestPath(range.month)), text);
  return hash('sha256', text, 'buffer');
}

/** SHA-256 of the manifest that is there; null without one. */
export async function manifestHash(directory: string, month: string): Promise<Buffer | null> {
  try {
    return hash('sha256', await readFile(join(directory, manifestPath(month))), 'buffer');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Every file in which something of these entries stands: bundles, what lies beside them, and the tiles above. */
function* placesOf({ firstIndex, lastIndex }: MonthRange, size: number): Generator<string> {
  const place = (kind: LogPlace['kind'], level: number, index: number) => {
    const width = Math.min(TILE_WIDTH, hashesAt(size, level) - index * TILE_WIDTH);
    return width < 1 ? null : logPath({ kind, level, index, width });
  };
  for (let level = 0; hashesAt(size, level) > 0; level++) {
    const covered = TILE_WIDTH ** (level + 1);
    for (let index = Math.floor(firstIndex / covered); index <= Math.floor(lastIndex / covered); index++) {
      for (const kind of level === 0 ? BESIDE_ENTRIES : (['tile'] as const)) {
        const path = place(kind, level, index);
        if (path !== null) yield path;
      }
    }
  }
}

async function syncedHash(path: string): Promise<string> {
  const file = await open(path, 'r+');
  try {
    const digest = createHash('sha256')
      .update(await file.readFile())
      .digest('hex');
    await file.sync();
    return digest;
  } finally {
    await file.close();
  }
}
