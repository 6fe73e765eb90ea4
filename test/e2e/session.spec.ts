import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bytesOf, codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const TENANTS = ['T-CN', 'T-US', 'T-EU', 'system'];
const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken refreshToken expiresAt } }';
const REFRESH = 'mutation($token: String!) { refresh(refreshToken: $token) { accessToken refreshToken } }';
const ME = '{ me { id tenant role purposes } }';

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
});
afterAll(() => system.close());

const signIn = (tenant: string, email: string, password: string) =>
  system.send(SIGN_IN, { variables: { input: { tenant, email, password } } });
const refresh = (token: string) => system.send(REFRESH, { variables: { token } });

async function newSession(role: string, tenant = 'T-CN'): Promise<Loose> {
  const user = system.demo.users.find((one) => one.role === role && one.tenant === tenant);
  const answer = await signIn(tenant, user?.email ?? '', user?.password ?? '');
  return answer.data['signIn'] as Loose;
}

describe('a session', () => {
  it('is the account that signed in, with the purposes of its role, for at most 15 minutes', async () => {
    const session = await newSession('physician');
    const left = Date.parse(session['expiresAt']) - Date.now();
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(15 * 60_000);
    const { data } = await system.send(ME, { token: session['accessToken'] });
    const user = system.demo.users.find((one) => one.role === 'physician' && one.tenant === 'T-CN');
    expect(data['me']).toEqual({ id: user?.id, tenant: 'T-CN', role: 'physician', purposes: ['TREAT', 'ETREAT'] });
  });

  it('ends as a whole when one of its refresh tokens comes a second time', async () => {
    const session = await newSession('nurse');
    const successor = (await refresh(session['refreshToken'])).data['refresh'] as Loose;
    expect((await system.send(ME, { token: successor['accessToken'] })).status).toBe(200);

    const reuse = await refresh(session['refreshToken']);
    expect([reuse.status, codeOf(reuse)]).toEqual([401, 'UNAUTHENTICATED']);
    for (const token of [session['accessToken'], successor['accessToken']]) {
      expect((await system.send(ME, { token })).status).toBe(401);
    }
    expect((await refresh(successor['refreshToken'])).status).toBe(401);
    const codes = (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === 'refresh');
    expect(codes.map((one) => one['code'])).toContain('REFRESH_REUSED');
  });

  it('ends at sign-out: neither token opens anything afterwards', async () => {
    const session = await newSession('billing');
    const token = session['accessToken'];
    expect((await system.send('mutation { signOut }', { token })).data['signOut']).toBe(true);
    expect((await system.send(ME, { token })).status).toBe(401);
    expect((await system.send('mutation { signOut }', { token })).status).toBe(401);
    expect((await refresh(session['refreshToken'])).status).toBe(401);
    const records = (await recordsOf(system, 'T-CN')).filter((one) => one['operation'] === 'signOut');
    expect(records.map((one) => [one['kind'], one['outcome']])).toEqual([['LOGOUT', 'success']]);
  });

  it('is not opened by a refresh token, a foreign signature or none at all, and all are refused alike', async () => {
    const session = await newSession('front_desk');
    const [head, body] = String(session['accessToken']).split('.');
    const answers: Answer[] = [];
    for (const token of [null, 'x', session['refreshToken'], `${head}.${body}.`, `${head}.${body}.${'A'.repeat(43)}`]) {
      answers.push(await system.send('{ patients { totalCount } }', { token, purpose: 'PATADMIN' }));
    }
    expect(answers.map((one) => [one.status, codeOf(one)])).toEqual(answers.map(() => [401, 'UNAUTHENTICATED']));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
    for (const { text } of answers) expect(text).not.toContain('totalCount');
  });
});

describe('a failed sign-in', () => {
  const email = 'canary-5b1e@t-us.example';
  const right = 'canary right passphrase 77';
  const wrong = 'canary wrong passphrase 78';
  const failures: Answer[] = [];

  beforeAll(async () => {
    await system.composition.identity.createAccount({ tenant: 'T-US', email, role: 'nurse', password: right });
    failures.push(await signIn('T-US', email, wrong));
    failures.push(await signIn('T-US', 'canary-nobody@t-us.example', wrong));
    failures.push(await signIn('T-NOWHERE', email, wrong));
    failures.push(await signIn("'; --", email, wrong));
    failures.push(await signIn('T-CN', email, right));
    for (let more = 0; more < 4; more += 1) failures.push(await signIn('T-US', email, wrong));
    failures.push(await signIn('T-US', email, right));
  });

  it('tells nobody whether account or tenant exist, whether the password was right or the account is locked', () => {
    expect(failures.map((one) => [one.status, codeOf(one)])).toEqual(failures.map(() => [401, 'UNAUTHENTICATED']));
    expect(new Set(failures.map(bytesOf)).size).toBe(1);
    for (const { data, text } of failures) {
      expect(data['signIn'] ?? null).toBeNull();
      expect(text).not.toMatch(/canary|T-US|T-NOWHERE/i);
    }
  });

  it('is in the log of the tenant it was aimed at, and in the system log when there is no such tenant', async () => {
    const codes = async (log: string) =>
      (await recordsOf(system, log))
        .filter((one) => one['kind'] === 'LOGIN' && one['outcome'] === 'denied' && one['operation'] === 'signIn')
        .map((one) => one['code']);
    expect(await codes('T-US')).toEqual([
      'BAD_PASSWORD',
      'UNKNOWN_ACCOUNT',
      ...Array<string>(4).fill('BAD_PASSWORD'),
      'LOCKED',
    ]);
    expect(await codes('T-CN')).toEqual(['UNKNOWN_ACCOUNT']);
    expect(await codes('system')).toEqual(['UNKNOWN_TENANT', 'UNKNOWN_TENANT']);
    expect(await codes('T-EU')).toEqual([]);
  });

  it('leaves neither e-mail nor password nor token in the log or in any ledger', async () => {
    const session = await newSession('auditor');
    await system.send(ME, { token: session['accessToken'] });
    const records = await Promise.all(TENANTS.map((log) => recordsOf(system, log)));
    const everything = `${system.logged()}${JSON.stringify(records)}`;
    expect(everything).toContain('signIn');
    for (const secret of ['canary', email, right, wrong, session['accessToken'], session['refreshToken']]) {
      expect(everything).not.toContain(secret);
    }
    for (const user of system.demo.users) {
      expect(everything).not.toContain(user.email);
      expect(everything).not.toContain(user.password);
    }
  });
});
