import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { KeyReconciliation } from '../../src/jobs/key-reconciliation.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import { KeyUseReconciliation, type UnexplainedUse } from '../../src/operation/key-use-reconciliation.js';
import { Log } from '../../src/telemetry/log.js';
import { AgentClient } from '../../src/vault/agent-client.js';
import type { UnwrapLine } from '../../src/vault/agent-log-reader.js';
import { Exporter } from '../support/export.js';
import { codeOf } from '../support/outcome.js';
import { CommandProcess } from '../support/process.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const LIST = '{ patients(first: 50) { edges { node { id name phone address } } } }';
const ONE = 'query($id: ID!) { patient(id: $id) { id version name phone } }';
const LOOKUP = 'query($input: PatientLookupInput!) { patientLookup(input: $input) { id name } }';
const UPDATE = `mutation($id: ID!, $version: Int!, $input: UpdatePatientInput!) {
  updatePatient(id: $id, version: $version, input: $input) { id version } }`;
const REPORT = '{ accessReport(patientId: "$id", first: 50) { entries { operation } } }';
const ROGUES = 1_000;
const TRAFFIC_MILLISECONDS = 5_000;

const place = mkdtempSync(path.join(tmpdir(), 'agent-'));
const socket = path.join(place, 's');
const tokenFile = path.join(place, 's.token');
const log = { lines: '', to: new Log('info', { write: (line: string) => void (log.lines += line) }) };

let system: TestSystem;
let agent: CommandProcess;
let client: AgentClient;
let patients: string[];
/** When the authenticator shows another code than while the organisation was made. */
let nextWindow: number;

async function startAgent(): Promise<CommandProcess> {
  const words = ['--directory', path.join(place, 'keys'), '--socket', socket, '--rate', '100000'];
  const started = new CommandProcess('key-agent', words, {});
  await started.says('key agent ready');
  return started;
}

beforeAll(async () => {
  const environment = async (directory: string) => {
    // From now on the agent has the root key, and the API has none.
    mkdirSync(path.join(place, 'keys'), { mode: 0o700 });
    copyFileSync(path.join(directory, 'keys', 'root.key'), path.join(place, 'keys', 'root.key'));
    rmSync(path.join(directory, 'keys', 'root.key'));
    agent = await startAgent();
    return { CUSTODIA_KEY_AGENT: socket, CUSTODIA_KEY_AGENT_TOKEN_FILE: tokenFile };
  };
  system = await testSystem({ environment });
  client = AgentClient.of({ socket, tokenFile });
  nextWindow = Date.now() + 30_100 - (Date.now() % 30_000);
  const { rows } = await system.database.owner.query<{ id: string }>(`SELECT id FROM patient WHERE tenant_id = 'T-CN'`);
  patients = rows.map(({ id }) => id);
}, 120_000);
afterAll(async () => {
  client.close();
  await system.close();
  agent.signal('SIGTERM');
  await agent.ended;
  rmSync(place, { recursive: true, force: true });
});

/** As a reconciliation sees it more than a minute later. */
function later(): ManualClock {
  return new ManualClock(Date.now() + 61_000);
}

async function unexplained(): Promise<UnexplainedUse[]> {
  const found: UnexplainedUse[] = [];
  const run = new KeyUseReconciliation(client, system.composition.ledgerReader, later());
  for (let turn = 0; turn < 3; turn += 1) await run.turn((more) => Promise.resolve(void found.push(...more)));
  return found;
}

async function agentLines(): Promise<UnwrapLine[]> {
  const lines: UnwrapLine[] = [];
  for (;;) {
    const more = (await client.after(lines.length)).map((line) => JSON.parse(line) as UnwrapLine);
    if (more.length === 0) return lines;
    lines.push(...more);
  }
}

function forgetAll(): void {
  for (const id of patients) system.composition.vault.forget('T-CN', id);
}

