import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ReminderDirectory } from '../../src/jobs/appointment-reminder-sink.js';
import { EmergencyNotices } from '../../src/jobs/emergency-notices.js';
import { totpCode } from '../../src/identity/totp.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import type { Role } from '../../src/kernel/actor.js';
import { SATISFY } from '../support/export.js';
import { codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { admit, represented, type Person } from '../support/person.js';
import { Subscriber, until } from '../support/subscriber.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const HOUR = 3_600_000;
const REASON = 'Unconscious in the emergency room';
const BTG = { 'x-break-glass': 'BTG' };
const GRANT = `mutation($input: GrantCompartmentInput!) { grantCompartment(input: $input) {
  id accountId patientId compartment visitId reasonCode grantedBy validFrom validUntil status } }`;
const REVOKE = `mutation($id: ID!, $challengeId: ID) { revokeCompartmentGrant(id: $id, challengeId: $challengeId) {
  id status revokedAt } }`;
const GRANTS =
  '{ compartmentGrants(first: 50) { totalCount edges { node { id compartment status accountId patientId } } } }';
const BREAK = `mutation($input: BreakGlassInput!) { breakGlass(input: $input) {
  id patientId accountId reasonCode startedAt expiresAt reviewDueAt reviewedAt outcome } }`;
const REVIEW = `mutation($id: ID!, $outcome: EmergencyOutcome!, $note: String!) {
  reviewEmergencyAccess(id: $id, outcome: $outcome, note: $note) { id outcome note reviewedAt expiresAt } }`;
const ACCESSES = `query($state: EmergencyState, $first: Int, $after: String) {
  emergencyAccesses(state: $state, first: $first, after: $after) {
    totalCount pageInfo { endCursor hasNextPage } edges { node { id patientId outcome } } } }`;
const WHOLE = `query($id: ID!) { patient(id: $id) { id name phone nationalId notes
  diagnoses(first: 20) { edges { node { id code } } } visits(first: 20) { edges { node { id department } } } } }`;
const APPOINTMENTS = '{ appointments(first: 50) { totalCount edges { node { id department patientId } } } }';
const BOOK = 'mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { id } }';
const CHANGED = 'subscription($id: ID!) { appointmentChanged(patientId: $id) { id department } }';
const RECORD = 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }';
const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken refreshToken } }';
const REFRESH = 'mutation($token: String!) { refresh(refreshToken: $token) { accessToken } }';
const PATIENTS = '{ patients(first: 50) { totalCount edges { node { id } } } }';

let system: TestSystem;
let clock: ManualClock;
/** In nobody's care team here, with an HIV diagnosis, an unmapped one, a substance-use one and a visit. */
let stranger: string;
/** On the ward of the demo organisation, likewise, with an HIV appointment. */
let own: string;

/** Somebody with an account, who signs in whenever a test asks, and gives codes of windows that nobody used. */
class Someone {
  private token: string | null = null;
  private refreshToken: string | null = null;
  private secret: string | null;

  constructor(
    readonly id: string,
    private readonly email: string,
    private readonly password: string,
    private readonly purpose: string,
    secret: string | null,
  ) {
    this.secret = secret;
  }

  async signIn(): Promise<this> {
    const { signIn } = (await this.tryIn()).data;
    this.token = String(signIn.accessToken);
    this.refreshToken = String(signIn.refreshToken);
    return this;
  }

  tryIn(password = this.password): Promise<Answer> {
    return system.send(SIGN_IN, { variables: { input: { tenant: 'T-CN', email: this.email, password } } });
  }

  refresh(): Promise<Answer> {
    return system.send(REFRESH, { variables: { token: this.refreshToken } });
  }

  get bearer(): string {
    return this.token ?? '';
  }

  ask(document: string, variables: Loose = {}, headers: Loose = {}, purpose = this.purpose): Promise<Answer> {
    return system.send(document, { purpose, token: this.token, variables, headers });
  }

  async enrol(): Promise<this> {
    const { secret } = (await this.ask('mutation { enrolTotp { secret } }')).data['enrolTotp'] as Loose;
    this.secret = String(secret);
    await this.ask('mutation($code: String!) { confirmTotp(code: $code) { codes } }', { code: this.code() });
    return this;
  }

  code(): string {
    clock.advance(30_000);
    return totpCode(this.secret ?? '', clock.milliseconds());
  }

