import { createHash, createHmac, generateKeyPairSync, hash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeBundle, encodeEntry, SUITE, ZERO_LEAF } from '../audit/entry.mjs';
import { leafHash } from '../audit/merkle.mjs';
import { checkpointText, signNote, vkey } from '../audit/note.mjs';
import { entriesPath, macPath, TILE_WIDTH, TileWriter } from '../audit/tiles.mjs';
import type { VerifyOptions } from '../audit/verification.mjs';
import { verifyDirectory } from '../audit/verify.mjs';
import { bareDraft, encodeRecord, type RecordDraft } from '../src/ledger/record.js';
import { commitmentOf } from '../src/ledger/writer-key.js';
import { median, print } from './rounds.js';

const ORIGIN = 'ledger.example.org/T-CN';
const WRITERS = ['9f2c4b7a10d3e586', 'a1b2c3d4e5f60718'].map((writer) => ({ writer, key: randomBytes(32), number: 0 }));

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
export async function ledgerVerify(rounds: number, entries: number): Promise<number> {
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
  const bundles = readdirSync(path.join(directory, 'tile', 'entries'), { recursive: true, encoding: 'utf8' })
    .filter((name) => /[0-9]{3}$/.test(name))
    .map((name) => readFileSync(path.join(directory, 'tile', 'entries', name)));
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
  let previous = ZERO_LEAF;
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
  const commitment = commitmentOf(by.key);
  const bytes =
    index >= WRITERS.length
      ? encodeRecord(reading(index), stamp)
      : index === 0
        ? encodeRecord(bareDraft('T-CN', 'ledger.start', 'START', 'r'), stamp, { commitment, suite: SUITE, origin: ORIGIN })
        : encodeRecord(bareDraft('T-CN', 'ledger.writer', 'WRITER', 'r'), stamp, { commitment });
  return { bytes, mac: createHmac('sha256', by.key).update(bytes).digest() };
}

/** What a nurse's list of patients leaves: the shape of most records. */
function reading(index: number): RecordDraft {
  const reference = (name: string) => createHash('md5').update(`${name} ${index}`).digest('hex');
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
