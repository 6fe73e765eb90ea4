import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type TestSystem } from '../support/system.js';

/** The public contract's table: the purposes that each role may state. */
const TABLE: Partial<Record<Role, readonly string[]>> = {
  physician: ['TREAT', 'ETREAT'],
  nurse: ['TREAT', 'ETREAT'],
  front_desk: ['PATADMIN'],
  call_center_agent: ['CAREMGT', 'HOPERAT'],
  marketer: ['HMARKT'],
  complaint_handler: ['HOPERAT'],
  researcher: ['HRESCH'],
  billing: ['HPAYMT'],
  department_head: ['HQUALIMP'],
  auditor: ['HCOMPL'],
  privacy_officer: ['PATRQT', 'HCOMPL'],
  security_admin: ['HSYSADMIN'],
  integrator: ['PATADMIN'],
  patient: ['PATRQT'],
  guardian: ['PATRQT'],
};
const ROLES = Object.keys(TABLE) as Role[];
const EVERY_PURPOSE = [...new Set([...Object.values(TABLE).flat(), 'COC', 'HMARKT.SCORE', 'MLTRAINING', 'HLEGAL'])];
/** Whose answers about patients hold rows at all: the others act on other things, or not yet. */
const READERS = new Set<Role>([
  'physician',
  'nurse',
  'front_desk',
  'call_center_agent',
  'billing',
  'department_head',
  'integrator',
  'researcher',
  'privacy_officer',
  'patient',
  'guardian',
]);
const LIST = '{ patients(first: 3) { totalCount edges { node { id name } } } }';

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
});
afterAll(() => system.close());

/** What the log of the tenant gained while the work ran. */
async function recordsDuring(work: () => Promise<unknown>) {
  const before = (await recordsOf(system, 'T-CN')).length;
  await work();
  return (await recordsOf(system, 'T-CN')).slice(before);
}

describe('the purpose of a request', () => {
  it.each([null, '', '   '])('is required (%p): no data, one denied record', async (purpose) => {
    await system.token('physician');
    const records = await recordsDuring(async () => {
      const answer = await system.ask('physician', LIST, { purpose });
      expect(codeOf(answer)).toBe('PURPOSE_REQUIRED');
      expect(answer.text).not.toContain('edges');
      expect(answer.data['patients'] ?? null).toBeNull();
    });
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      operation: 'patients',
      outcome: 'denied',
      code: 'PURPOSE_REQUIRED',
      purpose: null,
      role: 'physician',
      accesses: [],
    });
  });

  it.each(['HMARKT', 'NOSUCH', 'treat', 'TREAT,ETREAT', 'TREAT ETREAT', 'constructor', '13812345678'])(
    'must be one of the role (%s): no data, one denied record',
    async (purpose) => {
      await system.token('physician');
      const records = await recordsDuring(async () => {
        const answer = await system.ask('physician', LIST, { purpose });
        expect(codeOf(answer)).toBe('PURPOSE_NOT_PERMITTED');
        expect(answer.data['patients'] ?? null).toBeNull();
      });
      expect(records.map((one) => [one['outcome'], one['code']])).toEqual([['denied', 'PURPOSE_NOT_PERMITTED']]);
      expect(JSON.stringify(records)).not.toContain('13812345678');
    },
  );

  it('is asked for by every operation but the session ones', async () => {
    const id = system.demo.patients['T-CN']?.['PT1'] ?? '';
    const documents = [
      `{ patient(id: "${id}") { id } }`,
      '{ patientLookup(input: { phone: "13812345678" }) { id } }',
      '{ careTeams { totalCount } }',
      'mutation { createPatient(input: { name: "甲" }) { id } }',
      `mutation { updatePatient(id: "${id}", version: 1, input: {}) { id } }`,
      `mutation { deactivatePatient(id: "${id}", version: 1) { id } }`,
      `mutation { createVisit(input: { patientId: "${id}", start: "2026-01-01T08:00:00Z" }) { id } }`,
      `mutation { recordDiagnosis(input: { patientId: "${id}", code: "E11" }) { id } }`,
      `mutation { assignCareTeam(input: { patientId: "${id}", careTeamId: "${id}" }) { id } }`,
      'mutation { createCareTeam(input: { name: "Night" }) { id } }',
    ];
    for (const role of ['front_desk', 'integrator'] as const) {
      for (const document of documents) {
        expect([document, codeOf(await system.ask(role, document, { purpose: null }))]).toEqual([
          document,
          'PURPOSE_REQUIRED',
        ]);
      }
    }
    expect(codeOf(await system.ask('front_desk', '{ me { id } }', { purpose: null }))).toBe('none');
  });
});

describe('every role and every purpose', () => {
  it.each(ROLES)('%s may state exactly the purposes of the contract', async (role) => {
    const permitted: string[] = [];
    for (const purpose of EVERY_PURPOSE) {
      const answer = await system.ask(role, LIST, { purpose });
      const code = codeOf(answer);
      if (code !== 'PURPOSE_NOT_PERMITTED') permitted.push(purpose);
      const expected = !TABLE[role]?.includes(purpose)
        ? 'PURPOSE_NOT_PERMITTED'
        : READERS.has(role)
          ? 'none'
          : 'FORBIDDEN';
      expect([purpose, code]).toEqual([purpose, expected]);
      if (code !== 'none') expect(answer.data['patients'] ?? null).toBeNull();
    }
    expect(permitted.sort()).toEqual([...(TABLE[role] ?? [])].sort());
    const me = await system.ask(role, '{ me { purposes } }', { purpose: null });
    expect([...me.data['me'].purposes].sort()).toEqual(permitted);
  });
});
