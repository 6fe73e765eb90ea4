import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { DEMO_ROLES } from '../../src/demo/people.js';
import { bytesOf, codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type TestSystem } from '../support/system.js';

const LOOKUP = 'query($input: PatientLookupInput!) { patientLookup(input: $input) { id name phone nationalId } }';
const CREATE = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
const NUMBER = '11010519491231002X';

const clock = new ManualClock(Date.now());
let system: TestSystem;
let known: string;
beforeAll(async () => {
  system = await testSystem({ clock });
  known = system.demo.patients['T-CN']?.['PT1'] ?? '';
});
afterAll(() => system.close());
/** A new minute: the limits of the test before no longer count. */
beforeEach(() => clock.advance(60_000));

const lookup = (input: object, role: Role = 'front_desk', tenant?: string) =>
  system.ask(role, LOOKUP, {
    tenant,
    purpose: role === 'call_center_agent' ? 'HOPERAT' : 'PATADMIN',
    variables: { input },
  });
const register = (input: object) => system.ask('front_desk', CREATE, { variables: { input } });

describe('a lookup', () => {
  it('finds the one patient by any spelling of the whole phone', async () => {
    const spellings = [
      '13812345678',
      '+86 138 1234 5678',
      '0086-138-1234-5678',
      '138 1234 5678',
      '１３８１２３４５６７８',
      '手机：13812345678',
    ];
    for (const phone of spellings) {
      const { data } = await lookup({ phone });
      expect([phone, data['patientLookup']?.id]).toEqual([phone, known]);
    }
  });

  it('finds by national number, and shows no more than a read would', async () => {
    for (const nationalId of [NUMBER, NUMBER.toLowerCase(), '110105 19491231 002X']) {
      const { data } = await lookup({ nationalId });
      expect(data['patientLookup']).toEqual({
        id: known,
        name: '王小明',
        phone: '138****5678',
        nationalId: '********002X',
      });
    }
    const agent = await lookup({ phone: '13812345678' }, 'call_center_agent');
    expect(agent.data['patientLookup']).toEqual({ id: known, name: '王**', phone: '138****5678', nationalId: null });
  });

  it('needs exactly one whole number', async () => {
    for (const input of [
      {},
      { phone: null },
      { phone: '13812345678', nationalId: NUMBER },
      { phone: '138' },
      { phone: '' },
      { nationalId: '110105194912310021' },
    ]) {
      const answer = await lookup(input);
      expect([input, codeOf(answer)]).toEqual([input, 'BAD_USER_INPUT']);
    }
  });

  it('is a right of its own, by field', async () => {
    for (const role of DEMO_ROLES) {
      if (role === 'front_desk' || role === 'call_center_agent') continue;
      const answer = await system.ask(role, LOOKUP, { variables: { input: { phone: '13812345678' } } });
      expect([role, codeOf(answer)]).toEqual([role, 'FORBIDDEN']);
    }
    const byNumber = await lookup({ nationalId: NUMBER }, 'call_center_agent');
    expect(codeOf(byNumber)).toBe('FORBIDDEN');
    const assigned = await system.ask('call_center_agent', LOOKUP, {
      purpose: 'CAREMGT',
      variables: { input: { phone: '13812345678' } },
    });
    expect(codeOf(assigned)).toBe('FORBIDDEN');
  });

  it('does not tell none from two, here from elsewhere', async () => {
    const twin = { phone: '13655556666' };
    for (const name of ['甲', '乙']) await register({ name, ...twin });
    await system.ask('front_desk', CREATE, {
      tenant: 'T-EU',
      variables: { input: { name: 'Elsewhere', phone: '+8613677778888' } },
    });
    const answers = [
      await lookup(twin),
      await lookup({ phone: '13600000000' }),
      await lookup({ phone: '13677778888' }),
    ];
    expect(answers.map(codeOf)).toEqual(['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    const last = (await recordsOf(system, 'T-CN'))
      .filter((one) => one['operation'] === 'patientLookup' && one['outcome'] === 'denied')
      .slice(-3);
    expect(last.map((one) => one['code'])).toEqual(['AMBIGUOUS', 'NOT_FOUND', 'NOT_FOUND']);
    expect(last.map((one) => one['kind'])).toEqual(['LOOKUP', 'LOOKUP', 'LOOKUP']);
  });

  it('follows the number: a changed or cleared one is not found any more', async () => {
    const { data } = await register({ name: '丙', phone: '13611110000' });
    const update = (version: number, input: object) =>
      system.ask(
        'front_desk',
        'mutation($id: ID!, $v: Int!, $i: UpdatePatientInput!) { updatePatient(id: $id, version: $v, input: $i) { id } }',
        {
          variables: { id: data['createPatient'].id, v: version, i: input },
        },
      );
    await update(1, { phone: '13622220000' });
    expect(codeOf(await lookup({ phone: '13611110000' }))).toBe('NOT_FOUND');
    expect((await lookup({ phone: '13622220000' })).data['patientLookup'].id).toBe(data['createPatient'].id);
    await update(2, { phone: null });
    expect(codeOf(await lookup({ phone: '13622220000' }))).toBe('NOT_FOUND');
  });
});

describe('the limit of lookups', () => {
  const tried = async (count: number): Promise<string[]> => {
    const codes: string[] = [];
    for (let index = 0; index < count; index += 1) codes.push(codeOf(await lookup({ phone: `1350000000${index}` })));
    return codes;
  };

  it('is six a minute, hits or not, and ends with the minute', async () => {
    expect(await tried(8)).toEqual([...Array<string>(6).fill('NOT_FOUND'), 'RATE_LIMITED', 'RATE_LIMITED']);
    const limited = await lookup({ phone: '13812345678' });
    expect(codeOf(limited)).toBe('RATE_LIMITED');
    expect(limited.data['patientLookup'] ?? null).toBeNull();
    expect(limited.errors[0]?.extensions).toMatchObject({ limit: 6, period: 'minute' });
    clock.advance(60_000);
    expect((await lookup({ phone: '13812345678' })).data['patientLookup'].id).toBe(known);
  });

  it('is not escaped by aliases or by parallel requests, and is an own one for each account', async () => {
    const aliases = Array.from(
      { length: 9 },
      (_, index) => `a${index}: patientLookup(input: { phone: "1340000000${index}" }) { id }`,
    );
    const answer = await system.ask('front_desk', `{ ${aliases.join(' ')} }`);
    const count = (code: string) => answer.errors.filter((error) => error.extensions.code === code).length;
    expect([count('NOT_FOUND'), count('RATE_LIMITED')]).toEqual([6, 3]);
    expect(codeOf(await lookup({ phone: '13812345678' }, 'call_center_agent'))).toBe('none');
    expect(codeOf(await lookup({ phone: '13400000000' }, 'front_desk', 'T-US'))).not.toBe('RATE_LIMITED');
    clock.advance(60_000);
    const parallel = await Promise.all(Array.from({ length: 12 }, () => lookup({ phone: '13400000000' })));
    expect(parallel.filter((one) => codeOf(one) === 'RATE_LIMITED')).toHaveLength(6);
  });

  it('is sixty a day', async () => {
    const day: Record<string, number> = {};
    // To the first minute of a day that nothing was asked on: the windows are days of UTC.
    clock.advance(86_400_000 - (clock.milliseconds() % 86_400_000));
    const email = 'lookup-day@t-cn.example';
    const password = 'lookups of a whole day 1';
    await system.composition.identity.createAccount({ tenant: 'T-CN', email, role: 'front_desk', password });
    const signIn = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }';
    for (let minute = 0; minute < 11; minute += 1) {
      const { data } = await system.send(signIn, { variables: { input: { tenant: 'T-CN', email, password } } });
      const token = data['signIn'].accessToken as string;
      for (let index = 0; index < 6; index += 1) {
        const answer = await system.send(LOOKUP, {
          token,
          purpose: 'PATADMIN',
          variables: { input: { phone: '13400000000' } },
        });
        day[codeOf(answer)] = (day[codeOf(answer)] ?? 0) + 1;
      }
      clock.advance(60_000);
    }
    expect(day).toEqual({ NOT_FOUND: 60, RATE_LIMITED: 6 });
  });
});
