import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import type { Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import { totpCode } from '../../src/identity/totp.js';
import { bytesOf, codeOf, nodesOf } from '../support/outcome.js';
import { represented, type Person } from '../support/person.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const CLOCK_START = Date.parse('2026-11-21T04:00:00Z');
const HOUR = 3_600_000;
const PUBLISH = `mutation($input: PublishConsentFormInput!) {
  publishConsentForm(input: $input) { id code textVersion language title text sha256 createdAt } }`;
const FORMS = `query($filter: ConsentFormFilter) { consentForms(filter: $filter) { edges { node { id code sha256 text } } } }`;
const BOOK = `mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { id version consentFormId } }`;
const CONFIRM = `mutation($id: ID!, $version: Int!) { confirmAppointment(id: $id, version: $version) {
  id version status informedConsentId consentForm { sha256 }
  informedConsent { appointmentId formId textVersion textHash signer relationship signedAt factor } } }`;
const SIGN = `mutation($input: SignInformedConsentInput!) {
  signInformedConsent(input: $input) { id appointmentId formId textVersion textHash signer relationship signedAt factor } }`;
const SATISFY = 'mutation($input: SatisfyChallengeInput!) { satisfyChallenge(input: $input) }';
const TEXT = '本人已了解手术的风险。\nI have understood the risks of the operation.';

let clock: ManualClock;
let system: TestSystem;
let patients: Readonly<Record<string, string>>;
let form: Loose;
beforeAll(async () => {
  clock = new ManualClock(CLOCK_START);
  system = await testSystem({ clock });
  patients = system.demo.patients['T-CN'] ?? {};
  form = await published('surgery');
});
afterAll(() => system.close());

const formOf = (code: string, more: object = {}) => ({
  input: { code, textVersion: '2026-1', language: 'zh-cn', title: '手术知情同意书', text: TEXT, ...more },
});
async function published(code: string, more: object = {}): Promise<Loose> {
  const answer = await system.ask('department_head', PUBLISH, { variables: formOf(code, more) });
  expect(answer.errors).toEqual([]);
  return answer.data['publishConsentForm'] as Loose;
}
let hours = 48;
async function booked(patientId: string | undefined, consentFormId: string | null = form['id']): Promise<Loose> {
  hours += 2;
  const [start, end] = [hours, hours + 1].map((one) => new Date(CLOCK_START + one * HOUR).toISOString());
  const answer = await system.ask('front_desk', BOOK, {
    variables: { input: { patientId, start, end, consentFormId } },
  });
  expect(answer.errors).toEqual([]);
  return answer.data['bookAppointment'] as Loose;
}
const confirm = (one: Loose, role: Role = 'front_desk') => system.ask(role, CONFIRM, { variables: one });

/** A person with an authenticator. Every code is used once, so the clock goes on by a step. */
interface Signer extends Person {
  code(): string;
}
async function signer(role: 'patient' | 'guardian', patientId: string | undefined): Promise<Signer> {
  const one = await represented(system, role, patientId ?? '');
  const { secret } = (await one.ask('mutation { enrolTotp { secret } }')).data['enrolTotp'];
  const code = () => {
    clock.advance(30_000);
    return totpCode(secret, clock.milliseconds());
  };
  await one.ask('mutation($code: String!) { confirmTotp(code: $code) { codes } }', { code: code() });
  await one.signIn();
  return { ...one, code };
}
async function challenged(one: Signer, input: Loose): Promise<string> {
  const refused = await one.ask(SIGN, { input });
  expect(codeOf(refused)).toBe('STEP_UP_REQUIRED');
  const id = String(refused.errors[0]?.extensions['challenge'].id);
  const satisfied = await one.ask(SATISFY, { input: { id, code: one.code() } });
  expect(satisfied.data).toEqual({ satisfyChallenge: true });
  return id;
}
async function sign(one: Signer, input: Loose) {
  const challengeId = await challenged(one, input);
  return one.ask(SIGN, { input: { ...input, challengeId } });
}

describe('a consent form', () => {
  it('is published with the SHA-256 of the text that is given out', async () => {
    expect(form).toMatchObject({ code: 'surgery', textVersion: '2026-1', language: 'zh-CN', text: TEXT });
    expect(form['sha256']).toBe(hash('sha256', TEXT, 'hex'));
    const decomposed = await published('accents', { text: `  Einverständnis\u0065\u0301 \n` });
    expect(decomposed['text']).toBe('Einverständnisé');
    expect(decomposed['sha256']).toBe(hash('sha256', 'Einverständnisé', 'hex'));
  });

  it('is published once in a version and a language, and never changed', async () => {
    const again = await system.ask('department_head', PUBLISH, { variables: formOf('surgery', { text: 'Another' }) });
    expect(codeOf(again)).toBe('BAD_USER_INPUT');
    await published('surgery', { textVersion: '2026-2' });
    await published('surgery', { language: 'en' });
    for (const more of [{ language: 'not a tag' }, { text: ' ' }, { text: 'x'.repeat(50_001) }, { code: '' }]) {
      const answer = await system.ask('department_head', PUBLISH, { variables: formOf('bad', more) });
      expect([more, codeOf(answer)]).toEqual([more, 'BAD_USER_INPUT']);
    }
    for (const table of ['consent_form', 'informed_consent']) {
      const change = { text: `UPDATE ${table} SET tenant_id = tenant_id`, values: [] };
      await expect(system.composition.app.query('T-CN', change)).rejects.toMatchObject({ kind: 'privilege' });
    }
  });

  it('is published by the head of department and read by who explains, plans or signs', async () => {
    for (const role of ['physician', 'front_desk', 'auditor'] as const) {
      expect(codeOf(await system.ask(role, PUBLISH, { variables: formOf('mine') }))).toBe('FORBIDDEN');
    }
    const variables = { filter: { code: { eq: 'surgery' }, textVersion: { eq: '2026-2' } } };
    for (const role of ['physician', 'nurse', 'front_desk', 'department_head'] as const) {
      const answer = await system.ask(role, FORMS, { variables });
      expect(nodesOf(answer.data['consentForms'])).toMatchObject([{ code: 'surgery', text: TEXT }]);
    }
    for (const role of ['marketer', 'researcher', 'integrator'] as const) {
      expect(codeOf(await system.ask(role, FORMS))).toBe('FORBIDDEN');
    }
  });
});

describe('an appointment that needs a signature', () => {
  it('cannot be confirmed without one, and can with it', async () => {
    const one = await signer('patient', patients['PT4']);
    const made = await booked(patients['PT4']);
    expect(codeOf(await confirm(made))).toBe('CONSENT_REQUIRED');
    expect(codeOf(await one.ask(CONFIRM, made))).toBe('CONSENT_REQUIRED');

    const input = { appointmentId: made['id'], textHash: form['sha256'] };
    const signed = await sign(one, input);
    expect(signed.errors).toEqual([]);
    const signature = {
      ...input,
      formId: form['id'],
      textVersion: '2026-1',
      signer: one.id,
      relationship: 'SELF',
      signedAt: new Date(clock.milliseconds()).toISOString(),
      factor: 'totp',
    };
    expect(signed.data['signInformedConsent']).toEqual({ id: expect.any(String), ...signature });

    const confirmed = (await one.ask(CONFIRM, made)).data['confirmAppointment'];
    expect(confirmed).toMatchObject({ version: 2, status: 'confirmed', consentForm: { sha256: form['sha256'] } });
    expect(confirmed.informedConsent).toEqual(signature);
    expect(confirmed.informedConsentId).toBe(signed.data['signInformedConsent'].id);
  });

  it('leaves a record of the signature, and of the refusal before it', async () => {
    const records = (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === 'signInformedConsent');
    const written = records.filter((one) => one['kind'] === 'CREATE');
    expect(written.map((one) => [one['role'], one['outcome'], one['code']])).toEqual([
      ['patient', 'denied', 'STEP_UP_REQUIRED'],
      ['patient', 'success', null],
    ]);
    const [, made] = written;
    expect(made?.['accesses']).toMatchObject([{ type: 'InformedConsent', rows: 1, fields: { textHash: 'WRITTEN' } }]);
  });

  it('is signed by the guardian for the ward, and not by the ward', async () => {
    const guardian = await signer('guardian', patients['PT2']);
    const child = await signer('patient', patients['PT2']);
    const made = await booked(patients['PT2']);
    const input = { appointmentId: made['id'], textHash: form['sha256'] };
    expect(codeOf(await sign(child, input))).toBe('GUARDIAN_CONSENT_REQUIRED');
    const signed = await sign(guardian, input);
    expect(signed.data['signInformedConsent']).toMatchObject({ relationship: 'GUARDIAN', signer: guardian.id });
    expect((await confirm(made)).data['confirmAppointment'].informedConsent.relationship).toBe('GUARDIAN');
  });

  it('keeps its signature when it is moved, and is confirmed again with it', async () => {
    const one = await signer('patient', patients['PT5']);
    const made = await booked(patients['PT5']);
    expect(codeOf(await sign(one, { appointmentId: made['id'], textHash: form['sha256'] }))).toBe('none');
    expect(codeOf(await confirm(made))).toBe('none');
    const move = `mutation($id: ID!, $version: Int!, $start: String!, $end: String!) {
      rescheduleAppointment(id: $id, version: $version, start: $start, end: $end) { id version status } }`;
    const [start, end] = [500, 501].map((hour) => new Date(CLOCK_START + hour * HOUR).toISOString());
    const moved = await system.ask('front_desk', move, { variables: { id: made['id'], version: 2, start, end } });
    expect(moved.data['rescheduleAppointment']).toMatchObject({ version: 3, status: 'booked' });
    expect((await confirm(moved.data['rescheduleAppointment'])).data['confirmAppointment'].status).toBe('confirmed');
  });
});

describe('a signature that is none', () => {
  let one: Signer;
  let made: Loose;
  beforeAll(async () => {
    one = await signer('patient', patients['PT6']);
    made = await booked(patients['PT6']);
  });

  it('over a text that was not the form', async () => {
    const other = await published('other', { text: 'Another text' });
    for (const textHash of [other['sha256'], hash('sha256', `${TEXT} `, 'hex'), '', 'x'.repeat(64)]) {
      expect(codeOf(await sign(one, { appointmentId: made['id'], textHash }))).toBe('BAD_USER_INPUT');
    }
    expect(codeOf(await confirm(made))).toBe('CONSENT_REQUIRED');
  });

  it('by the patient of somebody else, by staff, or under an appointment that is not there', async () => {
    const stranger = await signer('patient', patients['PT7']);
    const input = { appointmentId: made['id'], textHash: form['sha256'] };
    const missing = await sign(stranger, { ...input, appointmentId: newId() });
    expect(codeOf(missing)).toBe('NOT_FOUND');
    expect(bytesOf(await sign(stranger, input))).toBe(bytesOf(missing));
    for (const role of ['physician', 'front_desk', 'department_head', 'integrator'] as const) {
      expect(codeOf(await system.ask(role, SIGN, { variables: { input } }))).toBe('FORBIDDEN');
    }
    expect(codeOf(await confirm(made))).toBe('CONSENT_REQUIRED');
  });

  it('of another appointment, of another form, or of an appointment without one', async () => {
    const second = await booked(patients['PT6']);
    expect(codeOf(await sign(one, { appointmentId: second['id'], textHash: form['sha256'] }))).toBe('none');
    expect(codeOf(await confirm(made))).toBe('CONSENT_REQUIRED');
    expect(codeOf(await confirm(second))).toBe('none');
    const bare = await booked(patients['PT6'], null);
    expect(codeOf(await sign(one, { appointmentId: bare['id'], textHash: form['sha256'] }))).toBe('BAD_USER_INPUT');
  });

  it('with a challenge for another appointment, used twice, or not satisfied', async () => {
    const [first, second] = [await booked(patients['PT6']), await booked(patients['PT6'])];
    const [mine, theirs] = [first, second].map((each) => ({ appointmentId: each['id'], textHash: form['sha256'] }));
    const challengeId = await challenged(one, mine as Loose);
    expect(codeOf(await one.ask(SIGN, { input: { ...theirs, challengeId } }))).toBe('STEP_UP_REQUIRED');
    const answers = await Promise.all([1, 2].map(() => one.ask(SIGN, { input: { ...mine, challengeId } })));
    expect(answers.map(codeOf).sort()).toEqual(['STEP_UP_REQUIRED', 'none']);
    const pending = (await one.ask(SIGN, { input: theirs })).errors[0]?.extensions['challenge'].id;
    expect(codeOf(await one.ask(SIGN, { input: { ...theirs, challengeId: pending } }))).toBe('STEP_UP_REQUIRED');
    expect(codeOf(await confirm(second))).toBe('CONSENT_REQUIRED');
  });
});

describe('the tables', () => {
  it('refuse a confirmed appointment without its own signature, whoever writes', async () => {
    const { owner } = system.database;
    const one = await booked(patients['PT6']);
    const { rows } = await owner.query<{ id: string }>('SELECT id FROM informed_consent LIMIT 1');
    const change = `UPDATE appointment SET status = 'confirmed', informed_consent_id = $2 WHERE id = $1`;
    await expect(owner.query(change, [one['id'], null])).rejects.toMatchObject({ code: '23514' });
    await expect(owner.query(change, [one['id'], rows[0]?.id])).rejects.toMatchObject({ code: '23503' });
    const move = 'UPDATE informed_consent SET appointment_id = $1 WHERE id = $2';
    await expect(owner.query(move, [one['id'], rows[0]?.id])).rejects.toMatchObject({ code: '23503' });
  });

  it('do not open a signature that was put under another one', async () => {
    const { owner } = system.database;
    const { rows } = await owner.query<{ id: string; appointment_id: string; patient_id: string }>(
      'SELECT id, appointment_id, patient_id FROM informed_consent ORDER BY signed_at',
    );
    const [first, second] = rows.filter((row) => row.patient_id === patients['PT6']);
    await owner.query(
      'UPDATE informed_consent SET sealed_consent = (SELECT sealed_consent FROM informed_consent WHERE id = $1) WHERE id = $2',
      [second?.id, first?.id],
    );
    const read = `{ appointments(filter: { patientId: { eq: "${patients['PT6']}" }, status: { eq: "confirmed" } }) {
      edges { node { informedConsent { signer } } } } }`;
    expect(codeOf(await system.ask('front_desk', read))).toBe('INTEGRITY_FAILED');
  });
});
