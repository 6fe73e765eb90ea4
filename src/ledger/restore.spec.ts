import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { vkey } from '../../audit/note.mjs';
import { verifyDirectory } from '../../audit/verify.mjs';
import { ledgerOptions, readDraft, tamper, testLedger } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { SystemClock } from '../kernel/clock.js';
import type { Database } from '../persistence/database.js';
import type { Statement } from '../persistence/statement.js';
import { FileCheckpointStore } from './checkpoint-store.js';
import { exportLog } from './export.js';
import { fileLedgerKeys } from './keys.js';
import { Ledger } from './ledger.js';
import { LogFiles } from './log-files.js';
import { confirmationOf, Restore, type RestoreOptions } from './restore.js';
import { connectTo, type Session } from './session.js';
import { verifyLog } from './verification.js';
import { releasedWriters } from './writer-release.js';
import { LedgerWriter } from './writer.js';

const TABLES = ['ledger_sequence', 'ledger_head', 'ledger_entry', 'ledger_detail', 'ledger_leaf', 'ledger_node'];
const SETTLE = 20_000;
const REASON = 'a'.repeat(64);
const RELEASED = '0123456789abcdef';
const clock = new SystemClock();

/** The ledger's tables of a database, as a dump has them. */
type Dump = ReadonlyMap<string, string>;

let lost: TestDatabase;
let database: TestDatabase;
let outside: string;
let dump: Dump;
/** Checkpoints of T-CN that somebody else has: from before the dump, and from after it. */
let before: string;
let after: string;

async function dumpOf(from: TestDatabase): Promise<Dump> {
  const tables = new Map<string, string>();
  for (const table of TABLES) {
    const { rows } = await from.owner.query<{ rows: string }>(
      `SELECT coalesce(jsonb_agg(to_jsonb(own)), '[]')::text AS rows FROM ${table} AS own`,
    );
    tables.set(table, rows[0]!.rows);
  }
  return tables;
}

/** Puts the dump into a database of a cluster whose transaction ids are far lower than those in the dump. */
async function load(into: TestDatabase): Promise<void> {
  const client = await into.owner.connect();
  try {
    await client.query('SET session_replication_role = replica');
    for (const table of TABLES) {
      await client.query(`TRUNCATE ${table}`);
      await client.query(
        `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(null::${table}, $1)`,
        [dump.get(table)],
      );
    }
    const raised = (column: string) => `${column} = (${column}::text::numeric + 1099511627776)::text::xid8`;
    await client.query(`UPDATE ledger_entry SET ${raised('xid')}`);
    await client.query(`UPDATE ledger_sequence SET ${raised('last_xid')}`);
    await client.query(
      "SELECT setval(pg_get_serial_sequence('ledger_entry', 'id'), (SELECT max(id) FROM ledger_entry))",
    );
  } finally {
    client.release(true);
  }
  for (const name of ['checkpoints', 'archive']) {
    rmSync(path.join(into.directory, name), { recursive: true, force: true });
    cpSync(path.join(outside, name), path.join(into.directory, name), { recursive: true });
  }
}

const storeOf = (of: TestDatabase) => new FileCheckpointStore(path.join(of.directory, 'checkpoints'));

async function options(of = database) {
  const store = storeOf(of);
  const keys = fileLedgerKeys(path.join(outside, 'keys'), undefined, await store.incarnation());
  return { ...ledgerOptions(of), store, keys };
}

async function filesOf(of = database): Promise<LogFiles> {
  const { store, keys } = await options(of);
  return new LogFiles(of.auditor, store, keys, path.join(of.directory, 'archive'));
}

async function withRestore<T>(
  work: (restore: Restore) => Promise<T>,
  change: (options: RestoreOptions) => RestoreOptions = (same) => same,
): Promise<T> {
  const { store, keys } = await options();
  const session = await connectTo(database.urls.sequencer, 'custodia restore')();
  const { app, sequencer, directory } = database;
  const owner = await connectTo(database.urls.owner, 'custodia restore')();
  const archiveDirectory = path.join(directory, 'archive');
  try {
    return await work(
      await Restore.open(change({ session, owner, app, sequencer, store, keys, archiveDirectory, clock })),
    );
  } finally {
    await Promise.all([session.close(), owner.close()]);
  }
}

const declare = (restore: Restore) => restore.survey().then((survey) => restore.declare(survey, REASON));

/** Opens the ledger, as a process that starts does; records something. Throws what keeps it from starting. */
async function start(): Promise<void> {
  const ledger = await Ledger.open(await options());
  try {
    await ledger.createLogs(['T-CN', 'system']);
    await Promise.all(Array.from({ length: 20 }, () => ledger.writer.append(readDraft())));
    await ledger.settle(SETTLE);
  } finally {
    await ledger.close();
  }
}