  /** The id of a satisfied challenge for this very request. */
  async challenge(document: string, variables: Loose, headers: Loose, purpose = this.purpose): Promise<string> {
    const refused = await this.ask(document, variables, headers, purpose);
    expect(codeOf(refused)).toBe('STEP_UP_REQUIRED');
    const id = String(refused.errors[0]?.extensions['challenge'].id);
    const satisfied = await this.ask(SATISFY, { input: { id, code: this.code() } });
    expect(satisfied.data['satisfyChallenge']).toBe(true);
    return id;
  }
}

let officer: Someone;
let physician: Someone;
let nurse: Someone;
let colleague: Someone;
/** Speaks for the stranger: it is he. */
let patient: Person;

function demoUser(role: Role, purpose: string): Someone {
  const user = system.demo.users.find((one) => one.role === role && one.tenant === 'T-CN');
  if (user === undefined) throw new Error(`There is no ${role}.`);
  return new Someone(user.id, user.email, user.password, purpose, user.totpSecret);
}

async function granted(input: Loose): Promise<Loose> {
  await officer.signIn();
  const headers = { 'x-reason': 'Joined the treating team of the clinic' };
  const challengeId = await officer.challenge(GRANT, { input }, headers);
  const answer = await officer.ask(GRANT, { input: { ...input, challengeId } }, headers);
  expect(codeOf(answer)).toBe('none');
  // The sessions of this process know it after a second.
  clock.advance(1_000);
  return answer.data['grantCompartment'] as Loose;
}

async function broken(who: Someone, patientId: string): Promise<Answer> {
  await who.signIn();
  const headers = { ...BTG, 'x-reason': REASON };
  const input = { patientId, reasonCode: 'UNCONSCIOUS' };
  const challengeId = await who.challenge(BREAK, { input }, headers, 'ETREAT');
  const answer = await who.ask(BREAK, { input: { ...input, challengeId } }, headers, 'ETREAT');
  clock.advance(1_000);
  return answer;
}

async function withRecords(patientId: string): Promise<void> {
  const visit = 'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id } }';
  const diagnosis = 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }';
  const start = clock.now().toISOString();
  const asked = await system.ask('front_desk', visit, {
    variables: { input: { patientId, start, department: 'HIV' } },
  });
  expect(codeOf(asked)).toBe('none');
  for (const [code, codeSystem] of [
    ['B20', 'ICD-10'],
    ['F11.2', 'ICD-10'],
    ['E11.9', 'ICD-10'],
    ['4711', 'LOCAL'],
  ]) {
    const input = { patientId, code, codeSystem, display: `about ${code}` };
    expect(codeOf(await system.ask('physician', diagnosis, { variables: { input } }))).toBe('none');
  }
}

beforeAll(async () => {
  clock = new ManualClock(Date.parse('2026-11-21T04:00:00Z'));
  system = await testSystem({ clock });
  officer = demoUser('privacy_officer', 'HCOMPL');
  physician = await (await demoUser('physician', 'TREAT').signIn()).enrol();
  nurse = await (await demoUser('nurse', 'TREAT').signIn()).enrol();
  const [email, password] = ['colleague@hospital.example', 'correct horse battery staple'];
  const { id } = await system.composition.identity.createAccount({
    tenant: 'T-CN',
    email,
    role: 'physician',
    password,
  });
  colleague = await (await new Someone(id, email, password, 'TREAT', null).signIn()).enrol();
  const values = { birthDate: '1970-01-01', phone: '13912345678', nationalId: '110105194912310025' };
  stranger = await admit(system, { name: '王小明', ...values }, ['Ward 1']);
  own = await admit(system, { name: '李雷', ...values, nationalId: '11010519491231002X' }, ['Ward 1']);
  patient = await represented(system, 'patient', stranger);
  await withRecords(stranger);
  await withRecords(own);
  // Nobody treats the one any more; the rows were written while somebody did.
  await system.database.owner.query(`UPDATE patient SET care_team_ids = '{}' WHERE id = $1`, [stranger]);
}, 120_000);
afterAll(() => system?.close());

const codesIn = (answer: Answer): string[] =>
  answer.data['patient'] === null
    ? []
    : nodesOf(answer.data['patient'].diagnoses)
        .map((node) => String(node['code']))
        .sort();
const ORDINARY = ['4711', 'E11.9'];

