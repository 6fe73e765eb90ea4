import type { KeyObject } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ROLES, type Actor, type Role } from '../kernel/actor.js';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import type { Database } from '../persistence/database.js';
import { AccessTokens } from './access-token.js';
import { Admission } from './admission.js';
import { clientNetwork, isEmail, isTenantCode, normaliseEmail } from './credentials.js';
import { SYSTEM, IdentityStore, type AccountRow, type Attempts, type SignInRow } from './identity.store.js';
import { actorOf, LiveSessions, suspectOf } from './live-sessions.js';
import { acceptNewPassword, normalisePassword, Passwords } from './password.js';
import { newRefreshToken, readRefreshToken } from './refresh-token.js';
import { Unauthenticated, type RefusalReason } from './unauthenticated.js';

const ACCESS_LIFE = 10 * 60_000;
const SESSION_LIFE = 12 * 3_600_000;
const ATTEMPT_LIMITS = { account: 5, address: 20, duration: 15 * 60_000 } as const;
const UNHURRIED_FAILURES = 3;
const FIRST_DELAY = 250;
const LONGEST_DELAY = 4_000;
/** Two hashes leave two of libuv's four threads to files and names, and about 40 MiB are in use at most. */
const HASHES_AT_ONCE = 2;
const LONGEST_QUEUE = 64;
/** Stands for every tenant code that cannot be one, so that its statements are the same as for any other. */
const NO_TENANT = '-';

export interface SignInRequest {
  readonly tenant: string;
  readonly email: string;
  readonly password: string;
}

export interface NewAccount extends SignInRequest {
  readonly role: Role;
}

/** A session's tokens, and the actor for the record of the sign-in. */
export interface SignedIn {
  /** Session id. */
  readonly session: string;
  readonly actor: Actor;
  readonly accessToken: string;
  readonly refreshToken: string;
  /** When the access token ends. */
  readonly expiresAt: Date;
}

export interface IdentityDependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** HMAC key of access tokens. Whoever has it can speak for every living session. */
  readonly tokenKey: KeyObject;
  /** Keyed digest (HMAC): what of an e-mail or an address reaches the database. Only ever asked for the system's key. */
  readonly digest: (tenant: string, label: string, text: string) => Buffer;
  readonly passwords?: Passwords;
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
}

/**
 * Token → Actor, and the ways to get a token. Every refusal is an {@link Unauthenticated}; an unknown tenant, an unknown
 * account, a wrong password and a lock cost the same statements, one Argon2id run and the same waiting time. It writes
 * no ledger records: whoever calls it does.
 */
export class Identity {
  private readonly store: IdentityStore;
  private readonly sessions: LiveSessions;
  private readonly tokens: AccessTokens;
  private readonly passwords: Passwords;
  private readonly clock: Clock;
  private readonly digest: IdentityDependencies['digest'];
  private readonly sleep: (milliseconds: number) => Promise<unknown>;
  private readonly admission = new Admission(HASHES_AT_ONCE, LONGEST_QUEUE);

  constructor(dependencies: IdentityDependencies) {
    this.store = new IdentityStore(dependencies.database);
    this.sessions = new LiveSessions(this.store, dependencies.clock);
    this.tokens = new AccessTokens(dependencies.tokenKey);
    this.passwords = dependencies.passwords ?? new Passwords();
    this.clock = dependencies.clock;
    this.digest = dependencies.digest;
    this.sleep = dependencies.sleep ?? delay;
  }

  /**
   * Starts a session. Throws Unauthenticated, or RATE_LIMITED when the machine is busy with other sign-ins. After three
   * failures the answer, good or bad, comes no sooner than 250 ms · 2^n, at most 4 s, after the question.
   */
  async signIn(request: SignInRequest, clientAddress: string): Promise<SignedIn> {
    const asked = this.clock.milliseconds();
    const tenant = isTenantCode(request.tenant) ? request.tenant : NO_TENANT;
    const email = normaliseEmail(request.email);
    const addressKey = this.digest(SYSTEM, 'identity.address', clientNetwork(clientAddress));
    const accountKey = this.digest(SYSTEM, 'identity.attempt', `${tenant}\n${email}`);

    // Counting happens inside the admission: an honest crowd behind one address has two attempts under way, not fifty.
    const { attempts, refusal, account } = await this.admission.run(async () => {
      const now = this.clock.now();
      const attempts = await this.store.countAttempt(addressKey, accountKey, ATTEMPT_LIMITS, now);
      const account = await this.store.signInRow(tenant, this.emailIndex(tenant, email));
      const matches = await this.passwords.verify(account.password_hash, normalisePassword(request.password));
      const refusal = refusalOf(attempts, account, matches);
      if (refusal === null) await this.store.forgive(addressKey, accountKey, ATTEMPT_LIMITS, now);
      return { attempts, refusal, account };
    });

    const wait = asked + delayAfter(attempts) - this.clock.milliseconds();
    if (wait > 0) await this.sleep(wait);
    const known = account.tenant_exists ? tenant : null;
    if (refusal !== null || account.id === null) {
      throw new Unauthenticated(refusal ?? 'UNKNOWN_ACCOUNT', {
        tenant: known,
        actor: account.reference,
        session: null,
      });
    }
    return this.startSession(tenant, account.id);
  }

