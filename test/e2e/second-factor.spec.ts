import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { totpCode } from '../../src/identity/totp.js';
import { ManualClock } from '../../src/kernel/clock.js';
import type { Role } from '../../src/kernel/actor.js';
import { newId } from '../../src/kernel/identifier.js';
import { demandFactor } from '../../src/persistence/tenant.store.js';
import { REQUEST, SATISFY } from '../support/export.js';
import { bytesOf, codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken refreshToken } }';
const ENROL = 'mutation { enrolTotp { secret uri } }';
const CONFIRM = 'mutation($code: String!) { confirmTotp(code: $code) { codes } }';
const ME = '{ me { id factorMissing patientIds } }';
const LIST = '{ patients { totalCount } }';
const WINDOW = 30_000;
const MINUTE = 60_000;

let system: TestSystem;
let clock: ManualClock;
/** Everything that must never be found in a record or a log. */
const secrets: string[] = [];

beforeAll(async () => {
  clock = new ManualClock(Date.now());
  system = await testSystem({ clock });
});
afterAll(() => system.close());

function user(role: Role, tenant = 'T-US') {
  const found = system.demo.users.find((one) => one.role === role && one.tenant === tenant);
  if (found === undefined) throw new Error(`There is no ${role} in ${tenant}.`);
  return found;
}

function signIn(role: Role, code?: string, more: Loose = {}): Promise<Answer> {
  const { tenant, email, password } = user(role);
  return system.send(SIGN_IN, { variables: { input: { tenant, email, password, code, ...more } } });
}

async function tokenOf(role: Role, code?: string): Promise<string> {
  const answer = await signIn(role, code);
  if (codeOf(answer) !== 'none') throw new Error(answer.text);
  return String(answer.data['signIn'].accessToken);
}

/** The code of a window that nobody used yet. */
function nextCode(secret: string | null): string {
  clock.advance(WINDOW);
  return totpCode(secret ?? '', clock.milliseconds());
}

function wrongCode(secret: string): string {
  const right = [0, 1].map((back) => totpCode(secret, clock.milliseconds() - back * WINDOW));
  return ['000000', '111111', '222222'].find((one) => !right.includes(one)) ?? '';
}

async function enrol(token: string): Promise<{ secret: string; codes: string[] }> {
  const { secret, uri } = (await system.send(ENROL, { token })).data['enrolTotp'] as Loose;
  expect(uri).toMatch(/^otpauth:\/\/totp\/Custodia:/);
  const code = nextCode(String(secret));
  const { codes } = (await system.send(CONFIRM, { token, variables: { code } })).data['confirmTotp'] as Loose;
  secrets.push(String(secret), ...(codes as string[]));
  return { secret: String(secret), codes: codes as string[] };
}

const recordsNamed = async (operation: string) =>
  (await recordsOf(system, 'T-US')).filter((one) => one['operation'] === operation);

describe('where the tenant demands a second factor', () => {
  it('who has none may enrol one and nothing else, and is let through when it is confirmed', async () => {
    const running = await tokenOf('physician');
    expect(await demandFactor(system.database.urls.owner, 'T-US', ['physician'])).toBe(true);
    clock.advance(1000);
    for (const token of [running, await tokenOf('physician')]) {
      const ask = (document: string) => system.send(document, { token, purpose: 'TREAT' });
      expect(codeOf(await ask(LIST))).toBe('STEP_UP_REQUIRED');
      expect(codeOf(await ask(`{ patient(id: "${newId()}") { id } }`))).toBe('STEP_UP_REQUIRED');
      expect(codeOf(await ask('mutation { createPatient(input: { name: "Nobody" }) { id } }'))).toBe(
        'STEP_UP_REQUIRED',
      );
      expect((await ask(ME)).data['me']).toMatchObject({ factorMissing: true, patientIds: [] });
    }
    expect((await system.send('mutation { signOut }', { token: running })).data['signOut']).toBe(true);

    const token = await tokenOf('physician');
    const { secret } = await enrol(token);
    expect((await system.send(ME, { token })).data['me']).toMatchObject({ factorMissing: false });
    expect(codeOf(await system.send(LIST, { token, purpose: 'TREAT' }))).toBe('none');

    // From now on the password alone is not enough, and says no more than a wrong one.
    const wrongPassword = bytesOf(await signIn('physician', undefined, { password: 'not the password' }));
    expect(bytesOf(await signIn('physician'))).toBe(wrongPassword);
    expect(bytesOf(await signIn('physician', wrongCode(secret)))).toBe(wrongPassword);
    const code = nextCode(secret);
    expect(codeOf(await signIn('physician', code))).toBe('none');
    expect(bytesOf(await signIn('physician', code))).toBe(wrongPassword);
    const reasons = (await recordsNamed('signIn'))
      .filter((one) => one['outcome'] === 'denied')
      .map((one) => one['code']);
    expect(reasons).toEqual(['BAD_PASSWORD', 'FACTOR_REQUIRED', 'BAD_CODE', 'CODE_REUSED']);
    await demandFactor(system.database.urls.owner, 'T-US', []);
  });
});

