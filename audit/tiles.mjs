/**
 * The files of a log (c2sp.org/tlog-tiles): where they are, and the hash tiles made of a log's leaf hashes.
 *
 * @module
 */
import { CompactRange, HASH_SIZE } from './merkle.mjs';

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256;

/**
 * A tile's number in groups of three digits, all but the last with an x before: 1234067 is x001/x234/067.
 * @param {number} index
 * @param {number} width
 * @returns {string}
 */
function numberPath(index, width) {
  if (!Number.isSafeInteger(index) || index < 0) throw new Error('The number of a tile is a whole number.');
  if (!Number.isInteger(width) || width < 1 || width > TILE_WIDTH) throw new Error('A tile is 1 to 256 wide.');
  let path = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`;
  }
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

/**
 * The path of a hash tile under the log's directory.
 * @param {number} level 0 holds leaf hashes, each level above hashes over 256 of the level below
 * @param {number} index
 * @param {number} [width] below 256: a partial tile
 * @returns {string}
 */
export function tilePath(level, index, width = TILE_WIDTH) {
  if (!Number.isInteger(level) || level < 0 || level > 63) throw new Error('The level of a tile is 0 to 63.');
  return `tile/${level}/${numberPath(index, width)}`;
}

/**
 * The path of an entry bundle under the log's directory.
 * @param {number} index
 * @param {number} [width] below 256: a partial bundle
 * @returns {string}
 */
export function entriesPath(index, width = TILE_WIDTH) {
  return `tile/entries/${numberPath(index, width)}`;
}

/**
 * @typedef {object} Tile
 * @property {number} level
 * @property {number} index
 * @property {number} width
 * @property {string} path
 * @property {Buffer} data width × 32 bytes
 */

/**
 * Takes the leaf hashes of a log one by one and yields its tiles as they fill; holds at most one open tile a level,
 * whatever the size of the log.
 */
export class TileWriter {
  constructor() {
    /** @type {{index: number, hashes: Buffer[], range: CompactRange}[]} */
    this.open = [];
    /** @type {number} */
    this.size = 0;
  }

  /**
   * @param {Buffer} leaf the hash of the next leaf
   * @returns {Tile[]} the full tiles that it completes, the lowest level first
   */
  append(leaf) {
    this.size += 1;
    /** @type {Tile[]} */
    const finished = [];
    let hash = leaf;
    for (let level = 0; ; level++) {
      const tile = (this.open[level] ??= { index: 0, hashes: [], range: new CompactRange() });
      tile.hashes.push(hash);
      tile.range.append(hash);
      if (tile.hashes.length < TILE_WIDTH) return finished;
      finished.push(tileOf(level, tile.index, tile.hashes));
      hash = tile.range.root();
      this.open[level] = { index: tile.index + 1, hashes: [], range: new CompactRange() };
    }
  }

  /** @returns {CompactRange} the tree over the leaves so far; a copy */
  tree() {
    return new CompactRange(
      this.size,
      this.open.toReversed().flatMap(({ range }) => range.hashes),
    );
  }

  /** @returns {Tile[]} the partial tiles at the right edge, the lowest level first; changes nothing */
  partials() {
    return this.open.flatMap(({ index, hashes }, level) => (hashes.length === 0 ? [] : [tileOf(level, index, hashes)]));
  }
}

/**
 * @param {number} level
 * @param {number} index
 * @param {readonly Buffer[]} hashes
 * @returns {Tile}
 */
function tileOf(level, index, hashes) {
  const width = hashes.length;
  return { level, index, width, path: tilePath(level, index, width), data: Buffer.concat(hashes, width * HASH_SIZE) };
}

/**
 * All tiles of a log, full and partial, of all levels.
 * @param {Iterable<Buffer>} leafHashes
 * @returns {Map<string, Buffer>} by path
 */
export function tilesOf(leafHashes) {
  const writer = new TileWriter();
  /** @type {Map<string, Buffer>} */
  const tiles = new Map();
  for (const leaf of leafHashes) for (const tile of writer.append(leaf)) tiles.set(tile.path, tile.data);
  for (const tile of writer.partials()) tiles.set(tile.path, tile.data);
  return tiles;
}
