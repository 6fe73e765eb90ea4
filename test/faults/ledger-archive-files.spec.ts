import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { verifyDirectory } from '../../audit/verify.mjs';
import { ManualClock } from '../../src/kernel/clock.js';
import type { Ledger } from '../../src/ledger/ledger.js';
import type { LogFiles } from '../../src/ledger/log-files.js';
import type { RecordDraft } from '../../src/ledger/record.js';
import type { Session } from '../../src/ledger/session.js';
import { readDraft } from '../support/ledger.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { CHANGING, Strike } from '../support/strike.js';

let strike: Strike | null = null;

// What writes the archive calls these functions by their names: they are replaced before it is loaded.
const actual = await import('node:fs/promises');
const names = Object.keys(actual).filter((name) => typeof Reflect.get(actual, name) === 'function');
const replaced = Object.fromEntries(
  names.map((name) => [
    name,
    (...words: unknown[]): unknown => {
      const functions = strike === null || !String(words[0]).startsWith(archive) ? actual : strike.files({ ...actual });
      return Reflect.apply(Reflect.get(functions, name) as () => unknown, functions, words);
    },
  ]),
);
jest.unstable_mockModule('node:fs/promises', () => ({ ...actual, ...replaced, default: replaced }));
const { Archiver, archiveTools } = await import('../../src/ledger/archive.js');
const { ownerSession } = await import('../../src/ledger/owner-session.js');
const { Ledger: LedgerClass } = await import('../../src/ledger/ledger.js');
const { LogFiles: LogFilesClass } = await import('../../src/ledger/log-files.js');
const { FileCheckpointStore } = await import('../../src/ledger/checkpoint-store.js');
const { changedRetention, STANDARD_RETENTION, storeRetention } = await import('../../src/ledger/retention.js');
const { verifyLog } = await import('../../src/ledger/verification.js');
const { fileLedgerKeys } = await import('../../src/ledger/keys.js');
const { exportLog } = await import('../../src/ledger/export.js');
const { monthPartitions } = await import('../../src/ledger/archive-months.js');

const LOG = 'T-CN';
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const base = mkdtempSync(path.join(memory, 'custodia-archive-'));
const archive = path.join(base, 'archive');

let database: TestDatabase;
let ledger: Ledger;
let files: LogFiles;
let owner: Session;
const clock = new ManualClock(Date.parse('2024-01-10T08:00:00Z'));

async function moveTo(day: string): Promise<void> {
  await ledger.settle(20_000);
  clock.advance(Date.parse(`${day}T08:00:00Z`) - clock.milliseconds());
}

const record = (count: number) =>
  Promise.all(Array.from({ length: count }, () => ledger.writer.append(readDraft(LOG))));

beforeAll(async () => {
  database = await testDatabase();
  const keys = fileLedgerKeys(path.join(base, 'keys'));
  const store = new FileCheckpointStore(path.join(base, 'checkpoints'));
  const { app, sequencer, urls } = database;
  ledger = await LedgerClass.open({ app, sequencer, sequencerUrl: urls.sequencer, keys, store, clock });
  files = new LogFilesClass(database.auditor, store, keys, archive);
  owner = await ownerSession(urls.owner);
  await ledger.createLogs([LOG]);
  await record(40);
  await moveTo('2024-02-10');
  await record(5);
  await moveTo('2025-02-05');
  await storeRetention(owner, LOG, changedRetention(STANDARD_RETENTION, { hold: true }), clock.now());
});
afterAll(async () => {
  await owner.close();
  await ledger.close();
  await database.close();
  rmSync(base, { recursive: true });
});

/** A run of the archive command, every file call of which goes through the strike; its record is made by the last one only. */
async function run(
  own: Strike | null,
  append: (draft: RecordDraft) => Promise<unknown> = async () => null,
): Promise<string> {
  const archiver = new Archiver({
    owner,
    tools: archiveTools(files, () => undefined),
    directory: archive,
    append,
    settle: () => Promise.resolve(),
    clock,
    say: () => undefined,
  });
  strike = own;
  try {
    return await archiver
      .run()
      .then(({ sealed, dropped }) => `sealed ${sealed.length}, dropped ${dropped.length}`, String);
  } finally {
    await own?.calm();
    strike = null;
  }
}

/** Nothing is archived yet. The log is under a legal hold, so that its month stays for the next run. */
async function beginAgain(): Promise<void> {
  rmSync(archive, { recursive: true, force: true });
  await owner.query({ text: 'DELETE FROM ledger_archive', values: [] });
}

