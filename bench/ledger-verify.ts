import { generateKeyPairSync, hash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeBundle, encodeEntry, SUITE, ZERO_LEAF } from '../audit/entry.mjs';
import { MacKey } from '../audit/mac.mjs';
import { leafHash } from '../audit/merkle.mjs';
import { checkpointText, signNote, vkey } from '../audit/note.mjs';
import { entriesPath, macPath, TILE_WIDTH, TileWriter } from '../audit/tiles.mjs';
import type { VerifyOptions } from '../audit/verification.mjs';
import { verifyDirectory } from '../audit/verify.mjs';
import { bareDraft, encodeRecord, type RecordDraft, type RecordStamp } from '../src/ledger/record.js';
import { median, print } from './rounds.js';

const ENTRIES = 2_000 * TILE_WIDTH;
const ORIGIN = 'ledger.example.org/T-CN';
const WRITERS = ['9f2c4b7a10d3e586', 'a1b2c3d4e5f60718'].map((writer) => {
  const key = randomBytes(32);
  return { writer, key, mac: new MacKey(key), number: 0 };
});

interface Mode {
  readonly name: string;
  readonly options: VerifyOptions;
}

const MODES: readonly Mode[] = [
  { name: 'hashes', options: { hashesOnly: true } },
  { name: 'full', options: {} },
  { name: 'full, 2 threads', options: { workers: 2 } },
];

/**
 * Verification of a log in a directory: hashes alone, then everything (records parsed, MACs checked), then that with two
 * threads; against a plain loop of SHA-256 over the bytes of the same entries, which no verifier can beat. Prints entries
 * a second; the ratio is that of the whole verification in one thread.
 */
export async function ledgerVerify(rounds: number, entries = ENTRIES): Promise<number> {
  const directory = mkdtempSync(path.join(tmpdir(), 'custodia-bench-verify-'));
  try {
    const vkeys = [writeLog(directory, entries)];
    const figures = new Map<string, number[]>();
    const note = (name: string, perSecond: number) => {
      figures.set(name, [...(figures.get(name) ?? []), perSecond]);
      return perSecond;
    };
    print(['round', 'verification', 'entries/s']);
    for (let round = 0; round <= rounds; round += 1) {
      const one: [string, number][] = [['SHA-256 alone', plainLoop(directory, entries)]];
      for (const { name, options } of MODES) one.push([name, await verification(directory, { vkeys, ...options })]);
      if (round === 0) continue;
      for (const [name, perSecond] of one) print([String(round), name, note(name, perSecond).toFixed(0)]);
    }
    for (const [name, values] of figures) print(['median', name, median(values).toFixed(0)]);
    return median(figures.get('full') ?? []) / median(figures.get('SHA-256 alone') ?? []);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function verification(directory: string, options: VerifyOptions): Promise<number> {
  const start = performance.now();
  const report = await verifyDirectory(directory, options);
  const seconds = (performance.now() - start) / 1000;
  if (!report.ok) throw new Error(`The log of the benchmark is not in order: ${report.faults[0]?.message}`);
  return report.checked.entries / seconds;
}

/** One call for the entries of every bundle at once would be faster still, but would not give the leaves. */
function plainLoop(directory: string, entries: number): number {
  const bundles = Array.from({ length: entries / TILE_WIDTH }, (_, number) =>
    readFileSync(path.join(directory, entriesPath(number))),
  );
  const start = performance.now();
  for (const bundle of bundles) {
    for (let offset = 0; offset < bundle.length;) {
      const end = offset + 2 + bundle.readUInt16BE(offset);
      hash('sha256', bundle.subarray(offset + 1, end), 'binary');
      offset = end;
    }
  }
  return (entries * 1000) / (performance.now() - start);
}

/** Writes a log of two writers with MACs, a multiple of 256 entries; gives its verifier key. */
function writeLog(directory: string, entries: number): string {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const tiles = new TileWriter();
  const write = (name: string, content: string | Uint8Array) => {
    const file = path.join(directory, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  };
  let previous: Buffer = ZERO_LEAF;
  for (let first = 0; first < entries; first += TILE_WIDTH) {
    const records = Array.from({ length: TILE_WIDTH }, (_, at) => record(first + at));
    const bundle: Buffer[] = [];
    for (const { bytes } of records) {
      bundle.push(encodeEntry(previous, bytes));
      previous = leafHash(bundle.at(-1) as Buffer);
      for (const tile of tiles.append(previous)) write(tile.path, tile.data);
    }
    write(entriesPath(first / TILE_WIDTH), encodeBundle(bundle));
    write(macPath(first / TILE_WIDTH), Buffer.concat(records.map(({ mac }) => mac)));
  }
  for (const tile of tiles.partials()) write(tile.path, tile.data);
  const text = checkpointText({ origin: ORIGIN, size: tiles.size, root: tiles.tree().root() });
  write('checkpoint', signNote(text, { name: ORIGIN, privateKey }));
  write('writer.keys', WRITERS.map(({ writer, key }) => `${writer} ${key.toString('hex')}\n`).join(''));
  return vkey(ORIGIN, publicKey);
}

function record(index: number): { bytes: Buffer; mac: Buffer } {
  const by = WRITERS[index % WRITERS.length] as (typeof WRITERS)[number];
  by.number += 1;
  const time = new Date(Date.UTC(2026, 2, 1, 8) + index).toISOString();
  const stamp = { incarnation: 1, writer: by.writer, number: by.number, time };
  const bytes = index < WRITERS.length ? registration(index, stamp) : encodeRecord(reading(index), stamp);
  return { bytes, mac: Buffer.from(by.mac.of(bytes)) };
}

function registration(index: number, stamp: RecordStamp): Buffer {
  const { mac } = WRITERS[index] as (typeof WRITERS)[number];
  const { commitment } = mac;
  if (index > 0) return encodeRecord(bareDraft('T-CN', 'ledger.writer', 'WRITER', 'r'), stamp, { commitment });
  const start = bareDraft('T-CN', 'ledger.start', 'START', 'r');
  return encodeRecord(start, stamp, { commitment, suite: SUITE, origin: ORIGIN });
}

/** What a nurse's list of patients leaves: the shape of most records. */
function reading(index: number): RecordDraft {
  const reference = (name: string) => hash('md5', `${name} ${index}`);
  return {
    ...bareDraft('T-CN', 'patients', 'READ', `0195507c-a8f4-7000-8000-${reference('request').slice(0, 12)}`),
    actor: reference('actor'),
    role: 'call_center_agent',
    session: `0195507c-9a00-7000-8000-${reference('session').slice(0, 12)}`,
    purpose: 'HOPERAT',
    document: hash('sha256', 'patients'),
    policy: hash('sha256', 'policy'),
    rules: ['agent-hoperat'],
    accesses: [
      {
        type: 'Patient',
        rows: 1,
        fields: { birthDate: 'MASKED', name: 'MASKED', phone: 'MASKED' },
        subjects: [reference('subject')],
      },
    ],
  };
}
