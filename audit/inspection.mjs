/**
 * The fast way through a bundle: everything about its entries that can be checked without the entries before it. A bundle
 * in which anything is out of the ordinary is given back without a verdict, for the walk to take it entry by entry.
 *
 * @module
 */
import { hasBytesAt, toHex } from './bytes.mjs';
import { HASH_SIZE, sha256 } from './hash.mjs';
import { readRecord } from './record.mjs';
import { Scratch } from './scratch.mjs';
import { subtreesOf, TILE_WIDTH } from './tiles.mjs';

/** @typedef {import('./entry.mjs').LedgerRecord} LedgerRecord */
/** @typedef {import('./mac.mjs').MacKey} MacKey */
/** @typedef {import('./mac.mjs').WriterKeys} WriterKeys */
/** @typedef {import('./source.mjs').Bundle} Bundle */

/**
 * What a source has of a bundle.
 * @typedef {object} Part
 * @property {number} number of the bundle
 * @property {number} width how many entries the checkpoint covers there
 * @property {Bundle | null} bundle
 * @property {readonly Uint8Array[] | null} tile the stored leaf hashes
 * @property {readonly Uint8Array[] | null} macs null also where nobody asked for them
 * @property {readonly (Uint8Array | null)[] | null} details null also where nobody asked for them
 */

/**
 * What is checked. Without records only hashes are.
 * @typedef {object} InspectionOptions
 * @property {boolean} records
 * @property {boolean} details
 * @property {WriterKeys} keys
 */

/**
 * A full bundle without a fault, as far as can be told without the entries before it. Plain values, which a worker
 * thread can send.
 * @typedef {object} Inspected
 * @property {Uint8Array} previous the leaf before it that it was checked against
 * @property {Uint8Array} root over its leaves
 * @property {Uint8Array} last its last leaf
 * @property {string} log of the records that are not notable
 * @property {number} incarnation of the records that are not notable
 * @property {string[]} writers
 * @property {Uint16Array} who index into writers; NOTABLE: the record is in notable
 * @property {Float64Array} numbers
 * @property {Float64Array} times milliseconds since 1970
 * @property {Notable[]} notable in order
 * @property {number} macs that were checked
 * @property {number} details that were checked
 * @property {number} unasked records that name details, where nobody asked for these
 */

/**
 * A record of which more than writer, number and time is needed.
 * @typedef {object} Notable
 * @property {number} at place in the bundle
 * @property {LedgerRecord} record
 * @property {boolean} detailMissing it names sealed details, which are not there
 */

/** Stands in `who` for a record that is in `notable`. */
export const NOTABLE = 0xffff;

export class Inspector {
  /** @param {InspectionOptions} options */
  constructor({ records, details, keys }) {
    this.records = records;
    this.details = details;
    this.keys = keys;
    this.scratch = new Scratch();
    this.leaves = new Uint8Array(TILE_WIDTH * HASH_SIZE);
  }

