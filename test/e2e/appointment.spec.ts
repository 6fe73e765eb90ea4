import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { newId } from '../../src/kernel/identifier.js';
import { bytesOf, codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { represented } from '../support/person.js';
import { recordsOf, testSystem, type Answer, type AskOptions, type Loose, type TestSystem } from '../support/system.js';

const FIELDS = 'id version status start end department reason reminderAt reminderStatus';
const BOOK = `mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { ${FIELDS} patientId } }`;
const MOVE = `mutation($id: ID!, $version: Int!, $start: String!, $end: String!) {
  rescheduleAppointment(id: $id, version: $version, start: $start, end: $end) { ${FIELDS} } }`;
const CONFIRM = `mutation($id: ID!, $version: Int!) { confirmAppointment(id: $id, version: $version) { ${FIELDS} } }`;
const CANCEL = `mutation($id: ID!, $version: Int!) { cancelAppointment(id: $id, version: $version) { ${FIELDS} } }`;
const LIST = `query($filter: AppointmentFilter, $sort: [AppointmentSort!]) {
  appointments(first: 50, filter: $filter, sort: $sort) { totalCount edges { node { ${FIELDS} patient { name } practitioner { name } } } } }`;
const OF_PATIENT = `query($id: ID!) { patient(id: $id) { appointments { edges { node { ${FIELDS} } } } } }`;
const HOUR = 3_600_000;

let system: TestSystem;
let patients: Readonly<Record<string, string>>;
/** Far enough ahead that no two tests meet: every slot is asked for once. */
let slots = Date.now() + 100 * 24 * HOUR;
beforeAll(async () => {
  system = await testSystem();
  patients = system.demo.patients['T-CN'] ?? {};
});
afterAll(() => system.close());

const instant = (milliseconds: number) => new Date(milliseconds).toISOString();
function slot(hours = 1): { start: string; end: string } {
  const start = slots;
  slots += 10 * HOUR;
  return { start: instant(start), end: instant(start + hours * HOUR) };
}
const book = (role: Role, input: object, options: AskOptions = {}) =>
  system.ask(role, BOOK, { ...options, variables: { input } });
const change = (role: Role, document: string, variables: Loose) => system.ask(role, document, { variables });
async function booked(input: object = {}): Promise<Loose> {
  const answer = await book('front_desk', { patientId: patients['PT1'], ...slot(), ...input });
  expect(answer.errors).toEqual([]);
  return answer.data['bookAppointment'] as Loose;
}
async function practitioner(tenant = 'T-CN'): Promise<string> {
  const id = newId();
  const text = `INSERT INTO practitioner (id, name, created_at, tenant_id) VALUES ($1, 'Dr. Li', now(), $2)`;
  await system.database.owner.query(text, [id, tenant]);
  return id;
}

describe('the life of an appointment', () => {
  it('is booked, moved, confirmed and cancelled; the reminder follows', async () => {
    const made = await booked();
    expect(made).toMatchObject({ version: 1, status: 'booked', patientId: patients['PT1'], reminderStatus: 'due' });
    expect(Date.parse(made['start']) - Date.parse(made['reminderAt'])).toBe(24 * HOUR);

    const confirmed = (await change('front_desk', CONFIRM, made)).data['confirmAppointment'];
    expect(confirmed).toMatchObject({ version: 2, status: 'confirmed', reminderAt: made['reminderAt'] });

    const later = slot();
    const moved = (await change('front_desk', MOVE, { ...confirmed, ...later })).data['rescheduleAppointment'];
    expect(moved).toMatchObject({ ...later, version: 3, status: 'booked', reminderStatus: 'due' });
    expect(Date.parse(moved['reminderAt'])).toBe(Date.parse(later.start) - 24 * HOUR);

    const cancelled = (await change('front_desk', CANCEL, moved)).data['cancelAppointment'];
    expect(cancelled).toMatchObject({ version: 4, status: 'cancelled', reminderAt: null, reminderStatus: null });
    for (const document of [CONFIRM, CANCEL]) {
      expect(codeOf(await change('front_desk', document, cancelled))).toBe('BAD_USER_INPUT');
    }
    expect(codeOf(await change('front_desk', MOVE, { ...cancelled, ...slot() }))).toBe('BAD_USER_INPUT');
  });

  it('has a record of each step, in the statement of the step', async () => {
    const made = await booked();
    await change('front_desk', CONFIRM, made);
    const records = (await recordsOf(system, 'T-CN')).slice(-20);
    const written = records.filter(
      (one) => /^(book|confirm)Appointment$/.test(one['operation']) && one['kind'] !== 'READ',
    );
    expect(written.slice(-2).map((one) => [one['kind'], one['outcome'], one['accesses'][0].fields])).toEqual([
      ['CREATE', 'success', expect.objectContaining({ start: 'WRITTEN', reminderAt: 'WRITTEN' })],
      ['UPDATE', 'success', { status: 'WRITTEN' }],
    ]);
  });

  it('has no reminder when it is booked less than a day ahead, and gets one when it is moved away', async () => {
    const soon = { start: instant(Date.now() + 23 * HOUR), end: instant(Date.now() + 24 * HOUR) };
    const made = await booked({ ...soon });
    expect(made).toMatchObject({ reminderAt: null, reminderStatus: null });
    const moved = (await change('front_desk', MOVE, { ...made, ...slot() })).data['rescheduleAppointment'];
    expect(moved['reminderStatus']).toBe('due');
    const back = (await change('front_desk', MOVE, { ...moved, ...soon })).data['rescheduleAppointment'];
    expect(back).toMatchObject({ reminderAt: null, reminderStatus: null });
  });

  it('is changed by one of two who saw the same version', async () => {
    const made = await booked();
    const answers = await Promise.all([CONFIRM, CANCEL].map((document) => change('front_desk', document, made)));
    expect(answers.map(codeOf).sort()).toEqual(['VERSION_CONFLICT', 'none']);
    expect(codeOf(await change('front_desk', MOVE, { ...made, ...slot() }))).toBe('VERSION_CONFLICT');
  });

  it('is made once for one Idempotency-Key', async () => {
    const input = { patientId: patients['PT1'], practitionerId: await practitioner(), ...slot() };
    const headers = { 'idempotency-key': newId() };
    const answers = [await book('front_desk', input, { headers }), await book('front_desk', input, { headers })];
    expect(answers.map(codeOf)).toEqual(['none', 'none']);
    expect(answers[1]?.data).toEqual(answers[0]?.data);
    expect(codeOf(await book('front_desk', { ...input, ...slot() }, { headers }))).toBe('IDEMPOTENCY_CONFLICT');
  });

  it('refuses times that are none, past, without a zone, or that end before they start', async () => {
    const { start, end } = slot();
    for (const bad of [
      { start: '' },
      { start: 'tomorrow' },
      { start: start.slice(0, -1) },
      { start: '2027-02-30T08:00:00Z' },
      { start: instant(Date.now() - 1_000) },
      { end: start },
      { end: instant(Date.parse(start) - HOUR) },
      { practitionerId: newId() },
      { consentFormId: newId() },
      { practitionerId: await practitioner('T-US') },
    ]) {
      const answer = await book('front_desk', { patientId: patients['PT1'], start, end, ...bad });
      expect([bad, codeOf(answer)]).toEqual([bad, 'BAD_USER_INPUT']);
    }
  });
});

describe('one practitioner', () => {
  it('has one of fifty who book the same time at once', async () => {
    const input = { patientId: patients['PT1'], practitionerId: await practitioner(), ...slot() };
    const answers = await Promise.all(Array.from({ length: 50 }, () => book('front_desk', input)));
    const codes = answers.map(codeOf);
    expect(codes.filter((code) => code === 'none')).toHaveLength(1);
    expect(new Set(codes)).toEqual(new Set(['none', 'BAD_USER_INPUT']));
    expect(answers.find((one) => codeOf(one) !== 'none')?.errors[0]?.message).toContain('not available');
  });

  it('has no two that overlap, however they are made, and any number that only touch', async () => {
    const practitionerId = await practitioner();
    const { start } = slot();
    const at = (from: number, to: number) => ({
      patientId: patients['PT1'],
      practitionerId,
      start: instant(Date.parse(start) + from * HOUR),
      end: instant(Date.parse(start) + to * HOUR),
    });
    const first = (await book('front_desk', at(0, 2))).data['bookAppointment'];
    for (const [from, to] of [
      [-1, 1],
      [1, 3],
      [0.5, 1],
      [-1, 3],
      [0, 2],
    ] as const) {
      expect(codeOf(await book('front_desk', at(from, to)))).toBe('BAD_USER_INPUT');
    }
    const second = (await book('front_desk', at(2, 3))).data['bookAppointment'];
    expect(codeOf(await book('front_desk', { ...at(0, 2), practitionerId: await practitioner() }))).toBe('none');
    expect(codeOf(await book('front_desk', { ...at(0, 2), practitionerId: null }))).toBe('none');
    expect(codeOf(await change('front_desk', MOVE, { ...second, ...at(1, 2) }))).toBe('BAD_USER_INPUT');
    await change('front_desk', CANCEL, first);
    expect(codeOf(await change('front_desk', MOVE, { ...second, ...at(1, 2) }))).toBe('none');
  });

  it('keeps apart two who are moved to the same time at once', async () => {
    const practitionerId = await practitioner();
    const [one, other] = [await booked({ practitionerId }), await booked({ practitionerId })];
    const target = slot();
    const answers = await Promise.all([one, other].map((made) => change('front_desk', MOVE, { ...made, ...target })));
    expect(answers.map(codeOf).sort()).toEqual(['BAD_USER_INPUT', 'none']);
  });
});

describe('who sees an appointment', () => {
  it('the treating team in full, the front desk without department and reason, an agent the dates', async () => {
    const input = { patientId: patients['PT1'], ...slot(), department: 'Cardiology', reason: 'CANARY-reason' };
    const made = (await book('physician', input)).data['bookAppointment'];
    expect(made).toMatchObject({ department: 'Cardiology', reason: 'CANARY-reason' });
    const seen = async (role: Role) => {
      const answer = await system.ask(role, OF_PATIENT, { variables: { id: patients['PT1'] } });
      const found = nodesOf(answer.data['patient'].appointments).find((one) => one['id'] === made.id);
      return { found, text: answer.text };
    };
    expect((await seen('nurse')).found).toMatchObject({ department: 'Cardiology', reason: 'CANARY-reason' });
    const desk = await seen('front_desk');
    expect(desk.found).toMatchObject({ status: 'booked', start: input.start, department: null, reason: null });
    const agent = await seen('call_center_agent');
    expect(agent.found).toMatchObject({ start: input.start, end: input.end, reminderStatus: null, department: null });
    for (const { text } of [desk, agent]) expect(text).not.toMatch(/CANARY-reason|Cardiology/);
  });

  it('nobody else, whatever they ask', async () => {
    const made = await booked();
    const nobody = [
      'marketer',
      'complaint_handler',
      'researcher',
      'billing',
      'department_head',
      'auditor',
      'privacy_officer',
      'security_admin',
      'integrator',
    ] as const;
    for (const role of nobody) {
      expect([role, codeOf(await system.ask(role, LIST))]).toEqual([role, 'FORBIDDEN']);
      expect(codeOf(await change(role, CONFIRM, made))).toBe('FORBIDDEN');
    }
    for (const role of ['nurse', 'physician', 'call_center_agent'] as const) {
      for (const document of [CONFIRM, CANCEL]) expect(codeOf(await change(role, document, made))).toBe('FORBIDDEN');
    }
    expect(codeOf(await book('call_center_agent', { patientId: patients['PT1'], ...slot() }))).toBe('FORBIDDEN');
    expect(codeOf(await book('front_desk', { patientId: patients['PT1'], ...slot(), reason: 'x' }))).toBe('FORBIDDEN');
  });

  it('the patient and the guardian their own, to confirm or cancel, never to move', async () => {
    const [mine, foreign] = [
      await booked({ patientId: patients['PT5'] }),
      await booked({ patientId: patients['PT4'] }),
    ];
    const patient = await represented(system, 'patient', patients['PT5'] ?? '');
    expect(idsOf((await patient.ask(LIST)).data['appointments'])).toEqual([mine['id']]);
    const confirmed = await patient.ask(CONFIRM, mine);
    expect(confirmed.data['confirmAppointment'].status).toBe('confirmed');
    const now = confirmed.data['confirmAppointment'];
    expect(codeOf(await patient.ask(MOVE, { ...now, ...slot() }))).toBe('FORBIDDEN');
    expect(codeOf(await patient.ask(CANCEL, now))).toBe('none');
    const missing = await patient.ask(CANCEL, { id: newId(), version: 1 });
    expect(codeOf(missing)).toBe('NOT_FOUND');
    expect(bytesOf(await patient.ask(CANCEL, foreign))).toBe(bytesOf(missing));
    expect(codeOf(await patient.ask(BOOK, { input: { patientId: patients['PT5'], ...slot() } }))).toBe('FORBIDDEN');
  });

  it('answers a patient that is foreign, missing or not one of mine with the same bytes', async () => {
    const ids = [system.demo.patients['T-US']?.['PT1'], patients['PT4'], newId(), 'x'];
    const answers: Answer[] = [];
    for (const patientId of ids) answers.push(await book('physician', { patientId, ...slot() }));
    expect(answers.map(codeOf)).toEqual(answers.map(() => 'NOT_FOUND'));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
  });

  it('nobody where the department tells the kind of illness; its time is taken all the same', async () => {
    const practitionerId = await practitioner();
    const input = { patientId: patients['PT1'], practitionerId, ...slot(), department: '精神科' };
    const answer = await book('front_desk', input);
    expect(answer.errors).toEqual([]);
    const made = answer.data['bookAppointment'];
    expect(made).toMatchObject({ version: 1, status: null, start: null, department: null });
    for (const role of ['front_desk', 'physician', 'nurse', 'call_center_agent'] as const) {
      expect((await system.ask(role, LIST)).text).not.toContain(made.id);
    }
    expect(codeOf(await change('front_desk', CANCEL, made))).toBe('NOT_FOUND');
    expect(codeOf(await book('front_desk', { ...input, department: null }))).toBe('BAD_USER_INPUT');
  });
});

describe('the list of appointments', () => {
  it('is filtered by day, practitioner and status, sorted by start, and says who comes to whom', async () => {
    const practitionerId = await practitioner();
    const [one, two, three] = [
      await booked({ practitionerId }),
      await booked({ practitionerId }),
      await booked({ practitionerId }),
    ];
    await change('front_desk', CANCEL, two);
    const filter = {
      practitionerId: { eq: practitionerId },
      status: { in: ['booked', 'confirmed'] },
      start: { gte: one['start'], lte: three['start'] },
    };
    const sort = [{ field: 'START', direction: 'ASC' }];
    const answer = await system.ask('front_desk', LIST, { variables: { filter, sort } });
    expect(answer.errors).toEqual([]);
    expect(idsOf(answer.data['appointments'])).toEqual([one['id'], three['id']]);
    expect(nodesOf(answer.data['appointments'])[0]).toMatchObject({
      patient: { name: '王小明' },
      practitioner: { name: 'Dr. Li' },
    });
  });

  it('is not filtered by what the caller does not see', async () => {
    for (const [role, filter] of [
      ['front_desk', { department: { eq: 'Cardiology' } }],
      ['front_desk', { reason: { eq: 'x' } }],
      ['call_center_agent', { practitionerId: { eq: newId() } }],
      ['call_center_agent', { reminderStatus: { eq: 'due' } }],
    ] as const) {
      expect(codeOf(await system.ask(role, LIST, { variables: { filter } }))).toBe('FIELD_NOT_FILTERABLE');
    }
  });
});