describe('a special compartment', () => {
  it('opens to the clinician who was granted it and treats the patient, and to nobody else', async () => {
    await Promise.all([physician, nurse, colleague].map((one) => one.signIn()));
    for (const one of [physician, nurse]) expect(codesIn(await one.ask(WHOLE, { id: own }))).toEqual(ORDINARY);
    const input = { accountId: physician.id, patientId: own, compartment: 'HIV_STD', reasonCode: 'TREATING_TEAM' };
    const grant = await granted(input);
    expect(grant).toMatchObject({ ...input, grantedBy: officer.id, status: 'active' });
    expect(Date.parse(grant['validUntil']) - Date.parse(grant['validFrom'])).toBe(30 * 24 * HOUR);

    expect(codesIn(await physician.ask(WHOLE, { id: own }))).toEqual([...ORDINARY, 'B20'].sort());
    expect(codesIn(await physician.ask(WHOLE, { id: own }, {}, 'ETREAT'))).toEqual([...ORDINARY, 'B20'].sort());
    const visits = nodesOf((await physician.ask(WHOLE, { id: own })).data['patient'].visits);
    expect(visits).toEqual([{ id: expect.any(String), department: 'HIV' }]);
    expect(codesIn(await nurse.ask(WHOLE, { id: own }))).toEqual(ORDINARY);

    // A grant is no care relationship: a colleague who does not treat the patient sees nothing of it.
    await granted({ ...input, accountId: colleague.id });
    await colleague.signIn();
    expect(codeOf(await colleague.ask(WHOLE, { id: own }))).toBe('NOT_FOUND');
    expect((await colleague.ask(APPOINTMENTS)).data['appointments'].totalCount).toBe(0);

    await officer.signIn();
    const headers = { 'x-reason': 'Left the treating team of the clinic' };
    const challengeId = await officer.challenge(REVOKE, { id: grant['id'] }, headers);
    const revoked = await officer.ask(REVOKE, { id: grant['id'], challengeId }, headers);
    expect(revoked.data['revokeCompartmentGrant']).toMatchObject({ status: 'revoked' });
    clock.advance(1_000);
    await physician.signIn();
    expect(codesIn(await physician.ask(WHOLE, { id: own }))).toEqual(ORDINARY);
    const listed = (await officer.ask(GRANTS)).data['compartmentGrants'] as Loose;
    expect(nodesOf(listed).map((one) => one['status'])).toEqual(['active', 'revoked']);
  });

  it('of substance use opens with the consent of the patient only, and both end by themselves', async () => {
    const input = { accountId: physician.id, patientId: own, compartment: 'SUD', reasonCode: 'CONSULTATION' };
    const validUntil = new Date(clock.milliseconds() + 2 * HOUR).toISOString();
    await granted({ ...input, validUntil });
    await physician.signIn();
    expect(codesIn(await physician.ask(WHOLE, { id: own }))).toEqual(ORDINARY);
    const consent = 'mutation($input: RecordConsentInput!) { recordConsent(input: $input) { id } }';
    const decided = await (
      await demoUser('front_desk', 'PATADMIN').signIn()
    ).ask(consent, {
      input: { patientId: own, purpose: 'TREAT', decision: 'PERMIT' },
    });
    expect(codeOf(decided)).toBe('none');
    expect(codesIn(await physician.ask(WHOLE, { id: own }))).toEqual([...ORDINARY, 'F11.2'].sort());
    clock.advance(2 * HOUR);
    await physician.signIn();
    expect(codesIn(await physician.ask(WHOLE, { id: own }))).toEqual(ORDINARY);
  });

  it('opens for one visit with what was diagnosed there, and nothing else of the compartment', async () => {
    const desk = await demoUser('front_desk', 'PATADMIN').signIn();
    const visit = 'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id } }';
    const start = clock.now().toISOString();
    const made = await desk.ask(visit, { input: { patientId: own, start, department: 'HIV' } });
    const visitId = String(made.data['createVisit'].id);
    await physician.signIn();
    const values = { patientId: own, code: 'B24', codeSystem: 'ICD-10', display: 'of one visit', visitId };
    expect(codeOf(await physician.ask(RECORD, { input: values }))).toBe('none');

    const input = { accountId: nurse.id, patientId: own, compartment: 'HIV_STD', reasonCode: 'CONSULTATION' };
    const validUntil = new Date(clock.milliseconds() + HOUR).toISOString();
    expect(await granted({ ...input, visitId, validUntil })).toMatchObject({ visitId });
    await nurse.signIn();
    const seen = await nurse.ask(WHOLE, { id: own });
    expect(codesIn(seen)).toEqual([...ORDINARY, 'B24'].sort());
    expect(idsOf(seen.data['patient'].visits)).toEqual([visitId]);
    // It is for this label: what else was found at the visit is not in it.
    await physician.signIn();
    expect(codeOf(await physician.ask(RECORD, { input: { ...values, code: 'F32.1' } }))).toBe('none');
    expect(codesIn(await nurse.ask(WHOLE, { id: own }))).toEqual([...ORDINARY, 'B24'].sort());

    const { rows } = await system.database.owner.query('SELECT id FROM visit WHERE patient_id = $1', [stranger]);
    for (const wrong of [String(rows[0]?.id), newId(), 'no id']) {
      await officer.signIn();
      const headers = { 'x-reason': 'Consulted for one visit of the clinic' };
      const asked = { ...input, visitId: wrong };
      const id = await officer.challenge(GRANT, { input: asked }, headers);
      expect(codeOf(await officer.ask(GRANT, { input: { ...asked, challengeId: id } }, headers))).toBe(
        'BAD_USER_INPUT',
      );
    }
    clock.advance(HOUR);
    await nurse.signIn();
    expect(codesIn(await nurse.ask(WHOLE, { id: own }))).toEqual(ORDINARY);
  });

  it('is granted by the privacy office alone, for a reason, with a factor of this moment; the answer tells nothing', async () => {
    await officer.signIn();
    const input = { accountId: nurse.id, patientId: own, compartment: 'GENETIC', reasonCode: 'COVER' };
    const headers = { 'x-reason': 'Covers for a colleague this week' };
    const challengeId = await officer.challenge(GRANT, { input }, headers);
    const first = await officer.ask(GRANT, { input: { ...input, challengeId } }, headers);
    expect(codeOf(first)).toBe('none');
    expect(codeOf(await officer.ask(GRANT, { input: { ...input, challengeId } }, headers))).toBe('STEP_UP_REQUIRED');
    // The same for a patient with and without anything in the compartment, and for both accounts of clinicians.
    const empty = await granted({ ...input, patientId: system.demo.patients['T-CN']?.['PT4'] });
    expect(Object.keys(first.data['grantCompartment'])).toEqual(Object.keys(empty));
    for (const [change, code] of [
      [{ patientId: newId() }, 'NOT_FOUND'],
      [{ accountId: officer.id }, 'BAD_USER_INPUT'],
      [{ accountId: newId() }, 'BAD_USER_INPUT'],
      [{ validUntil: '2036-01-01T00:00:00Z' }, 'BAD_USER_INPUT'],
    ] as const) {
      await officer.signIn();
      const asked = { ...input, ...change };
      const id = await officer.challenge(GRANT, { input: asked }, headers);
      expect(codeOf(await officer.ask(GRANT, { input: { ...asked, challengeId: id } }, headers))).toBe(code);
    }
    const silent = await officer.challenge(GRANT, { input }, {});
    expect(codeOf(await officer.ask(GRANT, { input: { ...input, challengeId: silent } }))).toBe('FORBIDDEN');
    await Promise.all([physician.signIn(), nurse.signIn()]);
    for (const one of [physician, nurse]) {
      expect(codeOf(await one.ask(GRANT, { input }, headers))).toBe('FORBIDDEN');
      expect(codeOf(await one.ask(GRANTS))).toBe('FORBIDDEN');
    }
    const { patient } = (await officer.ask(WHOLE, { id: own })).data as Loose;
    expect(patient).toMatchObject({ name: null, phone: null, diagnoses: null, visits: null });
  });
});

