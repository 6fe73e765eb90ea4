import { createHmac, createSecretKey, hash, randomBytes } from 'node:crypto';
import { Identity, type SignedIn, type SignInRequest } from '../../src/identity/identity.js';
import { Passwords } from '../../src/identity/password.js';
import { totpCode } from '../../src/identity/totp.js';
import type { Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { Failure } from '../../src/kernel/failure.js';
import type { Database } from '../../src/persistence/database.js';
import type { Queryable, Statement } from '../../src/persistence/statement.js';
import { TokenSealer } from '../../src/vault/token.js';
import { testDatabase, type TestDatabase } from './postgres.js';

export const MINUTE = 60_000;
export const PASSWORD = 'a sentence to enter by';

/** An account with a confirmed factor, and the session that confirmed it. */
export interface Holder {
  readonly request: SignInRequest;
  readonly session: SignedIn;
  readonly secret: string;
  readonly recoveryCodes: readonly string[];
}

/** Identity in two processes on one database, under one clock. Everything that costs is written down in `done`. */
export interface IdentityWorld {
  readonly postgres: TestDatabase;
  readonly clock: ManualClock;
  readonly identity: Identity;
  readonly elsewhere: Identity;
  readonly done: string[];
  /** A new account that has no factor yet. */
  account(role?: Role, tenant?: string): Promise<SignInRequest>;
  /** A new account with a factor; its last used time step is over. */
  holder(role?: Role, tenant?: string): Promise<Holder>;
  signIn(request: SignInRequest, code?: string, by?: Identity): Promise<SignedIn>;
  /** The code that an authenticator shows now. */
  code(secret: string): string;
  /** A code that is wrong now and was wrong a minute ago. */
  wrong(secret: string): string;
  demand(tenant: string, roles: readonly Role[]): Promise<void>;
  close(): Promise<void>;
}

export async function identityWorld(): Promise<IdentityWorld> {
  const postgres = await testDatabase();
  await postgres.owner.query(`
    INSERT INTO tenant (id, name, country, time_zone, created_at) VALUES
      ('T-CN', 'Ward', 'CN', 'Asia/Shanghai', now()), ('T-US', 'Ward', 'US', 'America/New_York', now())`);
  const clock = new ManualClock(Date.UTC(2026, 10, 21));
  const done: string[] = [];
  const tokenKey = createSecretKey(randomBytes(32));
  const digestKey = randomBytes(32);
  const sealer = new TokenSealer(createSecretKey(randomBytes(32)));
  const digest = (tenant: string, label: string, text: string) =>
    createHmac('sha256', digestKey).update(`${tenant}\n${label}\n${text}`).digest();
  const process = () =>
    new Identity({
      database: counted(postgres.app, done),
      clock,
      tokenKey,
      digest,
      sealing: {
        seal: (label, context, payload) => sealer.seal(label, context, payload),
        open: (label, context, token) => sealer.open(label, context, token),
      },
      passwords: new CountedPasswords(done),
      sleep: async () => undefined,
    });
  const identity = process();
  let number = 0;

  const world: IdentityWorld = {
    postgres,
    clock,
    identity,
    elsewhere: process(),
    done,
    async account(role = 'nurse', tenant = 'T-CN') {
      const request = { tenant, email: `person${++number}@hospital.example`, password: PASSWORD };
      await identity.createAccount({ ...request, role });
      return request;
    },
    async holder(role, tenant) {
      const request = await world.account(role, tenant);
      const session = await world.signIn(request);
      const { secret } = await identity.enrolTotp(session.actor);
      const recoveryCodes = await identity.confirmTotp(session.actor, world.code(secret));
      clock.advance(MINUTE);
      return { request, session, secret, recoveryCodes };
    },
    signIn: (request, code, by = identity) =>
      by.signIn({ ...request, code }, `198.51.${++number >> 8}.${number & 255}`),
    code: (secret) => totpCode(secret, clock.milliseconds()),
    wrong(secret) {
      const right = new Set([0, 1, 2].map((back) => totpCode(secret, clock.milliseconds() - back * 30_000)));
      return ['000000', '111111', '222222', '333333'].find((one) => !right.has(one)) ?? '';
    },
    async demand(tenant, roles) {
      await postgres.owner.query('UPDATE tenant SET factor_roles = $2 WHERE id = $1', [tenant, roles]);
    },
    close: () => postgres.close(),
  };
  return world;
}

/** 32 bytes that stand for an action. */
export function bindingOf(action: string): Buffer {
  return hash('sha256', action, 'buffer');
}

/** What a refusal tells: all of it, with what only the record is told. */
export async function refusal(
  work: Promise<unknown>,
): Promise<{ told: string; recordedAs: string; extensions: unknown }> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { code, message, nextStep, options } = error;
    return {
      told: JSON.stringify([code, message, nextStep]),
      recordedAs: options.recordedAs ?? code,
      extensions: options.extensions,
    };
  }
  return { told: 'nothing', recordedAs: 'nothing', extensions: undefined };
}

class CountedPasswords extends Passwords {
  constructor(private readonly done: string[]) {
    super();
  }

  override verify(stored: string | null, normalised: string | null): Promise<boolean> {
    this.done.push('argon2id');
    return super.verify(stored, normalised);
  }
}

function counted(database: Database, done: string[]): Database {
  const note = (statement: Statement) => void done.push(statement.name ?? statement.text);
  const query = (tenant: string | null, statement: Statement) => {
    note(statement);
    return database.query(tenant, statement);
  };
  const transaction = <T>(tenant: string | null, work: (transaction: Queryable) => Promise<T>) =>
    database.transaction(tenant, (inner) =>
      work({
        query(statement) {
          note(statement);
          return inner.query(statement);
        },
      }),
    );
  return { query, transaction } as unknown as Database;
}
