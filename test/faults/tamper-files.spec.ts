import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Cosigner } from '../../audit/cosigner.mjs';
import { CompactRange } from '../../audit/merkle.mjs';
import { checkpointText, parseCheckpoint, signNote, splitNote } from '../../audit/note.mjs';
import { verifyDirectory } from '../../audit/verify.mjs';
import { formatAddCheckpoint } from '../../audit/witness-request.mjs';
import { WitnessState } from '../../audit/witness-state.mjs';
import { exportLog } from '../../src/ledger/export.js';
import { fileLedgerKeys } from '../../src/ledger/keys.js';
import { FileCheckpointStore } from '../../src/ledger/checkpoint-store.js';
import { Ledger } from '../../src/ledger/ledger.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { verdictLine, verifyLog } from '../../src/ledger/verification.js';
import { writerKeysText } from '../../src/ledger/writer-release.js';
import { ledgerOptions, readDraft } from '../support/ledger.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const LOG = 'T-CN';
const SIZE = 600;
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const base = mkdtempSync(path.join(memory, 'custodia-tamper-files-'));
const [clean, copy] = [path.join(base, 'clean'), path.join(base, 'copy')];
const keys = fileLedgerKeys(path.join(base, 'keys'));

let database: TestDatabase;
let files: LogFiles;
let writerKeys: string | undefined;

beforeAll(async () => {
  database = await testDatabase();
  ({ files, writerKeys } = await logIn(database, path.join(base, 'checkpoints'), clean));
});
afterAll(async () => {
  await database.close();
  rmSync(base, { recursive: true });
});
beforeEach(() => {
  rmSync(copy, { recursive: true, force: true });
  cpSync(clean, copy, { recursive: true });
});

/** A log of the real ledger with the keys of this file, exported. */
async function logIn(where: TestDatabase, checkpoints: string, directory: string) {
  const store = new FileCheckpointStore(checkpoints);
  const ledger = await Ledger.open({ ...ledgerOptions(where), keys, store });
  await ledger.createLogs([LOG]);
  const sealed = { key: 'tenant', ciphertext: Buffer.alloc(48, 7) };
  await Promise.all(Array.from({ length: SIZE - 1 }, () => ledger.writer.append({ ...readDraft(LOG), sealed })));
  await ledger.settle(20_000);
  await ledger.close();
  const files = new LogFiles(where.auditor, store, keys, null);
  await exportLog(files, LOG, directory);
  return { files, writerKeys: writerKeysText(keys.macKey, LOG, [ledger.writer.writer]) ?? undefined };
}

/** As an auditor who has the key of the log from elsewhere, and checkpoints that were kept. */
async function verdict(
  directory: string,
  checkpoints: readonly string[] = [],
  beside: { writerKeys?: string; policy?: string } = { writerKeys },
): Promise<string> {
  const { ok, size, first } = await verifyDirectory(directory, { vkeys: [files.vkey(LOG)], checkpoints, ...beside });
  return ok ? `OK ${size}` : `BAD ${first?.index ?? '-'} ${first?.class}`;
}

const read = (name: string) => readFileSync(path.join(copy, name));
const write = (name: string, content: string | Buffer) => writeFileSync(path.join(copy, name), content);

function flip(name: string, at: (bytes: Buffer) => number): void {
  const bytes = read(name);
  const place = at(bytes);
  bytes[place]! ^= 1;
  write(name, bytes);
}

const last = (bytes: Buffer) => bytes.length - 1;

const EDITS: readonly [string, () => void, string][] = [
  ['nothing', () => undefined, `OK ${SIZE}`],
  ['a hash of the leaves', () => flip('tile/0/001', () => 32 * 44 + 5), 'BAD 300 tile'],
  ['a hash above the leaves', () => flip('tile/1/000.p/2', () => 40), 'BAD 256 tile'],
  ['the last byte of the newest record', () => flip('tile/entries/002.p/88', last), 'BAD 599 leaf'],
  ['a MAC', () => flip('mac/001', () => 32 * 44 + 31), 'BAD 300 mac'],
  ['sealed details', () => flip('detail/002.p/88', last), 'BAD 599 detail'],
  ['a bundle, taken from another place', () => write('tile/entries/001', read('tile/entries/000')), 'BAD 256 leaf'],
  ['a bundle, away', () => rmSync(path.join(copy, 'tile/entries/001')), 'BAD 256 missing-entry'],
  [
    'the size in the checkpoint',
    () => write('checkpoint', read('checkpoint').toString().replace('\n600\n', '\n512\n')),
    'BAD - signature',
  ],
  ['the signature of the checkpoint', () => flip('checkpoint', (bytes) => bytes.length - 9), 'BAD - signature'],
];

