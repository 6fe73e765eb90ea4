/**
 * One record out of its bytes, by the general rules: any order of fields, any character that JSON can carry.
 *
 * @module
 */
import { canonicalize } from './canonical.mjs';
import { validateRecord } from './entry.mjs';

/** @typedef {import('./entry.mjs').LedgerRecord} LedgerRecord */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * @param {Uint8Array} bytes
 * @returns {{record: LedgerRecord, problem: ''} | {record: null, problem: string}}
 */
export function readRecord(bytes) {
  /** @type {unknown} */
  let value;
  let text = '';
  try {
    text = utf8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return { record: null, problem: 'The record is not JSON in UTF-8.' };
  }
  const [problem] = validateRecord(value);
  if (problem !== undefined) return { record: null, problem };
  const record = /** @type {LedgerRecord} */ (value);
  if (!isCanonical(record, text)) return { record: null, problem: 'The record is not canonical JSON.' };
  return { record, problem: '' };
}

/**
 * @param {LedgerRecord} record
 * @param {string} text
 * @returns {boolean}
 */
function isCanonical(record, text) {
  try {
    return canonicalize(record) === text;
  } catch {
    return false;
  }
}
