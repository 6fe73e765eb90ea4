import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ledgerOptions, readDraft, tamper, testLedger } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { verifyDirectory } from '../../audit/verify.mjs';
import { exportLog } from './export.js';
import type { Ledger } from './ledger.js';
import { LogFiles } from './log-files.js';

const LOG = 'T-CN';
let database: TestDatabase;
let ledger: Ledger;
let files: LogFiles;
beforeAll(async () => {
  database = await testDatabase();
  ledger = await testLedger(database, [LOG, 'T-US']);
  await grow(700);
  const { keys, store } = ledgerOptions(database);
  files = new LogFiles(database.auditor, store, keys, null);
});
afterAll(async () => {
  await ledger.close();
  await database.close();
});

/** Adds entries; every third one with sealed details. */
async function grow(count: number): Promise<void> {
  const draft = (at: number) => ({
    ...readDraft(LOG),
    ...(at % 3 === 0 ? { sealed: { key: 'tenant', ciphertext: Buffer.from(`ciphertext ${at}`) } } : {}),
  });
  await Promise.all(Array.from({ length: count }, (_, at) => ledger.writer.append(draft(at))));
  await ledger.settle(20_000);
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(database.directory, 'export-'));
});

async function verdict(): Promise<string> {
  const report = await verifyDirectory(directory, { vkeys: [files.vkey(LOG)] });
  return report.first === null ? `OK ${report.size}` : `BAD ${report.first.index ?? '-'} ${report.first.class}`;
}

function allFiles(below = directory): string[] {
  return readdirSync(below, { withFileTypes: true, recursive: true })
    .filter((one) => one.isFile())
    .map((one) => path.relative(below, path.join(one.parentPath, one.name)))
    .sort();
}

