import { mkdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { verifyConsistency } from '../../audit/merkle.mjs';
import { encodeDetails } from '../../audit/details.mjs';
import { type Checkpoint, parseCheckpoint, splitNote } from '../../audit/note.mjs';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import { Failure } from '../kernel/failure.js';
import { Erasures, withoutPlaces } from './export-erasure.js';
import { encodeHashes, encodeRows, type LogFiles, type PublishedCheckpoint } from './log-files.js';
import { hashesAt, type LogPlace, logPath, logPlaces } from './log-path.js';
import { asBuffer } from './log-rows.js';
import { consistencyProof } from './proof.js';

export interface ExportOptions {
  /** Leaves the sealed details out; the verifier then demands none. */
  readonly withoutDetails?: boolean;
  /** Is told again and again how many of all entries are written. */
  readonly progress?: (done: number, size: number) => void;
}

/** Bundles that are read at once. */
const BUNDLES = 8;
const BESIDE_ENTRIES = ['entries', 'mac', 'detail'] as const;

/**
 * Writes a log as a directory of files that `audit/verify.mjs` reads: the published checkpoint and everything it covers, as
 * it is stored, unchecked (see {@link LogFiles}). Goes on in a directory that holds an earlier state of the same log: full
 * files that are there stay, but for details that were erased since. The checkpoint comes last, so that a directory whose export was interrupted verifies as what
 * it was before, or not at all. Memory does not grow with the log. Returns the number of entries that the checkpoint covers.
 * Throws NOT_FOUND for a log without a checkpoint, BAD_USER_INPUT for a directory in which something else lies.
 */
export async function exportLog(
  files: LogFiles,
  log: string,
  directory: string,
  options: ExportOptions = {},
): Promise<number> {
  const published = await files.published(log);
  if (published === null) {
    throw new Failure('NOT_FOUND', `There is no log ${log} with a checkpoint.`, 'Check the code of the tenant.');
  }
  const { note, size } = published;
  const target = new Target(directory);
  const earlier = await earlierState(files, log, published, target);
  for (const name of ['log.vkey', 'writer.keys', 'minimum']) {
    const text = await files.text(log, name);
    if (text !== null) await target.write(name, text);
  }
  if (options.withoutDetails) await rm(join(directory, 'detail'), { recursive: true, force: true });

  const erasures = await writeBundles(files, log, earlier?.size ?? 0, size, target, options);
  if (!options.withoutDetails) await target.erase(await erasures.places(files, log), size);
  for (let level = 1; hashesAt(size, level) > 0; level++) {
    for (const place of logPlaces('tile', level, size)) {
      if (await target.keeps(place)) continue;
      await target.write(logPath(place), await files.bytes(log, place));
    }
  }
  await target.write('checkpoint', note);
  if (earlier !== null) await removeOutgrown(target, earlier.size, size);
  return size;
}

/**
 * Level 0 and what lies beside it, a few bundles at a time; of the entries of the earlier state, `before`, those that are
 * whole in the directory are not even read. Answers what the entries behind that state say was erased.
 */
async function writeBundles(
  files: LogFiles,
  log: string,
  before: number,
  size: number,
  target: Target,
  { withoutDetails = false, progress }: ExportOptions,
): Promise<Erasures> {
  const beside = BESIDE_ENTRIES.filter((kind) => kind !== 'detail' || !withoutDetails);
  const minimum = await files.minimum(log);
  // What was pruned after its retention is not looked for; its hashes stay.
  const kindsAt = (index: number) => (index * TILE_WIDTH < minimum ? [] : beside);
  const erasures = new Erasures();
  let page: LogPlace[] = [];
  const flush = async () => {
    const [first, last] = [page[0], page.at(-1)];
    if (first === undefined || last === undefined) return;
    const start = first.index * TILE_WIDTH;
    const rows = await files.rows(log, start, last.index * TILE_WIDTH + last.width - start);
    rows.forEach((row, at) => erasures.take(start + at, row));
    for (const { index, width } of page) {
      const own = rows.slice(index * TILE_WIDTH - start, index * TILE_WIDTH - start + width);
      const leaves = own.map(({ leaf }) => leaf);
      const tile = { kind: 'tile', level: 0, index, width } as const;
      await Promise.all([
        target.add(tile, () => encodeHashes(leaves, width)),
        ...kindsAt(index).map((kind) => target.add({ kind, level: 0, index, width }, () => encodeRows(kind, own))),
      ]);
    }
    page = [];
  };
  for (const place of logPlaces('tile', 0, size)) {
    const all = [place, ...kindsAt(place.index).map((kind) => ({ ...place, kind }))];
    const known = place.index * TILE_WIDTH + place.width <= before;
    const kept = known && (await Promise.all(all.map((one) => target.keeps(one)))).every(Boolean);
    if (!kept) page.push(place);
    if (page.length === BUNDLES || kept) await flush();
    progress?.(place.index * TILE_WIDTH + place.width, size);
  }
  await flush();
  return erasures;
}

/** What lies in the directory already, as its checkpoint says it; null where no export was finished in it. */
async function earlierState(
  files: LogFiles,
  log: string,
  published: PublishedCheckpoint,
  target: Target,
): Promise<Checkpoint | null> {
  const [key, note] = await Promise.all([target.text('log.vkey'), target.text('checkpoint')]);
  if (key !== null && key.trim() !== files.vkey(log)) throw foreign('It holds the key of another log.');
  if (note === null) return null;
  const earlier = checkpointOf(note);
  if (earlier?.origin !== published.origin) throw foreign('It holds the checkpoint of another log.');
  if (earlier.size > published.size) throw foreign('It holds more entries than the log has now.');
  if (earlier.size === 0) return earlier;
  try {
    const [from, to] = [earlier.size, published.size];
    const proof = await consistencyProof(files, log, from, to);
    verifyConsistency({ from, to, fromRoot: earlier.root, toRoot: published.root, proof });
  } catch {
    throw foreign('It holds another history of the log, or the database does.');
  }
  return earlier;
}

/** Partial files of an earlier state that are full or wider now. */
async function removeOutgrown(target: Target, before: number, size: number): Promise<void> {
  for (let level = 0; hashesAt(before, level) > 0; level++) {
    const had = hashesAt(before, level);
    const width = had % TILE_WIDTH;
    if (width === 0 || had === hashesAt(size, level)) continue;
    const kinds = level === 0 ? (['tile', ...BESIDE_ENTRIES] as const) : (['tile'] as const);
    for (const kind of kinds) {
      await target.remove(logPath({ kind, level, index: Math.floor(had / TILE_WIDTH), width }));
    }
  }
}

function checkpointOf(note: string): Checkpoint | null {
  try {
    return parseCheckpoint(splitNote(note).text);
  } catch {
    return null;
  }
}

function foreign(why: string): Failure {
  return new Failure('BAD_USER_INPUT', `The directory is not of this log. ${why}`, 'Give an empty directory.');
}

/** The directory that is written. Every file appears whole, under its name, or not at all. */
class Target {
  private readonly made = new Set<string>();

  constructor(private readonly directory: string) {}

  /** Whether the file is full and there: then it is what it always will be. */
  async keeps(place: LogPlace): Promise<boolean> {
    if (place.width < TILE_WIDTH) return false;
    return stat(join(this.directory, logPath(place))).then(
      (found) => found.isFile(),
      () => false,
    );
  }

  async add(place: LogPlace, content: () => Buffer): Promise<void> {
    if (!(await this.keeps(place))) await this.write(logPath(place), content());
  }

  async write(path: string, content: string | Buffer): Promise<void> {
    const target = join(this.directory, path);
    const folder = dirname(target);
    if (!this.made.has(folder)) {
      await mkdir(folder, { recursive: true });
      this.made.add(folder);
    }
    await writeFile(`${target}.new`, content);
    await rename(`${target}.new`, target);
  }

  /** Takes out of the files of details, of a log of this size, what must not be in them any more. */
  async erase(placesByBundle: ReadonlyMap<number, readonly number[]>, size: number): Promise<void> {
    for (const [index, places] of placesByBundle) {
      const path = logPath({ kind: 'detail', level: 0, index, width: Math.min(TILE_WIDTH, size - index * TILE_WIDTH) });
      const details = await this.read(path);
      const left = details === null ? null : withoutPlaces(details, places);
      if (left !== null) await this.write(path, asBuffer(encodeDetails(left)));
    }
  }

  async text(path: string): Promise<string | null> {
    return (await this.read(path))?.toString() ?? null;
  }

  private read(path: string): Promise<Buffer | null> {
    return readFile(join(this.directory, path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
  }

  /** Removes a partial file, and the folder of its kind when that was the last one. */
  async remove(path: string): Promise<void> {
    await rm(join(this.directory, path), { force: true });
    await rmdir(dirname(join(this.directory, path))).catch(() => undefined);
  }
}
