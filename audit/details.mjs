/**
 * The sealed details that lie beside the records, as ciphertext, until somebody's data are erased.
 *
 * @module
 */
import { toHex } from './bytes.mjs';
import { sha256 } from './hash.mjs';

/** @typedef {import('./entry.mjs').LedgerRecord} LedgerRecord */
/** @typedef {import('./report.mjs').Findings} Findings */

/**
 * The details of a bundle's entries in their order: for each its length in four bytes, the high one first, and the
 * ciphertext; length 0 for none.
 * @param {readonly (Uint8Array | null)[]} ciphertexts
 * @returns {Uint8Array}
 */
export function encodeDetails(ciphertexts) {
  const size = ciphertexts.reduce((sum, ciphertext) => sum + 4 + (ciphertext?.length ?? 0), 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const ciphertext of ciphertexts) {
    view.setUint32(offset, ciphertext?.length ?? 0);
    if (ciphertext !== null) bytes.set(ciphertext, offset + 4);
    offset += 4 + (ciphertext?.length ?? 0);
  }
  return bytes;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} width at most so many
 * @returns {(Uint8Array | null)[]} null where there is none; shorter than width where the bytes end
 */
export function splitDetails(bytes, width) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  /** @type {(Uint8Array | null)[]} */
  const ciphertexts = [];
  for (let offset = 0; ciphertexts.length < width && offset + 4 <= bytes.length;) {
    const length = view.getUint32(offset);
    if (offset + 4 + length > bytes.length) break;
    ciphertexts.push(length === 0 ? null : bytes.subarray(offset + 4, offset + 4 + length));
    offset += 4 + length;
  }
  return ciphertexts;
}

/** The details beside the records. Where they are not there, a later ERASE of one of the record's subjects says why. */
export class DetailChecks {
  /** @param {Findings} findings */
  constructor(findings) {
    this.findings = findings;
    /** How many were checked. */
    this.checked = 0;
    /** How many records name details where nobody asked for these. */
    this.unasked = 0;
    /** The subjects by index of those that are missing so far. @type {Map<number, Set<string>>} */
    this.waiting = new Map();
    /** @type {Map<string, Set<number>>} */
    this.bySubject = new Map();
  }

  /**
   * @param {number} index
   * @param {LedgerRecord} record
   * @param {Uint8Array | null | undefined} ciphertext
   * @returns {void}
   */
  take(index, record, ciphertext) {
    if (record.sealed === undefined) {
      if (ciphertext)
        this.#fault(index, null, toHex(sha256(ciphertext)), 'The record names no details, but there are some.');
      return;
    }
    if (ciphertext === null || ciphertext === undefined) {
      this.missing(index, record);
      return;
    }
    this.checked += 1;
    const found = toHex(sha256(ciphertext));
    if (found === record.sealed.sha256) return;
    this.#fault(index, record.sealed.sha256, found, 'The details beside the record are not those that it names.');
  }

  /**
   * @param {number} index
   * @param {LedgerRecord} record
   * @returns {void}
   */
  missing(index, record) {
    const subjects = new Set(record.accesses.flatMap((access) => access.subjects));
    const [, owner] = /^subject:([0-9a-f]{32})$/.exec(record.sealed?.key ?? '') ?? [];
    if (owner !== undefined) subjects.add(owner);
    this.waiting.set(index, subjects);
    for (const subject of subjects) {
      const indexes = this.bySubject.get(subject);
      if (indexes === undefined) this.bySubject.set(subject, new Set([index]));
      else indexes.add(index);
    }
  }

  /**
   * @param {LedgerRecord} erasure
   * @returns {void}
   */
  erased(erasure) {
    for (const subject of erasure.accesses.flatMap((access) => access.subjects)) {
      for (const index of this.bySubject.get(subject) ?? []) this.#remove(index);
    }
  }

  /** After the last entry. */
  finish() {
    const message = 'The details that the record names are missing, and no later ERASE names one of its subjects.';
    for (const index of this.waiting.keys()) this.#fault(index, null, null, message);
  }

  /**
   * @param {number} index
   * @param {string | null} expected
   * @param {string | null} found
   * @param {string} message
   * @returns {void}
   */
  #fault(index, expected, found, message) {
    this.findings.fault({ index, class: 'detail', expected, found, message });
  }

  /**
   * @param {number} index
   * @returns {void}
   */
  #remove(index) {
    for (const subject of this.waiting.get(index) ?? []) {
      const indexes = this.bySubject.get(subject);
      indexes?.delete(index);
      if (indexes?.size === 0) this.bySubject.delete(subject);
    }
    this.waiting.delete(index);
  }
}