/** Reads, writes, lookups, conflicts and refusals, each of which must have keys unwrapped anew. */
async function round(number: number): Promise<Set<string>> {
  forgetAll();
  const id = patients[number % patients.length] ?? '';
  const other = patients[(number * 7 + 3) % patients.length] ?? '';
  const write = (version: number) =>
    system.ask('front_desk', UPDATE, { variables: { id, version, input: { address: `Road ${number}` } } });
  const read = await system.ask('front_desk', ONE, { variables: { id } });
  forgetAll();
  const answers = await Promise.all([
    system.ask('front_desk', LIST),
    write(Number(read.data['patient']?.version ?? 1)),
    write(1_000_000),
    system.ask('front_desk', LOOKUP, { purpose: 'PATADMIN', variables: { input: { phone: '13812345678' } } }),
    system.ask('front_desk', LOOKUP, { purpose: 'PATADMIN', variables: { input: { phone: '13999999999' } } }),
    system.ask('physician', ONE, { variables: { id: other } }),
    system.ask('call_center_agent', ONE, { variables: { id: other } }),
    system.ask(
      'front_desk',
      `{ ${['a', 'b', 'c'].map((one) => `${one}: patient(id: "${other}") { id name }`).join(' ')} }`,
    ),
    system.ask('front_desk', ONE, { variables: { id: newId() } }),
  ]);
  return new Set(answers.map(codeOf));
}

/** What somebody has who can read the database and has the token: everything that the API has. */
async function stolen(): Promise<{ referenceAt(at: number): string; take(use: string, at: number): Promise<void> }> {
  const query = async (text: string) => (await system.database.owner.query<Loose>(text)).rows;
  const wraps = await query(`SELECT key_id, wrapped FROM tenant_key WHERE tenant_id = 'T-CN' AND purpose = 'subject'`);
  const keys = await query(
    `SELECT * FROM subject_key WHERE tenant_id = 'T-CN' AND wrapped IS NOT NULL ORDER BY subject_id`,
  );
  const base64 = (bytes: unknown) => (bytes as Buffer).toString('base64');
  const tenantKeys = wraps.map(({ key_id, wrapped }) => ({ keyId: Number(key_id), wrapped: base64(wrapped) }));
  const rowAt = (at: number) => keys[at % keys.length] as Loose;
  const referenceAt = (at: number) => String(rowAt(at)['subject_reference']);
  return {
    referenceAt,
    async take(use, at) {
      const row = rowAt(at);
      const key = {
        kind: 'subject key' as const,
        subjectId: String(row['subject_id']),
        reference: referenceAt(at),
        keyId: Number(row['key_id']),
        wrapKeyId: Number(row['wrap_key_id']),
        wrapped: base64(row['wrapped']),
      };
      const answer = await client.ask({ op: 'subject.unwrap', tenant: 'T-CN', use, tenantKeys, keys: [key] });
      expect((answer['keys'] as string[])[0]).toHaveLength(44);
    },
  };
}

