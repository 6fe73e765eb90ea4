/**
 * The walk over a log's files: bundle after bundle with the tile of their leaf hashes, the tiles above them, and the
 * older checkpoints on the way.
 *
 * @module
 */
import { toHex } from './bytes.mjs';
import { HASH_SIZE } from './hash.mjs';
import { Inspector } from './inspection.mjs';
import { TILE_WIDTH } from './tiles.mjs';

/** @typedef {import('./inspection.mjs').Inspected} Inspected */
/** @typedef {import('./inspection.mjs').InspectionOptions} InspectionOptions */
/** @typedef {import('./inspection.mjs').Part} Part */
/** @typedef {import('./kept.mjs').KeptCheckpoints} KeptCheckpoints */
/** @typedef {import('./report.mjs').Findings} Findings */
/** @typedef {import('./source.mjs').LogSource} LogSource */
/** @typedef {import('./tiles.mjs').Tile} Tile */
/** @typedef {import('./walk.mjs').Walk} Walk */

/** Bundles that are read before their turn comes. */
const READ_AHEAD = 4;

/**
 * Who looks at the bundles first: this thread, or several others.
 * @typedef {object} Inspections
 * @property {(number: number, previous: Uint8Array | undefined) => Promise<{part: Part | null, inspected: Inspected | null}>}
 *   next of the bundle of this number, each once and in order; the leaf before it as the walk has it
 * @property {() => Promise<void>} close
 */

/**
 * @typedef {object} Journey
 * @property {LogSource} source
 * @property {number} size of the log
 * @property {number} minimum index below which entries may be pruned
 * @property {InspectionOptions} options
 * @property {Walk} walk
 * @property {Findings} findings
 * @property {KeptCheckpoints} kept
 * @property {Inspections} inspections
 * @property {(entries: number, size: number) => void} [progress]
 */

/**
 * Feeds the entries that the checkpoint covers to the walk, from where it stands. Memory does not grow with the log.
 * @param {Journey} journey
 * @returns {Promise<void>}
 */
export async function walkBundles(journey) {
  const { source, size, walk, kept, inspections, progress } = journey;
  kept.compare(walk);
  for (let number = Math.floor(walk.size / TILE_WIDTH); number * TILE_WIDTH < size; number++) {
    const { part, inspected } = await inspections.next(number, walk.previous.stored);
    const end = (number + 1) * TILE_WIDTH;
    if (inspected !== null && !kept.within(walk.size, end) && walk.accepts(inspected)) {
      for (const made of walk.takeBundle(inspected)) await compareTile(source, made, walk, journey.findings);
    } else {
      const read = part ?? (await readPart(source, number, size, journey.options));
      if (!(await walkBundle(journey, read))) break;
    }
    kept.compare(walk);
    progress?.(walk.size, size);
  }
  if (walk.size === size) {
    for (const made of walk.stored.partials()) await compareTile(source, made, walk, journey.findings);
  }
}

/**
 * A bundle entry by entry.
 * @param {Journey} journey
 * @param {Part} part
 * @returns {Promise<boolean>} false when nothing follows
 */
async function walkBundle({ source, size, minimum, walk, findings, kept }, part) {
  const { number, width, bundle, tile, macs, details } = part;
  const end = number * TILE_WIDTH + width;
  if (end <= minimum && (bundle?.entries ?? []).every((entry) => entry.length === 0)) {
    for (let at = walk.size % TILE_WIDTH; at < width; at++) {
      for (const made of walk.takePruned(tile?.[at])) await compareTile(source, made, walk, findings);
      kept.compare(walk);
    }
    return true;
  }
  if (bundle === null && number > (await source.highestBundle())) {
    walk.missingRest(size);
    return false;
  }
  if (tile === null && bundle !== null) {
    const message = 'The tile of leaf hashes is missing.';
    findings.fault({ index: walk.size, class: 'tile', expected: null, found: null, message });
  }
  for (let at = walk.size % TILE_WIDTH; at < width; at++) {
    for (const made of walk.take(bundle?.entries[at], tile, macs?.[at], details?.[at])) {
      await compareTile(source, made, walk, findings);
    }
    kept.compare(walk);
  }
  if (bundle?.surplus) {
    const message = 'The bundle holds more than its entries.';
    findings.fault({ index: walk.size, class: 'extra-entry', expected: null, found: null, message });
  }
  return true;
}

