import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ReminderDirectory } from '../../src/jobs/appointment-reminder-sink.js';
import { EmergencyNotices } from '../../src/jobs/emergency-notices.js';
import { totpCode } from '../../src/identity/totp.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import type { Role } from '../../src/kernel/actor.js';
import { SATISFY } from '../support/export.js';
import { codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { admit, represented, type Person } from '../support/person.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const HOUR = 3_600_000;
const REASON = 'Unconscious in the emergency room';
const BTG = { 'x-break-glass': 'BTG' };
const GRANT = `mutation($input: GrantCompartmentInput!) { grantCompartment(input: $input) {
  id accountId patientId compartment reasonCode grantedBy validFrom validUntil status } }`;
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
    const { email, password } = this;
    const answer = await system.send('mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }', {
      variables: { input: { tenant: 'T-CN', email, password } },
    });
    this.token = String(answer.data['signIn'].accessToken);
    return this;
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

  it('opens nothing of a patient of another tenant, nor of a second patient', async () => {
    const foreign = String(system.demo.patients['T-US']?.['PT7']);
    expect(codeOf(await broken(physician, foreign))).toBe('NOT_FOUND');
    const second = String(system.demo.patients['T-CN']?.['PT4']);
    expect(codeOf(await physician.ask(WHOLE, { id: second }, BTG, 'ETREAT'))).toBe('NOT_FOUND');
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

  it('tells the privacy office, without a name, and the patient', async () => {
    const { directory } = system.database;
    const { emergencies, tenants } = system.composition;
    expect(await emergencies.waiting(tenants, clock.now())).toEqual({ open: 1, due: 0, overdue: 0 });
    // The job of the running system may be faster: both write the same file once.
    const outbox = path.join(directory, 'data', 'outbox', 'emergency');
    const notices = new EmergencyNotices(emergencies, new ReminderDirectory(outbox), clock, tenants);
    await notices.run();
    expect(await notices.run()).toBe(0);
    expect(readdirSync(outbox)).toEqual([`${access['id']}.json`]);
    const notice = readFileSync(path.join(outbox, `${access['id']}.json`), 'utf8');
    for (const secret of [stranger, physician.id, '王小明', '13912345678']) expect(notice).not.toContain(secret);
    await patient.signIn();
    const report = await patient.ask(
      'query($id: ID!) { accessReport(patientId: $id, first: 50) { entries { operation purpose emergency } } }',
      { id: stranger },
    );
    const entries = report.data['accessReport'].entries as Loose[];
    expect(entries).toContainEqual({ operation: 'breakGlass', purpose: 'ETREAT', emergency: true });
    expect(entries.filter((one) => one['emergency']).length).toBeGreaterThanOrEqual(2);
  });

  it('ends after four hours, is due for review then, overdue after three days, and reviewed once', async () => {
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
    clock.advance(68 * HOUR);
    expect(await states()).toEqual({ OPEN: [], DUE: [], OVERDUE: [id], REVIEWED: [] });
    const { emergencies, tenants } = system.composition;
    expect(await emergencies.waiting(tenants, clock.now())).toEqual({ open: 0, due: 0, overdue: 1 });
    const judged = { id, outcome: 'JUSTIFIED', note: 'Admitted unconscious after an accident' };
    await physician.signIn();
    expect(codeOf(await physician.ask(REVIEW, judged))).toBe('FORBIDDEN');
    expect((await officer.ask(REVIEW, judged)).data['reviewEmergencyAccess']).toMatchObject({
      outcome: 'JUSTIFIED',
      note: judged.note,
      expiresAt: access['expiresAt'],
    });
    expect(codeOf(await officer.ask(REVIEW, judged))).toBe('BAD_USER_INPUT');
    expect(await states()).toEqual({ OPEN: [], DUE: [], OVERDUE: [], REVIEWED: [id] });
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
    // The grant is for thirty days, of which the tests above have used four.
    expect(await seenBy('physician')).toEqual(['B20']);
  });
});
