import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { SUBSCRIPTION_LIMITS } from '../../src/api/subscription-server.js';
import type { Role } from '../../src/kernel/actor.js';
import { missingId, patientId } from '../support/probe.js';
import { Subscriber, until, type SubscriberOptions, type Watching } from '../support/subscriber.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const CHANGED = `subscription($patient: ID!) {
  appointmentChanged(patientId: $patient) { id status start department reason fieldAccess { field state } }
}`;
const BOOK = 'mutation($i: BookAppointmentInput!) { bookAppointment(input: $i) { id version } }';
const CANCEL = 'mutation($id: ID!, $v: Int!) { cancelAppointment(id: $id, version: $v) { id } }';
const SIGN_IN = 'mutation($i: SignInInput!) { signIn(input: $i) { accessToken } }';
const CONSENT = 'mutation($i: RecordConsentInput!) { recordConsent(input: $i) { id } }';
const WITHDRAW = 'mutation($id: ID!) { withdrawConsent(id: $id) { id } }';

let system: TestSystem;
let patient: string;
const open: Subscriber[] = [];
beforeAll(async () => {
  system = await testSystem();
  patient = patientId(system, 'PT1');
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});
afterAll(() => system.close());

async function connect(options: SubscriberOptions): Promise<Subscriber> {
  const subscriber = new Subscriber(system.endpoint, options);
  open.push(subscriber);
  return subscriber.settled();
}

async function connectAs(role: Role, purpose: string, tenant = 'T-CN'): Promise<Subscriber> {
  const token = await system.token(role, tenant);
  return connect({ parameters: { Authorization: `Bearer ${token}`, 'X-Purpose-Of-Use': purpose } });
}

/** Resolves when the subscription is heard: its record is the last thing before that. */
async function watch(subscriber: Subscriber, id = patient, query = CHANGED): Promise<Watching> {
  const before = (await pushRecords()).length;
  const watching = subscriber.watch(query, { patient: id });
  await until(async () => (await pushRecords()).length > before || watching.errors.length > 0, 'The subscription');
  return watching;
}

async function pushRecords(log = 'T-CN'): Promise<Loose[]> {
  return (await recordsOf(system, log)).filter((one) => one['operation'] === 'appointmentChanged');
}

let days = 3;
async function book(id = patient): Promise<{ id: string; version: number }> {
  days += 1;
  const start = Math.floor(Date.now() / 1000) * 1000 + days * 86_400_000;
  const input = {
    patientId: id,
    start: new Date(start).toISOString(),
    end: new Date(start + 1_800_000).toISOString(),
    department: 'Internal medicine',
  };
  const answer = await system.ask('front_desk', BOOK, { purpose: 'PATADMIN', variables: { i: input } });
  expect(answer.errors).toEqual([]);
  return answer.data['bookAppointment'] as { id: string; version: number };
}

const pushed = (watching: Watching, count = 1) => until(() => watching.pushes.length >= count, 'The push');
/** Long enough for a push that should not come. */
const quiet = () => pause(400);

describe('a subscriber', () => {
  it('who may see the appointment gets it, under the role’s own decision, with a record of each push', async () => {
    const nurse = await watch(await connectAs('nurse', 'TREAT'));
    const desk = await watch(await connectAs('front_desk', 'PATADMIN'));
    const agent = await watch(await connectAs('call_center_agent', 'CAREMGT'));
    const before = (await pushRecords()).length;
    const { id } = await book();
    await Promise.all([nurse, desk, agent].map((one) => pushed(one)));
    const seen = (one: Watching) => one.pushes[0]?.['data'].appointmentChanged as Loose;
    for (const one of [nurse, desk, agent]) expect(seen(one)).toMatchObject({ id, status: 'booked' });
    expect(seen(nurse)['department']).toBe('Internal medicine');
    const states = (one: Watching) =>
      Object.fromEntries(seen(one)['fieldAccess'].map(({ field, state }: Loose) => [field, state]));
    expect(states(nurse)).toMatchObject({ department: 'CLEAR', reason: 'CLEAR' });
    expect(states(desk)).toMatchObject({ department: 'MASKED', reason: 'HIDDEN' });
    expect(states(agent)).toMatchObject({ department: 'MASKED', reason: 'HIDDEN' });
    expect(seen(desk)['department']).not.toBe('Internal medicine');

    const records = (await pushRecords()).slice(before);
    expect(records.map((one) => [one['role'], one['kind'], one['outcome'], one['purpose']]).sort()).toEqual([
      ['call_center_agent', 'READ', 'success', 'CAREMGT'],
      ['front_desk', 'READ', 'success', 'PATADMIN'],
      ['nurse', 'READ', 'success', 'TREAT'],
    ]);
    for (const record of records) {
      expect(record['accesses']).toEqual([expect.objectContaining({ type: 'Appointment', rows: 1 })]);
      expect(record['document']).toMatch(/^[0-9a-f]{64}$/);
    }
    const ledger = nurse.pushes[0]?.['extensions'].ledger as Loose;
    expect(records.map((one) => `${one['writer']} ${one['number']}`)).toContain(
      `${ledger['writer']} ${ledger['number']}`,
    );
    expect(nurse.pushes[0]?.['extensions'].policy).toMatchObject({ purpose: 'TREAT' });
  });

  it('gets every change, and of several at once the newest state', async () => {
    const desk = await watch(await connectAs('front_desk', 'PATADMIN'));
    const { id, version } = await book();
    await pushed(desk);
    await system.ask('front_desk', CANCEL, { purpose: 'PATADMIN', variables: { id, v: version } });
    await pushed(desk, 2);
    expect(desk.pushes.map((one) => one['data'].appointmentChanged.status)).toEqual(['booked', 'cancelled']);
  });

  it('who may not see it gets nothing: another care team, another patient, another tenant, a patient that is none', async () => {
    const other = patientId(system, 'PT3');
    const elsewhere = await watch(await connectAs('patient', 'PATRQT'), other);
    const stranger = await watch(await connectAs('front_desk', 'PATADMIN'), missingId());
    const otherPatient = await watch(await connectAs('front_desk', 'PATADMIN'), patientId(system, 'PT2'));
    const token = await system.token('front_desk', 'T-US');
    const foreign = await connect({ parameters: { authorization: `Bearer ${token}`, 'x-purpose-of-use': 'PATADMIN' } });
    const tenant = foreign.watch(CHANGED, { patient });
    await until(async () => (await pushRecords('T-US')).length > 0);
    const permitted = await watch(await connectAs('front_desk', 'PATADMIN'));
    const before = (await pushRecords()).length;
    await book();
    await book(other);
    await pushed(permitted);
    await quiet();
    for (const one of [elsewhere, stranger, otherPatient, tenant]) {
      expect([one.pushes, one.errors, one.completed]).toEqual([[], [], false]);
    }
    expect((await pushRecords()).length).toBe(before + 1);
    expect(await pushRecords('T-US')).toHaveLength(1);
  });

  it('gets nothing of a forged notice: of another patient, another tenant, no appointment, no sense', async () => {
    const desk = await watch(await connectAs('front_desk', 'PATADMIN'));
    const other = (await book(patientId(system, 'PT2'))).id;
    const { rows } = await system.database.owner.query<{ id: string; tenant: string }>(
      `SELECT id, tenant_id AS tenant FROM appointment WHERE tenant_id <> 'T-CN' LIMIT 1`,
    );
    const abroad = rows[0];
    expect(abroad).toBeDefined();
    const before = (await pushRecords()).length;
    const forged = [
      `T-CN Appointment ${other} ${patient}`,
      `T-CN Appointment ${abroad?.id} ${patient}`,
      `${abroad?.tenant} Appointment ${abroad?.id} ${patient}`,
      `T-CN Appointment ${missingId()} ${patient}`,
      `T-CN Appointment ${patient} ${patient}`,
      `T-CN Patient ${patient} ${patient}`,
      `T-CN Appointment x' ${patient}`,
      'T-CN Appointment',
      '',
    ];
    const text = `SELECT pg_notify('custodia_change', $1)`;
    for (const payload of forged) await system.database.sequencer.query(null, { text, values: [payload] });
    const { id } = await book();
    await pushed(desk);
    await quiet();
    expect(desk.pushes.map((one) => one['data'].appointmentChanged.id)).toEqual([id]);
    expect((await pushRecords()).length).toBe(before + 1);
  });

  it('loses sight of the patient with the very next push when consent is withdrawn, and sees again when it is given', async () => {
    const agent = await watch(await connectAs('call_center_agent', 'CAREMGT'));
    const desk = await watch(await connectAs('front_desk', 'PATADMIN'));
    await book();
    await Promise.all([pushed(agent), pushed(desk)]);
    const denied = await system.ask('front_desk', CONSENT, {
      purpose: 'PATADMIN',
      variables: { i: { patientId: patient, purpose: 'CAREMGT', decision: 'DENY' } },
    });
    expect(denied.errors).toEqual([]);
    const before = (await pushRecords()).length;
    await book();
    await pushed(desk, 2);
    await quiet();
    expect([agent.pushes.length, agent.errors, agent.completed]).toEqual([1, [], false]);
    expect((await pushRecords()).length).toBe(before + 1);
    const id = denied.data['recordConsent'].id as string;
    await system.ask('front_desk', WITHDRAW, { purpose: 'PATADMIN', variables: { id } });
    await system.ask('front_desk', CONSENT, {
      purpose: 'PATADMIN',
      variables: { i: { patientId: patient, purpose: 'CAREMGT', decision: 'PERMIT' } },
    });
    await book();
    await pushed(agent, 2);
  });
});

