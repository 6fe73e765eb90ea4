#!/usr/bin/env node
/**
 * Makes the logs in `samples/`, always the same bytes:
 *
 *     node build-samples.mjs [<directory>]      samples/ beside itself without one
 *
 * The keys are made of published seeds, so these logs prove nothing about anybody. What they show is what a log is, and
 * what a verifier says of one that was tampered with.
 *
 * @module
 */
import { createHash, createPrivateKey } from 'node:crypto';
import { mkdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { toHex } from './bytes.mjs';
import { canonicalize } from './canonical.mjs';
import { cosign, witnessVkey } from './cosignature.mjs';
import { encodeDetails } from './details.mjs';
import { encodeBundle, encodeEntry, SUITE, ZERO_LEAF } from './entry.mjs';
import { MacKey } from './mac.mjs';
import { CompactRange, inclusionProof, leafHash } from './merkle.mjs';
import { checkpointText, signNote, vkey } from './note.mjs';
import { formatProof } from './proof.mjs';
import { detailPath, entriesPath, macPath, TILE_WIDTH, tilesOf } from './tiles.mjs';

/** @typedef {import('./entry.mjs').LedgerRecord} LedgerRecord */

const LOG = 'T-CN';
export const ORIGIN = `ledger.example.org/${LOG}`;
export const SIZE = 300;
/** An older checkpoint that an auditor might have kept. */
export const OLDER_SIZE = 200;
/** The entry with a proof of its own. */
export const PROVEN_INDEX = 42;
/** The entry that the tampered log has otherwise: an export of nine patients, made to be one of one. */
export const TAMPERED_INDEX = 137;

const START = Date.UTC(2026, 2, 1, 8);
const SECONDS_BETWEEN = 40;
const WITNESS = 'witness.example.org/w1';
/** The first writer ended with its process; its key was released. The second is still there. */
const WRITERS = ['9f2c4b7a10d3e586', '41d7a3c96be20f58'];
/** The entry in which the second writer begins. */
const SECOND_BEGINS = 160;
/** Whose details were erased, from which entry on that stands in the log, and who acts. */
const ERASED = referenceOf('subject', 3);
const ERASE_INDEX = 250;

/**
 * @param {string} text
 * @returns {Buffer} 32 bytes that only depend on the text
 */
function seedOf(text) {
  return createHash('sha256').update(`custodia sample log: ${text}`).digest();
}

/**
 * @param {string} what
 * @param {number} number
 * @returns {string} a reference as random ones look
 */
function referenceOf(what, number) {
  return seedOf(`${what} ${number}`).toString('hex', 0, 16);
}

/**
 * @param {string} name
 * @returns {import('node:crypto').KeyObject}
 */
function signingKey(name) {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seedOf(name)]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** What the people of a small clinic do, by turns. @type {Partial<LedgerRecord>[]} */
const WORK = [
  { operation: 'patients', kind: 'SEARCH', role: 'front_desk', purpose: 'PATADMIN', rules: ['front-desk-search'] },
  { operation: 'patient', kind: 'READ', role: 'nurse', purpose: 'TREAT', rules: ['nurse-treat'] },
  { operation: 'appointments', kind: 'READ', role: 'front_desk', purpose: 'PATADMIN', rules: ['front-desk-visit'] },
  { operation: 'updatePatient', kind: 'UPDATE', role: 'physician', purpose: 'TREAT', rules: ['physician-treat'] },
  { operation: 'patient', kind: 'READ', role: 'marketing', purpose: 'HMARKT', outcome: 'denied', code: 'FORBIDDEN' },
];

/**
 * @param {number} index
 * @returns {Partial<LedgerRecord>} what happened there
 */
function workAt(index) {
  const own = WORK[index % WORK.length] ?? {};
  const subjects = own.outcome === 'denied' ? [] : [referenceOf('subject', index % 17)];
  const state = own.kind === 'UPDATE' ? 'WRITTEN' : own.kind === 'SEARCH' ? 'MASKED' : 'CLEAR';
  const fields = subjects.length === 0 ? {} : { name: state, phone: own.kind === 'UPDATE' ? 'CLEAR' : state };
  return {
    ...own,
    accesses: [{ type: 'Patient', rows: subjects.length, fields: /** @type {{}} */ (fields), subjects }],
    actor: referenceOf('actor', index % 5),
    session: `session-${index % 5}`,
    document: seedOf(`document ${own.operation}`).toString('hex'),
    policy: seedOf('policy').toString('hex'),
    decision: `decision-${index}`,
    acr: index % 2 === 0 ? 'pwd' : 'pwd+otp',
  };
}

/** Entries that are not everyday work. @type {Readonly<Record<number, Partial<LedgerRecord>>>} */
const SPECIAL = {
  0: { operation: 'ledger.start', kind: 'START', suite: SUITE, origin: ORIGIN, accesses: [] },
  [SECOND_BEGINS]: { operation: 'ledger.writer', kind: 'WRITER', accesses: [] },
  60: { operation: 'createPatient', kind: 'VOID', outcome: 'failed', code: 'INTERNAL_SERVER_ERROR', accesses: [] },
  [TAMPERED_INDEX]: {
    operation: 'exportPatients',
    kind: 'EXPORT',
    role: 'tenant_admin',
    purpose: 'HOPERAT',
    rules: ['admin-export'],
    reason: true,
    detail: { key: 'export:0195507c', sha256: seedOf('export').toString('hex') },
    accesses: [
      {
        type: 'Patient',
        rows: 9,
        fields: { name: 'CLEAR', phone: 'CLEAR' },
        subjects: Array.from({ length: 9 }, (_, at) => referenceOf('subject', at)),
      },
    ],
  },
  [ERASE_INDEX]: {
    operation: 'erasePatient',
    kind: 'ERASE',
    role: 'privacy_officer',
    purpose: 'HCOMPL',
    rules: ['privacy-erase'],
    reason: true,
    accesses: [{ type: 'Patient', rows: 1, fields: { name: 'ERASED', phone: 'ERASED' }, subjects: [ERASED] }],
  },
};

/**
 * The records of the log with what lies beside them.
 * @returns {{record: Buffer, mac: Buffer, detail: Buffer | null}[]}
 */
function makeRecords() {
  const keys = WRITERS.map((writer) => new MacKey(seedOf(`key of writer ${writer}`)));
  const numbers = [0, 0];
  return Array.from({ length: SIZE }, (_, index) => {
    const at = index >= SECOND_BEGINS && (index === SECOND_BEGINS || index % 3 !== 0) ? 1 : 0;
    // The number that entry 60 gives back was taken before that of entry 59, by a transaction that was rolled back.
    const number = (numbers[at] = (numbers[at] ?? 0) + 1);
    const swapped = index === 59 ? number + 1 : index === 60 ? number - 1 : number;
    const work = SPECIAL[index] ?? workAt(index);
    const subject = work.accesses?.[0]?.subjects[0];
    const sealed = index % 4 === 3 && subject !== undefined && !SPECIAL[index];
    const detail = sealed ? ciphertextAt(index) : null;
    /** @type {LedgerRecord} */
    const record = {
      v: 1,
      log: LOG,
      incarnation: 1,
      writer: WRITERS[at] ?? '',
      number: swapped,
      time: new Date(START + index * SECONDS_BETWEEN * 1000).toISOString(),
      request: `request-${index}`,
      operation: 'patients',
      kind: 'READ',
      outcome: 'success',
      code: null,
      actor: null,
      role: null,
      session: null,
      purpose: null,
      document: null,
      policy: null,
      rules: [],
      reason: false,
      accesses: [],
      ...work,
      ...(number === 1 ? { commitment: keys[at]?.commitment } : {}),
      ...(detail === null
        ? {}
        : { sealed: { key: `subject:${subject}`, sha256: createHash('sha256').update(detail).digest('hex') } }),
    };
    const bytes = Buffer.from(canonicalize(record));
    const mac = Buffer.from(/** @type {MacKey} */ (keys[at]).of(bytes));
    return { record: bytes, mac, detail: subject === ERASED && index < ERASE_INDEX ? null : detail };
  });
}

/**
 * @param {number} index
 * @returns {Buffer} looks like nonce, ciphertext and tag; there is no key that opens it
 */
function ciphertextAt(index) {
  return Buffer.concat([seedOf(`detail ${index}`), seedOf(`more of detail ${index}`)]).subarray(0, 40 + (index % 24));
}

/**
 * @param {readonly Buffer[]} leaves
 * @returns {string} the log's checkpoint over them
 */
function checkpointOf(leaves) {
  const tree = new CompactRange();
  for (const leaf of leaves) tree.append(leaf);
  const text = checkpointText({ origin: ORIGIN, size: tree.size, root: tree.root() });
  const note = signNote(text, { name: ORIGIN, privateKey: signingKey('log') });
  const time = (START + leaves.length * SECONDS_BETWEEN * 1000) / 1000;
  return note + cosign(text, { name: WITNESS, privateKey: signingKey('witness') }, time);
}

/**
 * The files of a log by their paths.
 * @param {readonly {entry: Buffer, mac: Buffer, detail: Buffer | null}[]} entries
 * @param {readonly Buffer[]} leaves
 * @param {string} key the log's verifier key
 * @returns {Map<string, string | Uint8Array>}
 */
function logFiles(entries, leaves, key) {
  const released = `${WRITERS[0]} ${toHex(seedOf(`key of writer ${WRITERS[0]}`))}\n`;
  /** @type {Map<string, string | Uint8Array>} */
  const files = new Map([
    ['checkpoint', checkpointOf(leaves)],
    ['log.vkey', `${key}\n`],
    ['writer.keys', released],
  ]);
  for (const [path, data] of tilesOf(leaves)) files.set(path, data);
  for (let at = 0; at < entries.length; at += TILE_WIDTH) {
    const bundle = entries.slice(at, at + TILE_WIDTH);
    const place = /** @type {const} */ ([at / TILE_WIDTH, bundle.length]);
    files.set(entriesPath(...place), encodeBundle(bundle.map(({ entry }) => entry)));
    files.set(macPath(...place), Buffer.concat(bundle.map(({ mac }) => mac)));
    files.set(detailPath(...place), encodeDetails(bundle.map(({ detail }) => detail)));
  }
  return files;
}

/** @returns {Map<string, string | Uint8Array>} everything in `samples/`, by path */
export function sampleFiles() {
  const records = makeRecords();
  /** @type {Buffer[]} */
  const leaves = [];
  const entries = records.map(({ record, mac, detail }) => {
    const entry = Buffer.from(encodeEntry(leaves.at(-1) ?? ZERO_LEAF, record));
    leaves.push(Buffer.from(leafHash(entry)));
    return { entry, mac, detail };
  });
  const key = vkey(ORIGIN, signingKey('log'));
  const witness = witnessVkey(WITNESS, signingKey('witness'));
  const clean = logFiles(entries, leaves, key);
  const tampered = new Map(clean);
  tampered.set(entriesPath(0), tamperedBundle(/** @type {Uint8Array} */ (clean.get(entriesPath(0))), entries));
  const proof = formatProof({
    index: PROVEN_INDEX,
    extra: leaves[PROVEN_INDEX - 1] ?? ZERO_LEAF,
    hashes: inclusionProof(leaves, PROVEN_INDEX, SIZE),
    note: checkpointOf(leaves),
  });
  const policy =
    '# Who must have signed: the log, and one witness that somebody else runs.\n' +
    `log ${key}\nwitness w1 ${witness}\nquorum w1\n`;
  return new Map([
    ['log.vkey', `${key}\n`],
    ['policy', policy],
    [`checkpoint-${OLDER_SIZE}`, checkpointOf(leaves.slice(0, OLDER_SIZE))],
    [`entry-${PROVEN_INDEX}.tlog-proof`, proof],
    [`entry-${PROVEN_INDEX}.record`, /** @type {Buffer} */ (records[PROVEN_INDEX]?.record)],
    ...[...clean].map(([path, content]) => /** @type {const} */ ([`log/${path}`, content])),
    ...[...tampered].map(([path, content]) => /** @type {const} */ ([`tampered/${path}`, content])),
  ]);
}

/**
 * @param {Uint8Array} bundle
 * @param {readonly {entry: Buffer}[]} entries
 * @returns {Uint8Array} with one byte changed: nine rows of an export became one
 */
function tamperedBundle(bundle, entries) {
  const before = entries.slice(0, TAMPERED_INDEX).reduce((sum, { entry }) => sum + 2 + entry.length, 0);
  const at = before + 2 + (entries[TAMPERED_INDEX]?.entry.indexOf('"rows":9') ?? 0) + '"rows":'.length;
  const copy = Uint8Array.from(bundle);
  copy[at] = '1'.charCodeAt(0);
  return copy;
}

const program = process.argv[1];
if (program !== undefined && import.meta.url === pathToFileURL(realpathSync(program)).href) {
  const target = process.argv[2] ?? fileURLToPath(new URL('samples', import.meta.url));
  rmSync(target, { recursive: true, force: true });
  for (const [path, content] of sampleFiles()) {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    writeFileSync(join(target, path), content);
  }
}
