import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { readConfiguration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { Failure } from '../kernel/failure.js';
import { isRunning, removeCluster } from '../persistence/embedded.js';
import { execute, openDatabase, withDatabase, type Command } from './command.js';

let written: string;
beforeEach(() => {
  written = '';
  const keep = (text: string | Uint8Array) => Boolean((written += String(text)));
  jest.spyOn(process.stdout, 'write').mockImplementation(keep);
  jest.spyOn(process.stderr, 'write').mockImplementation(keep);
});
afterEach(() => void jest.restoreAllMocks());

describe('a command', () => {
  const command = (run: Command['run']): Command => ({
    usage: 'Usage: npm run thing -- <file>',
    options: { tenant: { type: 'string' } },
    words: [1, 1],
    run,
  });

  it('ends with 0 when it is done, 1 when it says so, 2 and its usage when it is called wrongly', async () => {
    expect(
      await execute(
        command(async () => undefined),
        ['file', '--tenant', 'T-CN'],
      ),
    ).toBe(0);
    expect(
      await execute(
        command(async () => false),
        ['file'],
      ),
    ).toBe(1);
    expect(written).toBe('');
    for (const words of [[], ['a', 'b'], ['a', '--unknown'], ['a', '--tenant']]) {
      written = '';
      expect(
        await execute(
          command(async () => undefined),
          words,
        ),
      ).toBe(2);
      expect(written).toContain('Usage: npm run thing');
    }
  });

  it('prints its usage for --help without doing anything', async () => {
    const run = jest.fn(async () => undefined);
    expect(await execute(command(run), ['--help'])).toBe(0);
    expect(run).not.toHaveBeenCalled();
    expect(written).toBe('Usage: npm run thing -- <file>\n');
  });

  it('tells a refusal and a failure in their sentence, anything else without its message', async () => {
    const fail = (error: Error) =>
      execute(
        command(() => Promise.reject(error)),
        ['file'],
      );
    expect(await fail(new Refusal('Port 4000 is taken.'))).toBe(1);
    expect(await fail(new Refusal('No such tenant.', 2))).toBe(2);
    expect(await fail(new Failure('NOT_FOUND', 'There is none.', 'Look again.'))).toBe(1);
    expect(written).toBe('Port 4000 is taken.\nNo such tenant.\nThere is none. Look again.\n');
    written = '';
    expect(await fail(new TypeError('phone 13812345678'))).toBe(1);
    expect(written).toMatch(/^Unexpected TypeError\.\n {4}at /);
    expect(written).not.toContain('13812345678');
  });
});

describe('the database of a command', () => {
  it('starts the embedded server for the duration, joins a running one, and stops only what it started', async () => {
    const directory = mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'command-'));
    chmodSync(directory, 0o711);
    const configuration = readConfiguration({ CUSTODIA_DATA_DIRECTORY: path.join(directory, '.data') });
    const tables = async (url: string) => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM mikro_orm_migrations`);
      await client.end();
      return Number(rows[0]?.count);
    };
    try {
      const outer = await openDatabase(configuration);
      expect(outer.migrated.length).toBeGreaterThan(0);
      await withDatabase(configuration, async (inner) => {
        expect(inner.embedded).toBeNull();
        expect(inner.migrated).toEqual([]);
        expect(inner.appUrl).toBe(outer.appUrl);
        expect(await tables(inner.ownerUrl)).toBe(outer.migrated.length);
      });
      expect(await isRunning(configuration.dataDirectory)).not.toBeNull();
      await outer.embedded?.stop();
      expect(await isRunning(configuration.dataDirectory)).toBeNull();
      const failing = withDatabase(configuration, () => Promise.reject(new Refusal('enough')));
      await expect(failing).rejects.toThrow('enough');
      expect(await isRunning(configuration.dataDirectory)).toBeNull();
      const other = readConfiguration({
        CUSTODIA_DATA_DIRECTORY: path.join(directory, 'other'),
        DATABASE_URL: 'postgresql://a:b@127.0.0.1:1/c',
      });
      await expect(openDatabase(other)).rejects.toThrow(/^The database of DATABASE_URL cannot be reached/);
    } finally {
      await removeCluster(configuration.dataDirectory);
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