beforeAll(async () => {
  [lost, database] = await Promise.all([testDatabase(), testDatabase()]);
  outside = lost.directory;
  let ledger = await testLedger(lost, ['T-CN', 'system']);
  const record = (count: number) => Promise.all(Array.from({ length: count }, () => ledger.writer.append(readDraft())));
  await record(300);
  await ledger.settle(SETTLE);
  before = (await storeOf(lost).read('T-CN'))!;
  await ledger.close();
  // Committed and not sequenced when the dump is made.
  const { macKey } = ledgerOptions(lost).keys;
  const writer = new LedgerWriter({ database: lost.app, clock, macKey, incarnation: 1 });
  await writer.register('T-CN');
  for (let count = 0; count < 5; count++) await writer.append(readDraft());
  dump = await dumpOf(lost);
  ledger = await testLedger(lost, ['T-CN', 'T-NEW', 'system']);
  await record(300);
  await ledger.settle(SETTLE);
  await ledger.close();
  after = (await storeOf(lost).read('T-CN'))!;
  await exportLog(await filesOf(lost), 'T-CN', path.join(outside, 'archive', 'T-CN'));
  writeFileSync(path.join(outside, 'archive', 'T-CN', 'writer.keys'), `${RELEASED} ${'0'.repeat(64)}\n`);
  await load(database);
});
afterAll(async () => {
  await database.close();
  await lost.close();
});

describe('a database that was restored from an older dump', () => {
  it('is refused', async () => {
    await expect(start()).rejects.toThrow(/^ledger rollback detected: /);
  });

  it('is shown as it is, beside what was signed', async () => {
    const survey = await withRestore((restore) => restore.survey());
    expect(survey).toMatchObject({ needed: true, next: 2 });
    expect(survey.logs).toMatchObject([
      { log: 'T-CN', size: 301, unsequenced: 6, signed: { size: 608 } },
      { log: 'T-NEW', size: 0, unsequenced: 0, signed: { size: 1 } },
      { log: 'system', size: 1, unsequenced: 0, signed: { size: 2 } },
    ]);
    expect(confirmationOf(survey)).toBe('T-CN=307,T-NEW=0,system=1');
  });

  it('is not declared while a process of the system runs', async () => {
    const other = await connectTo(database.urls.sequencer, 'other')();
    await other.query({ text: "SELECT pg_advisory_lock('4851875795083543623'::bigint)", values: [] });
    await expect(withRestore((restore) => restore.survey())).rejects.toThrow(/stop it first/);
    await other.close();
  });

  it('is not declared when it is another history', async () => {
    const change = "UPDATE ledger_leaf SET leaf = sha256(leaf) WHERE log = 'T-CN' AND idx = 42";
    await tamper(database, change);
    await expect(withRestore((restore) => restore.survey())).rejects.toThrow(/no earlier state of log T-CN/);
    await load(database);
  });

  it('goes on in a new incarnation once that is declared, with everything that it has', async () => {
    await withRestore(declare);
    await start();
    const files = await filesOf();
    for (const log of ['T-CN', 'T-NEW', 'system']) expect((await verifyLog(files, log)).bad).toBeNull();
    expect(files.vkey('T-CN')).toMatch(/^custodia\.local\/T-CN\/2\+/);
    const record = (await files.records('T-CN', 1, 256))[307 - 256]?.record?.toString() ?? '';
    expect(JSON.parse(record)).toMatchObject({
      kind: 'START',
      incarnation: 2,
      origin: 'custodia.local/T-CN/2',
      replaces: { origin: 'custodia.local/T-CN', size: 608 },
      detail: { key: 'restored:301', sha256: REASON },
    });
  });

  it('is a prefix of what others kept from before, and what they kept beyond it is named', async () => {
    const files = await filesOf();
    const directory = mkdtempSync(path.join(database.directory, 'export-'));
    await exportLog(files, 'T-CN', directory);
    const { name, privateKey } = files.keys.signer('T-CN', 1);
    const vkeys = [files.vkey('T-CN'), vkey(name, privateKey)];
    const prefix = await verifyDirectory(directory, { vkeys, checkpoints: [before] });
    const declared = { class: 'restored', index: 307 };
    expect(prefix).toMatchObject({ ok: true, warnings: [declared] });
    const beyond = await verifyDirectory(directory, { vkeys, checkpoints: [before, after] });
    expect(beyond).toMatchObject({
      ok: true,
      warnings: [declared, { class: 'restored', message: expect.stringContaining('608') }],
    });
  });

  it('keeps what was signed, and what the archive alone still has', async () => {
    const kept = path.join(database.directory, 'checkpoints', 'T-CN', 'incarnations', '1');
    expect(readFileSync(path.join(kept, 'checkpoint'), 'utf8')).toBe(after);
    const archive = path.join(database.directory, 'archive', 'T-CN');
    expect(existsSync(path.join(archive, 'tile/entries/001'))).toBe(false);
    expect(existsSync(path.join(archive, 'incarnations/1/tile/entries/001'))).toBe(true);
    expect(await releasedWriters(database.auditor, 'T-CN')).toEqual([RELEASED]);
    const files = await filesOf();
    await exportLog(files, 'T-CN', archive);
    expect((await verifyDirectory(archive, { vkeys: [files.vkey('T-CN')] })).ok).toBe(true);
  });

  it('is refused again when it is rolled back behind what was declared', async () => {
    const checkpoints = path.join(database.directory, 'checkpoints');
    const aside = mkdtempSync(path.join(database.directory, 'aside-'));
    cpSync(checkpoints, aside, { recursive: true });
    await load(database);
    rmSync(checkpoints, { recursive: true });
    cpSync(aside, checkpoints, { recursive: true });
    await expect(start()).rejects.toThrow(/rollback detected: the database is in incarnation 1 .* 2 was declared/);
    const survey = await withRestore((restore) => restore.survey());
    expect(survey).toMatchObject({ needed: true, next: 3 });
    await withRestore(declare);
    await start();
    expect((await verifyLog(await filesOf(), 'T-CN')).bad).toBeNull();
    expect((await filesOf()).vkey('T-CN')).toContain('/T-CN/3+');
  });

  it('needs no declaration when nothing is missing', async () => {
    expect((await withRestore((restore) => restore.survey())).needed).toBe(false);
  });
});

