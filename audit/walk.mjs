/**
 * The walk over a log's entries, from the first to the last: chain, leaves, tree. Two trees grow side by side from the
 * first difference on, one of the hashes that are stored and one of the hashes recomputed from the entries; which of
 * them has the checkpoint's root tells whether an entry or a stored hash was changed.
 *
 * @module
 */
import { ZERO_LEAF } from './entry.mjs';
import { leafHash, sameBytes } from './merkle.mjs';
import { TILE_WIDTH, TileWriter } from './tiles.mjs';

/** @typedef {import('./report.mjs').Fault} Fault */
/** @typedef {import('./report.mjs').Findings} Findings */
/** @typedef {import('./records.mjs').RecordChecks} RecordChecks */
/** @typedef {import('./tiles.mjs').Tile} Tile */

/**
 * What is known of the entry before: the two forms of its leaf, and the fault that it has if they differ.
 * @typedef {object} Previous
 * @property {Buffer | undefined} computed
 * @property {Buffer | undefined} stored
 * @property {Fault | null} fault
 */

/** Stands where a stored hash could not be found; no leaf has it. */
const NO_HASH = Buffer.alloc(32);

export class Walk {
  /**
   * @param {Findings} findings
   * @param {RecordChecks} records
   */
  constructor(findings, records) {
    this.findings = findings;
    this.records = records;
    this.stored = new TileWriter();
    /** Undefined as long as both trees are the same. @type {import('./merkle.mjs').CompactRange | undefined} */
    this.computed = undefined;
    /** A leaf is known in neither form: no root above it can be computed any more. */
    this.holes = false;
    /** Numbers of the level-0 tiles in which an entry has a fault. @type {Set<number>} */
    this.faulty = new Set();
    /** Faults by which an entry differs from its stored leaf. @type {Fault[]} */
    this.changed = [];
    /** @type {Previous} */
    this.previous = { computed: ZERO_LEAF, stored: ZERO_LEAF, fault: null };
  }

  get size() {
    return this.stored.size;
  }

  /**
   * The next entry.
   * @param {Buffer | undefined} entry undefined or empty: it is missing
   * @param {readonly Buffer[] | null} tile the stored hashes of its level-0 tile; null: there is no such file
   * @returns {Tile[]} the tiles of stored hashes that are full now
   */
  take(entry, tile) {
    const index = this.size;
    const hash = tile?.[index % TILE_WIDTH];
    const stored = hash === undefined || sameBytes(hash, NO_HASH) ? undefined : hash;
    if (entry === undefined || entry.length === 0) return this.#missing(index, stored);
    const computed = leafHash(entry);
    if (tile !== null && stored === undefined) {
      this.#fault({ index, class: 'tile', expected: hex(computed), found: null, message: 'The leaf hash is missing.' });
    }
    const fault =
      stored === undefined || computed.equals(stored)
        ? this.#unchanged(index, entry, computed)
        : this.#changed(index, entry, computed, stored, /** @type {readonly Buffer[]} */ (tile));
    if (fault?.class === 'leaf') this.records.unreadable += 1;
    else this.records.take(index, entry.subarray(32));
    return this.#append({ computed, stored: stored ?? computed, fault });
  }

  /**
   * From here on there are no entries at all.
   * @param {number} size of the log
   * @returns {void}
   */
  missingRest(size) {
    const index = this.size;
    this.#missing(index, undefined);
    if (this.previous.fault !== null) this.previous.fault.last = size - 1;
    this.records.unreadable += size - 1 - index;
  }

  /**
   * @param {Buffer} root of the checkpoint
   * @returns {void}
   */
  finish(root) {
    if (this.holes) return;
    const stored = this.stored.tree().root();
    if (stored.equals(root)) return;
    if (this.computed?.root().equals(root)) {
      for (const fault of this.changed) if (fault.class === 'leaf') retractToTile(fault);
      return;
    }
    const message = 'The tree over the entries does not have the root that the checkpoint signs.';
    this.findings.fault({ index: null, class: 'root', expected: hex(root), found: hex(stored), message });
  }

  /**
   * @param {Buffer} root
   * @returns {boolean | null} whether the log so far has the root in either form; null when that cannot be told
   */
  hasRoot(root) {
    if (this.holes) return null;
    return this.stored.tree().root().equals(root) || this.computed?.root().equals(root) === true;
  }

  /**
   * @param {number} first
   * @param {number} last
   * @returns {boolean} whether any entry from the first to the last has a fault
   */
  faultyWithin(first, last) {
    const [from, to] = [Math.floor(first / TILE_WIDTH), Math.floor(last / TILE_WIDTH)];
    for (const number of this.faulty) if (from <= number && number <= to) return true;
    return false;
  }