describe('a session', () => {
  it('that has ended gets nothing more, and its socket is closed with 4401', async () => {
    const user = system.demo.users.find((one) => one.role === 'nurse' && one.tenant === 'T-CN');
    const input = { tenant: 'T-CN', email: user?.email, password: user?.password };
    const signedIn = await system.send(SIGN_IN, { variables: { i: input } });
    const token = String(signedIn.data['signIn'].accessToken);
    const nurse = await connect({ parameters: { authorization: `Bearer ${token}`, 'x-purpose-of-use': 'TREAT' } });
    const watching = await watch(nurse);
    expect((await system.send('mutation { signOut }', { token })).data['signOut']).toBe(true);
    const before = (await pushRecords()).length;
    await book();
    await until(() => nurse.closed !== null, 'The end of the socket');
    expect(nurse.closed?.code).toBe(4401);
    expect(watching.pushes).toEqual([]);
    expect((await pushRecords()).length).toBe(before);
  });

  it('is not accepted without a token that is good, nor a subscription without a purpose', async () => {
    for (const parameters of [
      {},
      { authorization: 'Bearer x' },
      { authorization: 7 },
      { Authorization: 'Basic abc' },
    ]) {
      const refused = await connect({ parameters });
      await until(() => refused.closed !== null);
      expect(refused.closed).toEqual({ code: 4401, reason: 'Unauthorized' });
    }
    const token = await system.token('nurse');
    const purposeless = await connect({ parameters: { AUTHORIZATION: `Bearer ${token}` } });
    const watching = purposeless.watch(CHANGED, { patient });
    await until(() => watching.errors.length > 0);
    expect(watching.errors[0]?.['extensions']).toMatchObject({ code: 'PURPOSE_REQUIRED' });
    expect((await pushRecords()).at(-1)).toMatchObject({ outcome: 'denied', code: 'PURPOSE_REQUIRED', kind: 'READ' });
  });

  it('whose role may not read appointments is refused, with a record', async () => {
    const marketer = await connectAs('marketer', 'HMARKT');
    const watching = marketer.watch(CHANGED, { patient });
    await until(() => watching.errors.length > 0);
    expect(watching.errors[0]?.['extensions']).toMatchObject({ code: 'FORBIDDEN' });
    expect((await pushRecords()).at(-1)).toMatchObject({ outcome: 'denied', code: 'FORBIDDEN', role: 'marketer' });
  });
});

