import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { secondServer } from '../support/second-server.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const LISTED = 'https://desk.hospital.example';
const SIGN_IN = 'mutation($input: SignInInput!) { signIn(input: $input) { accessToken refreshToken } }';
const REFRESH = 'mutation { refresh { accessToken refreshToken } }';

let system: TestSystem;
let origin: string;
beforeAll(async () => {
  system = await testSystem();
  origin = new URL(system.endpoint).origin;
});
afterAll(() => system.close());

interface Reply {
  readonly session: { readonly accessToken: string; readonly refreshToken: string } | null;
  readonly code: string;
  readonly setCookie: string | null;
  readonly headers: Headers;
}

async function send(query: string, headers: Record<string, string> = {}, endpoint = system.endpoint): Promise<Reply> {
  const user = system.demo.users.find((one) => one.role === 'front_desk' && one.tenant === 'T-CN');
  const variables = { input: { tenant: 'T-CN', email: user?.email, password: user?.password } };
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables: query === SIGN_IN ? variables : {} }),
  });
  const { data, errors } = (await response.json()) as Loose;
  const setCookie = response.headers.get('set-cookie');
  const session = data?.signIn ?? data?.refresh ?? null;
  return { session, code: errors?.[0].extensions.code ?? 'none', setCookie, headers: response.headers };
}
const cookieOf = ({ setCookie }: Reply) => setCookie?.split(';')[0] ?? '';
const attributesOf = ({ setCookie }: Reply) => setCookie?.split('; ').slice(1);