/**
 * @param {LogSource} source
 * @param {number} number
 * @param {number} size of the log
 * @param {InspectionOptions} options
 * @returns {Promise<Part>}
 */
export async function readPart(source, number, size, { records, details, keys }) {
  const width = Math.max(0, Math.min(TILE_WIDTH, size - number * TILE_WIDTH));
  if (width === 0) return { number, width, bundle: null, tile: null, macs: null, details: null };
  const [bundle, tile, macs, ciphertexts] = await Promise.all([
    source.bundle(number, width),
    source.tile(0, number, width),
    records && keys.size > 0 ? source.macs(number, width) : null,
    records && details ? source.details(number, width) : null,
  ]);
  return { number, width, bundle, tile, macs, details: ciphertexts };
}

/** Inspects in this thread. The next bundles are read while one is inspected. @implements {Inspections} */
export class InlineInspections {
  /**
   * @param {LogSource} source
   * @param {number} size of the log
   * @param {InspectionOptions} options
   * @param {Inspector} [inspector]
   * @param {number} [end] the number of the bundle before which it stops
   */
  constructor(source, size, options, inspector = new Inspector(options), end = Math.ceil(size / TILE_WIDTH)) {
    this.source = source;
    this.size = size;
    this.end = end;
    this.options = options;
    this.inspector = inspector;
    /** @type {Map<number, Promise<Part>>} */
    this.ahead = new Map();
  }

  /**
   * @param {number} number
   * @param {Uint8Array | undefined} previous
   * @returns {Promise<{part: Part, inspected: Inspected | null}>}
   */
  async next(number, previous) {
    for (let ahead = number; ahead <= number + READ_AHEAD && ahead < this.end; ahead++) {
      if (this.ahead.has(ahead)) continue;
      const read = readPart(this.source, ahead, this.size, this.options);
      // Its error is thrown when its turn comes; until then it must not count as unhandled.
      read.catch(() => undefined);
      this.ahead.set(ahead, read);
    }
    const part = await /** @type {Promise<Part>} */ (this.ahead.get(number));
    this.ahead.delete(number);
    return { part, inspected: this.inspector.inspect(part, previous) };
  }

  /** @returns {Promise<void>} */
  close() {
    this.ahead.clear();
    return Promise.resolve();
  }
}

/**
 * Compares a tile above the leaves with the file. Where an entry below it has a fault, a difference is only the
 * consequence and is not reported.
 * @param {LogSource} source
 * @param {Tile} made of the level below
 * @param {Walk} walk
 * @param {Findings} findings
 * @returns {Promise<void>}
 */
async function compareTile(source, made, walk, findings) {
  if (made.level === 0) return;
  const covered = TILE_WIDTH ** made.level;
  const start = made.index * TILE_WIDTH * covered;
  const hashes = await source.tile(made.level, made.index, made.width);
  if (hashes === null) {
    const message = `The file ${made.path} is missing.`;
    findings.fault({ index: start, class: 'tile', expected: made.path, found: null, message });
    return;
  }
  for (let at = 0; at < made.width; at++) {
    const expected = toHex(made.data.subarray(at * HASH_SIZE, (at + 1) * HASH_SIZE));
    const hash = hashes[at];
    const found = hash === undefined ? null : toHex(hash);
    const first = start + at * covered;
    if (found === expected || walk.faultyWithin(first, first + covered - 1)) continue;
    const message = `The file ${made.path} does not follow from the level below.`;
    findings.fault({ index: first, class: 'tile', expected, found, message });
    return;
  }
}
