import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { verifyDirectory } from '../../audit/verify.mjs';
import { ledgerOptions, readDraft, tamper } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { ManualClock } from '../kernel/clock.js';
import type { Queryable, Statement } from '../persistence/statement.js';
import { Archiver, archiveTools, type ArchiveOptions } from './archive.js';
import { monthPartitions } from './archive-months.js';
import { Ledger } from './ledger.js';
import { LogFiles } from './log-files.js';
import { ownerSession } from './owner-session.js';
import { Pruner } from './prune.js';
import type { RecordDraft } from './record.js';
import { changedRetention, STANDARD_RETENTION, storeRetention } from './retention.js';
import type { Session } from './session.js';
import { verifyLog } from './verification.js';

const LOGS = ['T-CN', 'system'];
const SETTLE = 20_000;
const ERASED = 'e'.repeat(32);

/** A ledger that is a year old: two months of it are due, the third is within the hot period. */
class Old {
  private constructor(
    readonly database: TestDatabase,
    readonly ledger: Ledger,
    readonly files: LogFiles,
    readonly owner: Session,
    readonly clock: ManualClock,
    readonly archive: string,
  ) {}

  /** Of a small one only the first month is due, and all its entries are in one bundle. */
  static async make({ small = false } = {}): Promise<Old> {
    const count = small ? 30 : 300;
    const database = await testDatabase();
    const clock = new ManualClock(Date.parse('2024-01-10T08:00:00Z'));
    const options = { ...ledgerOptions(database), clock };
    const ledger = await Ledger.open(options);
    const archive = path.join(database.directory, 'archive');
    const files = new LogFiles(database.auditor, options.store, options.keys, archive);
    const old = new Old(database, ledger, files, await ownerSession(database.urls.owner), clock, archive);
    await ledger.createLogs(LOGS);
    for (const log of LOGS) await ledger.writer.register(log);
    await old.record('T-CN', count - 1);
    const accesses = [{ type: 'Patient', rows: 1, fields: {}, subjects: [ERASED] }];
    const sealed = { key: 'tenant', ciphertext: Buffer.from('what was read of somebody') };
    await old.record('T-CN', 1, { accesses, sealed });
    await old.record('system', 20);
    await old.moveTo('2024-02-10');
    await old.record('T-CN', count);
    await old.record('T-CN', 1, { kind: 'EXPORT' });
    await old.record('T-CN', count);
    await old.moveTo('2024-03-10');
    await old.record('T-CN', 50);
    await old.record('system', 20);
    await old.moveTo(small ? '2025-02-05' : '2025-03-05');
    return old;
  }

  async record(log: string, count: number, change: Partial<RecordDraft> = {}): Promise<void> {
    const drafts = Array.from({ length: count }, () => ({ ...readDraft(log), ...change }));
    await Promise.all(drafts.map((draft) => this.ledger.writer.append(draft)));
  }

  async moveTo(day: string): Promise<void> {
    await this.ledger.settle(SETTLE);
    this.clock.advance(Date.parse(`${day}T08:00:00Z`) - this.clock.milliseconds());
  }

  options(change: Partial<ArchiveOptions> = {}): ArchiveOptions {
    return {
      owner: this.owner,
      tools: archiveTools(this.files, () => undefined),
      directory: this.archive,
      append: (draft) => this.ledger.writer.append(draft),
      settle: () => this.ledger.settle(SETTLE),
      clock: this.clock,
      say: () => undefined,
      ...change,
    };
  }

  directory(log: string): string {
    return path.join(this.archive, log);
  }

  /** Every entry of every log is readable somewhere, and what is read verifies. */
  async expectWhole(): Promise<void> {
    for (const log of LOGS) {
      const { bad, size } = await verifyLog(this.files, log);
      expect([log, bad]).toEqual([log, null]);
      expect(size).toBeGreaterThan(40);
    }
  }

  async months(): Promise<string[]> {
    return (await monthPartitions(this.owner)).filter((month) => month < '2024-04');
  }

  async close(): Promise<void> {
    await this.owner.close();
    await this.ledger.close();
    await this.database.close();
  }
}

let old: Old;

