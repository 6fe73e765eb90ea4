import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isAlive } from '../../src/persistence/postmaster.js';
import {
  asSuperuser,
  postgresOf,
  runCommand,
  seededDirectory,
  startSystem,
  SystemProcess,
} from '../support/process.js';

const LIST = '{ patients(first: 10) { edges { node { id name } } } }';
const CREATE = 'mutation($i: CreatePatientInput!) { createPatient(input: $i) { id } }';
const GET = 'query($id: ID!) { patient(id: $id) { id } }';
const NEW = { i: { name: 'Kept Through Restarts', gender: 'female', birthDate: '1991-05-06' } };

let directory: string;
let system: SystemProcess;

beforeAll(async () => {
  directory = await seededDirectory();
  system = await startSystem(directory);
});
afterAll(async () => {
  await system.stop();
});

function keys(): Record<string, string> {
  const place = path.join(directory, 'keys');
  return Object.fromEntries(readdirSync(place).map((name) => [name, readFileSync(path.join(place, name), 'hex')]));
}

function expectStopped(postgres: { pid: number } | null): void {
  expect(postgres).not.toBeNull();
  expect(isAlive(postgres!.pid)).toBe(false);
  expect(postgresOf(directory)).toBeNull();
  expect(existsSync(path.join(directory, 'postgres', 'postmaster.pid'))).toBe(false);
  expect(existsSync(path.join(directory, 'owner'))).toBe(false);
}

describe('SIGTERM', () => {
  it('lets running requests finish, takes no new ones, stops PostgreSQL and ends with 0', async () => {
    const postgres = postgresOf(directory);
    await system.ask('call_center_agent', 'HOPERAT', LIST);
    await system.ask('front_desk', 'PATADMIN', LIST);
    const running = await asSuperuser(directory, async (client) => {
      await client.query('BEGIN');
      await client.query('LOCK TABLE patient IN ACCESS EXCLUSIVE MODE');
      const asked = [
        system.ask('call_center_agent', 'HOPERAT', LIST),
        system.ask('front_desk', 'PATADMIN', CREATE, NEW),
      ];
      for (let waiting = 0; waiting < 2; await pause(20)) {
        const { rows } = await client.query<{ count: number }>(
          'SELECT count(*)::int AS count FROM pg_locks WHERE NOT granted',
        );
        waiting = rows[0]?.count ?? 0;
      }
      system.signal('SIGTERM');
      await system.says('"event":"draining"');
      await pause(300);
      expect(await system.send('{ __typename }')).toBeNull();
      await client.query('COMMIT');
      return Promise.all(asked);
    });
    expect(running.map((reply) => [reply?.status, reply?.errors])).toEqual([
      [200, []],
      [200, []],
    ]);
    // The callers keep their connections open: that must not hold the drain up.
    const answered = performance.now();
    const { code, stderr, stdout } = await system.ended;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/"event":"stopped"\}\n$/);
    expect(performance.now() - answered).toBeLessThan(8_000);
    expectStopped(postgres);
    const created = running[1]?.data['createPatient'].id as string;
    system = await startSystem(directory);
    expect((await system.ask('front_desk', 'PATADMIN', GET, { id: created }))?.data['patient']).toEqual({
      id: created,
    });
  });

  it('ends cleanly also when it comes during the start, or twice', async () => {
    await system.stop();
    system = new SystemProcess(directory);
    await system.says('"event":"database started"');
    const postgres = postgresOf(directory);
    system.signal('SIGTERM');
    await pause(50);
    system.signal('SIGTERM');
    const { code, stderr } = await system.ended;
    expect([code, stderr]).toEqual([0, '']);
    expectStopped(postgres);
    system = await startSystem(directory);
  });
});

