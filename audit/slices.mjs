/**
 * Inspection in slices: each begins at the stored leaf before it, so that slices can be inspected by several threads at
 * once. The walk takes the results in order and compares where they join, so its verdict is the one that it would have
 * come to alone.
 *
 * @module
 */
import { InlineInspections } from './bundles.mjs';
import { HASH_SIZE } from './hash.mjs';
import { TILE_WIDTH } from './tiles.mjs';

/** @typedef {import('./bundles.mjs').Inspections} Inspections */
/** @typedef {import('./inspection.mjs').Inspected} Inspected */
/** @typedef {import('./inspection.mjs').InspectionOptions} InspectionOptions */
/** @typedef {import('./inspection.mjs').Inspector} Inspector */
/** @typedef {import('./source.mjs').LogSource} LogSource */

/** @typedef {{first: number, count: number}} Slice numbers of bundles */

/**
 * @typedef {object} SliceInspector
 * @property {(slice: Slice) => Promise<(Inspected | null)[]>} inspect takes one after the other
 * @property {() => Promise<unknown>} close
 */

/** Bundles of a slice. */
const SLICE = 16;
/** Slices that an inspector has before it, so that it never waits for the walk. */
const SLICES_AHEAD = 3;

/** @implements {Inspections} */
export class SlicedInspections {
  /**
   * @param {SliceInspector[]} inspectors
   * @param {number} size of the log
   * @param {number} from where the walk begins
   * @param {number} [length] bundles of a slice
   */
  constructor(inspectors, size, from, length = SLICE) {
    this.inspectors = inspectors.map((inspector) => ({ inspector, open: 0 }));
    this.end = Math.ceil(size / TILE_WIDTH);
    this.planned = Math.floor(from / TILE_WIDTH);
    this.length = length;
    /** By the number of their first bundle, in order. @type {Map<number, Promise<(Inspected | null)[]>>} */
    this.slices = new Map();
  }

  /**
   * @param {number} number
   * @returns {Promise<{part: null, inspected: Inspected | null}>}
   */
  async next(number) {
    while (this.planned < this.end && this.slices.size < this.inspectors.length * SLICES_AHEAD) this.#plan();
    const [first, result] = /** @type {[number, Promise<(Inspected | null)[]>]} */ (this.slices.entries().next().value);
    const inspected = await result;
    if (number === first + inspected.length - 1) this.slices.delete(first);
    return { part: null, inspected: inspected[number - first] ?? null };
  }

  /** @returns {Promise<void>} */
  async close() {
    await Promise.all(this.inspectors.map(({ inspector }) => inspector.close()));
  }

  /** Gives the next slice to whoever has the least to do. */
  #plan() {
    const slice = { first: this.planned, count: Math.min(this.length, this.end - this.planned) };
    const idle = this.inspectors.reduce((least, one) => (one.open < least.open ? one : least));
    idle.open += 1;
    const result = idle.inspector.inspect(slice).finally(() => (idle.open -= 1));
    // Its error is thrown when its turn comes; until then it must not count as unhandled.
    result.catch(() => undefined);
    this.slices.set(slice.first, result);
    this.planned += slice.count;
  }
}

/**
 * What a thread does with a slice.
 * @param {LogSource} source
 * @param {number} size of the log
 * @param {InspectionOptions} options
 * @param {Inspector} inspector with the same options
 * @param {Slice} slice
 * @returns {Promise<(Inspected | null)[]>}
 */
export async function inspectSlice(source, size, options, inspector, { first, count }) {
  const inspections = new InlineInspections(source, size, options, inspector, first + count);
  /** @type {Uint8Array | undefined} */
  let previous = new Uint8Array(HASH_SIZE);
  if (first > 0) previous = (await source.tile(0, first - 1, TILE_WIDTH))?.[TILE_WIDTH - 1];
  /** @type {(Inspected | null)[]} */
  const results = [];
  for (let number = first; number < first + count; number++) {
    const { part, inspected } = await inspections.next(number, previous);
    previous = inspected?.last ?? part.tile?.[TILE_WIDTH - 1];
    results.push(inspected);
  }
  return results;
}