describe('a database that was moved to another cluster, with all that was signed', () => {
  it('is refused as well, because nothing in it would be sequenced any more', async () => {
    await load(database);
    for (const log of ['T-CN', 'T-NEW', 'system']) {
      rmSync(path.join(database.directory, 'checkpoints', log), { recursive: true, force: true });
    }
    await expect(start()).rejects.toThrow(/rollback detected: the database was made in another cluster/);
    await withRestore(declare);
    await start();
    expect((await verifyLog(await filesOf(), 'T-CN')).bad).toBeNull();
  });
});

describe('a declaration that fails at any step', () => {
  /** One call, of all that a declaration makes, fails: before it is done, or after. */
  function failing(at: number, late: boolean, struck: () => void) {
    let count = 0;
    const step = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      count += 1;
      if (count !== at) return work();
      struck();
      if (late) await work();
      throw new Error('struck');
    };
    const wrap = <Target extends object>(target: Target, names: readonly string[]): Target =>
      new Proxy(target, {
        get(own, name) {
          const value: unknown = Reflect.get(own, name);
          if (typeof value !== 'function') return value;
          const bound = (value as (...parameters: unknown[]) => Promise<unknown>).bind(own);
          return names.includes(String(name)) ? (...parameters: unknown[]) => step(() => bound(...parameters)) : bound;
        },
      });
    return (from: RestoreOptions): RestoreOptions => ({
      ...from,
      session: wrap<Session>(from.session, ['query']),
      owner: wrap(from.owner, ['query']),
      app: wrap<Database>(from.app, ['query']),
      sequencer: wrap<Database>(from.sequencer, ['query']),
      store: wrap(from.store, ['retire', 'replace', 'publishKey']),
    });
  }

  it.each([
    ['before', false],
    ['after', true],
  ])('%s its effect: the system does not start on half of it, and declaring again ends it', async (_, late) => {
    let runs = 0;
    for (let at = 1, struck = true; struck; at++) {
      struck = false;
      await load(database);
      const outcome = await withRestore(
        declare,
        failing(at, late, () => (struck = true)),
      ).then(String, String);
      if (!struck) break;
      expect(outcome).toMatch(/struck/);
      runs += 1;
      const refused = await Ledger.open(await options()).then(
        async (ledger) => {
          await ledger.settle(SETTLE);
          await ledger.close();
          return false;
        },
        (error: Error) => {
          expect(error.message).toMatch(/^(ledger rollback detected|A restore was declared and not finished)/);
          return true;
        },
      );
      if (refused) await withRestore(declare);
      expect((await verifyLog(await filesOf(), 'T-CN')).bad).toBeNull();
    }
    expect(runs).toBeGreaterThan(20);
    const { rows } = await database.owner.query<Statement>(
      `SELECT 1 FROM ledger_entry WHERE position('"incarnation":2,"kind":"START"'::bytea IN record) > 0`,
    );
    expect(rows).toHaveLength(3);
  });
});
