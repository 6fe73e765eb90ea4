import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Role } from '../../src/kernel/actor.js';
import { totpCode } from '../../src/identity/totp.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import { announce, attach, ATTACH, content, type FileAnswer } from '../support/files.js';
import { bytesOf, codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { admit, person, register, represented } from '../support/person.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const CLOCK_START = Date.parse('2026-11-21T04:00:00Z');
const HOUR = 3_600_000;
const RECORD = 'mutation($input: RecordConsentInput!) { recordConsent(input: $input) { id } }';
const WITHDRAW = 'mutation($id: ID!) { withdrawConsent(id: $id) { id } }';
const END = 'mutation($id: ID!, $version: Int!) { endRelatedPerson(id: $id, version: $version) { id } }';
const UPDATE =
  'mutation($id: ID!, $version: Int!, $input: UpdatePatientInput!) { updatePatient(id: $id, version: $version, input: $input) { id } }';
const BOOK = 'mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { id version } }';
const MOVE = `mutation($id: ID!, $version: Int!, $start: String!, $end: String!) {
  rescheduleAppointment(id: $id, version: $version, start: $start, end: $end) { id } }`;
const CONFIRM = 'mutation($id: ID!, $version: Int!) { confirmAppointment(id: $id, version: $version) { id } }';
const CANCEL = 'mutation($id: ID!, $version: Int!) { cancelAppointment(id: $id, version: $version) { id } }';
const SIGN = 'mutation($input: SignInformedConsentInput!) { signInformedConsent(input: $input) { id } }';
const SATISFY = 'mutation($input: SatisfyChallengeInput!) { satisfyChallenge(input: $input) }';

let clock: ManualClock;
let system: TestSystem;
let patients: Readonly<Record<string, string>>;
beforeAll(async () => {
  clock = new ManualClock(CLOCK_START);
  system = await testSystem({ clock });
  patients = system.demo.patients['T-CN'] ?? {};
});
afterAll(() => system.close());

const instant = (hours: number) => new Date(CLOCK_START + hours * HOUR).toISOString();
const consents = async (id: string): Promise<Loose> => {
  const { rows } = await system.database.owner.query<{ consents: Loose }>(
    'SELECT consents FROM patient WHERE id = $1',
    [id],
  );
  return rows[0]?.consents ?? {};
};
const deny = (patientId: string, more: object = {}) => ({
  input: { patientId, purpose: 'CAREMGT', decision: 'DENY', ...more },
});

/** A person with an authenticator. Every code is used once, so the clock goes on by a step. */
async function signer(role: 'patient' | 'guardian', patientId: string) {
  const one = await represented(system, role, patientId);
  const { secret } = (await one.ask('mutation { enrolTotp { secret } }')).data['enrolTotp'];
  const code = () => {
    clock.advance(30_000);
    return totpCode(secret, clock.milliseconds());
  };
  await one.ask('mutation($code: String!) { confirmTotp(code: $code) { codes } }', { code: code() });
  await one.signIn();
  const challenged = async (input: Loose): Promise<string> => {
    const refused = await one.ask(SIGN, { input });
    const id = String(refused.errors[0]?.extensions['challenge'].id);
    await one.ask(SATISFY, { input: { id, code: code() } });
    return id;
  };
  return { ...one, challenged };
}

describe('a record of somebody else', () => {
  /** What must differ between any two answers, and nothing else. */
  const CHANGING = ['date', 'content-length', 'x-request-id', 'x-ledger-record'];
  const wholeOf = (answer: Answer) => {
    const headers = [...answer.headers].filter(([name]) => !CHANGING.includes(name));
    return JSON.stringify([answer.status, headers, bytesOf(answer)]);
  };

  it('is like one that is not there, whatever is asked of it: status, headers, bytes', async () => {
    const ward = await admit(system, { name: '陈小雨', birthDate: '2020-01-01' });
    const other = await admit(system, { name: '王小明', birthDate: '1970-01-01' });
    const guardian = await represented(system, 'guardian', ward);
    const owner = await represented(system, 'patient', other);
    const given = (await owner.ask(RECORD, deny(other))).data['recordConsent'].id;
    const variables = { input: { patientId: other, start: instant(50), end: instant(51) } };
    const booked = (await system.ask('front_desk', BOOK, { variables })).data['bookAppointment'];
    const foreign = system.demo.patients['T-US']?.['PT1'];
    const nobody = newId();
    const asked: [string, string, (id: unknown) => Record<string, unknown>, unknown[]][] = [
      [
        'read',
        'query($id: ID!) { patient(id: $id) { name consents { edges { node { id } } } } }',
        (id) => ({ id }),
        [other, foreign],
      ],
      [
        'report',
        'query($id: ID!) { accessReport(patientId: $id) { entries { at } } }',
        (id) => ({ id }),
        [other, foreign],
      ],
      ['consent', RECORD, (id) => deny(String(id)), [other, foreign]],
      ['bad consent', RECORD, (id) => deny(String(id), { purpose: 'x' }), [other, foreign]],
      ['withdrawal', WITHDRAW, (id) => ({ id }), [given]],
      ['confirmation', CONFIRM, (id) => ({ id, version: 1 }), [booked.id]],
      ['confirmation of another version', CONFIRM, (id) => ({ id, version: 7 }), [booked.id]],
      ['cancellation', CANCEL, (id) => ({ id, version: 1 }), [booked.id]],
    ];
    for (const [what, document, variables, ids] of asked) {
      const missing = await guardian.ask(document, variables(nobody));
      expect([what, codeOf(missing)]).toEqual([what, 'NOT_FOUND']);
      for (const id of [...ids, 'x'])
        expect([what, wholeOf(await guardian.ask(document, variables(id)))]).toEqual([what, wholeOf(missing)]);
    }
    const desk = (document: string, variables: Record<string, unknown>) =>
      system.ask('front_desk', document, { tenant: 'T-US', variables });
    for (const [document, variables] of [
      [END, (id: string) => ({ id, version: 1 })],
      [UPDATE, (id: string) => ({ id, version: 1, input: { phone: '13812345678' } })],
      [BOOK, (id: string) => ({ input: { patientId: id, start: instant(60), end: instant(61) } })],
      [MOVE, (id: string) => ({ id, version: 1, start: instant(60), end: instant(61) })],
      [ATTACH, (id: string) => ({ input: { patientId: id, title: 'x', contentType: 'text/plain', size: 1 } })],
    ] as const) {
      const missing = await desk(document, variables(nobody));
      expect(codeOf(missing)).toBe('NOT_FOUND');
      for (const id of [other, owner.relation['id'], booked.id])
        expect(wholeOf(await desk(document, variables(id)))).toBe(wholeOf(missing));
    }
  });
});

describe('a guardian of two', () => {
  it('loses one and keeps the other', async () => {
    const [one, two] = [
      await admit(system, { name: '陈小雨', birthDate: '2020-01-01' }),
      await admit(system, { name: '陈小雪', birthDate: '2021-01-01' }),
    ];
    const guardian = await represented(system, 'guardian', one);
    const evidence = 'household register';
    const input = { patientId: two, accountId: guardian.id, relationship: 'GUARDIAN', evidence };
    expect(codeOf(await register(system, input))).toBe('none');
    clock.advance(1_000);
    const listed = async () => idsOf((await guardian.ask('{ patients { edges { node { id } } } }')).data['patients']);
    expect((await listed()).sort()).toEqual([one, two].sort());
    await system.ask('front_desk', END, { variables: { id: guardian.relation['id'], version: 1 } });
    clock.advance(1_000);
    expect(await listed()).toEqual([two]);
    expect(codeOf(await guardian.ask(RECORD, deny(one)))).toBe('NOT_FOUND');
    expect(codeOf(await guardian.ask(RECORD, deny(two)))).toBe('none');
    // The other one's report, files and cursors are of that one alone.
    const page = await guardian.ask(`{ accessReport(patientId: "${two}", first: 1) { pageInfo { endCursor } } }`);
    const after = page.data['accessReport'].pageInfo.endCursor as string;
    const report = (id: string) =>
      `{ accessReport(patientId: "${id}", first: 1, after: "${after}") { entries { at } } }`;
    expect(codeOf(await guardian.ask(report(two)))).toBe('none');
    expect(codeOf(await guardian.ask(report(one)))).toBe('NOT_FOUND');
  });

  it('has the end that follows from the date of birth, however registration and correction meet', async () => {
    const ward = await admit(system, { name: '陈小雨', birthDate: '2020-05-05' });
    const one = await person(system, 'guardian', 'meets-a-correction');
    const { vault } = system.composition;
    const load = vault.loadSubjectKeysOf.bind(vault);
    let looked = 0;
    const correct = () =>
      system.ask('front_desk', UPDATE, { variables: { id: ward, version: 1, input: { birthDate: '2001-01-01' } } });
    // The correction happens after the registration has looked at the date of birth, and before it is committed.
    vault.loadSubjectKeysOf = async (tenant, rows, use) => {
      await load(tenant, rows, use);
      looked += 1;
      if (looked === 1) expect(codeOf(await correct())).toBe('none');
    };
    const input = { patientId: ward, accountId: one.id, relationship: 'GUARDIAN', evidence: 'household register' };
    try {
      expect(codeOf(await register(system, input))).toBe('VERSION_CONFLICT');
    } finally {
      vault.loadSubjectKeysOf = load;
    }
    expect(looked).toBeGreaterThanOrEqual(2);
    const { rows } = await system.database.owner.query('SELECT 1 FROM related_person WHERE patient_id = $1', [ward]);
    expect(rows).toEqual([]);
    expect(codeOf(await register(system, input))).toBe('BAD_USER_INPUT');
    expect(codeOf(await one.ask(`{ patient(id: "${ward}") { name } }`))).toBe('NOT_FOUND');
  });

  it('is registered once for one Idempotency-Key', async () => {
    const ward = await admit(system, { name: '陈小雨', birthDate: '2020-05-05' });
    const one = await person(system, 'guardian', 'registered-once');
    const input = { patientId: ward, accountId: one.id, relationship: 'GUARDIAN', evidence: 'household register' };
    const document =
      'mutation($input: RegisterRelatedPersonInput!) { registerRelatedPerson(input: $input) { id endAt } }';
    const headers = { 'idempotency-key': newId() };
    const ask = () => system.ask('front_desk', document, { variables: { input }, headers });
    const answers = await Promise.all([ask(), ask(), ask()]);
    expect(answers.map(codeOf)).toEqual(['none', 'none', 'none']);
    expect(new Set(answers.map((answer) => answer.data['registerRelatedPerson'].id)).size).toBe(1);
  });
});

describe('a refusal', () => {
  it('of the guardian stands, whatever the child or the front desk does after it', async () => {
    const ward = await admit(system, { name: '周敏', birthDate: '2016-01-01' });
    const guardian = await represented(system, 'guardian', ward);
    const child = await represented(system, 'patient', ward);
    const refused = (await guardian.ask(RECORD, deny(ward))).data['recordConsent'].id;
    const desk = (document: string, variables: Record<string, unknown>) =>
      system.ask('front_desk', document, { variables });
    for (const ask of [child.ask, desk]) {
      expect(codeOf(await ask(WITHDRAW, { id: refused }))).toBe('GUARDIAN_CONSENT_REQUIRED');
      expect(codeOf(await ask(RECORD, deny(ward, { expiresAt: instant(100) })))).toBe('GUARDIAN_CONSENT_REQUIRED');
      const again = await ask(RECORD, deny(ward));
      expect(codeOf(again)).toBe('none');
      expect(codeOf(await ask(WITHDRAW, { id: again.data['recordConsent'].id }))).toBe('GUARDIAN_CONSENT_REQUIRED');
      expect((await consents(ward))['CAREMGT']).toMatchObject({ decision: 'DENY', until: null });
    }
    const last = (await guardian.ask(RECORD, deny(ward))).data['recordConsent'].id;
    expect(codeOf(await guardian.ask(WITHDRAW, { id: last }))).toBe('none');
    expect((await consents(ward))['CAREMGT']).toBeUndefined();
  });

  it('counts from when it is recorded, where the permission before it came from a clock that was ahead', async () => {
    const own = await admit(system, { name: '王小明', birthDate: '1970-01-01' }, ['Follow-up calls']);
    const patient = await represented(system, 'patient', own);
    const decide = async (decision: string) =>
      codeOf(await patient.ask(RECORD, { input: { patientId: own, purpose: 'CAREMGT', decision } }));
    const agent = () => system.ask('call_center_agent', `{ patient(id: "${own}") { name } }`, { purpose: 'CAREMGT' });
    clock.advance(5_000);
    expect(await decide('PERMIT')).toBe('none');
    clock.advance(-5_000);
    expect(await decide('DENY')).toBe('none');
    expect((await consents(own))['CAREMGT']).toMatchObject({ decision: 'DENY' });
    expect(codeOf(await agent())).toBe('CONSENT_WITHDRAWN');
    expect(await decide('PERMIT')).toBe('none');
    expect(codeOf(await agent())).toBe('none');
    expect(await decide('DENY')).toBe('none');
    const newest = await patient.ask(
      `{ patient(id: "${own}") { consents(first: 1) { edges { node { id decision } } } } }`,
    );
    expect(nodesOf(newest.data['patient'].consents)).toMatchObject([{ decision: 'DENY' }]);
    expect(codeOf(await agent())).toBe('CONSENT_WITHDRAWN');
  });

  it('takes what hangs from the patient with it: lists, counts, nested fields', async () => {
    const own = await admit(system, { name: '王小明', birthDate: '1970-01-01' }, ['Follow-up calls']);
    const variables = { input: { patientId: own, start: instant(70), end: instant(71) } };
    const made = (await system.ask('front_desk', BOOK, { variables })).data['bookAppointment'];
    const filter = `filter: { patientId: { eq: "${own}" } }`;
    const agent = (document: string) => system.ask('call_center_agent', document, { purpose: 'CAREMGT' });
    const list = async () =>
      (await agent(`{ appointments(${filter}) { totalCount edges { node { id patient { name } } } } }`)).data[
        'appointments'
      ];
    expect(await list()).toEqual({ totalCount: 1, edges: [{ node: { id: made.id, patient: { name: '王小明' } } }] });
    await system.ask('front_desk', RECORD, { variables: deny(own) });
    expect(await list()).toEqual({ totalCount: 0, edges: [] });
    const one = await agent(`{ patient(id: "${own}") { appointments { edges { node { id } } } } }`);
    expect([codeOf(one), one.data['patient']]).toEqual(['CONSENT_WITHDRAWN', null]);
    // Who has no care relationship, or is of another tenant, hears nothing of consents.
    const stranger = await admit(system, { name: '王小明', birthDate: '1970-01-01' });
    await system.ask('front_desk', RECORD, { variables: deny(stranger) });
    expect(codeOf(await agent(`{ patient(id: "${stranger}") { name } }`))).toBe('NOT_FOUND');
    const abroad = await system.ask('call_center_agent', `{ patient(id: "${own}") { name } }`, {
      tenant: 'T-US',
      purpose: 'CAREMGT',
    });
    expect(codeOf(abroad)).toBe('NOT_FOUND');
  });
});

describe('an instant that no calendar has', () => {
  it.each(['9999-12-31T23:59:59-14:00', '0000-06-01T00:00:00Z', '0001-01-01T00:00:00+14:00'])(
    '%s is the caller’s mistake',
    async (at) => {
      const own = patients['PT1'];
      const times = { patientId: own, start: instant(80), end: at };
      const answers = [
        await system.ask(
          'front_desk',
          `{ patient(id: "${own}") { consents(asOf: "${at}") { edges { node { id } } } } }`,
        ),
        await system.ask(
          'front_desk',
          `{ appointments(filter: { start: { gte: "${at}" } }) { edges { node { id } } } }`,
        ),
        await system.ask('front_desk', RECORD, { variables: deny(String(own), { expiresAt: at }) }),
        await system.ask('front_desk', BOOK, { variables: { input: times } }),
        await system.ask(
          'front_desk',
          `mutation { createVisit(input: { patientId: "${own}", status: "planned", start: "${at}" }) { id } }`,
        ),
      ];
      expect(answers.map(codeOf)).toEqual(answers.map(() => 'BAD_USER_INPUT'));
    },
  );
});

describe('a file', () => {
  const BYTES = Buffer.from('findings');

  it('is sent by the account that announced it alone; others hear so before a byte is taken', async () => {
    const { id, path } = await announce(system, 'physician', patients['PT1'], { size: BYTES.length });
    for (const role of ['nurse', 'front_desk'] as const) {
      // Bytes that are not what was announced, too: they would make it refused for good.
      for (const bytes of [BYTES, Buffer.from('no')]) {
        const { status, code } = await content(system, role, path, bytes);
        expect([role, status, code]).toEqual([role, 403, 'FORBIDDEN']);
      }
    }
    const { rows } = await system.database.owner.query('SELECT status, version FROM attachment WHERE id = $1', [id]);
    expect(rows).toEqual([{ status: 'pending', version: 1 }]);
    expect((await content(system, 'physician', path, BYTES)).status).toBe(200);
    expect((await content(system, 'nurse', path, null)).bytes.equals(BYTES)).toBe(true);
  });

  it('is opened whole or not at all, by HEAD, in ranges and under conditions, and every time recorded', async () => {
    const { path } = await attach(system, 'physician', patients['PT1'], BYTES);
    const records = new Set<string | null>();
    for (const headers of [
      {},
      { range: 'bytes=0-3' },
      { 'if-none-match': '*' },
      { 'if-modified-since': new Date().toUTCString() },
    ]) {
      const opened: FileAnswer = await content(system, 'physician', path, null, {
        headers: headers as Record<string, string>,
      });
      expect([opened.status, opened.bytes.equals(BYTES)]).toEqual([200, true]);
      records.add(opened.headers.get('x-ledger-record'));
    }
    expect(records.size).toBe(4);
    expect(records.has(null)).toBe(false);
    const head = async (role: Role, purpose: string) => {
      const headers = { authorization: `Bearer ${await system.token(role)}`, 'x-purpose-of-use': purpose };
      return fetch(system.endpoint.replace('/graphql', path), { method: 'HEAD', headers });
    };
    expect((await head('physician', 'TREAT')).headers.get('x-ledger-record')).toMatch(/^[0-9a-f]{64}$/);
    const hidden = await head('front_desk', 'PATADMIN');
    expect([hidden.status, hidden.headers.get('x-ledger-record')]).toEqual([404, null]);
  });
});

describe('a list of appointments', () => {
  it('is neither filtered nor sorted by what the caller does not see in clear', async () => {
    const list = (rest: string) => `{ appointments(${rest}) { totalCount } }`;
    const refused: [Role, string, string][] = [
      ['call_center_agent', 'CAREMGT', list('sort: [{ field: REMINDER_AT, direction: ASC }]')],
      ['call_center_agent', 'CAREMGT', list('filter: { reminderAt: { gte: "2026-01-01T00:00:00Z" } }')],
      ['call_center_agent', 'CAREMGT', list(`filter: { not: { practitionerId: { eq: "${newId()}" } } }`)],
      [
        'call_center_agent',
        'CAREMGT',
        list('filter: { or: [{ reminderStatus: { eq: "sent" } }, { status: { eq: "booked" } }] }'),
      ],
    ];
    for (const [role, purpose, document] of refused) {
      expect(codeOf(await system.ask(role, document, { purpose }))).toBe('FIELD_NOT_FILTERABLE');
    }
  });
});

describe('within one document', () => {
  it('what is read after a write is what stands after it', async () => {
    const own = await admit(system, { name: '王小明', birthDate: '1970-01-01' });
    const nested = '{ appointments { edges { node { id } } } }';
    const answer = await system.ask(
      'front_desk',
      `mutation {
        before: updatePatient(id: "${own}", version: 1, input: { phone: "13812345678" }) ${nested}
        made: bookAppointment(input: { patientId: "${own}", start: "${instant(90)}", end: "${instant(91)}" }) { id }
        after: updatePatient(id: "${own}", version: 2, input: { phone: "13812345679" }) ${nested} }`,
    );
    expect(codeOf(answer)).toBe('none');
    expect(idsOf(answer.data['before'].appointments)).toEqual([]);
    expect(idsOf(answer.data['after'].appointments)).toEqual([answer.data['made'].id]);
  });
});

// Last: the clock goes on by steps of an authenticator.
describe('a signature', () => {
  it('is made once for one Idempotency-Key, though every attempt needs a challenge of its own', async () => {
    const own = await admit(system, { name: '王小明', birthDate: '1970-01-01' });
    const one = await signer('patient', own);
    const text = 'The risks were explained.';
    const form = { code: 'trespass', textVersion: '1', language: 'en', title: 'Form', text };
    const publish = 'mutation($input: PublishConsentFormInput!) { publishConsentForm(input: $input) { id } }';
    const published = await system.ask('department_head', publish, { variables: { input: form } });
    const consentFormId = published.data['publishConsentForm'].id as string;
    const times = { start: instant(200), end: instant(201) };
    const booked = await system.ask('front_desk', BOOK, {
      variables: { input: { patientId: own, consentFormId, ...times } },
    });
    const input = { appointmentId: booked.data['bookAppointment'].id, textHash: hash('sha256', text, 'hex') };
    const headers = { 'idempotency-key': newId() };
    const sign = async () => one.ask(SIGN, { input: { ...input, challengeId: await one.challenged(input) } }, headers);
    const [first, second] = [await sign(), await sign()];
    expect([codeOf(first), codeOf(second)]).toEqual(['none', 'none']);
    expect(second.data).toEqual(first.data);
    const count = 'SELECT count(*)::integer AS found FROM informed_consent WHERE patient_id = $1';
    expect((await system.database.owner.query(count, [own])).rows).toEqual([{ found: 1 }]);
    // Without a second factor a repetition is answered to nobody.
    expect(codeOf(await one.ask(SIGN, { input }, headers))).toBe('STEP_UP_REQUIRED');
  });

  it('is none where the policy asks for no second factor: its record of one would be a lie', async () => {
    const policies = path.join(system.database.directory, 'policies');
    cpSync('policies', policies, { recursive: true });
    const file = path.join(policies, 'informed-consent.yaml');
    const text = readFileSync(file, 'utf8');
    expect(text).toContain('    obligations: [{ type: stepUp }]\n');
    writeFileSync(file, text.replace('    obligations: [{ type: stepUp }]\n', ''));
    const lax = await testSystem({ policies });
    try {
      const input = { appointmentId: newId(), textHash: '0'.repeat(64) };
      expect(codeOf(await lax.ask('patient', SIGN, { variables: { input } }))).toBe('FORBIDDEN');
    } finally {
      await lax.close();
    }
  });
});