describe('the refresh token as a cookie', () => {
  let signedIn: Reply;
  beforeEach(async () => {
    signedIn = await send(SIGN_IN);
  });

  it('is set by signing in and by every refresh, for no script, no other site and no other path', async () => {
    expect(cookieOf(signedIn)).toBe(`custodia_refresh=${signedIn.session?.refreshToken}`);
    expect(attributesOf(signedIn)).toEqual(['Path=/graphql', 'HttpOnly', 'SameSite=Strict']);
    const renewed = await send(REFRESH, { cookie: `a=b; ${cookieOf(signedIn)}; c=d`, origin });
    expect(renewed.session?.accessToken).toEqual(expect.any(String));
    expect(cookieOf(renewed)).toBe(`custodia_refresh=${renewed.session?.refreshToken}`);
    expect(cookieOf(renewed)).not.toBe(cookieOf(signedIn));
  });

  it('counts only from a listed origin: no other site, and nobody without an origin, refreshes by it', async () => {
    const cookie = cookieOf(signedIn);
    const strangers: Record<string, string>[] = [{}, { origin: 'https://evil.example' }, { origin: 'null' }];
    for (const from of strangers) {
      expect((await send(REFRESH, { cookie, ...from })).code).toBe('UNAUTHENTICATED');
    }
    expect((await send(REFRESH, { cookie, origin: 'http://localhost:5173' })).code).toBe('none');
  });

  it('cannot be used by a form, a plain text or a GET of another site', async () => {
    const headers = { cookie: cookieOf(signedIn), origin };
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const response = await fetch(system.endpoint, {
        method: 'POST',
        headers: { ...headers, 'content-type': type },
        body: JSON.stringify({ query: REFRESH }),
      });
      expect([type, response.status, response.headers.get('set-cookie')]).toEqual([type, 415, null]);
    }
    const url = `${system.endpoint}?query=${encodeURIComponent(REFRESH)}`;
    for (const more of [{}, { 'apollo-require-preflight': '1' }]) {
      const response = await fetch(url, { headers: { ...headers, ...more } });
      expect([response.status >= 400, response.headers.get('set-cookie')]).toEqual([true, null]);
    }
    expect((await send(REFRESH, headers)).code).toBe('none');
  });

  it('gives way to a token that was sent, and is not needed by who sends one', async () => {
    const other = await send(SIGN_IN);
    const explicit = `mutation { refresh(refreshToken: "${signedIn.session?.refreshToken}") { refreshToken } }`;
    const renewed = await send(explicit, { cookie: cookieOf(other), origin });
    expect(renewed.session?.refreshToken.split('.')[1]).toBe(signedIn.session?.refreshToken.split('.')[1]);
    expect((await send(REFRESH, { cookie: cookieOf(other), origin })).code).toBe('none');
  });

  it('is cleared by signing out and by a refused refresh; used twice it ends the session', async () => {
    const cookie = cookieOf(signedIn);
    const renewed = await send(REFRESH, { cookie, origin });
    const reused = await send(REFRESH, { cookie, origin });
    expect(reused.code).toBe('UNAUTHENTICATED');
    expect(cookieOf(reused)).toBe('custodia_refresh=');
    expect(attributesOf(reused)).toContain('Max-Age=0');
    expect((await send(REFRESH, { cookie: cookieOf(renewed), origin })).code).toBe('UNAUTHENTICATED');
    const again = await send(SIGN_IN);
    const out = await send('mutation { signOut }', { authorization: `Bearer ${again.session?.accessToken}` });
    expect([out.code, cookieOf(out)]).toEqual(['none', 'custodia_refresh=']);
    expect((await send(REFRESH, { cookie: cookieOf(again), origin })).code).toBe('UNAUTHENTICATED');
  });

  it('is cleared by signing out with a token that has run out, which no script could do', async () => {
    for (const authorization of ['Bearer none', '']) {
      const out = await send('mutation { signOut }', { cookie: cookieOf(signedIn), origin, authorization });
      expect([out.code, cookieOf(out)]).toEqual(['UNAUTHENTICATED', 'custodia_refresh=']);
      expect(attributesOf(out)).toContain('Max-Age=0');
    }
  });

  it('is neither set nor cleared by anything else, and absent it is refused and recorded like a wrong token', async () => {
    const { session } = signedIn;
    const me = await send('{ me { id } }', {
      authorization: `Bearer ${session?.accessToken}`,
      cookie: cookieOf(signedIn),
    });
    expect([me.code, me.setCookie]).toEqual(['none', null]);
    const refreshes = async () =>
      (await recordsOf(system, 'system')).filter(({ operation }) => operation === 'refresh');
    const before = (await refreshes()).length;
    expect((await send(REFRESH, { origin })).code).toBe('UNAUTHENTICATED');
    expect((await refreshes()).slice(before)).toEqual([
      expect.objectContaining({ outcome: 'denied', code: 'BAD_TOKEN' }),
    ]);
  });

  it('does not leave when the sign-in cannot be recorded', async () => {
    const { owner } = system.database;
    await owner.query('ALTER TABLE ledger_entry RENAME TO ledger_entry_gone');
    try {
      const answer = await send(SIGN_IN);
      expect([answer.code, answer.setCookie]).toEqual(['AUDIT_UNAVAILABLE', null]);
    } finally {
      await owner.query('ALTER TABLE ledger_entry_gone RENAME TO ledger_entry');
    }
  });
});

describe('a listed origin', () => {
  it('may send credentials and read when to try again; the list is never a wildcard', async () => {
    const api = await secondServer(system, { CUSTODIA_CORS_ORIGINS: LISTED });
    try {
      const allowed = await send('{ __typename }', { origin: LISTED }, api.endpoint);
      expect(allowed.headers.get('access-control-allow-origin')).toBe(LISTED);
      expect(allowed.headers.get('access-control-allow-credentials')).toBe('true');
      expect(allowed.headers.get('access-control-expose-headers')).toContain('retry-after');
      expect(allowed.headers.get('vary')?.toLowerCase()).toContain('origin');
      const signedIn = await send(SIGN_IN, { origin: LISTED }, api.endpoint);
      expect((await send(REFRESH, { origin: LISTED, cookie: cookieOf(signedIn) }, api.endpoint)).code).toBe('none');
      for (const other of [
        'http://localhost:5173',
        'https://evil.example',
        `${LISTED}.evil.example`,
        'http://desk.hospital.example',
      ]) {
        const refused = await send('{ __typename }', { origin: other }, api.endpoint);
        expect([other, refused.headers.get('access-control-allow-origin')]).toEqual([other, null]);
        expect(refused.headers.get('access-control-allow-credentials')).toBeNull();
      }
    } finally {
      await api.close();
    }
  });
});
