import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import pg from 'pg';
import { startEmbedded, type EmbeddedServer } from '../../src/persistence/embedded.js';
import {
  emptyDirectory,
  postgresOf,
  runCommand,
  seededDirectory,
  startSystem,
  type Environment,
} from '../support/process.js';

let directory: string;
let listener: Server;
let taken: string;

beforeAll(async () => {
  directory = await seededDirectory();
  listener = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  const address = listener.address();
  taken = String(typeof address === 'object' ? address?.port : 0);
});
afterAll(() => void listener.close());

/** One sentence on stderr, exit code 1, and nothing left running. */
async function expectRefusal(environment: Environment, sentence: RegExp): Promise<void> {
  const { code, stderr, stdout } = await runCommand(directory, 'start', [], environment);
  expect(stderr).toMatch(/^[^\n]+[.?]\n$/);
  expect(stderr).toMatch(sentence);
  expect(stdout + stderr).not.toContain('secret-word');
  expect([code, stdout.includes('\nready')]).toEqual([1, false]);
  expect(postgresOf(directory)).toBeNull();
  expect(existsSync(path.join(directory, 'owner'))).toBe(false);
}

describe('a start that cannot work is refused in one sentence', () => {
  const unreachable = 'postgresql://crm:secret-word@127.0.0.1:1/crm';

  it.each<[string, () => Environment, RegExp]>([
    ['a taken port', () => ({ CUSTODIA_PORT: taken }), /^Port \d+ is taken: set CUSTODIA_PORT to a free one\.$/m],
    ['a taken database port', () => ({ CUSTODIA_DATABASE_PORT: taken }), /^Port \d+ on 127\.0\.0\.1 is taken/],
    [
      'an unreachable database',
      () => ({ DATABASE_URL: unreachable }),
      /^The database of DATABASE_URL cannot be reached \(ECONNREFUSED\)/,
    ],
    ['a port that is none', () => ({ CUSTODIA_PORT: 'abc' }), /^CUSTODIA_PORT is not valid/],
    ['an unknown variable', () => ({ CUSTODIA_FOO: '1' }), /^CUSTODIA_FOO is not a variable of Custodia/],
    ['an address that is not here', () => ({ CUSTODIA_HOST: '192.0.2.1' }), /CUSTODIA_HOST/],
    [
      'the production profile without its database',
      () => ({ CUSTODIA_PROFILE: 'production' }),
      /^DATABASE_URL or DATABASE_URL_FILE is required/,
    ],
    ['a malformed database URL', () => ({ DATABASE_URL: 'mysql://a:secret-word@b/c' }), /^DATABASE_URL is not valid/],
  ])('%s', async (_, environment, sentence) => {
    await expectRefusal(environment(), sentence);
  });
});

describe('keys that do not fit', () => {
  const file = () => path.join(directory, 'keys', 'root.key');

  async function withRootKey(change: () => void, sentence: RegExp): Promise<void> {
    const kept = `${file()}.kept`;
    renameSync(file(), kept);
    try {
      change();
      await expectRefusal({}, sentence);
    } finally {
      rmSync(file(), { force: true });
      renameSync(kept, file());
    }
  }

  it('a lost root key is not replaced beside what it wrapped', async () => {
    await withRootKey(() => undefined, /^The root key \S+ is missing, but the database holds keys wrapped under it/);
  });

  it('another root key', async () => {
    const other = () => writeFileSync(file(), Buffer.alloc(32, 7), { mode: 0o600 });
    await withRootKey(other, /^The \S+ key of tenant \S+ does not open under the root key file:[0-9a-f]+/);
  });

  it('a root key that is cut short, or that others can read', async () => {
    await withRootKey(() => writeFileSync(file(), 'short', { mode: 0o600 }), /is not 32 bytes long/);
    await withRootKey(() => {
      writeFileSync(file(), readFileSync(`${file()}.kept`));
      chmodSync(file(), 0o644);
    }, /can be read by others than its owner/);
  });

  it.each([
    ['ledger-mac.key', 'no key'],
    ['ledger-T-CN.pem', 'no key'],
  ])('a damaged %s', async (name, content) => {
    const place = path.join(directory, 'keys', name);
    const kept = readFileSync(place);
    writeFileSync(place, content);
    try {
      await expectRefusal({}, new RegExp(name.replaceAll('.', '\\.')));
    } finally {
      writeFileSync(place, kept);
    }
  });

  it('a lost ledger-mac.key: the heads are not those that it made', async () => {
    const place = path.join(directory, 'keys', 'ledger-mac.key');
    renameSync(place, `${place}.kept`);
    try {
      await expectRefusal({}, /^The head of log T-CN was not written with the ledger-mac\.key of this installation\./);
    } finally {
      renameSync(`${place}.kept`, place);
    }
  });

  it('another signing key: the stored checkpoint cannot be relied on', async () => {
    const place = path.join(directory, 'keys', 'ledger-T-CN.pem');
    const kept = readFileSync(place);
    writeFileSync(place, readFileSync(path.join(directory, 'keys', 'ledger-T-US.pem')));
    try {
      await expectRefusal({}, /^The stored checkpoint of log T-CN cannot be relied on/);
    } finally {
      writeFileSync(place, kept);
    }
  });

  it('after all that the system starts as if nothing had been', async () => {
    const system = await startSystem(directory);
    expect((await system.stop()).code).toBe(0);
    expect((await runCommand(directory, 'audit-verify')).code).toBe(0);
  });
});

describe('DATABASE_URL: a PostgreSQL 18 of your own', () => {
  const password = 'only-for-this-test';
  let own: EmbeddedServer;
  let url: string;

  beforeAll(async () => {
    own = await startEmbedded({ dataDirectory: emptyDirectory(), password });
    const client = new pg.Client({
      host: '127.0.0.1',
      port: own.port,
      user: 'postgres',
      database: 'postgres',
      password,
    });
    await client.connect();
    await client.query(`CREATE ROLE crm LOGIN CREATEROLE PASSWORD '${password}'`);
    await client.query('CREATE DATABASE crm OWNER crm');
    await client.end();
    url = `postgresql://crm:${password}@127.0.0.1:${own.port}/crm`;
  });
  afterAll(() => own.stop());

  it('is set up, kept over a restart, verified, and never stopped', async () => {
    const place = emptyDirectory();
    const environment = { DATABASE_URL: url };
    const list = '{ patients(first: 10) { edges { node { id name } } } }';
    const first = await startSystem(place, environment);
    const answer = await first.ask('call_center_agent', 'HOPERAT', list);
    expect(answer?.data['patients'].edges).toHaveLength(7);
    expect((await first.stop()).code).toBe(0);
    expect(existsSync(path.join(place, 'postgres'))).toBe(false);
    const second = await startSystem(place, environment);
    expect((await second.ask('call_center_agent', 'HOPERAT', list))?.data).toEqual(answer?.data);
    expect((await second.stop()).code).toBe(0);
    const { code, stdout } = await runCommand(place, 'audit-verify', [], environment);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^(OK \S+ \d+\n){4}$/)]);
    const fresh = await runCommand(place, 'start', ['--fresh'], environment);
    expect([fresh.code, fresh.stderr]).toEqual([
      1,
      expect.stringMatching(/^--fresh works on the embedded database only.*\.\n$/),
    ]);
  });
});
