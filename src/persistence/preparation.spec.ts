import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { migrations } from '../../migrations/list.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { passwordsIn, urlsFrom } from './login.js';
import { prepareDatabase } from './preparation.js';
import { refusePrivileged } from './roles.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

async function as<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

describe('the preparation of a database', () => {
  it('can be repeated, by several processes at once, and changes nothing', async () => {
    const password = (url: string) => decodeURIComponent(new URL(url).password);
    const passwords = {
      superuser: password(database.urls.superuser),
      owner: password(database.urls.owner),
      app: password(database.urls.app),
      sequencer: password(database.urls.sequencer),
      auditor: password(database.urls.auditor),
    };
    const again = () => prepareDatabase(database.urls.owner, passwords, migrations);
    for (const { migrated, urls } of await Promise.all([again(), again(), again()])) {
      expect(migrated).toEqual([]);
      expect(urls.app).toBe(database.urls.app);
    }
  });

  it('names an unreachable database in one sentence, without its password', async () => {
    const passwords = passwordsIn(database.directory);
    const gone = prepareDatabase('postgresql://owner:canary-password@127.0.0.1:1/custodia', passwords, migrations);
    await expect(gone).rejects.toThrow(/^The database of DATABASE_URL cannot be reached \(ECONNREFUSED\): [^\n]+\?$/);
    const wrong = new URL(database.urls.owner);
    wrong.password = 'canary-password';
    await expect(prepareDatabase(wrong.href, passwords, migrations)).rejects.toThrow(/^(?!.*canary).*\(28P01\)/);
  });

  it('accepts the generated roles and refuses the owner, the superuser and whoever can become the owner', async () => {
    for (const role of ['app', 'sequencer', 'auditor'] as const) await as(database.urls[role], refusePrivileged);
    for (const role of ['owner', 'superuser'] as const) {
      await expect(as(database.urls[role], refusePrivileged)).rejects.toThrow(/owns tables or can bypass/);
    }
    await as(database.urls.superuser, (client) =>
      client.query(`CREATE ROLE intruder LOGIN PASSWORD 'intruder'; GRANT custodia_owner TO intruder`),
    );
    const url = new URL(database.urls.app);
    url.username = url.password = 'intruder';
    await expect(as(url.href, refusePrivileged)).rejects.toThrow(/owns tables/);
    await as(database.urls.superuser, (client) => client.query('DROP ROLE intruder'));
  });

  it('leaves the application nothing to make, to take over or to switch off', async () => {
    for (const attempt of [
      'CREATE TABLE mine (id int)',
      'CREATE SCHEMA mine',
      'ALTER TABLE tenant DISABLE ROW LEVEL SECURITY',
      'CREATE POLICY open ON tenant USING (true)',
      `SELECT govern_tenant_table('tenant', 'SELECT')`,
      `INSERT INTO tenant VALUES ('T-X', 'X', 'DE', 'UTC', now())`,
      'SET ROLE custodia_owner',
    ]) {
      await expect(as(database.urls.app, (client) => client.query(attempt))).rejects.toMatchObject({
        code: expect.stringMatching(/^(42501)$/),
      });
    }
    await as(database.urls.app, async (client) => {
      await client.query('SET row_security = off');
      await expect(client.query('SELECT id FROM tenant')).rejects.toMatchObject({ code: '42501' });
    });
  });

  it('walls every table that has tenants, also against the owner', async () => {
    const { rows } = await database.owner.query<{ name: string; walled: boolean }>(`
      SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS walled
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
       WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')`);
    // Search tokens are the owner's alone: see their migration.
    expect(rows.filter((row) => !row.walled)).toEqual([{ name: 'search_token', walled: false }]);
  });
});

describe('the passwords of the roles', () => {
  it('are made once, readable by the owner of the file only, and refused when incomplete', () => {
    const first = passwordsIn(database.directory);
    const file = path.join(database.directory, 'database.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(passwordsIn(database.directory)).toEqual(first);
    expect(new Set(Object.values(first)).size).toBe(5);
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), app: undefined }));
    expect(() => passwordsIn(database.directory)).toThrow(/does not hold the database passwords/);
    rmSync(file);
  });

  it('replace login and password in a URL and nothing else', () => {
    const passwords = { superuser: 's', owner: 'o', app: 'a/b@c', sequencer: 'q', auditor: 'u' };
    const urls = urlsFrom('postgresql://me:mine@db.example:6432/custodia?sslmode=verify-full', passwords);
    expect(urls.app).toBe('postgresql://custodia_app:a%2Fb%40c@db.example:6432/custodia?sslmode=verify-full');
  });
});
