import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  bindingOf,
  identityWorld,
  MINUTE,
  refusal,
  type Holder,
  type IdentityWorld,
} from '../../test/support/identity.js';
import { newId } from '../kernel/identifier.js';
import { NO_STEP, matchingStep, TOLERANCE } from './totp.js';

const BINDING = bindingOf('export of this list');
const REFUSED = JSON.stringify([
  'UNAUTHENTICATED',
  'The code was not accepted.',
  'Wait for the next code of your authenticator and try again; a challenge is good for five minutes.',
]);

let world: IdentityWorld;
let holder: Holder;
beforeAll(async () => {
  world = await identityWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  holder = await world.holder();
});

const issue = async (binding = BINDING) => (await world.identity.challenges.issue(holder.session.actor, binding)).id;
const satisfy = (id: string, code = world.code(holder.secret), by = world.identity) =>
  by.satisfyChallenge(holder.session.actor, id, code);
const consume = (id: string, binding = BINDING, by = world.identity) =>
  by.challenges.consume(holder.session.actor, id, binding);
async function satisfied(binding = BINDING): Promise<string> {
  const id = await issue(binding);
  await satisfy(id);
  return id;
}

describe('a challenge', () => {
  it('is used once after it was satisfied, and not before', async () => {
    const challenge = await world.identity.challenges.issue(holder.session.actor, BINDING);
    expect(challenge.methods).toEqual(['totp']);
    expect(challenge.expiresAt.getTime() - world.clock.milliseconds()).toBe(5 * MINUTE);
    expect(await consume(challenge.id)).toBe(false);
    await satisfy(challenge.id);
    expect(await consume(challenge.id)).toBe(true);
    expect(await consume(challenge.id)).toBe(false);
  });

  it('names no method to an account without a factor, which no code helps', async () => {
    const { actor } = await world.signIn(await world.account());
    const { id, methods } = await world.identity.challenges.issue(actor, BINDING);
    expect(methods).toEqual([]);
    expect(await refusal(world.identity.satisfyChallenge(actor, id, '123456'))).toMatchObject({ told: REFUSED });
  });

  it('is used by exactly one of many at once, in any process', async () => {
    const id = await satisfied();
    const uses = Array.from({ length: 20 }, (_, index) =>
      consume(id, BINDING, index % 2 ? world.identity : world.elsewhere),
    );
    expect((await Promise.all(uses)).filter(Boolean)).toHaveLength(1);
  });

  it('opens nothing but the action it was issued for, in the session it was issued to', async () => {
    const id = await satisfied();
    const colleague = await world.holder();
    const abroad = await world.holder('nurse', 'T-US');
    const second = await world.signIn(holder.request, world.code(holder.secret));
    const { consume: use } = world.identity.challenges;
    const by = use.bind(world.identity.challenges);
    const { actor } = holder.session;
    const others: [string, Promise<boolean>][] = [
      ['another selection', by(actor, id, bindingOf('export of another list'))],
      ['no selection', by(actor, id, Buffer.alloc(0))],
      ['another session of the same account', by(second.actor, id, BINDING)],
      ['another account', by(colleague.session.actor, id, BINDING)],
      [
        'another account with this session',
        by({ ...colleague.session.actor, sessionId: actor.sessionId }, id, BINDING),
      ],
      ['another tenant', by(abroad.session.actor, id, BINDING)],
      ['another tenant with this session', by({ ...actor, tenant: 'T-US' }, id, BINDING)],
      ['an id that does not exist', by(actor, newId(), BINDING)],
      ['an id that is none', by(actor, "' OR true --", BINDING)],
    ];
    for (const [what, used] of others) expect([what, await used]).toEqual([what, false]);
    expect(await consume(id)).toBe(true);
  });

  it('ends five minutes after its issue, satisfied or not, and with a clock that was set back', async () => {
    const id = await issue();
    const late = await issue();
    world.clock.advance(4 * MINUTE);
    await satisfy(id);
    world.clock.advance(MINUTE - 1);
    const last = await issue();
    await satisfy(last);
    world.clock.advance(1);
    expect(await consume(id)).toBe(false);
    expect((await refusal(satisfy(late))).told).toBe(REFUSED);
    world.clock.advance(-MINUTE);
    expect(await consume(last)).toBe(false);
    world.clock.advance(MINUTE);
    expect(await consume(last)).toBe(true);
  });

  it('ends with its session, satisfied or not, in every process at once', async () => {
    const { actor } = await world.signIn(holder.request, world.code(holder.secret));
    world.clock.advance(30_000);
    const [id, late] = [1, 2].map(() => world.identity.challenges.issue(actor, BINDING));
    const challenge = (await id)?.id ?? '';
    await world.identity.satisfyChallenge(actor, challenge, world.code(holder.secret));
    await world.identity.signOut(actor);
    world.clock.advance(30_000);
    // Another process may hold the session for living for up to a second.
    expect(await world.elsewhere.challenges.consume(actor, challenge, BINDING)).toBe(false);
    const waiting = (await late)?.id ?? '';
    const refused = await refusal(world.elsewhere.satisfyChallenge(actor, waiting, world.code(holder.secret)));
    expect(refused.told).toBe(REFUSED);
  });

  it('leaves nothing behind: those that are over go when the next one is issued', async () => {
    for (let index = 0; index < 5; index++) await issue();
    world.clock.advance(5 * MINUTE);
    await issue();
    const { rows } = await world.postgres.owner.query(
      'SELECT count(*)::int AS n FROM challenge WHERE account_id = $1',
      [holder.session.actor.id],
    );
    expect(rows[0].n).toBe(1);
  });
});