  /**
   * @param {Part} part
   * @param {Uint8Array | undefined} previous the stored leaf before the bundle
   * @returns {Inspected | null} null: to be taken entry by entry
   */
  inspect({ width, bundle, tile, macs, details }, previous) {
    if (width < TILE_WIDTH || bundle === null || bundle.surplus || bundle.entries.length < width) return null;
    if (previous === undefined || tile === null || tile.length < width) return null;
    const { scratch, leaves } = this;
    const facts = new Facts(this.keys);
    for (let at = 0; at < width; at++) {
      const entry = /** @type {Uint8Array} */ (bundle.entries[at]);
      if (entry.length <= HASH_SIZE) return null;
      scratch.hold(entry);
      const follows = at === 0 ? scratch.follows(previous, 0) : scratch.follows(leaves, (at - 1) * HASH_SIZE);
      scratch.leafInto(leaves, at * HASH_SIZE);
      if (!follows || !hasBytesAt(leaves, at * HASH_SIZE, tile[at])) return null;
      if (this.records && !this.#record(at, facts, macs?.[at], details?.[at])) return null;
    }
    const root = /** @type {Uint8Array} */ (subtreesOf(leaves, width)[0]);
    const { writers, who, numbers, times, notable, log, incarnation } = facts;
    const last = leaves.slice((width - 1) * HASH_SIZE, width * HASH_SIZE);
    const counts = { macs: facts.macs, details: facts.details, unasked: facts.unasked };
    return {
      previous: previous.slice(),
      root,
      last,
      log,
      incarnation,
      writers,
      who,
      numbers,
      times,
      notable,
      ...counts,
    };
  }

  /**
   * The record of the entry that the scratch holds.
   * @param {number} at
   * @param {Facts} facts
   * @param {Uint8Array | undefined} mac
   * @param {Uint8Array | null | undefined} detail
   * @returns {boolean}
   */
  #record(at, facts, mac, detail) {
    const { scratch, keys } = this;
    const { record: recogniser } = scratch;
    const common = scratch.recognise();
    const record = common ? null : readRecord(scratch.bytesOfRecord()).record;
    if (!common && record === null) return false;
    const sealed = common ? recogniser.sealedAt >= 0 : record?.sealed !== undefined;
    if (!sealed && detail) return false;
    const missing = sealed && this.details && (detail === null || detail === undefined);
    if (sealed && !missing) {
      if (!this.details) facts.unasked += 1;
      else {
        const digest = sha256(/** @type {Uint8Array} */ (detail));
        if (!(common ? scratch.names(digest) : toHex(digest) === record?.sealed?.sha256)) return false;
        facts.details += 1;
      }
    }
    const plain = common && !missing && facts.take(at, recogniser);
    const noted = plain ? null : (record ?? readRecord(scratch.bytesOfRecord()).record);
    if (noted !== null) facts.note(at, noted, missing);
    const key = noted === null ? facts.keyOf(at) : keys.get(noted.writer);
    if (key === undefined) return true;
    facts.macs += 1;
    return mac !== undefined && scratch.hasMac(key, mac);
  }
}

/** @typedef {import('./recogniser.mjs').Recogniser} Recogniser */

/** Collects what the records of one bundle say. */
class Facts {
  /** @param {WriterKeys} keys */
  constructor(keys) {
    this.released = keys;
    this.log = '';
    this.incarnation = 0;
    /** @type {string[]} */
    this.writers = [];
    /** The two halves of each writer. @type {number[]} */
    this.halves = [];
    /** Of each writer. @type {(MacKey | undefined)[]} */
    this.keys = [];
    this.who = new Uint16Array(TILE_WIDTH).fill(NOTABLE);
    this.numbers = new Float64Array(TILE_WIDTH);
    this.times = new Float64Array(TILE_WIDTH);
    /** @type {Notable[]} */
    this.notable = [];
    this.macs = 0;
    this.details = 0;
    this.unasked = 0;
  }

  /**
   * @param {number} at
   * @param {Recogniser} record
   * @returns {boolean} false where it is of another log or incarnation than those before it, and so notable
   */
  take(at, record) {
    if (this.incarnation === 0) [this.log, this.incarnation] = [record.log, record.incarnation];
    else if (record.incarnation !== this.incarnation || record.log !== this.log) return false;
    this.who[at] = this.#writer(record.writerHigh, record.writerLow);
    this.numbers[at] = record.number;
    this.times[at] = record.time;
    return true;
  }

  /**
   * @param {number} at
   * @param {LedgerRecord} record
   * @param {boolean} detailMissing
   * @returns {void}
   */
  note(at, record, detailMissing) {
    this.notable.push({ at, record, detailMissing });
  }

  /**
   * @param {number} at
   * @returns {MacKey | undefined} the key of the writer of the record there
   */
  keyOf(at) {
    return this.keys[/** @type {number} */ (this.who[at])];
  }

  /**
   * @param {number} high
   * @param {number} low
   * @returns {number}
   */
  #writer(high, low) {
    const { halves } = this;
    for (let at = 0; at < halves.length; at += 2) if (halves[at + 1] === low && halves[at] === high) return at / 2;
    const writer = [high, low].map((half) => half.toString(16).padStart(8, '0')).join('');
    halves.push(high, low);
    this.keys.push(this.released.get(writer));
    return this.writers.push(writer) - 1;
  }
}