describe('a socket', () => {
  it('runs subscriptions alone, under the limits of every document', async () => {
    const desk = await connectAs('front_desk', 'PATADMIN');
    const refusals: [string, string][] = [
      ['{ me { id } }', 'BAD_USER_INPUT'],
      ['mutation { signOut }', 'BAD_USER_INPUT'],
      ['subscription { nothingLikeThis }', 'GRAPHQL_VALIDATION_FAILED'],
      ['subscription {', 'GRAPHQL_PARSE_FAILED'],
      ['subscription { appointmentChanged(patientIdd: "x") { id } }', 'GRAPHQL_VALIDATION_FAILED'],
      ['subscription($f: PatientFilte) { appointmentChanged(patientId: "x") { id } }', 'GRAPHQL_VALIDATION_FAILED'],
      ['subscription { appointmentChanged(patientId: "x") @skip(if: true) { id } }', 'GRAPHQL_VALIDATION_FAILED'],
      [
        'subscription($v: Boolean!) { ... @include(if: $v) { appointmentChanged(patientId: "x") { id } } }',
        'GRAPHQL_VALIDATION_FAILED',
      ],
      ['subscription($p: [ID!]!) { appointmentChanged(patientId: $p) { id } }', 'GRAPHQL_VALIDATION_FAILED'],
      [
        'subscription($p: Int!) { appointmentChanged(patientId: "x") { id fieldAccess { field @skip(if: $p) } } }',
        'GRAPHQL_VALIDATION_FAILED',
      ],
      ['subscription($p: ID!) { appointmentChanged(patientId: $p) { id } }', 'BAD_USER_INPUT'],
      [`subscription { appointmentChanged(patientId: "x") { id } }`, 'NOT_FOUND'],
      [`subscription { appointmentChanged(patientId: "x") { ${'id '.repeat(2_100)} } }`, 'QUERY_COST_EXCEEDED'],
      [
        `subscription { appointmentChanged(patientId: "x") { ${Array.from({ length: 16 }, (_, at) => `a${at}: id`).join(' ')} } }`,
        'QUERY_COST_EXCEEDED',
      ],
    ];
    for (const [query, code] of refusals) {
      const watching = desk.watch(query);
      await until(() => watching.errors.length > 0, query.slice(0, 60));
      expect([query, watching.errors[0]?.['extensions'].code]).toEqual([query, code]);
      expect([watching.pushes, JSON.stringify(watching.errors)]).toEqual([
        [],
        expect.not.stringMatching(/stack|Did you mean/),
      ]);
    }
    const misfit = desk.watch(CHANGED, { patient: { not: 'an id' } });
    await until(() => misfit.errors.length > 0, 'The misfit');
    expect(misfit.errors[0]?.['extensions'].code).toBe('BAD_USER_INPUT');
    expect(desk.closed).toBeNull();
    expect((await system.ask('front_desk', '{ me { id } }')).errors).toEqual([]);
  });

  it('is not opened to a page of another origin, on another path, or by another protocol', async () => {
    const parameters = { authorization: `Bearer ${await system.token('nurse')}`, 'x-purpose-of-use': 'TREAT' };
    const foreign = await connect({ parameters, origin: 'https://evil.example' });
    await until(() => foreign.closed !== null);
    expect(foreign.closed?.code).toBe(1006);
    const listed = await connect({ parameters, origin: 'http://localhost:5173' });
    expect(listed.closed).toBeNull();
    const elsewhere = new Subscriber(system.endpoint.replace('/graphql', '/other'), { parameters });
    await elsewhere.settled();
    expect(elsewhere.closed?.code).toBe(1006);
  });

  it('holds so many subscriptions, and an account so many, and no more', async () => {
    const desk = await connectAs('front_desk', 'PATADMIN');
    const many = Array.from({ length: SUBSCRIPTION_LIMITS.perSocket + 1 }, () => desk.watch(CHANGED, { patient }));
    await until(() => many.some((one) => one.errors.length > 0));
    await quiet();
    const refused = many.filter((one) => one.errors.length > 0);
    expect(refused.map((one) => one.errors[0]?.['extensions'].code)).toEqual(['RATE_LIMITED']);
    const stopped = many.find((one) => one.errors.length === 0);
    stopped?.stop();
    const again = await watch(desk);
    expect(again.errors).toEqual([]);
    await desk.close();

    const sockets = await Promise.all(
      Array.from({ length: SUBSCRIPTION_LIMITS.perAccount / 10 }, () => connectAs('nurse', 'TREAT')),
    );
    const nurses = sockets.flatMap((one) => Array.from({ length: 10 }, () => one.watch(CHANGED, { patient })));
    await pause(500);
    expect(nurses.flatMap((one) => one.errors)).toEqual([]);
    const more = await watch(await connectAs('nurse', 'TREAT'));
    expect(more.errors[0]?.['extensions'].code).toBe('RATE_LIMITED');
    await sockets[0]?.close();
    await until(async () => (await watch(await connectAs('nurse', 'TREAT'))).errors.length === 0);
  });

  it('goes on when a subscription of it was completed by the client', async () => {
    const desk = await connectAs('front_desk', 'PATADMIN');
    const first = await watch(desk);
    const second = await watch(desk);
    first.stop();
    await pause(50);
    await book();
    await pushed(second);
    expect([first.pushes, second.pushes.length]).toEqual([[], 1]);
  });
});