describe('files of an exported log are changed', () => {
  it.each(EDITS)('%s: the verifier names it', async (_, edit, expected) => {
    edit();
    expect(await verdict(copy)).toBe(expected);
  });

  it('the checkpoint signed again with another key, which is put beside it', async () => {
    const { text } = splitNote(read('checkpoint').toString());
    const { name } = keys.signer(LOG);
    const { privateKey } = generateKeyPairSync('ed25519');
    write('checkpoint', signNote(text, { name, privateKey }));
    expect(await verdict(copy)).toBe('BAD - signature');
  });

  it('the checkpoint of a shorter log, signed with the key of the log itself, and all that it no longer covers away', async () => {
    const kept = read('checkpoint').toString();
    const shorter = { origin: keys.signer(LOG).name, size: 512, root: await rootAt(512) };
    write('checkpoint', signNote(checkpointText(shorter), keys.signer(LOG)));
    for (const folder of ['tile/0', 'tile/entries', 'mac', 'detail'])
      rmSync(path.join(copy, folder, '002.p'), { recursive: true });
    expect(await verdict(copy)).toBe('OK 512');
    expect(await verdict(copy, [kept])).toBe('BAD 512 consistency');
  });
});

/** The root of the first entries of the log, from its own files. */
async function rootAt(size: number): Promise<Buffer> {
  const range = new CompactRange();
  for (let index = 0; index * 256 < size; index++)
    for (const leaf of await files.hashes(LOG, 0, index, 256)) range.append(leaf);
  return Buffer.from(range.root());
}

describe('one log with two histories', () => {
  /** A witness of its own, that was shown this checkpoint first. */
  async function witness(name: string, note: string) {
    const state = path.join(base, name);
    const { privateKey } = generateKeyPairSync('ed25519');
    const cosigner = new Cosigner({ name, privateKey, logs: [files.vkey(LOG)], state: new WitnessState(state) });
    const show = (one: string) => cosigner.addCheckpoint(formatAddCheckpoint({ old: 0, proof: [], note: one }));
    const { status, body } = await show(note);
    expect(status).toBe(200);
    return { state, cosigner, cosigned: note + body };
  }

  it('shown to two witnesses: each is in order alone, together they prove the fork, and neither witness takes the other', async () => {
    const second = await testDatabase();
    const fork = path.join(base, 'fork');
    await logIn(second, path.join(base, 'other'), fork);
    await second.close();
    const notes = [clean, fork].map((directory) => readFileSync(path.join(directory, 'checkpoint'), 'utf8'));
    const [one, two] = [await witness('one', notes[0]!), await witness('two', notes[1]!)];
    const policy = [
      `log ${files.vkey(LOG)}`,
      ...[one, two].map(({ cosigner }, at) => `witness w${at} ${cosigner.vkey}`),
      'group either any w0 w1',
      'quorum either',
      '',
    ].join('\n');
    for (const [directory, mine, other] of [
      [clean, one, two],
      [fork, two, one],
    ] as const) {
      writeFileSync(path.join(directory, 'checkpoint'), mine.cosigned);
      expect(await verdict(directory, [mine.cosigned], { policy })).toBe(`OK ${SIZE}`);
      expect(await verdict(directory, [other.cosigned], { policy })).toBe('BAD - consistency');
      // A witness that is told the size that it has keeps both: that is the proof.
      const old = formatAddCheckpoint({ old: SIZE, proof: [], note: other.cosigned });
      expect((await mine.cosigner.addCheckpoint(old)).status).toBe(409);
      const name = readdirSync(mine.state, { recursive: true, encoding: 'utf8' }).find((one) =>
        one.endsWith(`fork-${SIZE}`),
      );
      const evidence = readFileSync(path.join(mine.state, name ?? ''), 'utf8');
      for (const { cosigned } of [mine, other]) expect(evidence).toContain(splitNote(cosigned).text);
    }
  });
});

describe('the checkpoint store beside the database', () => {
  const place = (...names: string[]) => path.join(base, 'checkpoints', LOG, ...names);
  const kept = () => readFileSync(place('checkpoint'), 'utf8');
  const line = async () => verdictLine(await verifyLog(files, LOG));

  async function grown(): Promise<string> {
    const before = kept();
    const ledger = await Ledger.open({ ...ledgerOptions(database), keys, store: files.store });
    await ledger.createLogs([LOG]);
    await ledger.settle(20_000);
    await ledger.close();
    return before;
  }

  it('what auditors are shown lags behind what is signed, while witnesses are asked: in order', async () => {
    writeFileSync(place('published'), await grown());
    expect(parseCheckpoint(splitNote(kept()).text).size).toBe(SIZE + 1);
    expect(await line()).toBe(`OK ${LOG} ${SIZE + 1}`);
  });

  it('all of them set back, but for the history: named', async () => {
    const older = await grown();
    for (const name of ['checkpoint', 'published']) writeFileSync(place(name), older);
    expect(await line()).toBe(`BAD ${LOG} ${SIZE + 1} consistency`);
  });

  it('the checkpoint that is kept is of another history: named', async () => {
    await grown();
    const { size } = parseCheckpoint(splitNote(kept()).text);
    const other = checkpointText({ origin: keys.signer(LOG).name, size: size - 2, root: Buffer.alloc(32, 1) });
    mkdirSync(place('history'), { recursive: true });
    writeFileSync(place('history', `${size - 2}`), signNote(other, keys.signer(LOG)));
    expect(await line()).toBe(`BAD ${LOG} - consistency`);
  });
});
