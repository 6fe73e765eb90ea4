import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { ManualClock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';
import type { Statement } from '../persistence/statement.js';
import { Identity, type SignInRequest } from './identity.js';
import { Passwords } from './password.js';
import { Unauthenticated } from './unauthenticated.js';

const MINUTE = 60_000;
const PASSWORD = 'a sentence to enter by';
const tokenKey = createSecretKey(randomBytes(32));
const digestKey = randomBytes(32);
const digest = (tenant: string, label: string, text: string) =>
  createHmac('sha256', digestKey).update(`${tenant}\n${label}\n${text}`).digest();
const sealing = { seal: () => '', open: () => null };

/** Everything a sign-in costs, in order. */
class Work extends Passwords {
  readonly done: string[] = [];

  override verify(stored: string | null, normalised: string | null): Promise<boolean> {
    this.done.push('argon2id');
    return super.verify(stored, normalised);
  }

  count(database: Database): Database {
    const query = (tenant: string | null, statement: Statement) => {
      this.done.push(statement.name ?? statement.text);
      return database.query(tenant, statement);
    };
    return { query, transaction: database.transaction.bind(database) } as unknown as Database;
  }
}

let postgres: TestDatabase;
let clock: ManualClock;
let work: Work;
let slept: number[];
let identity: Identity;
let number = 0;

beforeAll(async () => {
  postgres = await testDatabase();
  await postgres.owner.query(`
    INSERT INTO tenant (id, name, country, time_zone, created_at) VALUES
      ('T-CN', 'Ward', 'CN', 'Asia/Shanghai', now()), ('T-US', 'Ward', 'US', 'America/New_York', now())
    ON CONFLICT DO NOTHING`);
});
afterAll(() => postgres.close());

beforeEach(() => {
  clock = new ManualClock(Date.UTC(2026, 10, 21));
  work = new Work();
  slept = [];
  const sleep = async (milliseconds: number) => {
    slept.push(milliseconds);
  };
  identity = new Identity({
    database: work.count(postgres.app),
    clock,
    tokenKey,
    digest,
    sealing,
    passwords: work,
    sleep,
  });
});

/** An e-mail and an address that no other test has counted against. */
function newcomer(): { request: SignInRequest; address: string } {
  number += 1;
  return {
    request: { tenant: 'T-CN', email: `person${number}@hospital.example`, password: PASSWORD },
    address: `198.51.${number >> 8}.${number & 255}`,
  };
}

async function account() {
  const one = newcomer();
  const created = await identity.createAccount({ ...one.request, role: 'physician' });
  work.done.length = 0;
  return { ...one, created };
}

async function refusal(attempt: Promise<unknown>): Promise<Unauthenticated> {
  const error = await attempt.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Unauthenticated);
  return error as Unauthenticated;
}