describe('an archive', () => {
  beforeAll(async () => {
    old = await Old.make();
  });
  afterAll(() => old.close());

  it('says what is due, and does nothing, when it is only asked', async () => {
    const { sealed, dropped } = await new Archiver(old.options()).run({ dryRun: true });
    expect(sealed).toEqual([
      { log: 'T-CN', month: '2024-01', entries: 301 },
      { log: 'T-CN', month: '2024-02', entries: 601 },
      { log: 'system', month: '2024-01', entries: 21 },
    ]);
    expect([dropped, existsSync(old.archive)]).toEqual([[], false]);
  });

  it('refuses a month that is not over, within the hot period, or not there', async () => {
    for (const month of ['2025-03', '2024-03', '2019-01']) {
      await expect(new Archiver(old.options()).run({ month })).rejects.toThrow(
        /nothing to archive|stays in the database/,
      );
    }
    expect(existsSync(old.archive)).toBe(false);
  });

  it('drops no month of which another log is not archived', async () => {
    const { dropped } = await new Archiver(old.options()).run({ log: 'T-CN', month: '2024-01' });
    expect([dropped, await old.months()]).toEqual([[], ['2024-01', '2024-02', '2024-03']]);
  });

  it('drops no month of a log under a legal hold', async () => {
    await storeRetention(old.owner, 'system', { ...STANDARD_RETENTION, hold: true }, old.clock.now());
    const { sealed, dropped } = await new Archiver(old.options()).run();
    expect([sealed.length, dropped, await old.months()]).toEqual([3, ['2024-02'], ['2024-01', '2024-03']]);
    await storeRetention(old.owner, 'system', STANDARD_RETENTION, old.clock.now());
    await old.expectWhole();
  });

  it('drops what is archived, and everything stays readable and verifies', async () => {
    const { dropped } = await new Archiver(old.options()).run();
    expect([dropped, await old.months()]).toEqual([['2024-01'], ['2024-03']]);
    await old.expectWhole();
    expect(await new Archiver(old.options()).run()).toEqual({ sealed: [], dropped: [] });
    const rows = await old.files.records('T-CN', 0, 256);
    expect(rows.every(({ record }) => record !== null)).toBe(true);
  });

  it('has the hash of each file in a manifest, and the hash of the manifest in the log', async () => {
    const directory = old.directory('T-CN');
    const manifest = readFileSync(path.join(directory, 'manifest/2024-02.sha256'));
    const lines = manifest.toString().trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(8);
    for (const line of lines) {
      const [sha256, file = ''] = line.split('  ');
      if (file.includes('.p/')) continue;
      expect([
        file,
        createHash('sha256')
          .update(readFileSync(path.join(directory, file)))
          .digest('hex'),
      ]).toEqual([file, sha256]);
    }
    const records = await old.database.auditor.query<{ record: Buffer }>(null, {
      text: `SELECT record FROM ledger_entry WHERE log = 'T-CN' AND position('"kind":"ARCHIVE"'::bytea IN record) > 0 ORDER BY id`,
      values: [],
    });
    const sha256 = createHash('sha256').update(manifest).digest('hex');
    const details = records.map(({ record }) => (JSON.parse(record.toString()) as { detail: unknown }).detail);
    expect(details).toContainEqual({ key: 'archive:2024-02', sha256 });
  });

  it('keeps no detail of a month that it dropped once its person is erased', async () => {
    const accesses = [{ type: 'Patient', rows: 1, fields: {}, subjects: [ERASED] }];
    const there = async () => (await old.files.rows('T-CN', 0, 301)).filter(({ detail }) => detail !== null).length;
    expect(await there()).toBe(1);
    await old.record('T-CN', 1, { kind: 'ERASE', accesses });
    await new Archiver(old.options()).run();
    expect(await there()).toBe(0);
    await old.expectWhole();
  });

  it('does not start a log anew that is older than what is left of it', async () => {
    await old.ledger.createLogs(LOGS);
    await old.ledger.settle(SETTLE);
    await old.expectWhole();
  });
});

