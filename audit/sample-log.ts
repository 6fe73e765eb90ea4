import { createHash, createHmac, generateKeyPairSync, hash, type KeyObject } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { canonicalize } from './canonical.mjs';
import { encodeDetails } from './details.mjs';
import { encodeBundle, encodeEntry, SUITE, ZERO_LEAF, type LedgerRecord } from './entry.mjs';
import { MacKey } from './mac.mjs';
import { CompactRange, leafHash } from './merkle.mjs';
import { checkpointText, signNote, vkey } from './note.mjs';
import { detailPath, entriesPath, macPath, TILE_WIDTH, tilesOf } from './tiles.mjs';

export const ORIGIN = 'ledger.example.org/T-CN';
export const KEYS = generateKeyPairSync('ed25519');
export const WITNESS_KEYS = [1, 2, 3].map(() => generateKeyPairSync('ed25519').privateKey);
export const VKEY = vkey(ORIGIN, KEYS.publicKey);
export const WRITERS = ['00000000000000a1', '00000000000000b2'] as const;
/** The key of each writer's MACs. */
export const WRITER_KEYS = WRITERS.map((writer) => createHash('sha256').update(writer).digest());

/** What a database holds of a log: per index a record and the leaf hash that the sequencer stored. */
export interface Row {
  record: Buffer | null;
  leaf: Buffer | null;
}

/** The files of a log in a directory. */
export interface Files {
  entries: Buffer[];
  leaves: Buffer[];
  note: string;
  vkey: string;
  /** Of the records; without it there is no such folder. */
  macs?: Buffer[];
  /** Ciphertext beside the records; without it there is no such folder. */
  details?: (Buffer | null)[];
  /** The file `writer.keys`. */
  writerKeys?: string;
  /** The file `minimum`: bundles below are not written. */
  minimum?: number;
}

/**
 * A record whose writer's numbers are dense over the whole log; every second pair of one writer comes swapped. A change to
 * undefined leaves the member out.
 */
export function sampleRecord(index: number, changes: Partial<LedgerRecord> = {}): LedgerRecord {
  const turn = Math.floor(index / 2);
  const swapped = index < 4 ? turn : turn % 2 === 0 ? turn + 1 : turn - 1;
  const record: LedgerRecord = {
    v: 1,
    log: 'T-CN',
    incarnation: 1,
    writer: WRITERS[index % 2]!,
    number: swapped + 1,
    time: new Date(Date.UTC(2026, 2, 1, 8) + index * 1000).toISOString(),
    request: `request-${index}`,
    operation: 'patients',
    kind: 'READ',
    outcome: 'success',
    code: null,
    actor: 'c0ffee00112233445566778899aabbcc',
    role: 'nurse',
    session: null,
    purpose: 'TREAT',
    document: null,
    policy: null,
    rules: ['nurse-treat'],
    reason: false,
    accesses: [{ type: 'Patient', rows: 1, fields: { name: 'CLEAR' }, subjects: ['0b8e6f1d2c3a4b5c6d7e8f9001122334'] }],
    ...(index === 0 ? { kind: 'START', suite: SUITE, origin: ORIGIN, accesses: [] } : {}),
    ...changes,
  };
  return Object.fromEntries(
    Object.entries(record).filter(([, value]) => value !== undefined),
  ) as unknown as LedgerRecord;
}

/** The ciphertext of the details of every third record of a log with details; other records have none. */
export function sampleDetail(index: number): Buffer | null {
  return index % 3 === 2 ? Buffer.from(`nonce, ciphertext and tag of entry ${index}`) : null;
}

/** A reference of somebody whom nobody else's records are about. */
export function subjectOf(index: number): string {
  return createHash('md5').update(`subject ${index}`).digest('hex');
}

/**
 * A log as today's writers leave it: both are registered, every record has a MAC, every third one sealed details, and the
 * keys of the writers are released.
 */
