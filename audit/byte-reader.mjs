/**
 * Reads forms of JSON out of bytes, one after the other. Where a form does not stand, the answer is no, and where the
 * reader stands is then of no account.
 *
 * @module
 */
import { LARGEST_ENTRY } from './entry.mjs';

const encoder = new TextEncoder();
/** @param {string} text @returns {Uint8Array} */
export const bytesOf = (text) => encoder.encode(text);

/**
 * @param {RegExp} pattern of one character
 * @returns {Uint8Array} 1 at each byte of the class
 */
export function table(pattern) {
  return Uint8Array.from({ length: 256 }, (_, byte) => (byte < 128 && pattern.test(String.fromCharCode(byte)) ? 1 : 0));
}

const HEX = table(/[0-9a-f]/);
const DIGIT = table(/[0-9]/);
/** Printable ASCII without the space, the quotation mark and the backslash. */
export const TOKEN = table(/[!#-[\]-~]/);

export const QUOTE = 0x22;
const COMMA = 0x2c;
const ZERO = 0x30;
export const NULL = bytesOf('null');

export class ByteReader {
  constructor() {
    /** Holds what is read, and what others want to have beside it. */
    this.bytes = new Uint8Array(LARGEST_ENTRY + 128);
    this.at = 0;
  }

  /**
   * @param {number} start
   * @param {number} end a byte 0 is written there: it ends every run
   * @returns {void}
   */
  begin(start, end) {
    this.bytes[end] = 0;
    this.at = start;
  }

  /** @returns {boolean} */
  tokenOrNull() {
    return this.literal(NULL) || this.token();
  }

  /** @returns {boolean} */
  token() {
    return this.bytes[this.at++] === QUOTE && this.run(TOKEN, 128) && this.bytes[this.at++] === QUOTE;
  }

  /** @returns {boolean} whether a comma stood ahead; it is behind now */
  comma() {
    if (this.bytes[this.at] !== COMMA) return false;
    this.at += 1;
    return true;
  }

  /** @returns {number} the byte ahead */
  byte() {
    return /** @type {number} */ (this.bytes[this.at]);
  }

  /**
   * @param {number} at
   * @returns {number} -1: no digit
   */
  digit(at) {
    const digit = /** @type {number} */ (this.bytes[at]) - ZERO;
    return digit >= 0 && digit <= 9 ? digit : -1;
  }

  /**
   * A whole number of at most 15 digits, which is exact as a number.
   * @param {number} least
   * @returns {number} -1: not recognised
   */
  whole(least) {
    const { bytes, at } = this;
    if (!this.run(DIGIT, 15) || (bytes[at] === ZERO && this.at > at + 1)) return -1;
    let value = 0;
    for (let place = at; place < this.at; place++) value = value * 10 + /** @type {number} */ (bytes[place]) - ZERO;
    return value >= least ? value : -1;
  }

  /**
   * @param {Uint8Array} allowed
   * @param {number} most
   * @returns {boolean} whether 1 to so many bytes of the class stood ahead; they are behind now
   */
  run(allowed, most) {
    const { bytes, at } = this;
    let end = at;
    while (allowed[/** @type {number} */ (bytes[end])] === 1) end += 1;
    this.at = end;
    return end > at && end <= at + most;
  }

  /** @param {number} length @returns {boolean} */
  hex(length) {
    const { bytes, at } = this;
    for (let place = at; place < at + length; place++) {
      if (HEX[/** @type {number} */ (bytes[place])] === 0) return false;
    }
    this.at = at + length;
    return true;
  }

  /** @param {number} length @returns {boolean} */
  hexText(length) {
    return this.bytes[this.at++] === QUOTE && this.hex(length) && this.bytes[this.at++] === QUOTE;
  }

  /** @returns {number} of eight hexadecimal digits; -1: not recognised */
  hexNumber() {
    const { bytes, at } = this;
    let value = 0;
    for (let place = at; place < at + 8; place++) {
      const byte = /** @type {number} */ (bytes[place]);
      if (HEX[byte] === 0) return -1;
      value = value * 16 + (byte < 0x40 ? byte - ZERO : byte - 0x57);
    }
    this.at = at + 8;
    return value;
  }

  /** @param {Uint8Array} text @returns {boolean} */
  literal(text) {
    const { bytes, at } = this;
    for (let offset = 0; offset < text.length; offset++) if (bytes[at + offset] !== text[offset]) return false;
    this.at = at + text.length;
    return true;
  }

  /** @param {readonly Uint8Array[]} texts @returns {number} which of them stood ahead; -1: none */
  oneOf(texts) {
    for (let which = 0; which < texts.length; which++) {
      if (this.literal(/** @type {Uint8Array} */ (texts[which]))) return which;
    }
    return -1;
  }
}
