import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { Database } from './database.js';
import { DatabaseFault } from './sqlstate.js';

let database: TestDatabase;
const at = '2026-11-21T10:00:00Z';
const tenantNow = {
  text: `SELECT current_setting('custodia.tenant', true) AS tenant, pg_backend_pid() AS pid`,
  values: [],
};
interface Where {
  tenant: string;
  pid: number;
}

beforeAll(async () => {
  database = await testDatabase();
  await database.owner.query(
    `INSERT INTO tenant VALUES ('T-CN', 'One', 'CN', 'Asia/Shanghai', $1), ('T-US', 'Two', 'US', 'America/New_York', $1)`,
    [at],
  );
  await database.owner.query(
    `CREATE TABLE thing (id int PRIMARY KEY, tenant_id text NOT NULL, big int8, made timestamptz, born date, raw bytea)`,
  );
  await database.owner.query(`SELECT govern_tenant_table('thing', 'SELECT, INSERT, UPDATE (big)')`);
});
afterAll(() => database.close());

async function faultOf(work: Promise<unknown>): Promise<DatabaseFault> {
  const fault = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(fault).toBeInstanceOf(DatabaseFault);
  return fault as DatabaseFault;
}

describe('Database', () => {
  it('never runs a statement on a connection of another tenant, however requests interleave', async () => {
    const small = await Database.connect(database.urls.app, { maximum: 3 });
    const wanted = Array.from({ length: 300 }, (_, index) => ['T-CN', 'T-US', null][(index * 7) % 3] ?? null);
    const seen = await Promise.all(wanted.map((tenant) => small.query<Where>(tenant, tenantNow)));
    expect(seen.map((rows) => rows[0]?.tenant || null)).toEqual(wanted);
    expect(small.load()).toMatchObject({ open: 3, idle: 3, waiting: 0 });
    await small.close();
  });

  it('shows each tenant itself and nobody without a tenant anything', async () => {
    const list = { name: 'tenants', text: 'SELECT id FROM tenant', values: [] };
    expect(await database.app.query('T-CN', list)).toEqual([{ id: 'T-CN' }]);
    expect(await database.app.query('T-US', list)).toEqual([{ id: 'T-US' }]);
    expect(await database.app.query(null, list)).toEqual([]);
    expect(await database.sequencer.query(null, list)).toHaveLength(2);
  });

  it('prefers the idle connection of the tenant', async () => {
    const [first] = await database.app.query<Where>('T-CN', tenantNow);
    await database.app.query<Where>('T-US', tenantNow);
    const [again] = await database.app.query<Where>('T-CN', tenantNow);
    expect(again?.pid).toBe(first?.pid);
  });

  it('refuses a row of another tenant in the table and a statement for another tenant in the filter', async () => {
    const insert = { text: 'INSERT INTO thing (id, tenant_id) VALUES (1, $1)', values: ['T-US'] };
    expect((await faultOf(database.app.query('T-CN', insert))).kind).toBe('privilege');
    const read = { text: 'SELECT id FROM thing WHERE tenant_id = $1 AND assert_tenant($1)', values: ['T-US'] };
    expect(await faultOf(database.app.query('T-CN', read))).toMatchObject({ kind: 'tenant', sqlstate: 'CU001' });
    expect(await database.app.query('T-US', read)).toEqual([]);
  });

  it('gives back big numbers and dates as text, instants as Date, bytes as Buffer', async () => {
    const insert = {
      text: 'INSERT INTO thing VALUES (2, $1, $2, $3, $4, $5)',
      values: ['T-CN', '9007199254740993', new Date(at), '1949-10-01', Buffer.from([0, 255])],
    };
    await database.app.query('T-CN', insert);
    expect(
      await database.app.query('T-CN', { text: 'SELECT big, made, born, raw FROM thing WHERE id = 2', values: [] }),
    ).toEqual([{ big: '9007199254740993', made: new Date(at), born: '1949-10-01', raw: Buffer.from([0, 255]) }]);
  });

  it('commits, rolls back on a throw, and does not report success when an error inside was swallowed', async () => {
    const insert = (id: number) => ({
      text: 'INSERT INTO thing (id, tenant_id) VALUES ($1, $2)',
      values: [id, 'T-CN'],
    });
    await database.app.transaction('T-CN', (transaction) => transaction.query(insert(10)));
    await expect(
      database.app.transaction('T-CN', async (transaction) => {
        await transaction.query(insert(11));
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await faultOf(
      database.app.transaction('T-CN', async (transaction) => {
        await transaction.query(insert(12));
        await transaction.query(insert(12)).catch(() => undefined);
      }),
    );
    const rows = await database.app.query('T-CN', {
      text: 'SELECT id FROM thing WHERE id BETWEEN 10 AND 12',
      values: [],
    });
    expect(rows).toEqual([{ id: 10 }]);
  });

  it('does not let a transaction be used after its end', async () => {
    const kept = await database.app.transaction('T-CN', async (transaction) => transaction);
    await faultOf(kept.query(tenantNow));
  });

  it('classifies a duplicate with its constraint and says nothing of the values', async () => {
    const duplicate = { text: `INSERT INTO thing (id, tenant_id, born) VALUES (2, 'T-CN', '1949-10-01')`, values: [] };
    const fault = await faultOf(database.app.query('T-CN', duplicate));
    expect(fault).toMatchObject({ kind: 'unique', sqlstate: '23505', constraint: 'thing_pkey' });
    const wrong = await faultOf(database.app.query('T-CN', { text: 'SELECT $1::uuid', values: ['13812345678'] }));
    expect(JSON.stringify([wrong, wrong.message, wrong.stack, fault.message])).not.toMatch(/13812345678|1949/);
  });

  it('throws a killed connection away and goes on with a new one', async () => {
    const small = await Database.connect(database.urls.app, { maximum: 1 });
    const [before] = await small.query<Where>('T-CN', tenantNow);
    await database.owner.query('SELECT pg_terminate_backend($1)', [before?.pid]);
    const attempts = await Promise.allSettled([
      small.query<Where>('T-CN', tenantNow),
      small.query<Where>('T-CN', tenantNow),
    ]);
    expect(attempts[1]?.status).toBe('fulfilled');
    const running = faultOf(small.query('T-CN', { text: 'SELECT pg_terminate_backend(pg_backend_pid())', values: [] }));
    expect((await running).kind).toBe('connection');
    expect((await small.query<Where>('T-US', tenantNow))[0]?.tenant).toBe('T-US');
    await small.close();
  });

  it('asks for the tenant and for the wall once per statement, not once per row', async () => {
    const explain = await database.app.transaction('T-CN', (transaction) =>
      transaction.query<{ 'QUERY PLAN': string }>({
        text: `EXPLAIN SELECT id FROM thing WHERE tenant_id = 'T-CN' AND assert_tenant('T-CN')`,
        values: [],
      }),
    );
    expect(explain.map((row) => row['QUERY PLAN']).join('\n')).toMatch(
      /One-Time Filter: .*assert_tenant.*current_setting/,
    );
  });
});