describe('a recovery code', () => {
  it('signs in once with a record of its own, ends other sessions, and steps up to nothing', async () => {
    const old = await tokenOf('nurse');
    const { codes } = await enrol(old);
    const fresh = await tokenOf('nurse', codes[0]);
    expect((await system.send(ME, { token: old })).status).toBe(401);
    expect(codeOf(await signIn('nurse', codes[0]))).toBe('UNAUTHENTICATED');
    expect((await recordsNamed('signIn.recoveryCode')).map((one) => one['outcome'])).toEqual(['success']);
    const again = await system.send(SATISFY, { token: fresh, variables: { input: { id: newId(), code: codes[1] } } });
    expect(codeOf(again)).toBe('UNAUTHENTICATED');
    expect(codeOf(await signIn('nurse', codes[1]))).toBe('none');
  });
});

describe('a step-up', () => {
  const input = { type: 'PATIENTS', format: 'NDJSON' };
  const send = (token: string, document: string, variables: Loose) =>
    system.send(document, { token, purpose: 'PATRQT', variables });
  const officer = () => user('privacy_officer');
  const satisfy = (token: string, id: string, code: string) => send(token, SATISFY, { input: { id, code } });
  async function challenge(token: string, more: Loose = {}): Promise<string> {
    const refused = await send(token, REQUEST, { input: { ...input, ...more } });
    expect(codeOf(refused)).toBe('STEP_UP_REQUIRED');
    expect(refused.errors[0]?.extensions['challenge']).toMatchObject({ methods: ['totp'] });
    return String(refused.errors[0]?.extensions['challenge'].id);
  }
  async function satisfied(token: string, more: Loose = {}): Promise<string> {
    const id = await challenge(token, more);
    expect((await satisfy(token, id, nextCode(officer().totpSecret))).data['satisfyChallenge']).toBe(true);
    return id;
  }

  it('opens one request once: not twice at once, not for another selection, not for another session', async () => {
    const token = await tokenOf('privacy_officer');
    const stranger = await tokenOf('privacy_officer');
    const id = await satisfied(token);
    const other = { ...input, filter: { gender: { eq: 'male' } } };
    const attempts: [string, string, Loose][] = [
      ['another selection', token, { ...other, challengeId: id }],
      ['another format', token, { ...input, format: 'CSV', challengeId: id }],
      ['another session', stranger, { ...input, challengeId: id }],
      ['an unknown challenge', token, { ...input, challengeId: newId() }],
      ['no challenge', token, { ...input, challengeId: 'none' }],
    ];
    for (const [what, by, asked] of attempts) {
      expect([what, codeOf(await send(by, REQUEST, { input: asked }))]).toEqual([what, 'STEP_UP_REQUIRED']);
    }
    const twice = await Promise.all(
      [1, 2, 3].map(() => send(token, REQUEST, { input: { ...input, challengeId: id } })),
    );
    expect(twice.map(codeOf).sort()).toEqual(['STEP_UP_REQUIRED', 'STEP_UP_REQUIRED', 'none']);
  });

  it('ends after five minutes, satisfied or not', async () => {
    const token = await tokenOf('privacy_officer');
    const id = await satisfied(token);
    clock.advance(5 * MINUTE);
    expect(codeOf(await send(token, REQUEST, { input: { ...input, challengeId: id } }))).toBe('STEP_UP_REQUIRED');
  });

  it('is told of before anything is looked up, and never in the purpose of another role', async () => {
    const token = await tokenOf('front_desk');
    expect(codeOf(await system.send(REQUEST, { token, purpose: 'PATADMIN', variables: { input } }))).toBe('FORBIDDEN');
  });

  it('answers a wrong code, a used code and a foreign challenge with the same bytes', async () => {
    const token = await tokenOf('privacy_officer');
    const secret = officer().totpSecret ?? '';
    const code = nextCode(secret);
    await satisfy(token, await challenge(token), code);
    const foreign = await challenge(await tokenOf('privacy_officer'));
    const answers = [
      await satisfy(token, await challenge(token), code),
      await satisfy(token, await challenge(token), '１２３４５６'),
      await satisfy(token, foreign, nextCode(secret)),
      await satisfy(token, newId(), totpCode(secret, clock.milliseconds())),
    ];
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    expect([answers[0]?.status, codeOf(answers[0] as Answer)]).toEqual([401, 'UNAUTHENTICATED']);
    clock.advance(16 * MINUTE);
  });

  it('is guessed five times in any number of requests, and once in a document', async () => {
    const token = await tokenOf('privacy_officer');
    const id = await challenge(token);
    const aliases = Array.from(
      { length: 10 },
      (_, n) => `a${n}: satisfyChallenge(input: { id: "${id}", code: "00000${n}" })`,
    );
    const brute = await send(token, `mutation { ${aliases.join(' ')} }`, {});
    expect(new Set(brute.errors.map((error) => error.extensions.code))).toEqual(new Set(['QUERY_COST_EXCEEDED']));
    const wrong = wrongCode(officer().totpSecret ?? '');
    const guesses = await Promise.all(Array.from({ length: 12 }, () => satisfy(token, id, wrong)));
    expect(guesses.map(codeOf).filter((code) => code === 'UNAUTHENTICATED')).toHaveLength(5);
    const locked = guesses.find((one) => codeOf(one) === 'RATE_LIMITED');
    expect(locked?.status).toBe(429);
    expect(locked?.errors[0]?.extensions['retryAfterSeconds']).toBe(900);
    expect(locked?.headers.get('retry-after')).toBe('900');
    expect(codeOf(await satisfy(token, id, nextCode(officer().totpSecret)))).toBe('RATE_LIMITED');
    clock.advance(15 * MINUTE);
    await satisfied(await tokenOf('privacy_officer'));
  });

  it('replaces a factor only in a session that has just shown it', async () => {
    const token = await tokenOf('privacy_officer');
    const refused = await system.send(ENROL, { token });
    expect(codeOf(refused)).toBe('STEP_UP_REQUIRED');
    const id = String(refused.errors[0]?.extensions['challenge'].id);
    expect((await satisfy(token, id, nextCode(officer().totpSecret))).data['satisfyChallenge']).toBe(true);
    expect(codeOf(await system.send(ENROL, { token }))).toBe('none');
  });
});

describe('the records of all this', () => {
  it('name the operation, its outcome and nothing that opens anything', async () => {
    for (const [operation, outcome] of [
      ['enrolTotp', 'success'],
      ['enrolTotp', 'denied'],
      ['confirmTotp', 'success'],
      ['satisfyChallenge', 'success'],
      ['satisfyChallenge', 'denied'],
    ]) {
      const found = (await recordsNamed(String(operation))).filter((one) => one['outcome'] === outcome);
      expect([operation, outcome, found.length > 0]).toEqual([operation, outcome, true]);
      for (const one of found)
        expect([one['kind'], String(one['actor'])]).toEqual(['LOGIN', expect.stringMatching(/^[0-9a-f]{32}$/)]);
    }
    const written = JSON.stringify(await recordsOf(system, 'T-US')) + system.logged();
    expect(secrets.length).toBeGreaterThan(20);
    for (const secret of secrets) expect(written).not.toContain(secret);
  });
});
