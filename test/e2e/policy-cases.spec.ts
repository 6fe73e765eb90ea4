import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { registry } from '../../src/kernel/attribute.js';
import { newId } from '../../src/kernel/identifier.js';
import { loadCases, stateDifferences, type PolicyCase } from '../../src/policy/cases.js';
import type { Facts } from '../../src/policy/decision.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { PolicySource } from '../../src/policy/source.js';
import { nodesOf } from '../support/probe.js';
import { testSystem, type Loose, type TestSystem } from '../support/system.js';

/*
 * The cases of reading patients once more, through everything: rows with the facts of the case file are made in the database
 * of a running system, and every role asks for its list over the API. The other nouns hang on patients and are asked for by
 * role-matrix.spec; in memory and in SQL all of them are in test/policy/cases.spec.
 */
const LIST = '{ patients(first: 50) { edges { node { id fieldAccess { field state mask } } } } }';
const source = PolicySource.directory('policies');
const engine = PolicyEngine.load(source, registry, { lazy: true });
const reads = loadCases(source, registry, engine).filter(
  ({ type, action, role, purpose, environment }) =>
    type === 'Patient' &&
    action === 'read' &&
    role !== 'reminder_service' &&
    environment == null &&
    engine.purposesOf(role).includes(purpose),
);

let system: TestSystem;
/** Name of the row in the case file by the patient's id. */
const names = new Map<string, string>();

beforeAll(async () => {
  system = await testSystem();
  const staff = system.demo.users.filter(({ tenant, role }) => tenant === 'T-CN' && !/patient|guardian/.test(role));
  const team = await run('integrator', 'createCareTeam', 'CreateCareTeamInput', {
    name: 'Everybody',
    memberIds: staff.map(({ id }) => id),
  });
  const [first] = reads;
  for (const [name, facts] of first?.rows ?? []) names.set(await make(facts, String(team)), name);
}, 60_000);
afterAll(() => system.close());

async function run(role: 'integrator' | 'front_desk', operation: string, type: string, input: Loose, tenant = 'T-CN') {
  const document = `mutation($input: ${type}!) { ${operation}(input: $input) { id } }`;
  const answer = await system.ask(role, document, { tenant, variables: { input } });
  expect([operation, answer.errors]).toEqual([operation, []]);
  return answer.data[operation].id as string;
}

/** A patient of whom the facts of a row are true. What no operation makes at once is written into the table. */
async function make(facts: Facts, team: string): Promise<string> {
  const tenant = String(facts['tenant']);
  const id = await run(
    'front_desk',
    'createPatient',
    'CreatePatientInput',
    { name: '王小明', phone: '13812340000' },
    tenant,
  );
  const consents = Object.entries(facts)
    .filter(([name, state]) => name.startsWith('consent.') && state !== 'NONE')
    .map(([name, decision]) => [
      name.slice('consent.'.length),
      { decision, until: null, at: '2026-01-01T00:00:00.000Z', id: newId() },
    ]);
  await system.database.owner.query(
    `UPDATE patient SET status = $2, consents = $3, care_team_ids = CASE WHEN $4 THEN ARRAY[$5::uuid] ELSE '{}' END WHERE id = $1`,
    [id, facts['status'], JSON.stringify(Object.fromEntries(consents)), facts['inCareTeam'], team],
  );
  if (facts['hasVisitToday'] === true) {
    const start = new Date().toISOString();
    await run('front_desk', 'createVisit', 'CreateVisitInput', { patientId: id, start, status: 'planned' }, tenant);
  }
  if (facts['isRepresented'] === true) {
    // The demo's patient and guardian speak for this one from now on.
    await system.database.owner.query('UPDATE related_person SET patient_id = $1 WHERE account_id = ANY ($2)', [
      id,
      [accountOf('patient'), accountOf('guardian')],
    ]);
  }
  for (const role of facts['isEmergency'] === true ? (['physician', 'nurse'] as const) : []) {
    await system.database.owner.query(
      `INSERT INTO emergency_access (id, version, outcome, tenant_id, patient_id, account_id, reason_code, started_at, expires_at, review_due_at)
       VALUES ($1, 1, 'PENDING', $2, $3, $4, 'UNCONSCIOUS', now(), now() + interval '4 hours', now() + interval '72 hours')`,
      [newId(), tenant, id, accountOf(role)],
    );
  }
  return id;
}

function accountOf(role: string): string {
  return String(system.demo.users.find((user) => user.tenant === 'T-CN' && user.role === role)?.id);
}

async function differences(one: PolicyCase): Promise<string[]> {
  const headers: Record<string, string> = one.purpose === 'ETREAT' ? { 'x-break-glass': 'BTG' } : {};
  const answer = await system.ask(one.role, LIST, { purpose: one.purpose, headers });
  if (one.expected === null) return answer.errors.length > 0 ? [] : ['is allowed'];
  if (answer.errors.length > 0) return [`is refused: ${answer.errors[0]?.message}`];
  const own = nodesOf(answer).filter((node) => names.has(node['id']));
  const seen = own.map((node) => String(names.get(node['id']))).sort();
  const expected = [...one.expected.rows].sort();
  if (seen.join() !== expected.join()) return [`reaches ${seen.join()}, not ${expected.join()}`];
  return own.flatMap((node) => {
    const access = node['fieldAccess'] as { field: string; state: string; mask: string | null }[];
    const states = new Map(access.map(({ field, state, mask }) => [field, mask === null ? state : `${state} ${mask}`]));
    const name = String(names.get(node['id']));
    return stateDifferences(name, one.expected?.states.get(name), states);
  });
}

describe('the cases of reading patients', () => {
  it('hold over the API, in rows and in field states', async () => {
    const failed: string[] = [];
    for (const one of reads) {
      failed.push(...(await differences(one)).map((what) => `${one.place} (${one.role}, ${one.purpose}): ${what}`));
    }
    expect(failed).toEqual([]);
    expect(names.size).toBeGreaterThan(8);
    expect(reads.length).toBeGreaterThan(15);
  }, 60_000);
});