describe('an export', () => {
  it('is the plain form of tlog-tiles with what lies beside the records, and verifies', async () => {
    const told: number[] = [];
    const size = await exportLog(files, LOG, directory, { progress: (done) => told.push(done) });
    const width = size % 256;
    const beside = ['detail', 'mac', 'tile/0', 'tile/entries'].flatMap((kind) => [
      `${kind}/000`,
      `${kind}/001`,
      `${kind}/002.p/${width}`,
    ]);
    expect(allFiles()).toEqual(['checkpoint', 'log.vkey', 'tile/1/000.p/2', ...beside].sort());
    expect(told).toEqual([256, 512, size]);
    expect(await verdict()).toBe(`OK ${size}`);
    await expect(exportLog(files, 'T-XX', directory)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('without details has none, also where there were some', async () => {
    const size = await exportLog(files, LOG, directory);
    await exportLog(files, LOG, directory, { withoutDetails: true });
    expect(existsSync(path.join(directory, 'detail'))).toBe(false);
    expect(await verdict()).toBe(`OK ${size}`);
  });

  it('goes on where an earlier one ended, and leaves what is full as it is', async () => {
    const before = await exportLog(files, LOG, directory);
    const kept = path.join(directory, 'tile/entries/001');
    writeFileSync(kept, 'what lay here before');
    await grow(300);
    const size = await exportLog(files, LOG, directory);
    expect(size).toBeGreaterThan(before);
    expect(readFileSync(kept, 'utf8')).toBe('what lay here before');
    expect(await verdict()).toBe('BAD 256 missing-entry');
    rmSync(kept);
    expect(await exportLog(files, LOG, directory)).toBe(size);
    expect(await verdict()).toBe(`OK ${size}`);
    expect(allFiles().filter((file) => file.includes('.p/') && !file.startsWith('tile/1'))).toHaveLength(4);
    expect(allFiles()).toEqual([...new Set(allFiles())]);
  });

  it('that is interrupted leaves the state from before, or none', async () => {
    const stopAt = (limit: number) => ({
      progress: (done: number) => {
        if (done > limit) throw new Error('interrupted');
      },
    });
    await expect(exportLog(files, LOG, directory, stopAt(256))).rejects.toThrow('interrupted');
    expect(await verdict()).toBe('BAD - signature');
    const before = await exportLog(files, LOG, directory);
    await grow(600);
    const size = await exportLog(files, LOG, `${directory}.whole`);
    for (const limit of [0, before - 1, before + 256, size - 1]) {
      await expect(exportLog(files, LOG, directory, stopAt(limit))).rejects.toThrow('interrupted');
      expect(await verdict()).toBe(`OK ${before}`);
    }
    expect(await exportLog(files, LOG, directory)).toBe(size);
    const own = allFiles();
    expect(own).toEqual(allFiles(`${directory}.whole`));
    for (const file of own) {
      const [one, other] = [directory, `${directory}.whole`].map((root) => readFileSync(path.join(root, file)));
      expect([file, one?.equals(other as Buffer)]).toEqual([file, true]);
    }
  });

  it.each([
    ['the key of another log', (at: string) => exportLog(files, 'T-US', at)],
    [
      'another history of the log',
      async (at: string) => {
        await exportLog(files, LOG, at);
        const note = path.join(at, 'checkpoint');
        const [origin, size, , ...rest] = readFileSync(note, 'utf8').split('\n');
        writeFileSync(note, [origin, size, Buffer.alloc(32, 7).toString('base64'), ...rest].join('\n'));
      },
    ],
    [
      'more entries than there are',
      async (at: string) => {
        await exportLog(files, LOG, at);
        const note = path.join(at, 'checkpoint');
        const [origin, , ...rest] = readFileSync(note, 'utf8').split('\n');
        writeFileSync(note, [origin, '999999', ...rest].join('\n'));
      },
    ],
  ])('does not touch a directory with %s', async (_, arrange) => {
    await arrange(directory);
    cpSync(directory, `${directory}.before`, { recursive: true });
    await expect(exportLog(files, LOG, directory)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(allFiles()).toEqual(allFiles(`${directory}.before`));
  });

  it('gives up what was erased since, also after an interruption, and no detail of anybody else', async () => {
    const [erased, other] = ['e'.repeat(32), 'f'.repeat(32)];
    const about = (subject: string, kind: 'READ' | 'ERASE' = 'READ', outcome: 'success' | 'denied' = 'success') => ({
      ...readDraft(LOG),
      kind,
      outcome,
      accesses: [{ type: 'Patient', rows: 1, fields: {}, subjects: [subject] }],
      sealed: { key: 'tenant', ciphertext: Buffer.from(`told of ${subject} by ${kind}`) },
    });
    const told = (subject: string) => {
      const details = allFiles().filter((file) => file.startsWith('detail'));
      const text = Buffer.concat(details.map((file) => readFileSync(path.join(directory, file)))).toString('latin1');
      return text.split(`told of ${subject} by READ`).length - 1;
    };
    await ledger.writer.append(about(erased));
    await ledger.writer.append(about(other));
    await grow(300);
    await ledger.writer.append(about(erased));
    await ledger.writer.append(about(erased, 'ERASE', 'denied'));
    await ledger.settle(20_000);
    await exportLog(files, LOG, directory);
    expect([told(erased), told(other)]).toEqual([2, 1]);

    await ledger.writer.append(about(erased, 'ERASE'));
    await tamper(
      database,
      `DELETE FROM ledger_detail WHERE position('told of ${erased} by READ'::bytea IN ciphertext) > 0`,
    );
    // So many that the bundle with the erasure is written before the end.
    await grow(2_400);
    const stopAtEnd = (done: number, size: number) => {
      if (done === size) throw new Error('interrupted');
    };
    await expect(exportLog(files, LOG, directory, { progress: stopAtEnd })).rejects.toThrow('interrupted');
    const size = await exportLog(files, LOG, directory);
    expect([told(erased), told(other)]).toEqual([0, 1]);
    expect(await verdict()).toBe(`OK ${size}`);
  });

  it('of months that left the database takes their entries from the archive', async () => {
    const archive = mkdtempSync(path.join(database.directory, 'archive-'));
    const size = await exportLog(files, LOG, path.join(archive, LOG));
    const old = `id IN (SELECT entry_id FROM ledger_leaf WHERE log = '${LOG}' AND idx < 400)`;
    await tamper(
      database,
      `DELETE FROM ledger_detail WHERE (log, writer, number) IN (SELECT log, writer, number FROM ledger_entry WHERE ${old})`,
      `DELETE FROM ledger_entry WHERE ${old}`,
    );
    await exportLog(new LogFiles(database.auditor, files.store, files.keys, archive), LOG, directory);
    expect(await verdict()).toBe(`OK ${size}`);
    rmSync(path.join(directory, 'tile/entries/001'));
    await exportLog(files, LOG, directory);
    expect(await verdict()).toBe('BAD 256 missing-entry');
  });
});
