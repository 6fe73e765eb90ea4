import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { identityWorld, MINUTE, PASSWORD, refusal, type IdentityWorld } from '../../test/support/identity.js';
import type { SignedIn } from './identity.js';

const NOT_LET_IN = JSON.stringify([
  'UNAUTHENTICATED',
  'The credentials were not accepted.',
  'Sign in again; after repeated failures, wait 15 minutes.',
]);

let world: IdentityWorld;
beforeAll(async () => {
  world = await identityWorld();
});
afterAll(() => world.close());

const now = async (session: SignedIn, by = world.identity) => by.authenticate(session.accessToken);

/** A holder whose sign-in was long ago; every code is of a window of its own. */
async function replaceable() {
  const { request, session, secret } = await world.holder();
  world.clock.advance(6 * MINUTE);
  const code = () => {
    world.clock.advance(30_000);
    return world.code(secret);
  };
  return { request, session: { actor: session.actor, code } };
}

describe('enrolling a second factor', () => {
  it('makes one that counts from its first code on, and shows secret and recovery codes once', async () => {
    const request = await world.account();
    const { actor } = await world.signIn(request);
    const { secret, uri } = await world.identity.enrolTotp(actor);
    expect(uri).toContain(`secret=${secret}&issuer=Custodia`);
    // Not confirmed: a sign-in needs no code, and a code given all the same is not looked at.
    await world.signIn(request);
    await world.signIn(request, world.wrong(secret));

    expect((await refusal(world.identity.confirmTotp(actor, world.wrong(secret)))).recordedAs).toBe('BAD_CODE');
    const code = world.code(secret);
    const codes = await world.identity.confirmTotp(actor, code);
    expect(codes).toHaveLength(10);
    expect((await refusal(world.identity.confirmTotp(actor, code))).told).toContain('BAD_USER_INPUT');
    expect((await refusal(world.signIn(request, code))).recordedAs).toBe('CODE_REUSED');
    world.clock.advance(30_000);
    expect((await world.signIn(request, world.code(secret))).factor).toBe('CODE');
  });

  it('leaves nothing in clear in any table', async () => {
    const { secret, recoveryCodes } = await world.holder();
    const { rows } = await world.postgres.owner.query(
      `SELECT (SELECT string_agg(f::text, ' ') FROM totp_factor f) AS factors,
              (SELECT string_agg(c::text || encode(hash, 'escape'), ' ') FROM recovery_code c) AS codes`,
    );
    for (const needle of [secret, ...recoveryCodes]) {
      expect(rows[0].factors).not.toContain(needle);
      expect(rows[0].codes).not.toContain(needle);
    }
  });

  it('counts the newest only, for fifteen minutes, and locks it after five wrong codes', async () => {
    const request = await world.account();
    const { actor } = await world.signIn(request);
    const first = await world.identity.enrolTotp(actor);
    world.clock.advance(1);
    const second = await world.identity.enrolTotp(actor);
    expect((await refusal(world.identity.confirmTotp(actor, world.code(first.secret)))).recordedAs).toBe('BAD_CODE');
    world.clock.advance(15 * MINUTE);
    expect((await refusal(world.identity.confirmTotp(actor, world.code(second.secret)))).told).toContain(
      'BAD_USER_INPUT',
    );

    const later = await world.signIn(request);
    const { secret } = await world.identity.enrolTotp(later.actor);
    const wrong = Array.from({ length: 20 }, () =>
      refusal(world.identity.confirmTotp(later.actor, world.wrong(secret))),
    );
    const told = (await Promise.all(wrong)).map((one) => one.recordedAs);
    expect(told.filter((one) => one === 'BAD_CODE')).toHaveLength(5);
    expect(told.filter((one) => one === 'FACTOR_LOCKED')).toHaveLength(15);
    expect((await refusal(world.identity.confirmTotp(later.actor, world.code(secret)))).extensions).toEqual({
      retryAfterSeconds: 900,
    });
  });

  it('confirms once of many at once', async () => {
    const { actor } = await world.signIn(await world.account());
    const { secret } = await world.identity.enrolTotp(actor);
    const tries = [1, 2, 3, 4].map((index) =>
      (index % 2 ? world.identity : world.elsewhere).confirmTotp(actor, world.code(secret)),
    );
    expect((await Promise.allSettled(tries)).filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    const { rows } = await world.postgres.owner.query(
      `SELECT count(*)::int AS n FROM recovery_code c JOIN totp_factor f ON f.id = c.factor_id WHERE f.account_id = $1`,
      [actor.id],
    );
    expect(rows[0].n).toBe(10);
  });

  it('is begun within five minutes of the sign-in: who finds a session open has no factor in it', async () => {
    const request = await world.account();
    const { actor } = await world.signIn(request);
    world.clock.advance(5 * MINUTE + 1);
    const refused = await refusal(world.identity.enrolTotp(actor));
    expect(refused.told).toContain('STEP_UP_REQUIRED');
    expect(refused.told).toContain('Sign in again');
    expect(refused.extensions).toMatchObject({ challenge: { methods: [] } });
    await world.identity.enrolTotp((await world.signIn(request)).actor);
  });

  it('is replaced by the challenge for it alone, and once: a code for another action opens nothing', async () => {
    const { session } = await replaceable();
    const { actor } = session;
    const other = await world.identity.challenges.issue(actor, Buffer.alloc(32));
    await world.identity.satisfyChallenge(actor, other.id, session.code());
    const refused = await refusal(world.identity.enrolTotp(actor));
    expect(refused.told).toContain('STEP_UP_REQUIRED');
    const { id } = (refused.extensions as { challenge: { id: string } }).challenge;
    await world.identity.satisfyChallenge(actor, id, session.code());
    const tries = [1, 2, 3].map((at) => (at % 2 ? world.identity : world.elsewhere).enrolTotp(actor));
    expect((await Promise.allSettled(tries)).filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    expect(await world.identity.challenges.consume(actor, id, Buffer.alloc(32))).toBe(false);
  });

  it('is not replaced by a challenge of another session, nor after five minutes, nor after signing out', async () => {
    const one = await replaceable();
    const stranger = await world.signIn(one.request);
    const satisfied = async () => {
      const { extensions } = await refusal(world.identity.enrolTotp(one.session.actor));
      const { id } = (extensions as { challenge: { id: string } }).challenge;
      await world.identity.satisfyChallenge(one.session.actor, id, one.session.code());
    };
    await satisfied();
    expect((await refusal(world.identity.enrolTotp(stranger.actor))).told).toContain('STEP_UP_REQUIRED');
    world.clock.advance(5 * MINUTE);
    expect((await refusal(world.identity.enrolTotp(one.session.actor))).told).toContain('STEP_UP_REQUIRED');
    await satisfied();
    await world.identity.signOut(one.session.actor);
    expect((await refusal(world.elsewhere.enrolTotp(one.session.actor))).told).toContain('STEP_UP_REQUIRED');
  });

  it('in place of another needs the other, shown within five minutes, and ends what stood on it', async () => {
    const { request, secret, session, recoveryCodes } = await world.holder();
    const stranger = await world.signIn(request);
    const refused = await refusal(world.identity.enrolTotp(stranger.actor));
    expect(refused.told).toContain('STEP_UP_REQUIRED');
    const { challenge } = refused.extensions as { challenge: { id: string; methods: string[] } };
    expect(challenge.methods).toEqual(['totp']);
    world.clock.advance(5 * MINUTE);
    expect((await refusal(world.identity.enrolTotp(session.actor))).told).toContain('STEP_UP_REQUIRED');

    const fresh = await world.signIn(request, world.code(secret));
    const stepped = await refusal(world.identity.enrolTotp(stranger.actor));
    const { id } = (stepped.extensions as { challenge: { id: string } }).challenge;
    world.clock.advance(30_000);
    await world.identity.satisfyChallenge(stranger.actor, id, world.code(secret));
    await world.identity.enrolTotp(stranger.actor);

    const successor = await world.identity.enrolTotp(fresh.actor);
    await world.identity.confirmTotp(fresh.actor, world.code(successor.secret));
    expect((await refusal(now(stranger))).recordedAs).toBe('SESSION_ENDED');
    await now(fresh);
    world.clock.advance(MINUTE);
    for (const dead of [world.code(secret), recoveryCodes[0]]) {
      expect((await refusal(world.signIn(request, dead))).told).toBe(NOT_LET_IN);
    }
    await world.signIn(request, world.code(successor.secret));
  });

  it('that was begun before there was a factor does not replace it', async () => {
    const request = await world.account();
    const [one, other] = [await world.signIn(request), await world.signIn(request)];
    const planted = await world.identity.enrolTotp(one.actor);
    const own = await world.identity.enrolTotp(other.actor);
    await world.identity.confirmTotp(other.actor, world.code(own.secret));
    expect((await refusal(world.identity.confirmTotp(one.actor, world.code(planted.secret)))).told).toContain(
      'BAD_USER_INPUT',
    );
    const racing = await world.account();
    const { actor } = await world.signIn(racing);
    const mine = await world.identity.enrolTotp(actor);
    const thief = await world.signIn(racing);
    await Promise.allSettled([
      world.identity.confirmTotp(actor, world.code(mine.secret)),
      ...[1, 2, 3].map(() => world.elsewhere.enrolTotp(thief.actor)),
    ]);
    const { rows } = await world.postgres.owner.query(
      `SELECT count(*) FILTER (WHERE confirmed_at IS NOT NULL)::int AS confirmed, count(*)::int AS living
         FROM totp_factor WHERE account_id = $1 AND ended_at IS NULL`,
      [actor.id],
    );
    // Whoever was first: a factor that is confirmed has no rival that waits.
    expect(rows[0].living).toBe(1);
  });
});

describe('signing in where a factor is demanded', () => {
  it('needs the code of who has one; without it the answer and the cost are those of a wrong password', async () => {
    const { request, secret } = await world.holder('auditor');
    await world.signIn(request);
    await world.demand('T-CN', ['auditor']);
    const noCode = ['identity_count_attempt', 'identity_sign_in', 'argon2id'];
    const withCode = [...noCode, 'identity_count_code', 'identity_use_factor'];
    const nobody = { tenant: 'T-CN', email: 'nobody@hospital.example', password: PASSWORD };
    const wrong = world.wrong(secret);
    const cases: [string, typeof request, string | undefined, string[]][] = [
      ['FACTOR_REQUIRED', request, undefined, noCode],
      ['FACTOR_REQUIRED', request, '', noCode],
      ['BAD_PASSWORD', { ...request, password: 'not the password' }, undefined, noCode],
      ['BAD_CODE', request, wrong, withCode],
      ['BAD_CODE', request, '１２３４５６', withCode],
      ['BAD_CODE', request, ` ${world.code(secret)}`, withCode],
      ['BAD_CODE', request, `${wrong.slice(0, 3)} ${wrong.slice(3)}`, withCode],
      ['BAD_CODE', request, 'A'.repeat(24), withCode],
      ['BAD_PASSWORD', { ...request, password: 'not the password' }, world.code(secret), withCode],
      ['UNKNOWN_ACCOUNT', nobody, wrong, withCode],
      ['UNKNOWN_TENANT', { ...nobody, tenant: 'T-XX' }, wrong, withCode],
    ];
    for (const [reason, who, code, cost] of cases) {
      await world.postgres.owner.query('DELETE FROM sign_in_attempt');
      world.done.length = 0;
      expect(await refusal(world.signIn(who, code))).toEqual({
        told: NOT_LET_IN,
        recordedAs: reason,
        extensions: undefined,
      });
      expect([reason, ...world.done]).toEqual([reason, ...cost]);
    }
    const session = await world.signIn(request, world.code(secret));
    expect([session.factor, session.actor.factorMissing]).toEqual(['CODE', false]);
    await world.demand('T-CN', []);
  });

  it('lets who has none in to enrol one, and the demand reaches running sessions within a second', async () => {
    const request = await world.account('auditor');
    const before = await world.signIn(request);
    expect(before.actor.factorMissing).toBe(false);
    await world.demand('T-CN', ['auditor', 'billing']);
    world.clock.advance(1000);
    expect((await now(before)).factorMissing).toBe(true);
    const session = await world.signIn(request);
    expect(session.actor.factorMissing).toBe(true);
    expect((await world.identity.refresh(session.refreshToken)).actor.factorMissing).toBe(true);
    const { secret } = await world.identity.enrolTotp(session.actor);
    await world.identity.confirmTotp(session.actor, world.code(secret));
    expect((await now(session)).factorMissing).toBe(false);
    expect((await now(before)).factorMissing).toBe(true);
    expect((await world.signIn(await world.account('nurse'))).actor.factorMissing).toBe(false);
    await world.demand('T-CN', []);
  });

  it('takes the code of the window before, and none that is to come', async () => {
    const { request, secret } = await world.holder();
    world.clock.advance(30_000 - (world.clock.milliseconds() % 30_000));
    const before = world.code(secret);
    world.clock.advance(30_000);
    await world.signIn(request, before);
    world.clock.advance(30_000);
    const future = world.code(secret);
    world.clock.advance(-1000);
    expect((await refusal(world.signIn(request, future))).recordedAs).toBe('BAD_CODE');
    world.clock.advance(1000);
    await world.signIn(request, future);
    world.clock.advance(60_000);
    expect((await refusal(world.signIn(request, future))).recordedAs).toBe('BAD_CODE');
  });
});

describe('a recovery code', () => {
  it('signs in once, even when it comes ten times at once, and ends every other session', async () => {
    const { request, session, recoveryCodes } = await world.holder();
    const [first, second = ''] = recoveryCodes;
    const other = await world.signIn(request);
    await now(other, world.elsewhere);
    const tries = [1, 2, 3, 4, 5].map((index) =>
      world.signIn(request, first, index % 2 ? world.identity : world.elsewhere),
    );
    const done = (await Promise.allSettled(tries)).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(done.map((one) => one.factor)).toEqual(['RECOVERY']);
    for (const old of [session, other]) expect((await refusal(now(old))).recordedAs).toBe('SESSION_ENDED');
    world.clock.advance(16 * MINUTE);
    expect((await refusal(now(other, world.elsewhere))).recordedAs).toBe('BAD_TOKEN');
    expect((await refusal(world.signIn(request, first))).told).toBe(NOT_LET_IN);
    // It stands for the lost factor: it opens the replacement, and nothing else.
    const fresh = await world.signIn(request, second);
    await world.identity.enrolTotp(fresh.actor);
    const { id } = await world.identity.challenges.issue(fresh.actor, Buffer.alloc(32));
    expect((await refusal(world.identity.satisfyChallenge(fresh.actor, id, recoveryCodes[2] ?? ''))).recordedAs).toBe(
      'BAD_CODE',
    );
    expect(await world.identity.challenges.consume(fresh.actor, id, Buffer.alloc(32))).toBe(false);
    await world.signIn(request, recoveryCodes[2]);
  });

  it('of another account, or with a wrong password, is none', async () => {
    const [one, other] = [await world.holder(), await world.holder()];
    const code = one.recoveryCodes[0];
    expect((await refusal(world.signIn(other.request, code))).told).toBe(NOT_LET_IN);
    expect((await refusal(world.signIn({ ...one.request, password: 'not the password' }, code))).told).toBe(NOT_LET_IN);
    await world.signIn(one.request, code);
  });
});
