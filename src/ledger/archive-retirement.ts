import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LogDirectory } from '../../audit/directory.mjs';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import { syncDirectory } from './durable-file.js';
import { requireLogName } from './keys.js';
import { type LogPlace, logPath } from './log-path.js';

const BESIDE_ENTRIES = ['entries', 'mac', 'detail'] as const;

/**
 * After a declared restore: what the archive holds of a log beyond the restored size, and its checkpoint, goes to
 * `incarnations/<number>/` in the same folders. It is the last copy of what was lost. What lies below stays: it is the
 * beginning of the log that goes on. Repeating it changes nothing.
 */
export async function retireArchive(
  archiveDirectory: string,
  log: string,
  incarnation: number,
  size: number,
): Promise<void> {
  const directory = join(archiveDirectory, requireLogName(log));
  const archive = new LogDirectory(directory);
  // Written first by an export, and moved last here: without it there is nothing to do, or nothing left.
  if ((await archive.text('log.vkey')) === null) return;
  const aside = join(directory, 'incarnations', String(incarnation));
  for await (const path of beyond(archive, size)) await move(directory, aside, path);
  await move(directory, aside, 'checkpoint');
  await move(directory, aside, 'log.vkey');
  await syncDirectory(aside);
  await syncDirectory(directory);
}

/** Every file in which something stands that does not belong to the first `size` entries; and every partial one. */
async function* beyond(archive: LogDirectory, size: number): AsyncGenerator<string> {
  let last = await archive.highestBundle();
  for (let level = 0, covered = TILE_WIDTH; last >= 0; level++, covered *= TILE_WIDTH) {
    const kinds: LogPlace['kind'][] = level === 0 ? [...BESIDE_ENTRIES, 'tile'] : ['tile'];
    for (let index = Math.floor(size / covered); index <= last; index++) {
      for (const kind of kinds) {
        const path = logPath({ kind, level, index, width: TILE_WIDTH });
        yield path;
        for (const width of await archive.widths(path)) yield `${path}.p/${width}`;
      }
    }
    last = last === 0 && level > 0 ? -1 : Math.floor(last / TILE_WIDTH);
  }
}

async function move(directory: string, aside: string, path: string): Promise<void> {
  await mkdir(dirname(join(aside, path)), { recursive: true });
  await rename(join(directory, path), join(aside, path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
