/**
 * The files of a log (c2sp.org/tlog-tiles): where they are, and the hash tiles made of a log's leaf hashes.
 *
 * @module
 */
import { allocate, HASH_SIZE, sha256Into } from './hash.mjs';
import { CompactRange } from './merkle.mjs';

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
 * The path of the file with the MACs of a bundle's records.
 * @param {number} index
 * @param {number} [width]
 * @returns {string}
 */
export function macPath(index, width = TILE_WIDTH) {
  return `mac/${numberPath(index, width)}`;
}

/**
 * The path of the file with the sealed details of a bundle's records.
 * @param {number} index
 * @param {number} [width]
 * @returns {string}
 */
export function detailPath(index, width = TILE_WIDTH) {
  return `detail/${numberPath(index, width)}`;
}

/**
 * @typedef {object} Tile
 * @property {number} level
 * @property {number} index
 * @property {number} width
 * @property {string} path
 * @property {Buffer} data width × 32 bytes
 */

/** The rows of a tile's tree: 256 hashes, 128, 64 and so on to one. A byte stands before the first hash of each. */
const ROWS = Array.from({ length: 9 }, (_, row) => new Uint8Array(1 + HASH_SIZE * (TILE_WIDTH >> row)));
/** The pairs of each row, each with the byte before it: what is hashed to a hash of the next row. */
const PAIRS = ROWS.slice(0, 8).map((row) =>
  Array.from({ length: (row.length - 1) / 64 }, (_, pair) => row.subarray(64 * pair, 64 * pair + 65)),
);

/**
 * The roots of the complete subtrees over the hashes of a tile, one per set bit of their number. Writes nothing but its
 * own memory, and allocates nothing on the way: this is half of all hashing in a verification.
 * @param {Uint8Array} hashes
 * @param {number} width how many there are, 1 to 256
 * @returns {Buffer[]} from the largest subtree to the smallest
 */
export function subtreesOf(hashes, width) {
  ROWS[0]?.set(hashes.subarray(0, width * HASH_SIZE), 1);
  /** @type {Buffer[]} */
  const roots = [];
  for (let [row, count] = [0, width]; count > 0; row++, count >>= 1) {
    const from = /** @type {Uint8Array} */ (ROWS[row]);
    if (count % 2 === 1) roots.unshift(copyOf(from, 1 + (count - 1) * HASH_SIZE));
    for (let pair = 0; pair < count >> 1; pair++) {
      // The byte before a pair is the last one of the pair before, which is done with: here it becomes the node's 0x01.
      from[64 * pair] = 1;
      const input = /** @type {Uint8Array} */ (PAIRS[row]?.[pair]);
      sha256Into(input, /** @type {Uint8Array} */ (ROWS[row + 1]), 1 + pair * HASH_SIZE);
    }
  }
  return roots;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {Buffer} a hash of its own
 */
function copyOf(bytes, at) {
  const hash = allocate(HASH_SIZE);
  hash.set(bytes.subarray(at, at + HASH_SIZE));
  return hash;
}

/**
 * Takes the leaf hashes of a log one by one and yields its tiles as they fill; holds at most one open tile a level,
 * whatever the size of the log.
 */
export class TileWriter {
  constructor() {
    /** @type {{index: number, width: number, data: Buffer}[]} */
    this.open = [];
    /** @type {number} */
    this.size = 0;
  }

  /**
   * @param {Uint8Array} leaf the hash of the next leaf
   * @returns {Tile[]} the full tiles that it completes, the lowest level first
   */
  append(leaf) {
    this.size += 1;
    return this.#append(0, leaf);
  }

  /**
   * Takes the next 256 leaves at once; the size before is a multiple of 256.
   * @param {Uint8Array} root over them
   * @returns {Tile[]} the full tiles that they complete, from level 1 up: the one of level 0 is what the caller has
   */
  appendTile(root) {
    const leaves = this.#level(0);
    if (leaves.width > 0) throw new Error('The open tile of leaves is not empty.');
    leaves.index += 1;
    this.size += TILE_WIDTH;
    return this.#append(1, root);
  }

  /** @returns {TileWriter} */
  clone() {
    const copy = new TileWriter();
    copy.size = this.size;
    for (const [level, tile] of this.open.entries()) {
      const { index, width, data } = tile;
      const own = copy.#level(level);
      own.data.set(data);
      [own.index, own.width] = [index, width];
    }
    return copy;
  }

  /**
   * A log's right edge as the files have it, for a verification that goes on from it.
   * @param {number} size
   * @param {readonly Uint8Array[]} tiles the hashes of the partial tile of each level, end to end; nothing for level n
   *   where size is a multiple of 256^(n + 1)
   * @returns {TileWriter}
   */
  static from(size, tiles) {
    const writer = new TileWriter();
    writer.size = size;
    for (const [level, hashes] of tiles.entries()) {
      const tile = writer.#level(level);
      tile.data.set(hashes);
      tile.width = hashes.length / HASH_SIZE;
      tile.index = Math.floor(size / TILE_WIDTH ** (level + 1));
    }
    return writer;
  }

  /** @returns {CompactRange} the tree over the leaves so far; a copy */
  tree() {
    return new CompactRange(
      this.size,
      this.open.toReversed().flatMap(({ data, width }) => subtreesOf(data, width)),
    );
  }

  /** @returns {Tile[]} the partial tiles at the right edge, the lowest level first; changes nothing */
  partials() {
    return this.open.flatMap(({ index, width, data }, level) =>
      width === 0 ? [] : [tileOf(level, index, width, data)],
    );
  }

  /**
   * @param {number} level
   * @param {Uint8Array} hash
   * @returns {Tile[]}
   */
  #append(level, hash) {
    /** @type {Tile[]} */
    const finished = [];
    for (; ; level++) {
      const tile = this.#level(level);
      tile.data.set(hash, tile.width * HASH_SIZE);
      tile.width += 1;
      if (tile.width < TILE_WIDTH) return finished;
      finished.push(tileOf(level, tile.index, TILE_WIDTH, tile.data));
      [hash] = /** @type {[Buffer]} */ (subtreesOf(tile.data, TILE_WIDTH));
      tile.index += 1;
      tile.width = 0;
    }
  }

  /** @param {number} level */
  #level(level) {
    return (this.open[level] ??= { index: 0, width: 0, data: allocate(TILE_WIDTH * HASH_SIZE) });
  }
}

/**
 * @param {number} level
 * @param {number} index
 * @param {number} width
 * @param {Uint8Array} hashes
 * @returns {Tile}
 */
function tileOf(level, index, width, hashes) {
  const data = allocate(width * HASH_SIZE);
  data.set(hashes.subarray(0, width * HASH_SIZE));
  return { level, index, width, path: tilePath(level, index, width), data };
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