export function completeLog(size: number, changes: Record<number, Partial<LedgerRecord>> = {}): Required<Files> {
  const [start, writer] = WRITER_KEYS.map((key) => ({ commitment: new MacKey(key).commitment }));
  const details = Array.from({ length: size }, (_, index) => sampleDetail(index));
  const sealed = details.map((detail, index): Partial<LedgerRecord> => {
    const accesses = [{ type: 'Patient', rows: 1, fields: { name: 'CLEAR' as const }, subjects: [subjectOf(index)] }];
    return detail === null ? {} : { accesses, sealed: { key: 'tenant', sha256: hash('sha256', detail) } };
  });
  const registered: Record<number, Partial<LedgerRecord>> = {
    0: start!,
    1: { kind: 'WRITER', accesses: [], ...writer },
  };
  const all = Object.fromEntries(
    sealed.map((own, index) => [index, { ...own, ...registered[index], ...changes[index] }]),
  );
  const records = sampleRecords(size, all);
  const macs = records.map((record, index) =>
    createHmac('sha256', WRITER_KEYS[index % 2]!)
      .update(record)
      .digest(),
  );
  const writerKeys = WRITERS.map((name, at) => `${name} ${WRITER_KEYS[at]!.toString('hex')}\n`).join('');
  return { ...logOf(records), macs, details, writerKeys, minimum: 0 };
}

/** Canonical bytes of the first records of the sample log. */
export function sampleRecords(size: number, changes: Record<number, Partial<LedgerRecord>> = {}): Buffer[] {
  // Swapped pairs of both writers cover four indexes: at the end of a log they are left in order.
  const whole = size - (size % 4);
  return Array.from({ length: size }, (_, index) => {
    const order = index >= whole ? { number: Math.floor(index / 2) + 1 } : {};
    return Buffer.from(canonicalize(sampleRecord(index, { ...order, ...changes[index] })));
  });
}

export function checkpointOf(leaves: readonly Buffer[], privateKey: KeyObject = KEYS.privateKey): string {
  return checkpointAs(ORIGIN, leaves, privateKey);
}

/** A checkpoint of a log of this name. */
export function checkpointAs(name: string, leaves: readonly Buffer[], privateKey = KEYS.privateKey): string {
  const tree = new CompactRange();
  for (const leaf of leaves) tree.append(leaf);
  return signNote(checkpointText({ origin: name, size: tree.size, root: tree.root() }), { name, privateKey });
}

/** Chains, hashes and signs records into a log without a fault. */
export function logOf(records: readonly Buffer[], privateKey: KeyObject = KEYS.privateKey): Files {
  const entries: Buffer[] = [];
  const leaves: Buffer[] = [];
  for (const record of records) {
    const entry = encodeEntry(leaves.at(-1) ?? ZERO_LEAF, record);
    entries.push(entry);
    leaves.push(leafHash(entry));
  }
  return { entries, leaves, note: checkpointOf(leaves, privateKey), vkey: vkey(ORIGIN, privateKey) };
}

/** What a database holds of a log without a fault. */
export function rowsOf(log: Files): Row[] {
  return log.entries.map((entry, index) => ({ record: entry.subarray(32), leaf: log.leaves[index]! }));
}

/** Takes a log out of a database as it is: an entry's previous leaf is the one stored, and what is missing is empty. */
export function dumpOf(rows: readonly Row[], log: Files): Files {
  const nothing = Buffer.alloc(32);
  const entries = rows.map(({ record }, index) =>
    record === null
      ? Buffer.alloc(0)
      : encodeEntry(index === 0 ? ZERO_LEAF : (rows[index - 1]!.leaf ?? nothing), record),
  );
  return { ...log, entries, leaves: rows.map(({ leaf }) => leaf ?? nothing) };
}

/** Writes a log as tlog-tiles files; the tiles follow from its leaves, whatever its entries are. */
export function writeLog(directory: string, log: Files): void {
  const { entries, leaves, note, vkey: key, macs, details, writerKeys, minimum = 0 } = log;
  rmSync(directory, { recursive: true, force: true });
  const files = new Map<string, string | Uint8Array>([
    ['checkpoint', note],
    ['log.vkey', `${key}\n`],
    ...tilesOf(leaves),
  ]);
  if (writerKeys !== undefined) files.set('writer.keys', writerKeys);
  if (minimum > 0) files.set('minimum', `${minimum}\n`);
  for (let at = 0; at < entries.length; at += TILE_WIDTH) {
    const bundle = entries.slice(at, at + TILE_WIDTH);
    if (at + bundle.length <= minimum) continue;
    const number = at / TILE_WIDTH;
    files.set(entriesPath(number, bundle.length), encodeBundle(bundle));
    if (macs) files.set(macPath(number, bundle.length), Buffer.concat(macs.slice(at, at + bundle.length)));
    if (details) files.set(detailPath(number, bundle.length), encodeDetails(details.slice(at, at + bundle.length)));
  }
  for (const [path, content] of files) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), content);
  }
}
