import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { totpCode } from '../../src/identity/totp.js';
import { JOB, REQUEST, SATISFY } from '../support/export.js';
import { asSuperuser, runCommand, seededDirectory, startSystem, type SystemProcess } from '../support/process.js';
import type { Loose } from '../support/system.js';

const PATIENTS = 750;
const AT_ONCE = 24;
const CREATE = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
const INPUT = { type: 'PATIENTS', format: 'NDJSON' };

let directory: string;
let system: SystemProcess;

beforeAll(async () => {
  directory = await seededDirectory();
  system = await startSystem(directory);
  let number = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (number < PATIENTS) {
        const input = { name: `Nobody ${number++}`, birthDate: '1960-01-02', phone: '13900001111', gender: 'male' };
        await system.ask('front_desk', 'PATADMIN', CREATE, { input });
      }
    }),
  );
}, 120_000);
afterAll(async () => {
  await system.stop();
});

async function ask(document: string, variables: Loose): Promise<Loose> {
  const answer = await system.ask('privacy_officer', 'PATRQT', document, variables);
  if (answer === null) throw new Error('The connection broke.');
  return answer;
}

async function requested(): Promise<string> {
  const secret = system.demo.users.find((one) => one.role === 'privacy_officer' && one.tenant === 'T-CN')?.totpSecret;
  const refused = await ask(REQUEST, { input: INPUT });
  const challengeId = String(refused['errors'][0]?.extensions.challenge.id);
  await ask(SATISFY, { input: { id: challengeId, code: totpCode(String(secret), Date.now()) } });
  const { data } = await ask(REQUEST, { input: { ...INPUT, challengeId } });
  return String(data['requestExport'].id);
}

/** Kills the system while the next commit of progress waits for this lock: surely in the middle, rows read and not committed. */
async function killInTheMiddle(id: string, client: pg.Client, after: number): Promise<number> {
  for (let waited = 0; waited < 60_000; waited += 2) {
    await client.query('BEGIN');
    const { rows } = await client.query<{ status: string; written: number }>(
      `SELECT status, rows_written AS written FROM export_job WHERE id = $1 FOR UPDATE`,
      [id],
    );
    const [job] = rows;
    if (job?.status === 'RUNNING' && job.written > after) {
      await pause(150);
      await system.kill();
      await client.query('ROLLBACK');
      return job.written;
    }
    await client.query('ROLLBACK');
    if (job?.status === 'READY') throw new Error('The export was faster than the test.');
    await pause(2);
  }
  throw new Error('The export did not begin.');
}

it('killed twice in the middle, an export goes on where it was: every row once, and a ledger that verifies', async () => {
  const id = await requested();
  const ids = await asSuperuser(directory, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `SELECT id FROM patient WHERE tenant_id = 'T-CN' ORDER BY created_at DESC, id DESC`,
    );
    return rows.map((row) => row.id);
  });
  const committed: number[] = [];
  for (let time = 0; time < 2; time++) {
    committed.push(await asSuperuser(directory, (client) => killInTheMiddle(id, client, committed.at(-1) ?? 0)));
    if (time === 0) system = await startSystem(directory);
  }
  expect(committed[1]).toBeLessThan(ids.length);
  system = await startSystem(directory);
  let job: Loose = {};
  for (let waited = 0; waited < 60_000 && job['status'] !== 'READY'; waited += 100) {
    job = (await ask(JOB, { id }))['data']['exportJob'] as Loose;
    await pause(100);
  }
  expect(job).toMatchObject({ status: 'READY', rowCount: ids.length });

  const authorization = `Bearer ${await system.signIn('privacy_officer')}`;
  const response = await fetch(new URL(job['downloadUrl'], system.endpoint), { headers: { authorization } });
  const bytes = Buffer.from(await response.arrayBuffer());
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(job['sha256']);
  const lines = bytes.toString().trimEnd().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as Loose)['id'])).toEqual(ids);
  expect(readdirSync(path.join(directory, 'exports', 'T-CN'))).toEqual([]);

  const { rows } = await asSuperuser(directory, (client) =>
    client.query<{ record: Loose }>(`SELECT convert_from(record, 'UTF8')::jsonb AS record FROM ledger_entry`),
  );
  const records = rows.map((row) => row.record).filter((record) => record['operation'] === 'exportPatients');
  const subjects = records.flatMap((record) => (record['accesses'] as Loose[]).flatMap((access) => access['subjects']));
  // A chunk whose progress was not committed was read, so its record stands; it is read, and recorded, again.
  expect(new Set(subjects).size).toBe(ids.length);
  expect(subjects.length).toBeLessThanOrEqual(ids.length + 2 * 150);

  await system.stop();
  const verified = await runCommand(directory, 'audit-verify');
  expect(`${verified.stdout}${verified.stderr}`).toMatch(/OK T-CN \d+/);
  expect(verified.code).toBe(0);
}, 240_000);