describe('a subscription by HTTP', () => {
  it('is refused and reads nothing', async () => {
    const answer = await system.ask('nurse', CHANGED, { purpose: 'TREAT', variables: { patient } });
    expect([answer.data, answer.errors.map((one) => one.extensions.code)]).toEqual([{}, ['BAD_USER_INPUT']]);
  });
});

describe('a push that cannot be recorded', () => {
  it('is not sent: the socket is closed, and its subscriber comes back when the ledger is', async () => {
    const desk = await connectAs('front_desk', 'PATADMIN');
    const watching = await watch(desk);
    const { rows } = await system.database.owner.query<{ id: string }>(
      `SELECT id FROM appointment WHERE patient_id = $1 LIMIT 1`,
      [patient],
    );
    await system.database.owner.query('REVOKE INSERT ON ledger_entry FROM custodia_app');
    await system.database.owner.query(`SELECT pg_notify('custodia_change', $1)`, [
      `T-CN Appointment ${rows[0]?.id} ${patient}`,
    ]);
    await until(() => desk.closed !== null);
    expect([desk.closed?.code, watching.pushes]).toEqual([1012, []]);
    const refused = await connectAs('front_desk', 'PATADMIN');
    refused.watch(CHANGED, { patient });
    await until(() => refused.closed !== null);
    expect(refused.closed?.code).toBe(1012);
    await system.database.owner.query(
      'GRANT INSERT (log, writer, number, recorded_at, record, record_hash, mac) ON ledger_entry TO custodia_app',
    );
    const back = await watch(await connectAs('front_desk', 'PATADMIN'));
    await book();
    await pushed(back);
  });

  it('is missed by nobody in silence when PostgreSQL drops the connection that hears of changes', async () => {
    const desk = await connectAs('front_desk', 'PATADMIN');
    const watching = await watch(desk);
    await system.database.owner.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'custodia notices' AND datname = current_database()`,
    );
    await until(() => desk.closed !== null);
    expect([desk.closed?.code, watching.pushes]).toEqual([1012, []]);
    const back = await watch(await connectAs('front_desk', 'PATADMIN'));
    await book();
    await pushed(back);
  });
});