describe('an archive that something is wrong with', () => {
  beforeAll(async () => {
    old = await Old.make();
  });
  afterAll(() => old.close());
  /** Whatever is wrong, nothing leaves the database. */
  afterEach(async () => expect(await old.months()).toContain('2024-01'));

  const RECORD = `(SELECT entry_id FROM ledger_leaf WHERE log = 'T-CN' AND idx = 77)`;

  it('takes out no month in which an entry has no index', async () => {
    await tamper(
      old.database,
      `INSERT INTO ledger_entry (log, xid, writer, number, recorded_at, record, record_hash, mac)
       SELECT log, '3', writer, 99999, recorded_at, record, record_hash, mac FROM ledger_entry WHERE id = ${RECORD}`,
    );
    await expect(new Archiver(old.options()).run()).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
    await tamper(old.database, 'DELETE FROM ledger_entry WHERE number = 99999');
  });

  it('drops nothing when the database was changed', async () => {
    const change = `UPDATE ledger_entry SET record = set_byte(record, 40, get_byte(record, 40) # 1) WHERE id = ${RECORD}`;
    await tamper(old.database, change);
    await expect(new Archiver(old.options()).run()).rejects.toThrow(/does not verify: leaf at 77/);
    await tamper(old.database, change);
    rmSync(old.archive, { recursive: true });
  });

  it.each(['tile/entries/001', 'mac/001', 'manifest/2024-01.sha256'])(
    'writes %s again when it is gone',
    async (name) => {
      await new Archiver(old.options()).run({ log: 'T-CN', month: '2024-01' });
      rmSync(path.join(old.directory('T-CN'), name));
      await new Archiver(old.options()).run({ log: 'T-CN', month: '2024-01' });
      expect(existsSync(path.join(old.directory('T-CN'), name))).toBe(true);
      await old.expectWhole();
    },
  );

  it.each(['tile/entries/000', 'mac/000', 'tile/0/000'])('drops nothing when %s was changed since', async (name) => {
    const file = path.join(old.directory('T-CN'), name);
    const bytes = readFileSync(file);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, 5_000), Buffer.of(bytes[5_000]! ^ 1), bytes.subarray(5_001)]));
    await expect(new Archiver(old.options()).run()).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
    writeFileSync(file, bytes);
  });
});

/** Counts everything that an archive run does, and lets one of these fail: before it is done, or after. */
class Faults {
  private count = 0;
  struck = false;

  constructor(
    private readonly at: number,
    private readonly after: boolean,
  ) {}

  async step<Result>(work: () => Promise<Result>): Promise<Result> {
    this.count += 1;
    if (this.count !== this.at) return work();
    this.struck = true;
    if (this.after) await work();
    throw new Error('struck');
  }

  options(from: ArchiveOptions): ArchiveOptions {
    const { owner, tools } = from;
    const session: Queryable = {
      query: <Row>(statement: Statement) => this.step(() => owner.query<Row>(statement)),
    };
    return {
      ...from,
      owner: session,
      append: (draft) => this.step(() => from.append(draft)),
      settle: () => this.step(() => from.settle()),
      tools: {
        exportLog: (log, directory) => this.step(() => tools.exportLog(log, directory)),
        verify: (...parameters) => this.step(() => tools.verify(...parameters)),
        writeManifest: (...parameters) => this.step(() => tools.writeManifest(...parameters)),
      },
    };
  }
}

describe('an archive run that fails at any step', () => {
  afterEach(() => old.close());

  it.each(['before', 'after'])('loses nothing when it fails %s the effect, and the next run ends it', async (when) => {
    old = await Old.make({ small: true });
    const options = old.options({ settle: () => Promise.resolve() });
    let runs = 0;
    for (let at = 1, struck = true; struck; at++) {
      const faults = new Faults(at, when === 'after');
      const outcome = await new Archiver(faults.options(options)).run().then(String, String);
      struck = faults.struck;
      if (!struck) break;
      expect(outcome).toBe('Error: struck');
      runs += 1;
      await old.expectWhole();
      if ((await old.months()).length < 3) continue;
      // From the beginning again, as long as the archive is not the only place of anything.
      rmSync(old.archive, { recursive: true, force: true });
      await tamper(old.database, 'DELETE FROM ledger_archive');
    }
    expect(runs).toBeGreaterThan(20);
    await new Archiver(old.options()).run();
    expect(await old.months()).toEqual(['2024-02', '2024-03']);
    await old.ledger.settle(SETTLE);
    await old.expectWhole();
  });
});

