import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { getRollbackPlans } from 'pg-boss';
import pg from 'pg';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { newId } from '../kernel/identifier.js';
import { JOB_SCHEMA, prepareJobSchema } from '../persistence/job-schema.js';
import { Log } from '../telemetry/log.js';
import { JobQueue } from './job-queue.js';

let database: TestDatabase;
const lines: string[] = [];
const log = new Log('trace', { write: (line: string) => void lines.push(line) });
const open: JobQueue[] = [];

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());
afterEach(async () => {
  await Promise.all(open.splice(0).map((queue) => queue.close()));
});

async function started(): Promise<JobQueue> {
  const queue = await JobQueue.start(database.urls.app, log);
  open.push(queue);
  return queue;
}

async function until(done: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !done(); waited += 20) {
    if (waited > 15_000) throw new Error(`Not in time: ${what}`);
    await pause(20);
  }
}

describe('the job queue', () => {
  test('hands every message to exactly one of two processes, at once', async () => {
    const [one, other] = [await started(), await started()];
    const done: string[] = [];
    for (const queue of [one, other]) await queue.work('many', async ({ id }) => void done.push(id ?? ''));
    const ids = Array.from({ length: 30 }, () => newId());
    await Promise.all(ids.map((id) => one.send('many', { tenant: 'T-CN', id })));
    await until(() => done.length >= ids.length, 'thirty messages');
    expect([...done].sort()).toEqual([...ids].sort());
  });

  test('keeps one waiting message of a key, and brings a failed one again', async () => {
    const queue = await started();
    const id = newId();
    for (let time = 0; time < 5; time++) await queue.send('again', { id }, { singletonKey: id });
    let runs = 0;
    await queue.work('again', async () => {
      runs += 1;
      if (runs === 1) throw new Error('13800138000 is a number of a person');
    });
    await until(() => runs === 2, 'the second try');
    await pause(300);
    expect(runs).toBe(2);
  });

  test('what a handler says of its failure reaches neither the tables nor the log', async () => {
    const { rows } = await database.owner.query<{ text: string }>(`SELECT j::text AS text FROM ${JOB_SCHEMA}.job j`);
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map((row) => row.text).join('')).not.toContain('13800138000');
    expect(lines.join('')).toContain('job failed');
    expect(lines.join('')).not.toContain('13800138000');
  });

  test('refuses a payload that could hold a value', async () => {
    const queue = await started();
    for (const value of ['王小明', 'a b', '13800138000', 'x@y.example', '']) {
      await expect(queue.send('refused', { value })).rejects.toThrow('holds more than ids');
    }
  });

  test('tells a running handler that the process ends, and the message comes again elsewhere', async () => {
    const first = await JobQueue.start(database.urls.app, log);
    let told = false;
    let running = false;
    await first.work('long', async (_, stopping) => {
      running = true;
      await new Promise<void>((resolve) => stopping.addEventListener('abort', () => resolve()));
      told = true;
      throw new Error('Left.');
    });
    await first.send('long', { id: newId() });
    await until(() => running, 'the start');
    await first.close();
    expect(told).toBe(true);
    const second = await started();
    let came = false;
    await second.work('long', async () => void (came = true));
    await until(() => came, 'the message again');
  });

  test('the application changes rows of the schema and cannot change the schema', async () => {
    const client = new pg.Client({ connectionString: database.urls.app });
    await client.connect();
    try {
      await expect(client.query(`CREATE TABLE ${JOB_SCHEMA}.mine (id text)`)).rejects.toMatchObject({ code: '42501' });
      await expect(client.query(`DROP TABLE ${JOB_SCHEMA}.version`)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await client.end();
    }
  });

  test('an older schema is brought up to date by the owner', async () => {
    const owner = new pg.Client({ connectionString: database.urls.owner });
    await owner.connect();
    try {
      const version = async () => (await owner.query(`SELECT version FROM ${JOB_SCHEMA}.version`)).rows[0].version;
      const newest = await version();
      await owner.query(getRollbackPlans(JOB_SCHEMA, newest));
      expect(await version()).toBeLessThan(newest);
      await prepareJobSchema(owner);
      expect(await version()).toBe(newest);
      await prepareJobSchema(owner);
    } finally {
      await owner.end();
    }
    await (await started()).send('after', { id: newId() });
  });
});