describe('a code', () => {
  it('is accepted once, whoever asks: sign-ins and challenges in two processes at once', async () => {
    const ids = await Promise.all([issue(), issue(), issue()]);
    const code = world.code(holder.secret);
    const uses = [
      satisfy(ids[0] ?? '', code, world.identity),
      satisfy(ids[1] ?? '', code, world.elsewhere),
      satisfy(ids[2] ?? '', code, world.identity),
      world.signIn(holder.request, code, world.elsewhere),
      world.signIn(holder.request, code, world.identity),
    ];
    const results = await Promise.allSettled(uses);
    expect(results.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    await world.postgres.owner.query('DELETE FROM sign_in_attempt');
    for (const id of ids) expect((await refusal(satisfy(id, code))).told).toBe(REFUSED);
  });

  it('satisfies one of two challenges, and one challenge once, however many try', async () => {
    const id = await issue();
    const uses = [1, 2, 3, 4].map((index) => satisfy(id, undefined, index % 2 ? world.identity : world.elsewhere));
    expect((await Promise.allSettled(uses)).filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    world.clock.advance(MINUTE);
    expect((await refusal(satisfy(id))).told).toBe(REFUSED);
  });

  it('is not used up by a challenge that is not good', async () => {
    expect((await refusal(satisfy(newId()))).told).toBe(REFUSED);
    await satisfy(await issue());
  });

  it('is not good again when the clock is set back', async () => {
    const code = world.code(holder.secret);
    await satisfy(await issue(), code);
    world.clock.advance(10 * MINUTE);
    await satisfy(await issue());
    world.clock.advance(-10 * MINUTE);
    const id = await issue();
    expect((await refusal(satisfy(id, code))).recordedAs).toBe('CODE_REUSED');
  });

  it('follows the model whatever the order: no time step twice, none backwards, none out of its window', async () => {
    const step = fc.record({
      seconds: fc.constantFrom(0, 1, 4, 29, 30, 31, 60),
      windowsBack: fc.constantFrom(0, 0, 1, -1),
    });
    let accepted = matchingStep(holder.secret, world.code(holder.secret), world.clock.milliseconds() - MINUTE, 0);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
        for (const { seconds, windowsBack } of steps) {
          world.clock.advance(seconds * 1000);
          const now = world.clock.milliseconds();
          world.clock.advance(-windowsBack * 30_000);
          const code = world.code(holder.secret);
          world.clock.advance(windowsBack * 30_000);
          const matched = matchingStep(holder.secret, code, now, TOLERANCE.stepUp);
          const expected = matched !== NO_STEP && matched > accepted;
          const { told } = await refusal(satisfy(await issue(), code));
          expect(told).toBe(expected ? 'nothing' : REFUSED);
          if (expected) accepted = matched;
        }
        world.clock.advance(16 * MINUTE);
      }),
      { numRuns: 25 },
    );
  });
});