/** What the archive says of itself; null where no export was ever finished. */
async function verified(): Promise<number | null> {
  const directory = path.join(archive, LOG);
  if (!existsSync(path.join(directory, 'checkpoint'))) return null;
  const { ok, size, first } = await verifyDirectory(directory, { vkeys: [files.vkey(LOG)] });
  expect([ok, first]).toEqual([true, null]);
  return size;
}

/** The month is in the archive: its manifest is the one that the database knows, and names files as they are. */
async function expectSealed(): Promise<void> {
  expect(await verified()).toBeGreaterThan(45);
  const bytes = readFileSync(path.join(archive, LOG, 'manifest/2024-01.sha256'));
  const [row] = await owner.query<{ manifest: Buffer }>({ text: 'SELECT manifest FROM ledger_archive', values: [] });
  expect(row?.manifest).toEqual(sha256(bytes));
  const lines = bytes.toString().trimEnd().split('\n');
  for (const [hash, name = ''] of lines.map((line) => line.split('  '))) {
    expect([name, sha256(readFileSync(path.join(archive, LOG, name))).toString('hex')]).toEqual([name, hash]);
  }
  expect(lines.length).toBe(5);
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

describe('an archive run', () => {
  it('has a session that waits for as long as an export of a large log takes', async () => {
    const text =
      "SELECT name, setting FROM pg_settings WHERE name IN ('idle_session_timeout', 'statement_timeout', 'transaction_timeout') ORDER BY name";
    const rows = await owner.query<{ name: string; setting: string }>({ text, values: [] });
    expect(rows.map(({ setting }) => setting)).toEqual(['0', '0', '0']);
  });

  it.each(['before its effect', 'half way'] as const)(
    'dies at any call that changes a file, %s: the next run ends it',
    async (flavour) => {
      let at = 1;
      for (; ; at++) {
        await beginAgain();
        const own = new Strike(at, flavour, { counted: CHANGING });
        const outcome = await run(own);
        if (own.struck === null) break;
        expect(outcome).toContain('struck');
        await verified();
        expect(await run(null)).toBe('sealed 1, dropped 0');
        await expectSealed();
      }
      expect(at).toBeGreaterThan(flavour === 'half way' ? 8 : 40);
    },
  );

  it('seals nothing when a file call fails and the others do not', async () => {
    let at = 1;
    for (; ; at++) {
      await beginAgain();
      const own = new Strike(at, 'before its effect', { deadly: false });
      const outcome = await run(own);
      if (own.struck === null) break;
      expect(outcome).toMatch(/struck/);
    }
    expect(at).toBeGreaterThan(85);
  });
});

describe('an export into an archive that is older than the log', () => {
  it.each(['before its effect', 'half way'] as const)(
    'dies at any call that changes a file, %s: the archive is what it was, or what it is to be',
    async (flavour) => {
      await beginAgain();
      await run(null);
      const [directory, older] = [path.join(archive, LOG), path.join(base, 'older')];
      cpSync(directory, older, { recursive: true });
      const before = await verified();
      await record(250);
      await ledger.settle(20_000);
      const sizes = new Set<number | null>();
      let at = 1;
      for (; ; at++) {
        rmSync(directory, { recursive: true });
        cpSync(older, directory, { recursive: true });
        const own = new Strike(at, flavour, { counted: CHANGING });
        strike = own;
        const outcome = await exportLog(files, LOG, directory).then(String, String);
        await own.calm();
        strike = null;
        if (own.struck === null) break;
        const size = await verified();
        sizes.add(size);
        const whole = await exportLog(files, LOG, directory);
        expect([own.struck, await verified()]).toEqual([own.struck, whole]);
        expect([before, whole]).toContain(size);
        // A folder that has become empty may stay.
        if (!own.struck.startsWith('rmdir ')) expect(outcome).toMatch(/struck/);
      }
      expect(at).toBeGreaterThan(flavour === 'half way' ? 10 : 35);
      rmSync(older, { recursive: true });
    },
  );
});

describe('the month that went through all of it', () => {
  it('leaves the database when the hold ends, and everything verifies from the archive', async () => {
    await beginAgain();
    await storeRetention(owner, LOG, STANDARD_RETENTION, clock.now());
    expect(await run(null, (draft) => ledger.writer.append(draft))).toBe('sealed 1, dropped 1');
    await ledger.settle(20_000);
    expect(await monthPartitions(owner)).not.toContain('2024-01');
    expect((await verifyLog(files, LOG)).bad).toBeNull();
  });
});
