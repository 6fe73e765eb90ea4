/**
 * The walk over a log's files: bundle after bundle with the tile of their leaf hashes, the tiles above them, and the
 * older checkpoints on the way.
 *
 * @module
 */
import { HASH_SIZE } from './merkle.mjs';
import { TILE_WIDTH } from './tiles.mjs';

/** @typedef {import('./directory.mjs').LogDirectory} LogDirectory */
/** @typedef {import('./note.mjs').Checkpoint} Checkpoint */
/** @typedef {import('./report.mjs').Findings} Findings */
/** @typedef {import('./tiles.mjs').Tile} Tile */
/** @typedef {import('./walk.mjs').Walk} Walk */

/**
 * Feeds all entries that the checkpoint covers to the walk. The next bundle is read while the last is checked; memory
 * does not grow with the log.
 * @param {LogDirectory} log
 * @param {Checkpoint} checkpoint
 * @param {Walk} walk
 * @param {Findings} findings
 * @param {readonly Checkpoint[]} kept older checkpoints, by size
 * @returns {Promise<void>}
 */
export async function walkBundles(log, checkpoint, walk, findings, kept) {
  const { size } = checkpoint;
  const older = new KeptCheckpoints(kept, checkpoint, findings);
  older.compare(walk);
  let next = readPart(log, 0, size);
  for (let number = 0; number * TILE_WIDTH < size; number++) {
    const { width, bundle, tile } = await next;
    if (bundle === null && number > (await log.highestBundle())) {
      walk.missingRest(size);
      break;
    }
    next = readPart(log, number + 1, size);
    // Its error is thrown when its turn comes; until then it must not count as unhandled.
    next.catch(() => undefined);
    if (tile === null && bundle !== null) {
      const message = 'The tile of leaf hashes is missing.';
      findings.fault({ index: walk.size, class: 'tile', expected: null, found: null, message });
    }
    for (let at = 0; at < width; at++) {
      for (const made of walk.take(bundle?.entries[at], tile)) await compareTile(log, made, walk, findings);
      older.compare(walk);
    }
    if (bundle?.surplus) {
      const message = 'The bundle holds more than its entries.';
      findings.fault({ index: walk.size, class: 'extra-entry', expected: null, found: null, message });
    }
  }
  if (walk.size === size) for (const made of walk.stored.partials()) await compareTile(log, made, walk, findings);
  older.finish();
}

/**
 * @param {LogDirectory} log
 * @param {number} number
 * @param {number} size of the log
 */
async function readPart(log, number, size) {
  const width = Math.max(0, Math.min(TILE_WIDTH, size - number * TILE_WIDTH));
  if (width === 0) return { width, bundle: null, tile: null };
  const [bundle, tile] = await Promise.all([log.bundle(number, width), log.tile(0, number, width)]);
  return { width, bundle, tile };
}

/**
 * Compares a tile above the leaves with the file. Where an entry below it has a fault, a difference is only the
 * consequence and is not reported.
 * @param {LogDirectory} log
 * @param {Tile} made of the level below
 * @param {Walk} walk
 * @param {Findings} findings
 * @returns {Promise<void>}
 */
async function compareTile(log, made, walk, findings) {
  if (made.level === 0) return;
  const covered = TILE_WIDTH ** made.level;
  const start = made.index * TILE_WIDTH * covered;
  const hashes = await log.tile(made.level, made.index, made.width);
  if (hashes === null) {
    const message = `The file ${made.path} is missing.`;
    findings.fault({ index: start, class: 'tile', expected: made.path, found: null, message });
    return;
  }
  for (let at = 0; at < made.width; at++) {
    const expected = made.data.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE);
    const found = hashes[at];
    const first = start + at * covered;
    if (found?.equals(expected) || walk.faultyWithin(first, first + covered - 1)) continue;
    const message = `The file ${made.path} does not follow from the level below.`;
    const values = { expected: expected.toString('hex'), found: found?.toString('hex') ?? null };
    findings.fault({ index: first, class: 'tile', ...values, message });
    return;
  }
}

/** The checkpoints that the auditor kept: the log must have passed through each of them. */
class KeptCheckpoints {
  /**
   * @param {readonly Checkpoint[]} kept by size
   * @param {Checkpoint} checkpoint
   * @param {Findings} findings
   */
  constructor(kept, checkpoint, findings) {
    this.rest = [...kept];
    this.checkpoint = checkpoint;
    this.findings = findings;
  }

  /**
   * Call whenever the walk has grown.
   * @param {Walk} walk
   * @returns {void}
   */
  compare(walk) {
    for (let next = this.rest[0]; next !== undefined && next.size === walk.size; next = this.rest[0]) {
      this.rest.shift();
      if (next.origin === this.checkpoint.origin && walk.hasRoot(next.root) !== false) continue;
      const message = `The log is not the one of the kept checkpoint of size ${next.size}: its history was replaced.`;
      const found = walk.stored.tree().root().toString('hex');
      this.findings.fault({ index: null, class: 'consistency', expected: next.root.toString('hex'), found, message });
    }
  }

  /** @returns {void} */
  finish() {
    const { size } = this.checkpoint;
    const last = this.rest.at(-1);
    if (last === undefined || last.size <= size) return;
    const message = `The log was rolled back: a kept checkpoint covers ${last.size} entries.`;
    this.findings.fault({ index: size, class: 'consistency', expected: `${last.size}`, found: `${size}`, message });
  }
}