describe('a prune', () => {
  beforeAll(async () => {
    old = await Old.make();
    await new Archiver(old.options()).run();
  });
  afterAll(() => old.close());

  const pruned = () => new Pruner(old.options()).run('T-CN');
  const verified = async () => verifyDirectory(old.directory('T-CN'), { vkeys: [old.files.vkey('T-CN')] });

  it('removes nothing before the retention has ended, and nothing under a legal hold', async () => {
    expect(await pruned()).toEqual({ from: 0, minimum: 0 });
    const short = changedRetention(STANDARD_RETENTION, { months: 12 });
    await storeRetention(old.owner, 'T-CN', { ...short, hold: true }, old.clock.now());
    await expect(pruned()).rejects.toThrow(/legal hold/);
    await storeRetention(old.owner, 'T-CN', short, old.clock.now());
    expect(await new Pruner(old.options()).run('T-CN', { dryRun: true })).toEqual({ from: 0, minimum: 512 });
    expect(existsSync(path.join(old.directory('T-CN'), 'minimum'))).toBe(false);
  });

  it('fails at any step without an archive that does not verify', async () => {
    for (let step = 2; ; step++) {
      const faults = new Faults(Math.floor(step / 2), step % 2 === 1);
      await new Pruner(faults.options(old.options())).run('T-CN').catch(() => undefined);
      expect((await verified()).ok).toBe(true);
      if (!faults.struck) break;
    }
  });

  it('removes whole bundles up to the first with a transfer event, and says so in the log', async () => {
    await pruned();
    const directory = old.directory('T-CN');
    // Entry 602 is an export: its bundle stays for ten years, and everything after it.
    expect(readFileSync(path.join(directory, 'minimum'), 'utf8')).toBe('512\n');
    for (const kind of ['tile/entries', 'mac', 'detail']) {
      expect([
        kind,
        existsSync(path.join(directory, kind, '001')),
        existsSync(path.join(directory, kind, '002')),
      ]).toEqual([kind, false, true]);
    }
    expect(existsSync(path.join(directory, 'tile/0/000'))).toBe(true);
    expect(readFileSync(path.join(directory, 'retention-policy.txt'), 'utf8')).toMatch(/below index 512 were removed/);
    const report = await verified();
    expect([report.ok, report.warnings.map((warning) => warning.class)]).toEqual([true, ['pruned']]);
    await old.expectWhole();
  });

  it('goes on after it: the archive grows, nothing comes back, and files that a crash left are removed', async () => {
    await old.record('T-CN', 300);
    await old.ledger.settle(SETTLE);
    await old.options().tools.exportLog('T-CN', old.directory('T-CN'));
    expect(existsSync(path.join(old.directory('T-CN'), 'tile/entries/001'))).toBe(false);
    writeFileSync(path.join(old.directory('T-CN'), 'tile/entries/001'), 'left');
    expect(await pruned()).toEqual({ from: 512, minimum: 512 });
    expect(existsSync(path.join(old.directory('T-CN'), 'tile/entries/001'))).toBe(false);
    expect((await verified()).ok).toBe(true);
  });

  it('removes nothing that must be kept, whatever the file says that names the minimum', async () => {
    const directory = old.directory('T-CN');
    writeFileSync(path.join(directory, 'minimum'), '768\n');
    await expect(pruned()).rejects.toThrow(/retention has not ended/);
    expect(existsSync(path.join(directory, 'tile/entries/002'))).toBe(true);
    writeFileSync(path.join(directory, 'minimum'), '512\n');
    expect((await verified()).ok).toBe(true);
  });

  it('is found out when it was not recorded', async () => {
    rmSync(path.join(old.directory('T-CN'), 'tile/entries/002'));
    writeFileSync(path.join(old.directory('T-CN'), 'minimum'), '768\n');
    expect((await verified()).first).toMatchObject({ class: 'missing-entry' });
  });
});