  /**
   * Exchanges a refresh token, once. Presenting it a second time ends the session and every token of it. A refresh is not
   * use: only requests keep an idle session alive, so an open browser tab does not. Throws Unauthenticated.
   */
  async refresh(refreshToken: string): Promise<SignedIn> {
    const presented = readRefreshToken(refreshToken);
    if (presented === null) throw new Unauthenticated('BAD_TOKEN');
    const { tenant, sessionId } = presented;
    const successor = newRefreshToken(tenant, sessionId);
    const rotation = await this.store.rotate(presented, successor.hash, this.clock.now(), (session) =>
      this.sessions.isLive(session),
    );
    if (rotation.outcome === 'unknown') throw new Unauthenticated('BAD_TOKEN');
    if (rotation.outcome !== 'rotated') {
      this.sessions.forget(presented);
      const reason = rotation.outcome === 'reused' ? 'REFRESH_REUSED' : 'SESSION_ENDED';
      throw new Unauthenticated(reason, suspectOf(tenant, rotation.session));
    }
    return this.tokensFor(actorOf(tenant, rotation.session), rotation.session.expires_at, successor.text);
  }

  /** Ends the actor's session: when this resolves, its tokens are refused. */
  async signOut(actor: Actor): Promise<void> {
    await this.store.endSession(actor.tenant, actor.sessionId, 'SIGN_OUT', this.clock.now());
    this.sessions.forget(actor);
  }

  /**
   * The actor of an access token: at once when its session was looked up within the last second, else a promise.
   * Throws or rejects with Unauthenticated; a lost database is not hidden behind it.
   */
  authenticate(accessToken: string): Actor | Promise<Actor> {
    const claim = this.tokens.verify(accessToken, this.clock.milliseconds());
    if (claim === null) throw new Unauthenticated('BAD_TOKEN');
    return this.sessions.actor(claim);
  }

  me(actor: Actor): { id: string; tenant: string; role: Role } {
    return { id: actor.id, tenant: actor.tenant, role: actor.role };
  }

  /**
   * For set-up. An e-mail that has an account keeps it as it is, password and role included. Throws BAD_USER_INPUT.
   */
  async createAccount(account: NewAccount): Promise<AccountRow> {
    const email = normaliseEmail(account.email);
    if (!isTenantCode(account.tenant) || !isEmail(email)) {
      throw new Failure('BAD_USER_INPUT', 'The tenant code or the e-mail is malformed.', 'Correct it.');
    }
    const emailIndex = this.emailIndex(account.tenant, email);
    const existing = await this.store.findAccount(account.tenant, emailIndex);
    if (existing !== null) return existing;
    const password = acceptNewPassword(account.password, email);
    const passwordHash = await this.admission.run(() => this.passwords.hash(password));
    const { tenant, role } = account;
    await this.store.createAccount(tenant, { emailIndex, role, passwordHash, now: this.clock.now() });
    const created = await this.store.findAccount(tenant, emailIndex);
    if (created === null) throw new Failure('INTERNAL_SERVER_ERROR', 'The account was not stored.', 'Try again.');
    return created;
  }

  /** In effect here at once, in other processes within a second. */
  async changeRole(tenant: string, accountId: string, role: Role): Promise<void> {
    if (!ROLES.includes(role)) throw new Failure('BAD_USER_INPUT', 'There is no such role.', 'Use a role code.');
    await this.store.changeRole(tenant, accountId, role);
    this.sessions.forgetAll();
  }

  /** Closes the account and ends its sessions: here at once, in other processes within a second. */
  async disable(tenant: string, accountId: string): Promise<void> {
    await this.store.disable(tenant, accountId, this.clock.now());
    this.sessions.forgetAll();
  }

  /** Waits for the writes that no request waits for. Call before the database is closed. */
  async close(): Promise<void> {
    await this.sessions.settle();
  }

  private async startSession(tenant: string, accountId: string): Promise<SignedIn> {
    const now = this.clock.now();
    const id = newId();
    const refresh = newRefreshToken(tenant, id);
    const expiresAt = new Date(now.getTime() + SESSION_LIFE);
    await this.store.createSession(tenant, { id, accountId, refreshHash: refresh.hash, now, expiresAt });
    const session = await this.store.session(tenant, id);
    if (session === null || !this.sessions.isLive(session)) {
      throw new Unauthenticated('SESSION_ENDED', suspectOf(tenant, session));
    }
    return this.tokensFor(actorOf(tenant, session), expiresAt, refresh.text);
  }

  private tokensFor(actor: Actor, sessionEnd: Date, refreshToken: string): SignedIn {
    const end = Math.min(this.clock.milliseconds() + ACCESS_LIFE, sessionEnd.getTime());
    const accessToken = this.tokens.issue({ tenant: actor.tenant, sessionId: actor.sessionId }, end);
    return { session: actor.sessionId, actor, accessToken, refreshToken, expiresAt: new Date(end) };
  }

  /** Under the system's key with the tenant in the text: a tenant that does not exist has no key, and must cost the same. */
  private emailIndex(tenant: string, email: string): Buffer {
    return this.digest(SYSTEM, 'identity.email', `${tenant}\n${email}`);
  }
}

function refusalOf(attempts: Attempts, account: SignInRow, matches: boolean): RefusalReason | null {
  if (!account.tenant_exists) return 'UNKNOWN_TENANT';
  if (attempts.account === null) return 'ADDRESS_LOCKED';
  if (attempts.account > ATTEMPT_LIMITS.account) return 'LOCKED';
  if (account.id === null) return 'UNKNOWN_ACCOUNT';
  if (!matches) return 'BAD_PASSWORD';
  return account.disabled ? 'DISABLED' : null;
}

/** Milliseconds between question and answer, at least, by the failures before this attempt. */
function delayAfter(attempts: Attempts): number {
  if (attempts.account === null) return LONGEST_DELAY;
  const excess = attempts.account - 1 - UNHURRIED_FAILURES;
  return excess < 0 ? 0 : Math.min(FIRST_DELAY * 2 ** excess, LONGEST_DELAY);
}
