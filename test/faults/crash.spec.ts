import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isAlive } from '../../src/persistence/postmaster.js';
import { Load, type Acknowledged } from '../support/load.js';
import {
  asSuperuser,
  emptyDirectory,
  postgresOf,
  seededDirectory,
  startSystem,
  SystemProcess,
} from '../support/process.js';
import { verdictOf } from '../support/verdict.js';
import { answered, discrepancies } from '../support/whole.js';

const CALLERS = 12;
const FOUR_STARTS = 180_000;
let directory: string;
let system: SystemProcess;

beforeAll(async () => {
  directory = await seededDirectory();
  system = await startSystem(directory);
});
afterAll(async () => {
  await system.stop();
  // Stops a server that a failed test left behind.
  await asSuperuser(directory, () => Promise.resolve());
});

async function loaded(): Promise<Load> {
  const load = await new Load(system).start(CALLERS);
  await answered(load, 60, 12);
  return load;
}

/** The invariant: what was acknowledged is recorded, and rows and success records are one and the same history. */
async function expectWhole(acknowledged: Acknowledged): Promise<void> {
  expect(await discrepancies(directory, acknowledged)).toEqual([]);
}

async function expectVerified(): Promise<void> {
  const sizes = (await verdictOf(directory)).map((line) => line.replace(/ \d+$/, ''));
  expect(sizes).toEqual(['OK T-CN', 'OK T-EU', 'OK T-US', 'OK system']);
}

function expectLoad({ answers, records, created, codes }: Acknowledged): void {
  expect(answers).toBeGreaterThan(50);
  expect(records.size).toBeGreaterThanOrEqual(answers);
  expect(created.size).toBeGreaterThan(10);
  expect([...codes].filter((code) => code !== 'AUDIT_UNAVAILABLE' && code !== 'INTERNAL_SERVER_ERROR')).toEqual([]);
}

describe('kill -9 under load of reads and writes', () => {
  it('of the API alone: the orphaned server is taken over, nothing that was acknowledged is lost', async () => {
    const load = await loaded();
    await system.kill();
    const acknowledged = await load.stop();
    const orphan = postgresOf(directory);
    expect(orphan).not.toBeNull();
    expect(existsSync(path.join(directory, 'owner'))).toBe(true);
    system = await startSystem(directory);
    expect(isAlive(orphan!.pid)).toBe(false);
    expectLoad(acknowledged);
    await expectWhole(acknowledged);
    await expectVerified();
  });

  it('of the API, and an immediate stop of PostgreSQL: the same', async () => {
    const load = await loaded();
    process.kill(postgresOf(directory)!.pid, 'SIGQUIT');
    await system.kill();
    const acknowledged = await load.stop();
    system = await startSystem(directory);
    expectLoad(acknowledged);
    await expectWhole(acknowledged);
    await expectVerified();
  });

  it('of PostgreSQL alone: callers get errors and no data, the system ends cleanly and starts again', async () => {
    const load = await loaded();
    const { pid } = postgresOf(directory)!;
    process.kill(pid, 'SIGKILL');
    await pause(1_000);
    const acknowledged = await load.stop();
    const late = await system.ask('call_center_agent', 'HOPERAT', '{ patients(first: 1) { edges { node { id } } } }');
    expect(late?.errors.map(({ extensions }) => extensions.code)).toEqual(['AUDIT_UNAVAILABLE']);
    expect([late?.status, late?.data, late?.extensions]).toEqual([503, {}, {}]);
    expect((await fetch(system.endpoint.replace('graphql', 'readyz'))).status).toBe(503);
    expect((await system.stop()).code).toBe(0);
    system = await startSystem(directory);
    expectLoad(acknowledged);
    await expectWhole(acknowledged);
    await expectVerified();
  });
});

describe('what a crash leaves in the way', () => {
  it('a stale postmaster.pid, whose number now belongs to another program, and an owner that is gone', async () => {
    const file = path.join(directory, 'postgres', 'postmaster.pid');
    const stale = readFileSync(file, 'utf8');
    const owner = readFileSync(path.join(directory, 'owner'), 'utf8');
    await system.stop();
    writeFileSync(file, stale.replace(/^\d+/, String(process.pid)));
    writeFileSync(path.join(directory, 'owner'), owner);
    system = await startSystem(directory);
    await expectVerified();
  });
});

describe('kill -9 during the very first start', () => {
  it(
    'at any step: the next start takes it up where it stopped',
    async () => {
      const fresh = emptyDirectory();
      for (const [step, milliseconds] of [
        ['starting', 300],
        ['database started', 0],
        ['policies loaded', 500],
      ] as const) {
        const first = new SystemProcess(fresh);
        await first.says(step);
        await pause(milliseconds);
        expect(existsSync(path.join(fresh, 'demo.json'))).toBe(false);
        await first.kill();
      }
      const kept = directory;
      const before = system;
      [directory, system] = [fresh, await startSystem(fresh)];
      try {
        for (const tenant of ['T-CN', 'T-EU', 'T-US']) {
          expect(Object.keys(system.demo.patients[tenant] ?? {})).toHaveLength(7);
        }
        await asSuperuser(fresh, async (client) => {
          expect((await client.query('SELECT count(*)::int AS count FROM patient')).rows).toEqual([{ count: 21 }]);
        });
        const created = new Set(Object.values(system.demo.patients).flatMap((patients) => Object.values(patients)));
        await expectWhole({ records: new Set(), created, answers: 0, codes: new Set() });
        await expectVerified();
      } finally {
        await system.stop();
        [directory, system] = [kept, before];
      }
    },
    FOUR_STARTS,
  );
});
