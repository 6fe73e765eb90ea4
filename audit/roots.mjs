/**
 * Roots and consistency proofs of a log at any of its sizes, from its tiles alone. The hashes are as the source has them:
 * what follows is only as good as the checkpoint that the root is compared with.
 *
 * @module
 */
import { HASH_SIZE } from './hash.mjs';
import { CompactRange, nodeHash } from './merkle.mjs';
import { subtreesOf, TILE_WIDTH } from './tiles.mjs';

/** @typedef {import('./source.mjs').LogSource} LogSource */

const LEVEL_BITS = 8;

/** Thrown where a hash is not there. */
export class MissingTile extends Error {}

/** The tree of a log of a given size. */
export class TiledTree {
  /**
   * @param {LogSource} source
   * @param {number} size by the log's checkpoint
   */
  constructor(source, size) {
    this.source = source;
    this.size = size;
  }

  /**
   * @param {number} size at most the log's
   * @returns {Promise<Buffer>} the root that the log had at this size
   */
  async rootAt(size) {
    return (await this.rangeAt(size)).root();
  }

  /**
   * @param {number} size at most the log's
   * @returns {Promise<CompactRange>}
   */
  async rangeAt(size) {
    /** @type {Buffer[]} */
    const hashes = [];
    for (const hashesOfLevel of await this.edgeAt(size)) {
      const width = hashesOfLevel.length / HASH_SIZE;
      if (width > 0) hashes.unshift(...subtreesOf(hashesOfLevel, width));
    }
    return new CompactRange(size, hashes);
  }

  /**
   * @param {number} size at most the log's
   * @returns {Promise<Uint8Array[]>} the hashes of the partial tiles at the right edge, the lowest level first
   */
  async edgeAt(size) {
    /** @type {Uint8Array[]} */
    const edge = [];
    for (let [level, count] = [0, size]; count > 0; level++, count = Math.floor(count / TILE_WIDTH)) {
      const index = Math.floor(count / TILE_WIDTH);
      edge.push(await this.#hashes(level, index, count % TILE_WIDTH));
    }
    return edge;
  }

  /**
   * PROOF(from, D[0:to]) of RFC 9162 section 2.1.4.1.
   * @param {number} from at least 1
   * @param {number} to at most the log's size
   * @returns {Promise<Buffer[]>}
   */
  async consistencyProof(from, to) {
    /** @type {Buffer[]} */
    const path = [];
    let [start, end] = [0, to];
    while (end !== from) {
      const middle = start + largestPowerBelow(end - start);
      if (from <= middle) {
        path.push(await this.#subtree(middle, end));
        end = middle;
      } else {
        path.push(await this.#subtree(start, middle));
        start = middle;
      }
    }
    // The older tree's own last subtree is left out only where it is the whole older tree, whose root the reader has.
    if (start !== 0) path.push(await this.#subtree(start, end));
    return path.reverse();
  }

  /**
   * @param {number} start a multiple of the largest power of two that is not above end − start
   * @param {number} end
   * @returns {Promise<Buffer>} MTH(D[start:end])
   */
  async #subtree(start, end) {
    const power = largestPowerBelow(end - start + 1);
    const left = await this.#perfect(start, power);
    return power === end - start ? left : nodeHash(left, await this.#subtree(start + power, end));
  }

  /**
   * @param {number} start a multiple of the number of leaves
   * @param {number} leaves a power of two
   * @returns {Promise<Buffer>}
   */
  async #perfect(start, leaves) {
    const level = Math.floor(Math.log2(leaves) / LEVEL_BITS);
    const covered = TILE_WIDTH ** level;
    const [first, width] = [start / covered, leaves / covered];
    const at = first % TILE_WIDTH;
    const hashes = await this.#hashes(level, Math.floor(first / TILE_WIDTH), at + width);
    return /** @type {Buffer} */ (subtreesOf(hashes.subarray(at * HASH_SIZE), width)[0]);
  }

  /**
   * @param {number} level
   * @param {number} index
   * @param {number} width how many of its hashes are wanted
   * @returns {Promise<Uint8Array>} end to end
   */
  async #hashes(level, index, width) {
    if (width === 0) return new Uint8Array(0);
    const there = Math.min(TILE_WIDTH, Math.floor(this.size / TILE_WIDTH ** level) - index * TILE_WIDTH);
    const tile = await this.source.tile(level, index, there);
    if (tile === null || tile.length < width) throw new MissingTile(`A hash of level ${level} is missing.`);
    const hashes = new Uint8Array(width * HASH_SIZE);
    for (let at = 0; at < width; at++) hashes.set(/** @type {Uint8Array} */ (tile[at]), at * HASH_SIZE);
    return hashes;
  }
}

/**
 * @param {number} size at least two
 * @returns {number} the largest power of two below it
 */
function largestPowerBelow(size) {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}