  /**
   * @param {number} index
   * @param {Buffer | undefined} stored
   * @returns {Tile[]}
   */
  #missing(index, stored) {
    this.records.unreadable += 1;
    this.faulty.add(Math.floor(index / TILE_WIDTH));
    const expected = stored === undefined ? null : hex(stored);
    const message = 'The entry is missing.';
    const fault =
      this.previous.fault?.class === 'missing-entry'
        ? this.previous.fault
        : this.#fault({ index, class: 'missing-entry', expected, found: null, message });
    fault.last = index;
    this.holes ||= stored === undefined;
    return this.#append({ computed: undefined, stored, fault });
  }

  /**
   * An entry that agrees with its stored leaf: does it follow the one before?
   * @param {number} index
   * @param {Buffer} entry
   * @param {Buffer} computed
   * @returns {Fault | null}
   */
  #unchanged(index, entry, computed) {
    const { previous } = this;
    const claimed = entry.subarray(0, 32);
    if (sameBytes(claimed, previous.computed)) {
      // The chain confirms the entry before against its stored leaf, so it was the stored leaf that was changed.
      if (previous.fault?.class === 'leaf') retractToTile(previous.fault);
      return null;
    }
    if (!this.#breaksChain(claimed)) return null;
    const message = 'The entry does not follow the one before: an entry was deleted, inserted or moved here.';
    const expected = hex(previous.stored ?? computed);
    return this.#fault({ index, class: 'chain', expected, found: hex(claimed), message });
  }

  /**
   * An entry that does not agree with its stored leaf.
   * @param {number} index
   * @param {Buffer} entry
   * @param {Buffer} computed
   * @param {Buffer} stored
   * @param {readonly Buffer[]} tile
   * @returns {Fault}
   */
  #changed(index, entry, computed, stored, tile) {
    const { previous } = this;
    const claimed = entry.subarray(0, 32);
    this.faulty.add(Math.floor(index / TILE_WIDTH));
    if (previous.fault !== null && differs(previous) && sameBytes(claimed, previous.computed)) {
      // The entries go on consistently among themselves: the same run beside the stored leaves.
      previous.fault.last = index;
      return previous.fault;
    }
    const difference = { index, expected: hex(stored), found: hex(computed) };
    const at = this.#breaksChain(claimed) ? tile.findIndex((hash) => hash.equals(computed)) : -1;
    if (at >= 0) {
      const home = index - (index % TILE_WIDTH) + at;
      const message = `The entry of index ${home} stands here: an entry was deleted, inserted or moved.`;
      return this.#fault({ ...difference, class: 'chain', message });
    }
    const message = 'The entry does not have the leaf hash that is stored for it: the entry was changed.';
    const fault = this.#fault({ ...difference, class: 'leaf', message });
    this.changed.push(fault);
    return fault;
  }

  /**
   * @param {Buffer} claimed the previous leaf that an entry names
   * @returns {boolean} false also where nothing is known of the entry before
   */
  #breaksChain(claimed) {
    const { computed, stored } = this.previous;
    if (computed === undefined && stored === undefined) return false;
    return !sameBytes(claimed, computed) && !sameBytes(claimed, stored);
  }

  /**
   * @param {Previous} entry
   * @returns {Tile[]}
   */
  #append(entry) {
    const { computed, stored } = entry;
    if (this.computed === undefined && differs(entry)) this.computed = this.stored.tree();
    this.computed?.append(computed ?? stored ?? NO_HASH);
    this.previous = entry;
    return this.stored.append(stored ?? computed ?? NO_HASH);
  }

  /**
   * @param {Fault} fault
   * @returns {Fault}
   */
  #fault(fault) {
    if (fault.index !== null) this.faulty.add(Math.floor(fault.index / TILE_WIDTH));
    return this.findings.fault(fault);
  }
}

/**
 * @param {Previous} entry
 * @returns {boolean} whether both forms of its leaf are known and differ
 */
function differs({ computed, stored }) {
  return computed !== undefined && stored !== undefined && !computed.equals(stored);
}

/**
 * @param {Fault} fault
 * @returns {void}
 */
function retractToTile(fault) {
  fault.class = 'tile';
  fault.message = 'The stored leaf hash was changed: the entry itself is confirmed by what follows it.';
  [fault.expected, fault.found] = [fault.found, fault.expected];
}

/**
 * @param {Buffer} hash
 * @returns {string}
 */
export function hex(hash) {
  return hash.toString('hex');
}