describe('a system whose keys an agent holds', () => {
  test('serves, and every key that was given out is explained', async () => {
    const codes = new Set<string>();
    const end = Date.now() + TRAFFIC_MILLISECONDS;
    for (let number = 0; Date.now() < end; number += 1) for (const code of await round(number)) codes.add(code);
    expect([...codes]).toEqual(expect.arrayContaining(['VERSION_CONFLICT', 'NOT_FOUND']));
    const lines = await agentLines();
    const keys = lines.reduce((sum, { references }) => sum + references.length, 0);
    expect(keys).toBeGreaterThan(100);
    expect(await unexplained()).toEqual([]);
  }, 60_000);

  test('records a key that was opened for nothing, and does not tell the patient of a reading', async () => {
    const id = system.demo.patients['T-CN']?.['PT1'] ?? '';
    const unwraps = async () => (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === 'keys.unwrap');
    // Of writes at one version that come together, one is committed: the others have opened the key by then.
    for (let attempt = 0; attempt < 5 && (await unwraps()).length === 0; attempt += 1) {
      const read = await system.ask('front_desk', ONE, { variables: { id } });
      const variables = { id, version: Number(read.data['patient'].version), input: { address: `Lane ${attempt}` } };
      forgetAll();
      await Promise.all(Array.from({ length: 6 }, () => system.ask('front_desk', UPDATE, { variables })));
    }
    const record = (await unwraps()).at(-1) ?? {};
    expect(record).toMatchObject({ kind: 'KEY', accesses: [{ type: 'SubjectKey', rows: 1, fields: {} }] });
    const failed = (await recordsOf(system, 'T-CN')).filter((one) => one['code'] === 'VERSION_CONFLICT');
    expect(failed.map((one) => one['decision'])).toContain(record['decision']);
    const report = await system.ask('patient', REPORT.replace('$id', id));
    const told = (report.data['accessReport']?.entries ?? []) as Loose[];
    expect(told.length).toBeGreaterThan(0);
    expect(told.filter(({ operation }) => operation === 'keys.unwrap')).toEqual([]);
  });

  test('is found in order by somebody who has the agent’s log and the auditor’s login alone', async () => {
    const login = path.join(place, 'auditor.url');
    writeFileSync(login, system.database.urls.auditor);
    await system.composition.ledger.sequencer.drain(5_000);
    const words = ['reconcile', '--log', path.join(place, 'keys', 'log'), '--ledger', login];
    const { code, stdout, stderr } = await new CommandProcess('key-agent', words, {}).ended;
    expect([code, stdout, stderr]).toEqual([0, '', expect.stringContaining('0 keys that no record explains')]);
  }, 30_000);

  test('shows every key that somebody takes with the credentials of the API', async () => {
    const thief = await stolen();
    const said = (await recordsOf(system, 'T-CN', true)).flatMap((one) =>
      (one['accesses'] as Loose[]).flatMap(({ subjects }) =>
        (subjects as string[]).map((subject) => `${one['decision']} ${subject}`),
      ),
    );
    const explained = new Set(said);
    const real = [
      ...new Set((await agentLines()).flatMap(({ use, references }) => (references.length > 0 ? [use] : []))),
    ];
    const taken = new Set<string>();
    for (let at = 0; taken.size < ROGUES; at += 1) {
      // A use that never was, or the name of one that was about other persons.
      const use = at % 2 === 0 ? newId() : (real[at % real.length] ?? '');
      const key = `${use} ${thief.referenceAt(at)}`;
      if (explained.has(key) || taken.has(key)) continue;
      await thief.take(use, at);
      taken.add(key);
    }
    const found = await unexplained();
    const told = found.flatMap(({ use, references }) => references.map((one) => `${use} ${one}`));
    expect(told.sort()).toEqual([...taken].sort());
  }, 60_000);

  test('raises the alarm in its log, its figures and the ledger, once, over a start', async () => {
    const { ledgerReader, ledger, tenants } = system.composition;
    const file = path.join(place, 'position.json');
    const services = { agent: client, reader: ledgerReader, ledger: ledger.writer, clock: later(), tenants };
    const first = new KeyReconciliation(services, file);
    for (let turn = 0; turn < 3; turn += 1) await first.turn(log.to);
    expect(first.unexplained).toBe(ROGUES);
    const alarms = log.lines.split('\n').filter((line) => line.includes('keys unwrapped without a record'));
    const count = alarms.reduce((sum, line) => sum + Number((JSON.parse(line) as Loose)['count']), 0);
    expect(count).toBe(first.unexplained);
    expect(JSON.parse(alarms[0] ?? '{}')).toMatchObject({
      tenant: 'T-CN',
      reference: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const records = (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === 'keys.unexplained');
    expect(records[0]).toMatchObject({ kind: 'KEY', outcome: 'failed', code: 'UNEXPLAINED_UNWRAP' });
    expect(readFileSync(file, 'utf8')).toContain('"ledger":{"T-CN"');
    const second = new KeyReconciliation(services, file);
    for (let turn = 0; turn < 3; turn += 1) await second.turn(log.to);
    expect([second.unexplained, second.problem]).toEqual([0, null]);
  }, 30_000);

  test('gives out nothing while the agent is away, says so, and serves again when it is there', async () => {
    const ready = async () => (await fetch(new URL('/readyz', system.endpoint))).status;
    expect(await ready()).toBe(200);
    agent.signal('SIGKILL');
    await agent.ended;
    forgetAll();
    const answer = await system.ask('front_desk', LIST);
    expect([codeOf(answer), answer.data['patients'] ?? null]).toEqual(['AUDIT_UNAVAILABLE', null]);
    expect(await ready()).toBe(503);
    agent = await startAgent();
    expect(codeOf(await system.ask('front_desk', LIST))).toBe('none');
    expect(await ready()).toBe(200);
  }, 30_000);

  test('exports, and every key of it is explained', async () => {
    // The code of the window in which the organisation was made is used: what is left of that window is waited for.
    await pause(Math.max(0, nextWindow - Date.now()));
    const officer = new Exporter(system, new ManualClock(Date.now() - 30_000));
    forgetAll();
    const before = (await agentLines()).length;
    const id = await officer.request();
    await officer.until(id, 'READY');
    expect((await agentLines()).length).toBeGreaterThan(before);
    expect((await unexplained()).filter(({ n }) => n > before)).toEqual([]);
  }, 60_000);
});