describe('signing in', () => {
  it('starts a session of the account, with its role, reference and time zone looked up', async () => {
    const { request, address, created } = await account();
    const signedIn = await identity.signIn({ ...request, email: ` ${request.email.toUpperCase()}` }, address);
    expect(signedIn.actor).toEqual({
      acr: 'pwd',
      id: created.id,
      tenant: 'T-CN',
      role: 'physician',
      sessionId: signedIn.session,
      reference: created.reference,
      careTeamIds: [],
      patientIds: [],
      emergencyPatientIds: [],
      compartmentGrants: [],
      factorMissing: false,
      timeZone: 'Asia/Shanghai',
      country: 'CN',
    });
    expect(signedIn.expiresAt.getTime() - clock.milliseconds()).toBe(10 * MINUTE);
    expect(await identity.authenticate(signedIn.accessToken)).toEqual(signedIn.actor);
    expect(identity.me(signedIn.actor)).toEqual({
      id: created.id,
      tenant: 'T-CN',
      role: 'physician',
      patientIds: [],
      factorMissing: false,
    });
  });

  it('costs the same and answers the same whatever is wrong, and says only to the record what it was', async () => {
    const known = await account();
    const disabled = await account();
    await identity.disable('T-CN', disabled.created.id);
    const cases: [string, SignInRequest, string | null][] = [
      ['BAD_PASSWORD', { ...known.request, password: 'a sentence to stay out' }, known.created.reference],
      ['BAD_PASSWORD', { ...known.request, password: '' }, known.created.reference],
      ['BAD_PASSWORD', { ...known.request, password: 'x'.repeat(100_000) }, known.created.reference],
      ['DISABLED', disabled.request, disabled.created.reference],
      ['UNKNOWN_ACCOUNT', newcomer().request, null],
      ['UNKNOWN_ACCOUNT', { ...newcomer().request, email: '\u0000'.repeat(9_999) }, null],
      ['UNKNOWN_ACCOUNT', { ...known.request, tenant: 'T-US' }, null],
      ['UNKNOWN_TENANT', { ...known.request, tenant: 'T-XX' }, null],
      ['UNKNOWN_TENANT', { ...known.request, tenant: 'system' }, null],
      ['UNKNOWN_TENANT', { ...known.request, tenant: "T-CN' \u0000 é" }, null],
    ];
    for (const [reason, request, reference] of cases) {
      work.done.length = 0;
      const error = await refusal(identity.signIn(request, newcomer().address));
      expect(error.options).toEqual({ recordedAs: reason });
      expect(error.suspect).toEqual({
        tenant: reason === 'UNKNOWN_TENANT' ? null : request.tenant,
        actor: reference,
        session: null,
      });
      expect([error.code, error.message, error.nextStep]).toEqual([
        'UNAUTHENTICATED',
        'The credentials were not accepted.',
        'Sign in again; after repeated failures, wait 15 minutes.',
      ]);
      expect(work.done).toEqual(['identity_count_attempt', 'identity_sign_in', 'argon2id']);
    }
    expect(slept).toEqual([]);
  });

  it('slows down and locks after five failures, in the same way for an account that does not exist', async () => {
    const known = await account();
    const unknown = newcomer();
    const nowhere = { ...newcomer(), request: { ...newcomer().request, tenant: 'T-XX' } };
    for (const { request, address } of [known, unknown, nowhere]) {
      slept.length = 0;
      for (let attempt = 1; attempt <= 9; attempt++) {
        work.done.length = 0;
        const error = await refusal(identity.signIn({ ...request, password: 'wrong password' }, address));
        if (request.tenant === 'T-CN') expect(error.options.recordedAs === 'LOCKED').toBe(attempt > 5);
        expect(work.done).toEqual(['identity_count_attempt', 'identity_sign_in', 'argon2id']);
      }
      expect(slept).toEqual([250, 500, 1000, 2000, 4000, 4000]);
    }

    expect((await refusal(identity.signIn(known.request, '192.0.2.1'))).options.recordedAs).toBe('LOCKED');
    clock.advance(15 * MINUTE - 1);
    expect((await refusal(identity.signIn(known.request, '192.0.2.1'))).options.recordedAs).toBe('LOCKED');
    clock.advance(1);
    await expect(identity.signIn(known.request, '192.0.2.1')).resolves.toBeDefined();
  });

  it('counts failures within fifteen minutes, and a success starts anew', async () => {
    const { request, address } = await account();
    const fail = async () =>
      (await refusal(identity.signIn({ ...request, password: 'wrong' }, address))).options.recordedAs;
    for (let round = 0; round < 3; round++) {
      for (let attempt = 0; attempt < 4; attempt++) expect(await fail()).toBe('BAD_PASSWORD');
      if (round === 0) await identity.signIn(request, address);
      else clock.advance(15 * MINUTE);
    }
    expect(await fail()).toBe('BAD_PASSWORD');
  });

  it('admits five guesses of any number that arrive at once', async () => {
    const { request, address } = await account();
    const guesses = Array.from({ length: 30 }, (_, index) =>
      identity.signIn({ ...request, password: index === 29 ? PASSWORD : 'wrong password' }, address),
    );
    const reasons = await Promise.all(guesses.map(async (guess) => (await refusal(guess)).options.recordedAs));
    expect(reasons.filter((reason) => reason === 'BAD_PASSWORD')).toHaveLength(5);
    expect(new Set(reasons)).toEqual(new Set(['BAD_PASSWORD', 'LOCKED', 'ADDRESS_LOCKED']));
  });

  it('lets an honest crowd in, and turns a stampede away before it costs anything', async () => {
    const { request, address } = await account();
    const crowd = await Promise.all(Array.from({ length: 30 }, () => identity.signIn(request, address)));
    expect(new Set(crowd.map((one) => one.session)).size).toBe(30);

    work.done.length = 0;
    const stampede = await Promise.allSettled(Array.from({ length: 100 }, () => identity.signIn(request, address)));
    const turnedAway = stampede.flatMap((one) => (one.status === 'rejected' ? [one.reason as Failure] : []));
    expect(turnedAway.map((failure) => failure.code)).toEqual(Array(34).fill('RATE_LIMITED'));
    expect(work.done.filter((step) => step === 'argon2id')).toHaveLength(66);
  });

  it('locks an address after twenty failures over any accounts, without locking the accounts it tries', async () => {
    const { request } = await account();
    const { address } = newcomer();
    for (let attempt = 1; attempt <= 19; attempt++) await refusal(identity.signIn(newcomer().request, address));
    await identity.signIn(request, address);
    await refusal(identity.signIn(newcomer().request, address));
    for (let attempt = 0; attempt < 9; attempt++) {
      const error = await refusal(identity.signIn({ ...request, password: 'wrong' }, address));
      expect(error.options.recordedAs).toBe('ADDRESS_LOCKED');
    }
    expect(slept).toEqual(Array(9).fill(4000));
    await expect(identity.signIn(request, newcomer().address)).resolves.toBeDefined();
    clock.advance(15 * MINUTE);
    await expect(identity.signIn(request, address)).resolves.toBeDefined();
  });

  it('forgets old counters', async () => {
    for (let attempt = 0; attempt < 3; attempt++) {
      await refusal(identity.signIn(newcomer().request, newcomer().address));
    }
    const { request, address } = await account();
    clock.advance(31 * MINUTE);
    await identity.signIn(request, address);
    const left = await postgres.owner.query('SELECT 1 FROM sign_in_attempt WHERE window_start < $1', [
      new Date(clock.milliseconds() - 30 * MINUTE),
    ]);
    expect(left.rowCount).toBe(0);
  });
});

describe('an account', () => {
  it('is made once per tenant and e-mail, and stays as it is', async () => {
    const { request, created, address } = await account();
    const again = await identity.createAccount({ ...request, role: 'nurse', password: 'another sentence' });
    expect(again).toEqual(created);
    const elsewhere = await identity.createAccount({ ...request, tenant: 'T-US', role: 'nurse' });
    expect(elsewhere.id).not.toBe(created.id);
    const together = await Promise.all(
      Array.from({ length: 5 }, () => identity.createAccount({ ...newcomer().request, email: 'x@y', role: 'nurse' })),
    );
    expect(new Set(together.map((one) => one.id)).size).toBe(1);
    expect((await identity.signIn(request, address)).actor.role).toBe('physician');
  });

  it('is refused with a bad name or a bad password', async () => {
    const { request } = newcomer();
    for (const bad of [
      { password: 'short' },
      { password: `my ${request.email}` },
      { email: 'nobody' },
      { tenant: '-' },
    ]) {
      await expect(identity.createAccount({ ...request, role: 'nurse', ...bad })).rejects.toMatchObject({
        code: 'BAD_USER_INPUT',
      });
    }
  });
});