describe('a second start', () => {
  it('keeps data, keys and accounts, and no file of either is for others to read', async () => {
    const [before, { demo }] = [keys(), system];
    const { patient } =
      (await system.ask('front_desk', 'PATADMIN', GET, { id: demo.patients['T-CN']?.['PT1'] }))?.data ?? {};
    expect(patient).not.toBeNull();
    await system.stop();
    system = await startSystem(directory);
    expect(keys()).toEqual(before);
    expect(system.demo).toEqual({ ...demo, endpoint: system.endpoint });
    expect((await system.ask('front_desk', 'PATADMIN', GET, { id: demo.patients['T-CN']?.['PT1'] }))?.data).toEqual({
      patient,
    });
    const modes = Object.fromEntries(
      [
        'demo.json',
        'database.json',
        'postgres.log',
        'owner',
        ...Object.keys(before).map((name) => path.join('keys', name)),
      ].map((name) => [name, statSync(path.join(directory, name)).mode & 0o777]),
    );
    expect([...new Set(Object.values(modes))]).toEqual([0o600]);
    expect(Object.keys(before)).toEqual(
      expect.arrayContaining(['root.key', 'ledger-mac.key', 'ledger-T-CN.pem', 'ledger-system.pem']),
    );
    expect(statSync(path.join(directory, 'keys')).mode & 0o777).toBe(0o700);
  });

  it.each([[[]], [['--fresh']]])('beside a running one is refused (%j) and harms nothing', async (words) => {
    const { code, stderr } = await runCommand(directory, 'start', words);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^The system is (already )?running on this data directory.*\.\n$/),
    ]);
    expect((await system.ask('call_center_agent', 'HOPERAT', LIST))?.errors).toEqual([]);
  });
});

describe('the commands of the ledger', () => {
  it('work while the system runs and while it is stopped, and leave no server behind', async () => {
    const look = async () => {
      const verified = await runCommand(directory, 'audit-verify');
      expect([verified.code, verified.stdout]).toEqual([0, expect.stringMatching(/^(OK \S+ \d+\n){4}$/)]);
      const tail = await runCommand(directory, 'ledger', ['tail', '--tenant', 'T-CN', '--count', '2', '--json']);
      const records = tail.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { log: string; v: number });
      expect(records).toEqual([
        expect.objectContaining({ log: 'T-CN', v: 1 }),
        expect.objectContaining({ log: 'T-CN', v: 1 }),
      ]);
      const target = `${directory}.export-${existsSync(`${directory}.export-1`) ? 2 : 1}`;
      const exported = await runCommand(directory, 'ledger', ['export', target, '--tenant', 'T-CN']);
      expect([exported.code, exported.stdout]).toEqual([0, expect.stringMatching(/^\d+ entries\n$/)]);
      const alone = await runCommand(directory, 'audit-verify', ['--directory', target]);
      expect([alone.code, alone.stdout]).toEqual([0, `OK T-CN ${exported.stdout.split(' ')[0]}\n`]);
    };
    const postgres = postgresOf(directory);
    await look();
    expect(postgresOf(directory)).toEqual(postgres);
    await system.stop();
    await look();
    expect(postgresOf(directory)).toBeNull();
    system = await startSystem(directory);
  });
});

describe('the commands of the security team', () => {
  it('ask the rows and the API of the running system', async () => {
    const diff = ['diff', '--against', 'policies', '--tenant', 'T-CN'];
    const same = await runCommand(directory, 'policy', diff);
    expect([same.code, same.stdout]).toEqual([0, 'T-CN: 0 changes\n']);
    const nobody = await runCommand(directory, 'policy', [...diff.slice(0, -1), 'T-XX']);
    expect([nobody.code, nobody.stderr]).toEqual([2, 'There is no such tenant.\n']);
    const matrix = await runCommand(directory, 'policy', ['matrix']);
    expect([matrix.code, matrix.stdout]).toEqual([
      0,
      expect.stringMatching(/\n\d+ cells equal, 0 different, \d+ waiting\n$/),
    ]);
  });
});

describe('--fresh', () => {
  it('starts over: new keys, new accounts, new patients', async () => {
    await system.stop();
    const [before, { demo }] = [keys(), system];
    system = await startSystem(directory, {}, ['--fresh']);
    for (const [name, key] of Object.entries(keys())) expect([name, key]).not.toEqual([name, before[name]]);
    expect(Object.keys(keys()).sort()).toEqual(Object.keys(before).sort());
    const passwords = new Set(demo.users.map(({ password }) => password));
    expect(system.demo.users.filter(({ password }) => passwords.has(password))).toEqual([]);
    const old = { id: demo.patients['T-CN']?.['PT1'] };
    const gone = await system.ask('front_desk', 'PATADMIN', GET, old);
    expect([gone?.errors.map(({ extensions }) => extensions.code), gone?.data['patient']]).toEqual([
      ['NOT_FOUND'],
      null,
    ]);
    const list = await system.ask('call_center_agent', 'HOPERAT', LIST);
    expect(list?.data['patients'].edges).toHaveLength(7);
    expect((await runCommand(directory, 'audit-verify')).code).toBe(0);
  });
});