describe('breaking the glass', () => {
  let access: Loose;

  it('needs the purpose, the header, a reason and a factor of this moment', async () => {
    await physician.signIn();
    const headers = { ...BTG, 'x-reason': REASON };
    const input = { patientId: stranger, reasonCode: 'UNCONSCIOUS' };
    expect(codeOf(await physician.ask(BREAK, { input }, headers, 'TREAT'))).toBe('FORBIDDEN');
    for (const [change, code] of [
      [{ 'x-reason': REASON }, 'BAD_USER_INPUT'],
      [{ ...headers, 'x-break-glass': 'true' }, 'BAD_USER_INPUT'],
      [BTG, 'FORBIDDEN'],
    ] as const) {
      await physician.signIn();
      const challengeId = await physician.challenge(BREAK, { input }, change, 'ETREAT');
      expect(codeOf(await physician.ask(BREAK, { input: { ...input, challengeId } }, change, 'ETREAT'))).toBe(code);
    }
    // A challenge of another patient is worthless here.
    const other = await physician.challenge(BREAK, { input: { ...input, patientId: own } }, headers, 'ETREAT');
    const swapped = await physician.ask(BREAK, { input: { ...input, challengeId: other } }, headers, 'ETREAT');
    expect(codeOf(swapped)).toBe('STEP_UP_REQUIRED');
    expect(codeOf(await broken(physician, newId()))).toBe('NOT_FOUND');
    for (const role of ['front_desk', 'marketer', 'billing', 'security_admin'] as const) {
      const refused = await (await demoUser(role, 'ETREAT').signIn()).ask(BREAK, { input }, headers);
      expect(codeOf(refused)).toBe('PURPOSE_NOT_PERMITTED');
    }
    expect(codeOf(await officer.ask(BREAK, { input }, headers))).toBe('FORBIDDEN');
    clock.advance(1_000);
    expect(codeOf(await physician.ask(WHOLE, { id: stranger }, BTG, 'ETREAT'))).toBe('NOT_FOUND');
  });

  it('opens the one patient in clear, compartments too, while the request says so', async () => {
    clock.advance(HOUR);
    await physician.signIn();
    const before = await physician.ask(PATIENTS, {}, BTG, 'ETREAT');
    const answer = await broken(physician, stranger);
    expect(codeOf(answer)).toBe('none');
    access = answer.data['breakGlass'] as Loose;
    expect(access).toMatchObject({
      patientId: stranger,
      accountId: physician.id,
      outcome: 'PENDING',
      reviewedAt: null,
    });
    const started = Date.parse(access['startedAt']);
    expect(Date.parse(access['expiresAt']) - started).toBe(4 * HOUR);
    expect(Date.parse(access['reviewDueAt']) - started).toBe(72 * HOUR);

    const seen = await physician.ask(WHOLE, { id: stranger }, BTG, 'ETREAT');
    expect(seen.data['patient']).toMatchObject({
      name: '王小明',
      phone: expect.stringMatching(/13912345678$/),
      nationalId: '110105194912310025',
      notes: null,
    });
    expect(codesIn(seen)).toEqual(['4711', 'B20', 'E11.9', 'F11.2']);
    expect(nodesOf(seen.data['patient'].visits).map((one) => one['department'])).toEqual(['HIV']);
    const after = await physician.ask(PATIENTS, {}, BTG, 'ETREAT');
    expect(after.data['patients'].totalCount).toBe(before.data['patients'].totalCount + 1);
    // Nothing more of anybody else: own patients stay masked, their compartments withheld.
    const mine = await physician.ask(WHOLE, { id: own }, BTG, 'ETREAT');
    expect(mine.data['patient'].phone).toMatch(/\*/);
    expect(codesIn(mine)).toEqual(ORDINARY);
    const [record] = (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === 'breakGlass').slice(-1);
    expect(record).toMatchObject({ purpose: 'ETREAT', outcome: 'success', reason: true, role: 'physician' });
    const reads = (await recordsOf(system, 'T-CN')).filter((one) => String(one['operation']).startsWith('patient '));
    expect(reads.at(-2)).toMatchObject({ purpose: 'ETREAT' });
    expect(reads.at(-2)?.['rules']).toEqual(
      expect.arrayContaining(['patient-emergency', 'diagnosis-emergency', 'visit-emergency']),
    );
  });

  it.each([
    ['without the header', () => physician, {}, 'ETREAT'],
    ['with another value of the header', () => physician, { 'x-break-glass': 'btg' }, 'ETREAT'],
    ['for treatment, with the header', () => physician, BTG, 'TREAT'],
    ['by another account of the role', () => colleague, BTG, 'ETREAT'],
    ['by another role', () => nurse, BTG, 'ETREAT'],
  ])('opens nothing %s', async (_what, who, headers, purpose) => {
    const one = await who().signIn();
    expect(codeOf(await one.ask(WHOLE, { id: stranger }, headers, purpose))).toBe('NOT_FOUND');
    expect(idsOf((await one.ask(PATIENTS, {}, headers, purpose)).data['patients'])).not.toContain(stranger);
    const mine = await one.ask(WHOLE, { id: own }, headers, purpose);
    if (codeOf(mine) === 'none') expect(codesIn(mine)).toEqual(ORDINARY);
  });

  it('is for reading: nothing is recorded of the patient under it, and of own patients as ever', async () => {
    await physician.signIn();
    const ward = String(system.demo.patients['T-CN']?.['PT1']);
    const input = { code: 'I21.9', codeSystem: 'ICD-10', display: 'infarction' };
    const under = await physician.ask(RECORD, { input: { ...input, patientId: stranger } }, BTG, 'ETREAT');
    expect([under.data, codeOf(under)]).toEqual([{}, 'NOT_FOUND']);
    const mine = await physician.ask(RECORD, { input: { ...input, patientId: ward } }, BTG, 'ETREAT');
    expect(codeOf(mine)).toBe('none');
  });

  it('opens what is pushed, where the socket says so, and to its end', async () => {
    await Promise.all([physician, nurse].map((one) => one.signIn()));
    const desk = await demoUser('front_desk', 'PATADMIN').signIn();
    const watchers = await Promise.all(
      [
        [physician, { 'X-Break-Glass': 'BTG' }],
        [physician, {}],
        [nurse, { 'X-Break-Glass': 'BTG' }],
      ].map(async ([who, headers]) => {
        const parameters = {
          authorization: `Bearer ${(who as Someone).bearer}`,
          'x-purpose-of-use': 'ETREAT',
          ...headers,
        };
        const subscriber = await new Subscriber(system.endpoint, { parameters }).settled();
        return { subscriber, watching: subscriber.watch(CHANGED, { id: stranger }) };
      }),
    );
    try {
      const accepted = async () =>
        (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === 'appointmentChanged').length;
      await until(async () => (await accepted()) >= watchers.length, 'The subscriptions');
      const book = async (day: number) => {
        const start = clock.milliseconds() + day * 24 * HOUR;
        const [from, to] = [start, start + HOUR / 2].map((at) => new Date(at).toISOString());
        const input = { patientId: stranger, start: from, end: to, department: 'HIV' };
        const answer = await desk.ask(BOOK, { input });
        expect(codeOf(answer)).toBe('none');
        return String(answer.data['bookAppointment'].id);
      };
      const [opened, ...closed] = watchers.map(({ watching }) => watching);
      const first = await book(1);
      await until(() => opened?.pushes.length === 1, 'The push');
      expect(opened?.pushes[0]?.['data'].appointmentChanged).toEqual({ id: first, department: 'HIV' });
      // The same access, over: the row says so, whatever the socket says.
      const { owner } = system.database;
      const mark = 'UPDATE emergency_access SET expires_at = $2 WHERE id = $1';
      await owner.query(mark, [access['id'], clock.now()]);
      clock.advance(1_000);
      await book(2);
      await pause(400);
      await owner.query(mark, [access['id'], access['expiresAt']]);
      expect(opened?.pushes).toHaveLength(1);
      for (const one of closed) expect([one.pushes, one.errors]).toEqual([[], []]);
    } finally {
      await Promise.all(watchers.map(({ subscriber }) => subscriber.close()));
    }
  });

  it('opens nothing of a patient of another tenant, nor of a second patient', async () => {
    const foreign = String(system.demo.patients['T-US']?.['PT7']);
    expect(codeOf(await broken(physician, foreign))).toBe('NOT_FOUND');
    const third = String(system.demo.patients['T-CN']?.['PT4']);
    expect(codeOf(await physician.ask(WHOLE, { id: third }, BTG, 'ETREAT'))).toBe('NOT_FOUND');
  });

  it('is offered with every answer to who may do it, hidden data or not, and to nobody else', async () => {
    await physician.signIn();
    const [hidden, plain, none] = [own, String(system.demo.patients['T-CN']?.['PT2']), newId()];
    const reports = [];
    for (const id of [hidden, plain]) {
      const { extensions } = await physician.ask(
        'query($id: ID!) { patient(id: $id) { id diagnoses { edges { node { id } } } } }',
        { id },
      );
      reports.push({ ...extensions['policy'], decisionId: '' });
    }
    expect(reports[0]).toEqual(reports[1]);
    expect(reports[0]).toMatchObject({ emergencyAccess: 'AVAILABLE' });
    const missing = await physician.ask(WHOLE, { id: none });
    const kept = await physician.ask(WHOLE, { id: stranger });
    const told = ({ extensions }: Answer) => ({ ...extensions['policy'], decisionId: '' });
    expect(told(missing)).toEqual(told(kept));
    expect(told(kept)).toMatchObject({ emergencyAccess: 'AVAILABLE' });
    expect((await nurse.ask(PATIENTS)).extensions['policy']).toMatchObject({ emergencyAccess: 'AVAILABLE' });
    const desk = await (await demoUser('front_desk', 'PATADMIN').signIn()).ask(PATIENTS);
    expect(desk.extensions['policy']).not.toHaveProperty('emergencyAccess');
  });

  it('tells the privacy office, the department head and the patient, each once, without a name', async () => {
    const { directory } = system.database;
    const { emergencies, tenants } = system.composition;
    expect(await emergencies.waiting(tenants, clock.now())).toEqual({ open: 1, due: 0, overdue: 0, locked: 0 });
    // The job of the running system may be faster: both write the same file once.
    const outbox = path.join(directory, 'data', 'outbox', 'emergency');
    const notices = new EmergencyNotices(emergencies, new ReminderDirectory(outbox), clock, tenants);
    await notices.run();
    expect(await notices.run()).toBe(0);
    const head = demoUser('department_head', 'HQUALIMP').id;
    const found = Object.fromEntries(
      readdirSync(outbox).map((name) => [name, readFileSync(path.join(outbox, name), 'utf8')]),
    );
    const kinds = Object.entries(found).map(([name, text]) => [name, JSON.parse(text).kind, JSON.parse(text).to]);
    expect(kinds.sort()).toEqual([
      [`${access['id']}-head-${head}.json`, 'EMERGENCY_HEAD', `${head}@T-CN`],
      [`${access['id']}-patient-${patient.id}.json`, 'EMERGENCY_PATIENT', `${patient.id}@T-CN`],
      [`${access['id']}.json`, 'EMERGENCY_REVIEW', 'privacy_officer@T-CN'],
    ]);
    for (const secret of [stranger, physician.id, '王小明', '13912345678', REASON, 'UNCONSCIOUS'])
      expect(Object.values(found).join()).not.toContain(secret);
    await patient.signIn();
    const report = await patient.ask(
      'query($id: ID!) { accessReport(patientId: $id, first: 50) { entries { operation purpose emergency } } }',
      { id: stranger },
    );
    const entries = report.data['accessReport'].entries as Loose[];
    expect(entries).toContainEqual({ operation: 'breakGlass', purpose: 'ETREAT', emergency: true });
    expect(entries.filter((one) => one['emergency']).length).toBeGreaterThanOrEqual(2);
    // What was read of him to treat him, before, is none.
    expect(entries.find((one) => one['operation'] === 'recordDiagnosis')).toMatchObject({ emergency: false });
  });

  it('ends after four hours; without a review the account is locked after three days, until there is one', async () => {
    const states = async () => {
      await officer.signIn();
      const found: Record<string, string[]> = {};
      for (const state of ['OPEN', 'DUE', 'OVERDUE', 'REVIEWED'])
        found[state] = idsOf((await officer.ask(ACCESSES, { state })).data['emergencyAccesses']);
      return found;
    };
    const id = String(access['id']);
    expect(await states()).toEqual({ OPEN: [id], DUE: [], OVERDUE: [], REVIEWED: [] });
    clock.advance(4 * HOUR);
    await physician.signIn();
    expect(codeOf(await physician.ask(WHOLE, { id: stranger }, BTG, 'ETREAT'))).toBe('NOT_FOUND');
    expect(await states()).toEqual({ OPEN: [], DUE: [id], OVERDUE: [], REVIEWED: [] });
    clock.advance(Date.parse(access['reviewDueAt']) - 60_000 - clock.milliseconds());
    await physician.signIn();
    expect(codeOf(await physician.ask(ACCESSES))).toBe('none');
    clock.advance(60_000);
    expect(codeOf(await physician.ask(ACCESSES))).toBe('UNAUTHENTICATED');
    expect(await states()).toEqual({ OPEN: [], DUE: [], OVERDUE: [id], REVIEWED: [] });
    const { emergencies, tenants } = system.composition;
    expect(await emergencies.waiting(tenants, clock.now())).toEqual({ open: 0, due: 0, overdue: 1, locked: 1 });
    const judged = { id, outcome: 'JUSTIFIED', note: 'Admitted unconscious after an accident' };
    // Who is locked is told so when he has shown his credentials; a stranger hears what he hears of any account.
    const told = async (answer: Promise<Answer>) => {
      const { errors } = await answer;
      return [errors[0]?.extensions['code'], errors[0]?.message, errors[0]?.extensions['nextStep']];
    };
    const locked = ['UNAUTHENTICATED', expect.stringMatching(/locked/), expect.stringMatching(/privacy officer/)];
    expect(await told(physician.tryIn())).toEqual(locked);
    expect(await told(physician.refresh())).toEqual(locked);
    const strange = await told(physician.tryIn('not the password of anybody'));
    expect(strange).toEqual(await told(colleague.tryIn('not the password of anybody')));
    expect(strange[1]).not.toMatch(/locked/);
    expect(await system.composition.identity.actorOf('T-CN', physician.id, newId())).toBeNull();
    const refusals = (await recordsOf(system, 'T-CN')).filter((one) => one['code'] === 'REVIEW_OVERDUE');
    expect(refusals.map((one) => [one['operation'], one['kind'], one['outcome']])).toEqual([
      ['signIn', 'LOGIN', 'denied'],
      ['refresh', 'LOGIN', 'denied'],
    ]);
    expect((await officer.ask(REVIEW, judged)).data['reviewEmergencyAccess']).toMatchObject({
      outcome: 'JUSTIFIED',
      note: judged.note,
      expiresAt: access['expiresAt'],
    });
    expect(codeOf(await officer.ask(REVIEW, judged))).toBe('BAD_USER_INPUT');
    expect(await states()).toEqual({ OPEN: [], DUE: [], OVERDUE: [], REVIEWED: [id] });
    // The review has unlocked the account, and the session that is young enough goes on.
    expect(await emergencies.waiting(tenants, clock.now())).toEqual({ open: 0, due: 0, overdue: 0, locked: 0 });
    clock.advance(1_000);
    expect((await physician.ask(ACCESSES)).data['emergencyAccesses'].totalCount).toBe(1);
    await colleague.signIn();
    expect((await colleague.ask(ACCESSES)).data['emergencyAccesses'].totalCount).toBe(0);
  });

  it('ends with its review; a list of a state goes on over pages while the clock moves; five an hour', async () => {
    const others = ['PT3', 'PT4', 'PT5', 'PT6', 'PT7'].map((key) => String(system.demo.patients['T-CN']?.[key]));
    const opened: string[] = [];
    for (const id of others) {
      const answer = await broken(colleague, id);
      expect(codeOf(answer)).toBe('none');
      opened.push(String(answer.data['breakGlass'].id));
    }
    expect(codeOf(await broken(colleague, stranger))).toBe('RATE_LIMITED');
    const last = String(others.at(-1));
    expect(codesIn(await colleague.ask(WHOLE, { id: last }, BTG, 'ETREAT'))).toEqual(['B20']);
    await officer.signIn();
    const first = (await officer.ask(ACCESSES, { state: 'OPEN', first: 3 })).data['emergencyAccesses'] as Loose;
    clock.advance(1_000);
    const rest = await officer.ask(ACCESSES, { state: 'OPEN', first: 3, after: first['pageInfo'].endCursor });
    expect([...idsOf(first), ...idsOf(rest.data['emergencyAccesses'])]).toEqual([...opened].reverse());
    const note = 'No emergency: the patient was never here';
    const reviewed = await officer.ask(REVIEW, { id: opened.at(-1), outcome: 'UNJUSTIFIED', note });
    expect(reviewed.data['reviewEmergencyAccess'].expiresAt).toBe(clock.now().toISOString());
    clock.advance(1_000);
    expect(codeOf(await colleague.ask(WHOLE, { id: last }, BTG, 'ETREAT'))).toBe('NOT_FOUND');
  });

  it('is reviewed by another one, also when who did it becomes a privacy officer: he is locked like anybody', async () => {
    const { identity } = system.composition;
    await identity.changeRole('T-CN', colleague.id, 'privacy_officer');
    const [pending] = idsOf((await officer.ask(ACCESSES, { state: 'OPEN' })).data['emergencyAccesses']);
    const judged = { id: pending, outcome: 'JUSTIFIED', note: 'I say that I was right' };
    await colleague.signIn();
    const own = await colleague.ask(REVIEW, judged, {}, 'HCOMPL');
    expect([codeOf(own), own.errors[0]?.message]).toEqual(['FORBIDDEN', 'Nobody reviews an access of his own.']);
    clock.advance(72 * HOUR);
    expect(codeOf(await colleague.tryIn())).toBe('UNAUTHENTICATED');
    await officer.signIn();
    const overdue = idsOf((await officer.ask(ACCESSES, { state: 'OVERDUE' })).data['emergencyAccesses']);
    for (const id of overdue) {
      // One that waits is enough.
      expect(codeOf(await colleague.tryIn())).toBe('UNAUTHENTICATED');
      expect(codeOf(await officer.ask(REVIEW, { ...judged, id }))).toBe('none');
    }
    expect(overdue).toHaveLength(4);
    await colleague.signIn();
    expect(codeOf(await colleague.ask(ACCESSES, {}, {}, 'HCOMPL'))).toBe('none');
  });
});

describe('the demo organisation', () => {
  it('has one grant, of which the physician sees the diagnosis and the nurse does not', async () => {
    const id = system.demo.patients['T-EU']?.['PT7'];
    const seenBy = async (role: Role) => {
      const { email, password } = system.demo.users.find((one) => one.role === role && one.tenant === 'T-EU') ?? {};
      const answer = await system.send('mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }', {
        variables: { input: { tenant: 'T-EU', email, password } },
      });
      const token = String(answer.data['signIn'].accessToken);
      return codesIn(await system.send(WHOLE, { purpose: 'TREAT', token, variables: { id } }));
    };
    expect(await seenBy('nurse')).toEqual([]);
    // The grant is for thirty days, of which the tests above have used some.
    expect(await seenBy('physician')).toEqual(['B20']);
  });
});
