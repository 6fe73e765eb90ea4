/**
 * Entries, bundles of entries, and the record inside an entry. FORMAT.md is the specification.
 *
 * @module
 */
import {
  digest,
  instant,
  isObject,
  listOf,
  matches,
  oneOf,
  orNull,
  reference,
  someOf,
  text,
  token,
  wholeFrom,
} from './checks.mjs';
import { allocate } from './hash.mjs';

export const RECORD_VERSION = 1;
/** The hash suite that a log names in its first record: SHA-256, Ed25519. */
export const SUITE = 'sha256-ed25519';
export const LARGEST_ENTRY = 65_535;
export const LARGEST_RECORD = LARGEST_ENTRY - 32;

/** What stands for the previous leaf in a log's first entry. */
export const ZERO_LEAF = allocate(32);

/** @typedef {'CLEAR' | 'MASKED' | 'HIDDEN' | 'ERASED' | 'WRITTEN'} AccessState */

/**
 * @typedef {object} RecordAccess
 * @property {string} type
 * @property {number} rows
 * @property {Readonly<Record<string, AccessState>>} fields
 * @property {readonly string[]} subjects
 */

/**
 * A record of version 1. The members are explained in FORMAT.md.
 * @typedef {object} LedgerRecord
 * @property {1} v
 * @property {string} log
 * @property {number} incarnation
 * @property {string} writer
 * @property {number} number
 * @property {string} time
 * @property {string} request
 * @property {string} operation
 * @property {(typeof KINDS)[number]} kind
 * @property {(typeof OUTCOMES)[number]} outcome
 * @property {string | null} code
 * @property {string | null} actor
 * @property {string | null} role
 * @property {string | null} session
 * @property {string | null} purpose
 * @property {string | null} document
 * @property {string | null} policy
 * @property {readonly string[]} rules
 * @property {boolean} reason
 * @property {readonly RecordAccess[]} accesses
 * @property {string} [acr] how the session was authenticated
 * @property {readonly string[]} [consents] purposes whose consent the rules asked for
 * @property {string} [decision] what all records of one document have in common
 * @property {readonly string[]} [obligations] that the rules demanded
 * @property {{key: string, sha256: string}} [detail]
 * @property {{key: string, sha256: string}} [sealed] the details, as ciphertext beside the record
 * @property {string} [commitment] to the key of the writer's MACs
 * @property {string} [suite]
 * @property {string} [origin]
 * @property {{origin: string, size: number, root: string}} [replaces] the checkpoint that a declared restore gave up
 */

export const KINDS = /** @type {const} */ ([
  'READ',
  'SEARCH',
  'LOOKUP',
  'CREATE',
  'UPDATE',
  'DELETE',
  'EXPORT',
  'DISCLOSE',
  'LOGIN',
  'LOGOUT',
  'POLICY',
  'KEY',
  'LEDGER_READ',
  'ERASE',
  'ARCHIVE',
  'VOID',
  'WRITER',
  'START',
]);
export const OUTCOMES = /** @type {const} */ (['success', 'denied', 'failed']);
export const ACCESS_STATES = /** @type {const} */ (['CLEAR', 'MASKED', 'HIDDEN', 'ERASED', 'WRITTEN']);

/**
 * The previous leaf's hash followed by the record.
 * @param {Uint8Array} previousLeaf 32 bytes; ZERO_LEAF for the first entry
 * @param {Uint8Array} record canonical JSON, at most 65,503 bytes
 * @returns {Buffer}
 */
export function encodeEntry(previousLeaf, record) {
  if (previousLeaf.length !== 32) throw new Error('The previous leaf has 32 bytes.');
  if (record.length === 0 || record.length > LARGEST_RECORD) {
    throw new Error(`A record has 1 to ${LARGEST_RECORD} bytes.`);
  }
  const entry = allocate(32 + record.length);
  entry.set(previousLeaf);
  entry.set(record, 32);
  return entry;
}

/**
 * @param {Uint8Array} entry
 * @returns {{previousLeaf: Buffer, record: Buffer}} views into the entry
 */
export function decodeEntry(entry) {
  if (entry.length <= 32 || entry.length > LARGEST_ENTRY) {
    throw new Error('An entry has 32 bytes for the previous leaf and a record.');
  }
  const bytes = Buffer.from(entry.buffer, entry.byteOffset, entry.length);
  return { previousLeaf: bytes.subarray(0, 32), record: bytes.subarray(32) };
}

/**
 * A sequence of entries, each after its length in two bytes, the high one first.
 * @param {readonly Uint8Array[]} entries an entry of length 0 stands for one that could not be found
 * @returns {Buffer}
 */
export function encodeBundle(entries) {
  const parts = entries.flatMap((entry) => {
    if (entry.length > LARGEST_ENTRY) throw new Error(`An entry has at most ${LARGEST_ENTRY} bytes.`);
    return [Buffer.of(entry.length >> 8, entry.length & 0xff), entry];
  });
  return Buffer.concat(parts);
}

/**
 * @param {Uint8Array} bytes
 * @returns {{entries: Uint8Array[], rest: number}} views of the whole entries, and how many bytes follow them
 */
