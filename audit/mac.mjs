/**
 * MACs of records (HMAC-SHA-256, RFC 2104) and the keys of writers that have ended.
 *
 * @module
 */
import { fromHex, hasBytesAt, toHex } from './bytes.mjs';
import { HASH_SIZE, sha256, sha256Into } from './hash.mjs';

/** @typedef {import('./report.mjs').Fault} Fault */
/** @typedef {import('./report.mjs').Findings} Findings */

const BLOCK_SIZE = 64;
const COMMITMENT = new TextEncoder().encode('custodia ledger writer key\n');

/** The key of one writer's MACs in one log. */
export class MacKey {
  /** @param {Uint8Array} key 32 bytes */
  constructor(key) {
    if (key.length !== HASH_SIZE) throw new Error('The key of a writer has 32 bytes.');
    this.key = key;
    const padded = new Uint8Array(BLOCK_SIZE);
    padded.set(key);
    /** What stands before the message in the inner hash. */
    this.inner = padded.map((byte) => byte ^ 0x36);
    /** What the outer hash is over, with a place for the inner one. */
    this.outer = new Uint8Array(BLOCK_SIZE + HASH_SIZE);
    this.outer.set(padded.map((byte) => byte ^ 0x5c));
    this.result = new Uint8Array(HASH_SIZE);
    const bound = new Uint8Array(COMMITMENT.length + HASH_SIZE);
    bound.set(COMMITMENT);
    bound.set(key, COMMITMENT.length);
    /** What the writer's registration says of the key, hexadecimal. */
    this.commitment = toHex(sha256(bound));
  }

  /**
   * @param {Uint8Array} input `inner` and the message after it
   * @returns {Uint8Array} the MAC; the next call overwrites it
   */
  after(input) {
    sha256Into(input, this.outer, BLOCK_SIZE);
    sha256Into(this.outer, this.result, 0);
    return this.result;
  }

  /**
   * @param {Uint8Array} message
   * @returns {Uint8Array} the MAC; the next call overwrites it
   */
  of(message) {
    const input = new Uint8Array(BLOCK_SIZE + message.length);
    input.set(this.inner);
    input.set(message, BLOCK_SIZE);
    return this.after(input);
  }

  /**
   * @param {Uint8Array} message
   * @param {Uint8Array} mac
   * @returns {boolean}
   */
  holds(message, mac) {
    return mac.length === HASH_SIZE && hasBytesAt(this.of(message), 0, mac);
  }
}

/** @typedef {ReadonlyMap<string, MacKey>} WriterKeys by writer */

/**
 * @param {string} text lines `<writer, 16 hex> <key, 64 hex>`
 * @returns {Map<string, MacKey>}
 * @throws {Error} for a line of another form, or two keys of one writer; never with the line in it
 */
export function parseWriterKeys(text) {
  /** @type {Map<string, MacKey>} */
  const keys = new Map();
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const [, writer, key] = /^([0-9a-f]{16}) ([0-9a-f]{64})$/.exec(line.trim()) ?? [];
    if (writer === undefined || key === undefined) {
      throw new Error('A line of the writers’ keys is not "<writer> <key>" in hexadecimal.');
    }
    if (keys.has(writer)) throw new Error(`There are two keys of writer ${writer}.`);
    keys.set(writer, new MacKey(fromHex(key)));
  }
  return keys;
}

/** The MACs beside the records of writers whose keys are known. */
export class MacChecks {
  /**
   * @param {Findings} findings
   * @param {WriterKeys} keys
   * @param {readonly [string, string][]} [commitments] of writers that registered in what was verified before
   */
  constructor(findings, keys, commitments = []) {
    this.findings = findings;
    this.keys = keys;
    /** What the registrations say of the keys, by writer. */
    this.commitments = new Map(commitments);
    for (const [writer, commitment] of commitments) this.#bound(null, writer, commitment);
    /** How many were. */
    this.checked = 0;
    /** The fault of the run of missing ones that reaches up to here. @type {Fault | null} */
    this.missing = null;
  }

  /**
   * A writer's registration.
   * @param {number} index
   * @param {string} writer
   * @param {string} commitment
   * @returns {void}
   */
  registered(index, writer, commitment) {
    this.commitments.set(writer, commitment);
    this.#bound(index, writer, commitment);
  }

  /**
   * @param {number | null} index of the registration; null: it was verified before
   * @param {string} writer
   * @param {string} commitment
   * @returns {void}
   */
  #bound(index, writer, commitment) {
    const key = this.keys.get(writer);
    if (key === undefined || key.commitment === commitment) return;
    const message = `The key given for writer ${writer} is not the one that its registration is bound to.`;
    this.findings.fault({ index, class: 'mac', expected: commitment, found: key.commitment, message });
  }

  /**
   * @param {number} index
   * @param {string} writer
   * @param {Uint8Array} bytes the record's bytes
   * @param {Uint8Array | undefined} mac undefined or all zero: there is none
   * @returns {void}
   */
  take(index, writer, bytes, mac) {
    const key = this.keys.get(writer);
    if (key === undefined) return;
    if (mac === undefined || mac.every((byte) => byte === 0)) {
      this.checked += 1;
      const message = 'The MAC of the record is missing.';
      this.missing ??= this.findings.fault({ index, class: 'mac', expected: null, found: null, message });
      this.missing.last = index;
      return;
    }
    this.found(1);
    if (key.holds(bytes, mac)) return;
    const values = { expected: toHex(key.of(bytes)), found: toHex(mac) };
    const message = `The MAC beside the record is not that of writer ${writer} over its bytes.`;
    this.findings.fault({ index, class: 'mac', ...values, message });
  }

  /**
   * @param {number} count of MACs that are there
   * @returns {void}
   */
  found(count) {
    if (count > 0) this.missing = null;
    this.checked += count;
  }
}
