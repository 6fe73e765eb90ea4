import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../src/kernel/clock.js';
import { bytesOf, codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { admit, person, register, represented, type Person } from '../support/person.js';
import { recordsOf, testSystem, type TestSystem } from '../support/system.js';

const CLOCK_START = Date.parse('2026-11-21T04:00:00Z');
const DAY = 86_400_000;
const OWN = '{ patients { totalCount edges { node { id name phone nationalId } } } }';
const RECORD = 'mutation($input: RecordConsentInput!) { recordConsent(input: $input) { id } }';
const UPDATE =
  'mutation($id: ID!, $version: Int!, $input: UpdatePatientInput!) { updatePatient(id: $id, version: $version, input: $input) { version } }';
const END = 'mutation($id: ID!, $version: Int!) { endRelatedPerson(id: $id, version: $version) { status endAt } }';
const EVIDENCE = 'household register 4711';

let clock: ManualClock;
let system: TestSystem;
let patients: Readonly<Record<string, string>>;
beforeAll(async () => {
  clock = new ManualClock(CLOCK_START);
  system = await testSystem({ clock });
  patients = system.demo.patients['T-CN'] ?? {};
});
afterAll(() => system.close());

const read = (id?: string) => `{ patient(id: "${id}") { id name } }`;
const consent = (patientId?: string) => ({ input: { patientId, purpose: 'CAREMGT', decision: 'PERMIT' } });
/** The front desk's own session ends by itself when the clock moves. */
async function born(patientId: string, birthDate: string | null): Promise<string> {
  const current = await system.ask('front_desk', `{ patient(id: "${patientId}") { version } }`);
  const variables = { id: patientId, version: current.data['patient'].version, input: { birthDate } };
  return codeOf(await system.ask('front_desk', UPDATE, { variables }));
}
const newPatient = (birthDate?: string) => admit(system, { name: '陈小雨', birthDate });

describe('an account that is bound to nobody', () => {
  it.each(['patient', 'guardian'] as const)('of a %s sees nobody and decides for nobody', async (role) => {
    const one = await person(system, role, `unbound-${role}`);
    const list = await one.ask(OWN);
    expect(list.data['patients']).toEqual({ totalCount: 0, edges: [] });
    expect(codeOf(await one.ask(read(patients['PT1'])))).toBe('NOT_FOUND');
    expect(codeOf(await one.ask(RECORD, consent(patients['PT1'])))).toBe('NOT_FOUND');
    expect(codeOf(await one.ask(`{ accessReport(patientId: "${patients['PT1']}") { entries { at } } }`))).toBe(
      'NOT_FOUND',
    );
  });

  it('cannot bind itself', async () => {
    const one = await person(system, 'patient', 'binds-himself');
    const document = 'mutation($input: RegisterRelatedPersonInput!) { registerRelatedPerson(input: $input) { id } }';
    const input = { patientId: patients['PT1'], accountId: one.id, relationship: 'SELF' };
    expect(codeOf(await one.ask(document, { input }))).toBe('FORBIDDEN');
    expect((await one.ask(OWN)).data['patients'].totalCount).toBe(0);
  });
});

describe('a patient', () => {
  it('reads the own record from the first request on: clear, the number masked', async () => {
    const values = { name: '王小明', birthDate: '1970-01-01', phone: '13812345678', nationalId: '11010519491231002X' };
    const id = await admit(system, values);
    const one = await represented(system, 'patient', id);
    expect(nodesOf((await one.ask(OWN)).data['patients'])).toEqual([
      { id, name: '王小明', phone: '13812345678', nationalId: expect.not.stringMatching(/^110105/) },
    ]);
    expect((await one.ask('{ me { patientIds } }')).data['me'].patientIds).toEqual([id]);
  });

  it('hears of another patient, of another tenant and of nobody the same bytes', async () => {
    const one = await represented(system, 'patient', patients['PT5'] ?? '');
    const foreign = system.demo.patients['T-US']?.['PT1'];
    const nobody = '01900000-0000-7000-8000-000000000000';
    const answers = await Promise.all([patients['PT1'], foreign, nobody].map((id) => one.ask(read(id))));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect(answers.map(codeOf)).toEqual(['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
  });

  it('is one account, and an account is one patient', async () => {
    const [patientId, other] = [await newPatient('1980-01-01'), await newPatient('1981-01-01')];
    const one = await represented(system, 'patient', patientId);
    const second = await person(system, 'patient', 'second-account');
    const same = { patientId, accountId: second.id, relationship: 'SELF' };
    const both = { patientId: other, accountId: one.id, relationship: 'SELF' };
    expect(codeOf(await register(system, same))).toBe('BAD_USER_INPUT');
    expect(codeOf(await register(system, both))).toBe('BAD_USER_INPUT');
    expect(idsOf((await one.ask(OWN)).data['patients'])).toEqual([patientId]);
  });
});

describe('a guardian', () => {
  let child: string;
  let guardian: Person;
  beforeAll(async () => {
    child = patients['PT2'] ?? '';
    guardian = await represented(system, 'guardian', child);
  });

  it('reads and decides for the ward alone', async () => {
    expect(idsOf((await guardian.ask(OWN)).data['patients'])).toEqual([child]);
    expect(codeOf(await guardian.ask(RECORD, consent(child)))).toBe('none');
    for (const other of ['PT1', 'PT3']) {
      expect(codeOf(await guardian.ask(read(patients[other])))).toBe('NOT_FOUND');
      expect(codeOf(await guardian.ask(RECORD, consent(patients[other])))).toBe('NOT_FOUND');
      const report = await guardian.ask(`{ accessReport(patientId: "${patients[other]}") { entries { at } } }`);
      expect(codeOf(report)).toBe('NOT_FOUND');
    }
  });

  it('of one tenant is nobody in another', async () => {
    const stranger = await person(system, 'guardian', 'stranger', 'T-US');
    const input = { patientId: child, accountId: stranger.id, relationship: 'GUARDIAN', evidence: EVIDENCE };
    expect(codeOf(await register(system, input))).toBe('BAD_USER_INPUT');
    expect(codeOf(await register(system, input, 'T-US'))).toBe('NOT_FOUND');
    expect(codeOf(await stranger.ask(read(child)))).toBe('NOT_FOUND');
  });

  it.each(['', '   ', undefined])('is not registered on the evidence %p', async (evidence) => {
    const one = await person(system, 'guardian', 'without-evidence');
    const input = { patientId: child, accountId: one.id, relationship: 'GUARDIAN', evidence };
    expect(codeOf(await register(system, input))).toBe('GUARDIAN_CONSENT_REQUIRED');
  });

  it('is an account of that role: nobody of the staff, no patient', async () => {
    const patient = await person(system, 'patient', 'not-a-guardian');
    const physician = system.demo.users.find((one) => one.role === 'physician' && one.tenant === 'T-CN')?.id ?? '';
    const evidence = EVIDENCE;
    for (const accountId of [patient.id, physician, child, 'x']) {
      const input = { patientId: child, accountId, relationship: 'GUARDIAN', evidence };
      expect(codeOf(await register(system, input))).toBe('BAD_USER_INPUT');
    }
    const asSelf = { patientId: await newPatient('1990-01-01'), accountId: physician, relationship: 'SELF' };
    expect(codeOf(await register(system, asSelf))).toBe('BAD_USER_INPUT');
  });

  it('is refused for who decides alone already', async () => {
    const one = await person(system, 'guardian', 'too-late');
    const input = { patientId: patients['PT3'], accountId: one.id, relationship: 'GUARDIAN', evidence: EVIDENCE };
    expect(codeOf(await register(system, input))).toBe('BAD_USER_INPUT');
  });

  it('stops when the front desk ends it, within a second', async () => {
    const ward = await newPatient('2020-05-05');
    const one = await represented(system, 'guardian', ward);
    expect(codeOf(await one.ask(read(ward)))).toBe('none');
    const { id, version } = one.relation;
    const end = () => system.ask('front_desk', END, { variables: { id, version } });
    expect((await end()).data['endRelatedPerson'].status).toBe('inactive');
    expect(codeOf(await end())).toMatch(/BAD_USER_INPUT|VERSION_CONFLICT/);
    clock.advance(1_000);
    expect(codeOf(await one.ask(read(ward)))).toBe('NOT_FOUND');
    // A new date of birth does not bring back what somebody ended.
    expect(await born(ward, '2021-05-05')).toBe('none');
    clock.advance(1_000);
    expect(codeOf(await one.ask(read(ward)))).toBe('NOT_FOUND');
  });

  it('follows the date of birth, in both directions and where it becomes unknown', async () => {
    const ward = await newPatient('2020-05-05');
    const one = await represented(system, 'guardian', ward);
    const ends = async () => {
      const document = `{ patient(id: "${ward}") { relatedPersons { edges { node { endAt } } } } }`;
      const answer = await system.ask('front_desk', document);
      return nodesOf(answer.data['patient'].relatedPersons)[0]?.['endAt'];
    };
    expect(await ends()).toBe('2034-05-04T16:00:00.000Z');
    for (const [birthDate, end, sees] of [
      ['2021-01-01', '2034-12-31T16:00:00.000Z', 'none'],
      ['2001-01-01', '2014-12-31T16:00:00.000Z', 'NOT_FOUND'],
      ['2019-12-31', '2033-12-30T16:00:00.000Z', 'none'],
      [null, null, 'none'],
    ] as const) {
      expect(await born(ward, birthDate)).toBe('none');
      expect(await ends()).toBe(end);
      clock.advance(1_000);
      expect(codeOf(await one.ask(read(ward)))).toBe(sees);
    }
  });

  it('keeps its end when the change of the date of birth did not happen', async () => {
    const ward = await newPatient('2020-05-05');
    await represented(system, 'guardian', ward);
    const variables = { id: ward, version: 1, input: { birthDate: '2001-01-01' } };
    const [first, second] = await Promise.all([
      system.ask('front_desk', UPDATE, { variables: { ...variables, input: { birthDate: '2019-05-05' } } }),
      system.ask('front_desk', UPDATE, { variables }),
    ]);
    const codes = [first, second].map(codeOf);
    expect([...codes].sort()).toEqual(['VERSION_CONFLICT', 'none']);
    const expected = codes[0] === 'none' ? '2033-05-04T16:00:00.000Z' : '2014-12-31T16:00:00.000Z';
    const { rows } = await system.database.owner.query<{ end_at: Date }>(
      'SELECT end_at FROM related_person WHERE patient_id = $1',
      [ward],
    );
    expect(rows.map((row) => row.end_at.toISOString())).toEqual([expected]);
  });

  it('never enters the ledger with the evidence, and the database does not hold it in clear', async () => {
    const ward = await newPatient('2020-05-05');
    const one = await person(system, 'guardian', 'canary');
    const evidence = 'CANARY-evidence-77';
    await register(system, { patientId: ward, accountId: one.id, relationship: 'GUARDIAN', evidence });
    const { rows } = await system.database.owner.query<{ found: boolean }>(
      `SELECT bool_or(related_person::text LIKE '%' || $1 || '%' OR position(convert_to($1, 'UTF8') IN sealed_identity) > 0) AS found FROM related_person`,
      [evidence],
    );
    expect(rows[0]?.found).toBe(false);
    const records = await recordsOf(system, 'T-CN');
    expect(JSON.stringify(records)).not.toContain(evidence);
    expect(records.at(-1)).toMatchObject({ operation: 'registerRelatedPerson' });
    expect(system.logged()).not.toContain(evidence);
  });

  // Last: nothing of the sessions before is left after it.
  it('ends at midnight of the birthday, by the clock alone', async () => {
    const ward = await newPatient('2013-01-10');
    const one = await represented(system, 'guardian', ward);
    const midnight = Date.parse('2027-01-09T16:00:00Z');
    clock.advance(midnight - clock.milliseconds() - 60_000);
    await one.signIn();
    expect(codeOf(await one.ask(read(ward)))).toBe('none');
    expect(idsOf((await one.ask(OWN)).data['patients'])).toEqual([ward]);
    clock.advance(59_999);
    expect(codeOf(await one.ask(RECORD, consent(ward)))).toBe('none');
    clock.advance(1_000);
    expect(clock.milliseconds()).toBeLessThan(midnight + DAY);
    expect(codeOf(await one.ask(read(ward)))).toBe('NOT_FOUND');
    expect((await one.ask(OWN)).data['patients'].totalCount).toBe(0);
    expect(codeOf(await one.ask(RECORD, consent(ward)))).toBe('NOT_FOUND');
  });
});
