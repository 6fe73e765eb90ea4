import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEMO_ROLES } from '../../src/demo/people.js';
import type { Role } from '../../src/kernel/actor.js';
import { totpCode } from '../../src/identity/totp.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import { AccessVolume } from '../../src/operation/access-volume.store.js';
import { Details } from '../../src/operation/details.js';
import { Workbench } from '../policy/workbench.js';
import { bytesOf, codeOf, idsOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const HOUR = 3_600_000;
const REASON = { 'x-reason': 'The patient has to be called back about a result.' };
const REVEAL = `mutation($type: String!, $id: ID!, $set: String!, $challenge: ID) {
  reveal(type: $type, id: $id, fieldSet: $set, challengeId: $challenge) { id type fields { field value } } }`;
const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }';
const PHONE = '13812345678';

/** Ten o'clock of a Saturday in UTC: no day and no hour ends while a test runs. */
const clock = new ManualClock(Date.UTC(2026, 10, 21, 10));
const bench = new Workbench();
let system: TestSystem;
let own: string;
let other: string;

beforeAll(async () => {
  // The shipped rule for physicians. Of nurses a second factor is asked too, and billing works in the office.
  bench.edit(
    'patient.yaml',
    'roles: [physician, nurse]\n    purposes: [TREAT, ETREAT]\n    actions: [reveal]',
    'roles: [physician]\n    purposes: [TREAT, ETREAT]\n    actions: [reveal]',
  );
  bench.edit(
    'patient.yaml',
    '  - id: patient-notes-by-physician\n',
    `  - id: patient-contact-revealed-to-nurses
    effect: permit
    roles: [nurse]
    purposes: [TREAT, ETREAT]
    actions: [reveal]
    where: { inCareTeam: true }
    fields: { clear: [phone, address] }
    limits: { perUserPerHour: 30 }
    obligations: [{ type: reason, minChars: 20 }, { type: stepUp, maxAge: 60 }]
  - id: patient-notes-by-physician\n`,
  );
  bench.edit('vocabulary.yaml', '# Distinct patients', 'networks: { here: [127.0.0.0/8] }\n# Distinct patients');
  bench.edit(
    'guardrails.yaml',
    'guardrails:\n',
    `guardrails:
  - id: billing-works-in-the-office
    effect: forbid
    subjects: [Patient]
    actions: ['*']
    roles: [billing]
    unless: { network: [here], time: { tz: UTC, days: [6], from: '08:00', to: '12:00' } }
`,
  );
  system = await testSystem({ clock, policies: bench.directory });
  const patients = system.demo.patients['T-CN'] ?? {};
  own = patients['PT1'] ?? '';
  const { data } = await as('physician', '{ patients(first: 50) { edges { node { id } } } }');
  const mine = idsOf(data['patients']);
  expect(mine).toContain(own);
  const { rows } = await system.database.owner.query<{ id: string }>(`SELECT id FROM patient WHERE tenant_id = 'T-CN'`);
  other = rows.map((row) => row.id).find((id) => !mine.includes(id)) ?? '';
});
afterAll(async () => {
  await system.close();
  bench.clean();
});

/** Signs in anew: the hours that pass in a test outlive a token. */
async function as(
  role: Role,
  document: string,
  options: { variables?: Loose; headers?: Record<string, string>; tenant?: string } = {},
): Promise<Answer> {
  const tenant = options.tenant ?? 'T-CN';
  const user = system.demo.users.find((one) => one.role === role && one.tenant === tenant);
  const input = { tenant, email: user?.email, password: user?.password };
  const { data } = await system.send(SIGN_IN, { variables: { input } });
  const purpose = system.composition.policy.purposesOf(role)[0] ?? null;
  return system.send(document, { purpose, token: String(data['signIn'].accessToken), ...options });
}
const reveal = (
  role: Role,
  id: string,
  options: { set?: string; type?: string; headers?: Record<string, string>; challenge?: string } = {},
) =>
  as(role, REVEAL, {
    variables: { type: options.type ?? 'Patient', id, set: options.set ?? 'contact', challenge: options.challenge },
    headers: options.headers ?? REASON,
  });
const records = async (operation: string) =>
  (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === operation);