describe('a refused code', () => {
  it('is told and costs the same, whatever is wrong: the code or the challenge', async () => {
    const used = await satisfied();
    const reused = world.code(holder.secret);
    world.clock.advance(MINUTE);
    const foreign = (await world.identity.challenges.issue((await world.holder()).session.actor, BINDING)).id;
    const right = () => world.code(holder.secret);
    const cases: [string, string, string][] = [
      ['a wrong code', await issue(), world.wrong(holder.secret)],
      ['a used code', await issue(), reused],
      ['full-width digits', await issue(), '１２３４５６'],
      ['a recovery code', await issue(), holder.recoveryCodes[0] ?? ''],
      ['nothing', await issue(), ''],
      ['a foreign challenge', foreign, right()],
      ['an unknown challenge', newId(), right()],
      ['a satisfied challenge', used, right()],
      ['no id', 'x', right()],
    ];
    for (const [what, id, code] of cases) {
      await world.postgres.owner.query('DELETE FROM sign_in_attempt');
      world.done.length = 0;
      expect([what, (await refusal(satisfy(id, code))).told]).toEqual([what, REFUSED]);
      expect([what, ...world.done]).toEqual([
        what,
        'identity_factor',
        'identity_count_code',
        'identity_satisfy_challenge',
      ]);
    }
    // A right one costs what a wrong one costs until it is known to be right.
    const id = await issue();
    world.done.length = 0;
    await satisfy(id);
    expect(world.done).toEqual([
      'identity_factor',
      'identity_count_code',
      'identity_satisfy_challenge',
      'identity_forget_attempts',
    ]);
  });

  it('locks the factor after five, even when all are tried at once, until 15 minutes are over', async () => {
    const id = await issue();
    const wrong = world.wrong(holder.secret);
    const guesses = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        refusal(satisfy(id, wrong, index % 2 ? world.identity : world.elsewhere)),
      ),
    );
    expect(guesses.filter((one) => one.told === REFUSED)).toHaveLength(5);
    const locked = guesses.filter((one) => one.told !== REFUSED);
    expect(locked).toHaveLength(25);
    for (const one of locked) {
      expect(one).toMatchObject({ recordedAs: 'FACTOR_LOCKED', extensions: { retryAfterSeconds: 900 } });
      expect(one.told).toContain('RATE_LIMITED');
    }
    world.clock.advance(15 * MINUTE - 1500);
    const late = await issue();
    expect((await refusal(satisfy(late))).extensions).toEqual({ retryAfterSeconds: 2 });
    // The right password does not help, nor does another session: the lock is the factor's.
    expect((await refusal(world.signIn(holder.request, world.code(holder.secret)))).recordedAs).toBe('FACTOR_LOCKED');
    world.clock.advance(1500);
    await satisfy(late);
  });

  it('counts whether it was tried at sign-in or here, and only who knows the password can count', async () => {
    const wrong = world.wrong(holder.secret);
    for (let index = 0; index < 4; index++) {
      await refusal(world.signIn({ ...holder.request, password: 'not the password' }, wrong));
    }
    const id = await issue();
    for (let index = 0; index < 3; index++) expect((await refusal(satisfy(id, wrong))).told).toBe(REFUSED);
    expect((await refusal(world.signIn(holder.request, wrong))).recordedAs).toBe('BAD_CODE');
    expect((await refusal(satisfy(id, wrong))).told).toBe(REFUSED);
    expect((await refusal(satisfy(id))).recordedAs).toBe('FACTOR_LOCKED');
  });
});
