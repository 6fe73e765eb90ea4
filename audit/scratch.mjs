/**
 * One place of memory in which entries are hashed and read, so that nothing is allocated for an entry.
 *
 * @module
 */
import { hasBytesAt } from './bytes.mjs';
import { HASH_SIZE, sha256Into } from './hash.mjs';
import { Recogniser } from './recogniser.mjs';

/** Before the entry: the first half of the inner padding of a MAC; its second half takes the place of the previous leaf. */
const ENTRY = 32;
const RECORD = ENTRY + HASH_SIZE;
const ZERO_BYTE = 48;
const SMALL_A = 97;

export class Scratch {
  constructor() {
    this.record = new Recogniser();
    const { bytes } = this.record;
    this.bytes = bytes;
    this.end = RECORD;
    /** Views by where they end. @type {Map<number, Uint8Array>} */
    this.leafInputs = new Map();
    /** @type {Map<number, Uint8Array>} */
    this.macInputs = new Map();
  }

  /**
   * @param {Uint8Array} entry
   * @returns {void}
   */
  hold(entry) {
    this.bytes.set(entry, ENTRY);
    this.end = ENTRY + entry.length;
  }

  /**
   * @param {Uint8Array} hashes
   * @param {number} at
   * @returns {boolean} whether the entry begins with the hash there
   */
  follows(hashes, at) {
    const { bytes } = this;
    for (let offset = 0; offset < HASH_SIZE; offset++) if (bytes[ENTRY + offset] !== hashes[at + offset]) return false;
    return true;
  }

  /**
   * SHA-256(0x00 ‖ entry).
   * @param {Uint8Array} output
   * @param {number} at
   * @returns {void}
   */
  leafInto(output, at) {
    const { bytes, end } = this;
    bytes[ENTRY - 1] = 0;
    let input = this.leafInputs.get(end);
    if (input === undefined) this.leafInputs.set(end, (input = bytes.subarray(ENTRY - 1, end)));
    sha256Into(input, output, at);
  }

  /** @returns {boolean} whether `record` has read it */
  recognise() {
    return this.record.read(RECORD, this.end);
  }

  /** @returns {Uint8Array} a view */
  bytesOfRecord() {
    return this.bytes.subarray(RECORD, this.end);
  }

  /**
   * @param {Uint8Array} digest
   * @returns {boolean} whether the recognised record names it as that of its sealed details
   */
  names(digest) {
    let at = this.record.sealedAt;
    for (const byte of digest) {
      if (this.bytes[at++] !== hexDigit(byte >> 4) || this.bytes[at++] !== hexDigit(byte & 15)) return false;
    }
    return true;
  }

  /**
   * Writes over the previous leaf of the entry.
   * @param {import('./mac.mjs').MacKey} key
   * @param {Uint8Array} mac
   * @returns {boolean}
   */
  hasMac(key, mac) {
    const { bytes, end } = this;
    bytes.set(key.inner, 0);
    let input = this.macInputs.get(end);
    if (input === undefined) this.macInputs.set(end, (input = bytes.subarray(0, end)));
    return hasBytesAt(key.after(input), 0, mac);
  }
}

/**
 * @param {number} value 0 to 15
 * @returns {number} its character
 */
function hexDigit(value) {
  return value < 10 ? ZERO_BYTE + value : SMALL_A + value - 10;
}
