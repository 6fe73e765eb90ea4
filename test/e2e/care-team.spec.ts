import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { codeOf, nodesOf } from '../support/outcome.js';
import { testSystem, type AskOptions, type TestSystem } from '../support/system.js';

const TEAM = 'mutation($input: CreateCareTeamInput!) { createCareTeam(input: $input) { id name } }';
const ASSIGN = 'mutation($input: AssignCareTeamInput!) { assignCareTeam(input: $input) { id careTeamId } }';

let system: TestSystem;
let patients: Readonly<Record<string, string>>;
beforeAll(async () => {
  system = await testSystem();
  patients = system.demo.patients['T-CN'] ?? {};
});
afterAll(() => system.close());

const run = (role: Role, document: string, input: object, options: AskOptions & { tenant?: string } = {}) =>
  system.ask(role, document, { ...options, variables: { input } });

describe('a care team', () => {
  const asHead = { purpose: 'HQUALIMP' };
  /** A session knows of a new membership within a second. */
  const membershipSettles = () => new Promise((resolve) => setTimeout(resolve, 1_100));

  it('opens a patient to its members with the very next request', async () => {
    const { data } = await system.ask('front_desk', '{ careTeams(first: 50) { edges { node { id name } } } }');
    const ward = nodesOf(data['careTeams']).find((one) => one['name'] === 'Ward 1');
    const read = () => system.ask('nurse', `{ patient(id: "${patients['PT5']}") { name } }`);
    expect(codeOf(await read())).toBe('NOT_FOUND');
    expect(codeOf(await run('front_desk', ASSIGN, { patientId: patients['PT5'], careTeamId: ward?.['id'] }))).toBe(
      'none',
    );
    expect((await read()).data['patient']).toEqual({ name: '欧阳娜娜' });
  });

  it('opens a patient to its members and to nobody else', async () => {
    const physician = system.demo.users.find((one) => one.role === 'physician' && one.tenant === 'T-CN')?.id;
    const read = (role: Role) => system.ask(role, `{ patient(id: "${patients['PT4']}") { name } }`);
    expect(codeOf(await read('physician'))).toBe('NOT_FOUND');
    const team = (await run('department_head', TEAM, { name: 'Night shift', memberIds: [physician] }, asHead)).data[
      'createCareTeam'
    ];
    expect(codeOf(await run('physician', ASSIGN, { patientId: patients['PT4'], careTeamId: team.id }))).toBe(
      'FORBIDDEN',
    );
    expect(codeOf(await read('physician'))).toBe('NOT_FOUND');
    expect(codeOf(await run('front_desk', ASSIGN, { patientId: patients['PT4'], careTeamId: team.id }))).toBe('none');
    await membershipSettles();
    expect((await read('physician')).data['patient']).toEqual({ name: '刘桂英' });
    expect(codeOf(await read('nurse'))).toBe('NOT_FOUND');
    const { data } = await system.ask(
      'physician',
      `{ patient(id: "${patients['PT4']}") { careTeam { careTeamId careTeam { name } } } }`,
    );
    expect(data['patient'].careTeam).toEqual([{ careTeamId: team.id, careTeam: { name: 'Night shift' } }]);
  });

  it('is made by those who organise, with a name of its own and members of the tenant', async () => {
    for (const role of ['physician', 'front_desk', 'auditor', 'security_admin'] as const) {
      expect([role, codeOf(await run(role, TEAM, { name: 'Mine' }))]).toEqual([role, 'FORBIDDEN']);
    }
    const stranger = system.demo.users.find((one) => one.tenant === 'T-US')?.id;
    for (const input of [
      { name: '' },
      { name: ' ' },
      { name: 'A', memberIds: ['x'] },
      { name: 'A', memberIds: [stranger] },
    ]) {
      expect([input, codeOf(await run('department_head', TEAM, input, asHead))]).toEqual([input, 'BAD_USER_INPUT']);
    }
    expect(codeOf(await run('department_head', TEAM, { name: 'Twice' }, asHead))).toBe('none');
    expect(codeOf(await run('department_head', TEAM, { name: 'Twice' }, asHead))).toBe('BAD_USER_INPUT');
  });

  it('of another tenant cannot be assigned', async () => {
    const foreign = (await run('department_head', TEAM, { name: 'Abroad' }, { ...asHead, tenant: 'T-US' })).data[
      'createCareTeam'
    ];
    for (const careTeamId of [foreign.id, '01900000-0000-7000-8000-000000000000', 'x']) {
      expect(codeOf(await run('front_desk', ASSIGN, { patientId: patients['PT1'], careTeamId }))).toBe(
        'BAD_USER_INPUT',
      );
    }
  });
});