export function splitBundle(bytes) {
  /** @type {Uint8Array[]} */
  const entries = [];
  let offset = 0;
  for (let end = 0; offset + 2 <= bytes.length; offset = end) {
    end = offset + 2 + /** @type {number} */ (bytes[offset]) * 256 + /** @type {number} */ (bytes[offset + 1]);
    if (end > bytes.length) break;
    entries.push(bytes.subarray(offset + 2, end));
  }
  return { entries, rest: bytes.length - offset };
}

/**
 * @param {Uint8Array} bytes
 * @returns {Uint8Array[]} views of the entries
 * @throws {Error} when the last entry is cut short
 */
export function decodeBundle(bytes) {
  const { entries, rest } = splitBundle(bytes);
  if (rest > 0) throw new Error(`The bundle is cut short after ${entries.length} entries.`);
  return entries;
}

/** @typedef {import('./checks.mjs').Check} Check */

/** Members of every record. @type {Readonly<Record<string, Check>>} */
const MEMBERS = {
  v: (value) => value === RECORD_VERSION,
  log: text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  incarnation: wholeFrom(1),
  writer: text(/^[0-9a-f]{16}$/),
  number: wholeFrom(1),
  time: instant,
  request: token,
  operation: text(/^[ -~]{1,256}$/),
  kind: oneOf(KINDS),
  outcome: oneOf(OUTCOMES),
  code: orNull(text(/^[A-Z][A-Z0-9_]{0,63}$/)),
  actor: orNull(reference),
  role: orNull(token),
  session: orNull(token),
  purpose: orNull(token),
  document: orNull(digest),
  policy: orNull(token),
  rules: listOf(token),
  reason: (value) => typeof value === 'boolean',
  accesses: listOf((value) => matches(value, ACCESS_CHECKS)),
};

/** Members that may be absent, or stand only in some kinds of record. @type {Readonly<Record<string, Check>>} */
const OPTIONAL = {
  acr: token,
  consents: someOf(token),
  decision: token,
  obligations: someOf(token),
  detail: (value) => matches(value, DETAIL_CHECKS),
  sealed: (value) => matches(value, DETAIL_CHECKS),
  commitment: digest,
  suite: token,
  origin: text(/^[^\s+]{1,255}$/u),
  replaces: (value) => matches(value, REPLACES_CHECKS),
};

/** @type {Readonly<Record<string, Check>>} */
const ACCESS = {
  type: text(/^[A-Za-z][A-Za-z0-9]{0,63}$/),
  rows: wholeFrom(0),
  fields: (value) =>
    isObject(value) &&
    Object.entries(value).every(
      ([name, state]) => /^[A-Za-z_][A-Za-z0-9_.]{0,127}$/.test(name) && oneOf(ACCESS_STATES)(state),
    ),
  subjects: listOf(reference),
};
/** @type {Readonly<Record<string, Check>>} */
const DETAIL = { key: token, sha256: digest };
/** @type {Readonly<Record<string, Check>>} */
const REPLACES = { origin: text(/^[^\s+]{1,255}$/u), size: wholeFrom(0), root: digest };

const MEMBER_CHECKS = Object.entries(MEMBERS);
const ACCESS_CHECKS = Object.entries(ACCESS);
const DETAIL_CHECKS = Object.entries(DETAIL);
const REPLACES_CHECKS = Object.entries(REPLACES);

/**
 * The problems of a parsed record; the order of its members does not matter here.
 * @param {unknown} record
 * @returns {string[]} empty when the record is one of version 1; otherwise a sentence each, with member names only
 */
export function validateRecord(record) {
  if (!isObject(record)) return ['The record is not an object.'];
  /** @type {string[]} */
  const problems = [];
  for (const [name, check] of MEMBER_CHECKS) {
    if (!Object.hasOwn(record, name)) problems.push(`The member ${name} is missing.`);
    else if (!check(record[name])) problems.push(`The member ${name} has a wrong value.`);
  }
  for (const name of Object.keys(record)) {
    const check = Object.hasOwn(OPTIONAL, name) ? OPTIONAL[name] : undefined;
    if (check === undefined && !Object.hasOwn(MEMBERS, name)) problems.push('The record has an unknown member.');
    else if (check?.(record[name]) === false) problems.push(`The member ${name} has a wrong value.`);
  }
  return problems.length > 0 ? problems : problemsOfKind(/** @type {LedgerRecord} */ (/** @type {unknown} */ (record)));
}

/**
 * @param {LedgerRecord} record
 * @returns {string[]}
 */
function problemsOfKind(record) {
  /** @type {string[]} */
  const problems = [];
  const starts = record.kind === 'START';
  if (starts !== (record.suite !== undefined)) problems.push('Only a START record names a suite, and it must.');
  if (starts !== (record.origin !== undefined)) problems.push('Only a START record names an origin, and it must.');
  const registers = record.kind === 'WRITER';
  if (registers && (record.commitment === undefined || record.outcome !== 'success' || record.accesses.length > 0)) {
    problems.push('A WRITER record has a commitment, the outcome success and no accesses.');
  }
  if (record.commitment !== undefined && !registers && !starts) {
    problems.push('Only a WRITER or START record has a commitment.');
  }
  if (record.replaces !== undefined && (!starts || record.incarnation === 1)) {
    problems.push('Only a START record that raises the incarnation names a checkpoint that it replaces.');
  }
  if (record.kind === 'VOID' && (record.outcome !== 'failed' || record.accesses.length > 0)) {
    problems.push('A VOID record has the outcome failed and no accesses.');
  }
  return problems;
}