describe('reveal', () => {
  it('gives the fields of the rule in clear, which a read shows masked', async () => {
    const { data } = await as('physician', 'query($id: ID!) { patient(id: $id) { phone address } }', {
      variables: { id: own },
    });
    expect(data['patient'].phone).toBe('138****5678');
    const answer = await reveal('physician', own);
    expect(codeOf(answer)).toBe('none');
    const values = new Map((answer.data['reveal'].fields as Loose[]).map((one) => [one['field'], one['value']]));
    expect([...values.keys()].sort()).toEqual(['address', 'phone']);
    expect(values.get('phone')).toBe(PHONE);
    expect(values.get('address')).not.toBe(data['patient'].address);
    expect(answer.data['reveal']).toMatchObject({ id: own, type: 'Patient' });
  });

  it('leaves a record of its own that names the fields as clear, and no value', async () => {
    const before = (await records('reveal')).length;
    const answer = await reveal('physician', own);
    const all = await records('reveal');
    expect(all).toHaveLength(before + 1);
    const record = all.at(-1) as Loose;
    expect(record).toMatchObject({
      kind: 'READ',
      outcome: 'success',
      code: null,
      reason: true,
      role: 'physician',
      purpose: 'TREAT',
    });
    expect(record['accesses']).toMatchObject([
      { type: 'Patient', rows: 1, fields: { phone: 'CLEAR', address: 'CLEAR' } },
    ]);
    expect(record['accesses'][0].subjects).toHaveLength(1);
    expect(record['rules']).toEqual(['patient-contact-revealed-to-the-team']);
    expect(record['sealed']?.key).toMatch(/^subject/);
    expect(answer.extensions['ledger']).toBeDefined();
    const { rows } = await system.database.owner.query<{ ciphertext: Buffer }>(
      'SELECT ciphertext FROM ledger_detail WHERE log = $1 AND writer = $2 AND number = $3',
      ['T-CN', record['writer'], record['number']],
    );
    const sealed = rows[0]?.ciphertext ?? Buffer.alloc(0);
    const detail = new Details(system.composition.vault).open(record as never, sealed, own);
    expect(detail.variables).toMatchObject([{ input: { fieldSet: 'contact', id: own, reason: REASON['x-reason'] } }]);
    expect(JSON.stringify([all, detail])).not.toContain(PHONE);
    expect(system.logged()).not.toContain(PHONE);
  });

  it('needs a reason, and one that is long enough', async () => {
    for (const headers of [{}, { 'x-reason': 'short' }] as Record<string, string>[]) {
      const answer = await reveal('physician', own, { headers });
      expect([codeOf(answer), answer.text.includes(PHONE)]).toEqual(['FORBIDDEN', false]);
    }
  });

  it('answers what is missing, foreign and not the own with the same bytes', async () => {
    const elsewhere = system.demo.patients['T-US']?.['PT1'] ?? '';
    const answers = [];
    for (const id of [newId(), elsewhere, other, 'no id', '']) answers.push(await reveal('physician', id));
    expect(answers.map(codeOf)).toEqual(Array(5).fill('NOT_FOUND'));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    const refused = (await records('reveal')).slice(-5);
    expect(refused.map((one) => one['code'])).toEqual([
      'NOT_FOUND',
      'NOT_FOUND',
      'NO_CARE_RELATIONSHIP',
      'NOT_FOUND',
      'NOT_FOUND',
    ]);
    expect(refused.map((one) => one['outcome'])).toEqual(Array(5).fill('denied'));
  });

  it('is for no other group, no type that there is not, and no other role', async () => {
    clock.advance(HOUR);
    expect(codeOf(await reveal('physician', own, { set: 'government' }))).toBe('FORBIDDEN');
    expect(codeOf(await reveal('physician', own, { set: 'phone' }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await reveal('physician', own, { type: 'Account' }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await reveal('physician', own, { type: 'Visit' }))).toBe('FORBIDDEN');
    for (const role of DEMO_ROLES.filter((one) => one !== 'physician' && one !== 'nurse')) {
      expect([role, codeOf(await reveal(role, own))]).toEqual([role, 'FORBIDDEN']);
    }
  });

  it('is one in a document', async () => {
    const one = (alias: string) => `${alias}: reveal(type: "Patient", id: "${own}", fieldSet: "contact") { id }`;
    const answer = await as('physician', `mutation { ${one('a')} ${one('b')} }`, { headers: REASON });
    expect([codeOf(answer), answer.data['a'] ?? null]).toEqual(['QUERY_COST_EXCEEDED', null]);
  });

  it('is thirty an hour, tries too, and the row is not looked for beyond', async () => {
    clock.advance(HOUR);
    const codes: string[] = [];
    for (let index = 0; index < 29; index += 1) codes.push(codeOf(await reveal('physician', newId())));
    codes.push(codeOf(await reveal('physician', own)), codeOf(await reveal('physician', own)));
    expect(codes).toEqual([...Array<string>(29).fill('NOT_FOUND'), 'none', 'RATE_LIMITED']);
    const [limited, missing] = [await reveal('physician', own), await reveal('physician', newId())];
    expect(limited.errors[0]?.extensions).toMatchObject({ limit: 30, period: 'hour' });
    expect(bytesOf(limited)).toBe(bytesOf(missing));
    clock.advance(HOUR);
    expect(codeOf(await reveal('physician', own))).toBe('none');
  }, 60_000);

  it('asks for the second factor of the policy before anything is looked up, for as long as the policy says', async () => {
    const [hit, missing] = [await reveal('nurse', own), await reveal('nurse', newId())];
    expect([codeOf(hit), codeOf(missing)]).toEqual(['STEP_UP_REQUIRED', 'STEP_UP_REQUIRED']);
    const challenge = hit.errors[0]?.extensions['challenge'] as { expiresAt: string } | undefined;
    expect(Date.parse(challenge?.expiresAt ?? '') - clock.milliseconds()).toBe(60_000);
    expect(codeOf(await reveal('nurse', own, { challenge: newId() }))).toBe('STEP_UP_REQUIRED');
  });

  it('is given once for one factor, to the record that was named, and not when it is old', async () => {
    const user = system.demo.users.find((one) => one.role === 'nurse' && one.tenant === 'T-CN');
    const input = { tenant: 'T-CN', email: user?.email, password: user?.password };
    const { data } = await system.send(SIGN_IN, { variables: { input } });
    const send = (document: string, variables: Loose = {}) =>
      system.send(document, { token: data['signIn'].accessToken, purpose: 'TREAT', variables, headers: REASON });
    const secret = String((await send('mutation { enrolTotp { secret } }')).data['enrolTotp'].secret);
    const code = () => totpCode(secret, clock.milliseconds());
    await send('mutation($code: String!) { confirmTotp(code: $code) { codes } }', { code: code() });
    const ask = (id: string, challenge: string | null) =>
      send(REVEAL, { type: 'Patient', id, set: 'contact', challenge });
    const satisfied = async (id: string) => {
      clock.advance(30_000);
      const challenge = (await ask(id, null)).errors[0]?.extensions['challenge'] as Loose | undefined;
      await send('mutation($input: SatisfyChallengeInput!) { satisfyChallenge(input: $input) }', {
        input: { id: challenge?.['id'], code: code() },
      });
      return String(challenge?.['id']);
    };
    const first = await satisfied(own);
    expect(codeOf(await ask(other, first))).toBe('STEP_UP_REQUIRED');
    const second = await satisfied(own);
    const answer = await ask(own, second);
    expect([codeOf(answer), answer.text.includes(PHONE)]).toEqual(['none', true]);
    expect(codeOf(await ask(own, second))).toBe('STEP_UP_REQUIRED');
    const third = await satisfied(own);
    clock.advance(60_000);
    expect(codeOf(await ask(own, third))).toBe('STEP_UP_REQUIRED');
  });
});

describe('a guardrail with a window and a network', () => {
  it('lets through while both are met, and nothing afterwards', async () => {
    const now = clock.milliseconds();
    const list = '{ patients(first: 5) { edges { node { id } } } }';
    clock.advance(7 * 24 * HOUR - ((now - Date.UTC(2026, 10, 21, 9)) % (7 * 24 * HOUR)));
    expect(idsOf((await as('billing', list)).data['patients']).length).toBeGreaterThan(0);
    clock.advance(3 * HOUR);
    expect(idsOf((await as('billing', list)).data['patients'])).toEqual([]);
    expect(idsOf((await as('front_desk', list)).data['patients']).length).toBeGreaterThan(0);
  });
});

describe('the volume of an account', () => {
  const PAGE =
    'query($after: String) { patients(first: 50, after: $after) { edges { node { id name } } pageInfo { endCursor } } }';

  it('is five hundred patients an hour, whatever shows them, and a fresh one with the next', async () => {
    await system.database.owner.query(
      `INSERT INTO patient (id, version, status, created_at, tenant_id, subject_reference)
       SELECT gen_random_uuid(), 1, 'active', now(), 'T-US', md5('volume ' || n) FROM generate_series(1, 501) n`,
    );
    const ask = (document: string, variables: Loose = {}) => as('front_desk', document, { tenant: 'T-US', variables });
    clock.advance(HOUR);
    const seen = new Set<string>();
    const cursors: (string | null)[] = [null];
    const codes: string[] = [];
    for (let page = 0; page < 11; page += 1) {
      const answer = await ask(PAGE, { after: cursors.at(-1) });
      codes.push(codeOf(answer));
      if (codeOf(answer) !== 'none') break;
      for (const id of idsOf(answer.data['patients'])) seen.add(id);
      cursors.push(answer.data['patients'].pageInfo.endCursor as string);
    }
    expect([codes, seen.size]).toEqual([[...Array<string>(10).fill('none'), 'BULK_LIMIT'], 500]);
    const refused = await ask(PAGE, { after: cursors.at(-1) });
    expect(refused.errors[0]?.extensions).toMatchObject({ limit: 500, period: 'hour' });
    expect(refused.data['patients'] ?? null).toBeNull();

    const { rows } = await system.database.owner.query<{ id: string; version: number }>(
      `SELECT id, version FROM patient WHERE tenant_id = 'T-US'`,
    );
    const { id: unseen = '', version = 0 } = rows.find(({ id }) => !seen.has(id)) ?? {};
    const one = 'query($id: ID!) { patient(id: $id) { id visits(first: 1) { edges { node { id } } } } }';
    expect(codeOf(await ask(one, { id: unseen }))).toBe('BULK_LIMIT');
    // Who was seen is seen again, page by page.
    expect(codeOf(await ask(one, { id: [...seen][0] }))).toBe('none');
    expect(codeOf(await ask(PAGE))).toBe('none');

    const denied = (await recordsOf(system, 'T-US')).filter((record) => record['code'] === 'BULK_LIMIT');
    expect(denied.map((record) => [record['operation'], record['outcome'], record['accesses']])).toEqual([
      ['patients', 'denied', []],
      ['patients', 'denied', []],
      ['patient', 'denied', []],
    ]);
    const metrics = await (await fetch(new URL('/metrics', system.endpoint))).text();
    expect(metrics).toContain('custodia_bulk_limit_refusals{window="hour"} 3');

    // The answer to a write shows no more than a read, and then nothing is written.
    const change = (answered: string) =>
      `mutation($id: ID!) { updatePatient(id: $id, version: ${version}, input: { gender: "female" }) { ${answered} } }`;
    const deactivate = `mutation($id: ID!) { deactivatePatient(id: $id, version: ${version}) { id name } }`;
    for (const document of [change('id name birthDate'), deactivate]) {
      expect(codeOf(await ask(document, { id: unseen }))).toBe('BULK_LIMIT');
    }
    const untouched = await system.database.owner.query('SELECT version FROM patient WHERE id = $1', [unseen]);
    expect(untouched.rows).toEqual([{ version }]);
    expect(codeOf(await ask(change('id version'), { id: unseen }))).not.toBe('BULK_LIMIT');

    // A second process counts on where this one stands.
    const elsewhere = new AccessVolume(system.database.app);
    const { rows: accounts } = await system.database.owner.query<{ account_id: string; hour_subjects: number }>(
      `SELECT account_id, hour_subjects FROM access_volume WHERE tenant_id = 'T-US'`,
    );
    expect(accounts.map((account) => account.hour_subjects)).toEqual([500]);
    const actor = { id: accounts[0]?.account_id, tenant: 'T-US' } as never;
    const volume = { patientsPerHour: 500, patientsPerDay: 2_000 };
    await expect(elsewhere.count(actor, [unseen], volume, clock.now())).rejects.toMatchObject({ code: 'BULK_LIMIT' });

    clock.advance(HOUR);
    expect(codeOf(await ask(one, { id: unseen }))).toBe('none');
    expect(codeOf(await ask(PAGE, { after: cursors.at(-1) }))).toBe('none');
  }, 60_000);
});
