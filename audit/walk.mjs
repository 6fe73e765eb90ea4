/**
 * The walk over a log's entries, from the first to the last: chain, leaves, tree. Two trees grow side by side from the
 * first difference on, one of the hashes that are stored and one of the hashes recomputed from the entries; which of
 * them has the checkpoint's root tells whether an entry or a stored hash was changed.
 *
 * @module
 */
import { hasBytesAt, toHex as hex } from './bytes.mjs';
import { HASH_SIZE } from './hash.mjs';
import { leafHash } from './merkle.mjs';
import { TILE_WIDTH, TileWriter } from './tiles.mjs';

/** @typedef {import('./inspection.mjs').Inspected} Inspected */
/** @typedef {import('./report.mjs').Fault} Fault */
/** @typedef {import('./report.mjs').Findings} Findings */
/** @typedef {import('./records.mjs').RecordChecks} RecordChecks */
/** @typedef {import('./tiles.mjs').Tile} Tile */

/**
 * What is known of the entry before: the two forms of its leaf, and the fault that it has if they differ.
 * @typedef {object} Previous
 * @property {Uint8Array | undefined} computed
 * @property {Uint8Array | undefined} stored
 * @property {Fault | null} fault
 */

/** Stands where a stored hash could not be found; no leaf has it. */
const NO_HASH = new Uint8Array(HASH_SIZE);

export class Walk {
  /**
   * @param {Findings} findings
   * @param {RecordChecks} records
   * @param {{tree: TileWriter, leaf: Uint8Array}} [start] what an earlier verification came to, and the last leaf
   */
  constructor(findings, records, { tree, leaf } = { tree: new TileWriter(), leaf: NO_HASH }) {
    this.findings = findings;
    this.records = records;
    this.stored = tree;
    /** Undefined as long as both trees are the same. @type {TileWriter | undefined} */
    this.computed = undefined;
    /** A leaf is known in neither form: no root above it can be computed any more. */
    this.holes = false;
    /** Numbers of the level-0 tiles in which an entry has a fault. @type {Set<number>} */
    this.faulty = new Set();
    /** Faults by which an entry differs from its stored leaf. @type {Fault[]} */
    this.changed = [];
    /** @type {Previous} */
    this.previous = { computed: leaf, stored: leaf, fault: null };
  }

  get size() {
    return this.stored.size;
  }

  /**
   * @param {Inspected} bundle
   * @returns {boolean} whether it can be taken at once: it follows an entry that is in order, and its records need no
   *   look at each
   */
  accepts(bundle) {
    const { previous, records } = this;
    const aligned = this.size % TILE_WIDTH === 0 && !this.holes;
    const joins = previous.fault === null && !differs(previous) && sameBytes(bundle.previous, previous.stored);
    return aligned && joins && records.accepts(bundle);
  }

  /**
   * A bundle that is accepted; the size is a multiple of 256.
   * @param {Inspected} bundle
   * @returns {Tile[]} the tiles of stored hashes above level 0 that are full now
   */
  takeBundle(bundle) {
    this.records.takeBundle(this.size, bundle);
    this.previous = { computed: bundle.last, stored: bundle.last, fault: null };
    this.computed?.appendTile(bundle.root);
    return this.stored.appendTile(bundle.root);
  }

  /**
   * An entry that was pruned: its leaf hash goes into the tree as it is stored.
   * @param {Uint8Array | undefined} stored
   * @returns {Tile[]}
   */
  takePruned(stored) {
    const index = this.size;
    this.records.pruned(index);
    if (stored === undefined && !this.holes) {
      this.holes = true;
      const message = 'The leaf hash of a pruned entry is missing.';
      this.#fault({ index, class: 'tile', expected: null, found: null, message });
    }
    return this.#append({ computed: undefined, stored, fault: null });
  }

  /**
   * The next entry.
   * @param {Uint8Array | undefined} entry undefined or empty: it is missing
   * @param {readonly Uint8Array[] | null} tile the stored hashes of its level-0 tile; null: there is no such file
   * @param {Uint8Array} [mac] of the record
   * @param {Uint8Array | null} [detail] the record's sealed details
   * @returns {Tile[]} the tiles of stored hashes that are full now
   */
  take(entry, tile, mac, detail) {
    const index = this.size;
    const hash = tile?.[index % TILE_WIDTH];
    const stored = hash === undefined || sameBytes(hash, NO_HASH) ? undefined : hash;
    if (entry === undefined || entry.length === 0) return this.#missing(index, stored);
    const computed = leafHash(entry);
    if (tile !== null && stored === undefined) {
      this.#fault({ index, class: 'tile', expected: hex(computed), found: null, message: 'The leaf hash is missing.' });
    }
    const fault =
      stored === undefined || sameBytes(computed, stored)
        ? this.#unchanged(index, entry, computed)
        : this.#changed(index, entry, computed, stored, /** @type {readonly Uint8Array[]} */ (tile));
    if (fault?.class === 'leaf') this.records.unreadable += 1;
    else this.records.take(index, entry.subarray(HASH_SIZE), mac, detail);
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
   * @param {Uint8Array} root of the checkpoint
   * @returns {void}
   */
  finish(root) {
    if (this.holes) return;
    const stored = this.stored.tree().root();
    if (sameBytes(stored, root)) return;
    if (sameBytes(this.computed?.tree().root(), root)) {
      for (const fault of this.changed) if (fault.class === 'leaf') retractToTile(fault);
      return;
    }
    const message = 'The tree over the entries does not have the root that the checkpoint signs.';
    this.findings.fault({ index: null, class: 'root', expected: hex(root), found: hex(stored), message });
  }

  /**
   * @param {Uint8Array} root
   * @returns {boolean | null} whether the log so far has the root in either form; null when that cannot be told
   */
  hasRoot(root) {
    if (this.holes) return null;
    return sameBytes(this.stored.tree().root(), root) || sameBytes(this.computed?.tree().root(), root);
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
   * @param {Uint8Array | undefined} stored
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
   * @param {Uint8Array} entry
   * @param {Uint8Array} computed
   * @returns {Fault | null}
   */
  #unchanged(index, entry, computed) {
    const { previous } = this;
    const claimed = entry.subarray(0, HASH_SIZE);
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
   * @param {Uint8Array} entry
   * @param {Uint8Array} computed
   * @param {Uint8Array} stored
   * @param {readonly Uint8Array[]} tile
   * @returns {Fault}
   */
  #changed(index, entry, computed, stored, tile) {
    const { previous } = this;
    const claimed = entry.subarray(0, HASH_SIZE);
    this.faulty.add(Math.floor(index / TILE_WIDTH));
    if (previous.fault !== null && differs(previous) && sameBytes(claimed, previous.computed)) {
      // The entries go on consistently among themselves: the same run beside the stored leaves.
      previous.fault.last = index;
      return previous.fault;
    }
    const difference = { index, expected: hex(stored), found: hex(computed) };
    const at = this.#breaksChain(claimed) ? tile.findIndex((hash) => sameBytes(hash, computed)) : -1;
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
   * @param {Uint8Array} claimed the previous leaf that an entry names
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
    if (this.computed === undefined && differs(entry)) this.computed = this.stored.clone();
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
  return computed !== undefined && stored !== undefined && !sameBytes(computed, stored);
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
 * @param {Uint8Array | undefined} left
 * @param {Uint8Array | undefined} right
 * @returns {boolean} false also where one of them is not known
 */
function sameBytes(left, right) {
  return left !== undefined && left.length === right?.length && hasBytesAt(left, 0, right);
}
