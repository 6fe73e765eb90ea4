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
  runCommand,
  seededDirectory,
  startSystem,
  SystemProcess,
} from '../support/process.js';

const CALLERS = 12;
const LOAD_MILLISECONDS = 1_500;
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
  await pause(LOAD_MILLISECONDS);
  return load;
}

interface Found {
  readonly row: string | null;
  readonly changes: number | null;
  readonly creations: number;
  readonly updates: number;
}

/** Rows and success records side by side, by the patient's reference; only what does not fit together comes back. */
const DISCREPANCIES = `
  WITH said AS (
    SELECT id, convert_from(record, 'UTF8')::jsonb AS record FROM ledger_entry
  ), written AS (
    SELECT subject, count(DISTINCT id) FILTER (WHERE record->>'kind' = 'CREATE')::int AS creations,
           count(DISTINCT id) FILTER (WHERE record->>'kind' = 'UPDATE')::int AS updates
      FROM said, jsonb_array_elements(record->'accesses') AS access, jsonb_array_elements_text(access->'subjects') AS subject
     WHERE record->>'outcome' = 'success' AND record->>'operation' IN ('createPatient', 'updatePatient') AND record->>'kind' <> 'READ'
     GROUP BY subject
  )
  SELECT patient.subject_reference AS row, version - 1 AS changes, coalesce(creations, 0) AS creations, coalesce(updates, 0) AS updates
    FROM patient FULL JOIN written ON subject = replace(subject_reference, '-', '')
   WHERE subject_reference IS NULL OR creations IS DISTINCT FROM 1 OR updates IS DISTINCT FROM version - 1`;

/** Other tables: as many rows as success records of what makes them. */
const MADE = {
  visit: 'createVisit',
  diagnosis: 'recordDiagnosis',
  care_team: 'createCareTeam',
  care_team_assignment: 'assignCareTeam',
};

/** The invariant: what was acknowledged is recorded, and rows and success records are one and the same history. */
async function expectWhole({ records, created }: Acknowledged): Promise<void> {
  await asSuperuser(directory, async (client) => {
    const { rows: entries } = await client.query<{ hash: string }>(
      "SELECT encode(record_hash, 'hex') AS hash FROM ledger_entry",
    );
    const recorded = new Set(entries.map(({ hash }) => hash));
    expect([...records].filter((hash) => !recorded.has(hash))).toEqual([]);
    const { rows: patients } = await client.query<{ id: string }>('SELECT id FROM patient');
    const present = new Set(patients.map(({ id }) => id));
    expect([...created].filter((id) => !present.has(id))).toEqual([]);
    expect((await client.query<Found>(DISCREPANCIES)).rows).toEqual([]);
    for (const [table, operation] of Object.entries(MADE)) {
      const { rows } = await client.query(
        `SELECT (SELECT count(*)::int FROM ${table}) AS rows, count(*)::int AS records FROM ledger_entry
          WHERE convert_from(record, 'UTF8')::jsonb @> jsonb_build_object('outcome', 'success', 'kind', 'CREATE', 'operation', $1::text)`,
        [operation],
      );
      expect([table, rows[0].rows]).toEqual([table, rows[0].records]);
    }
  });
}

async function expectVerified(): Promise<void> {
  const { code, stdout, stderr } = await runCommand(directory, 'audit-verify');
  expect(stdout).toMatch(/^OK T-CN \d+\nOK T-EU \d+\nOK T-US \d+\nOK system \d+\n$/);
  expect([code, stderr.replaceAll(/^.*warning:.*\n/gm, '')]).toEqual([0, '']);
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

  it.each(['SIGQUIT', 'SIGKILL'] as const)('of the API and, by %s, of PostgreSQL: the same', async (signal) => {
    const load = await loaded();
    process.kill(postgresOf(directory)!.pid, signal);
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
