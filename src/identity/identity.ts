import { hash, type KeyObject } from 'node:crypto';
import { ROLES, type Actor, type Role } from '../kernel/actor.js';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import type { Database } from '../persistence/database.js';
import { AccessTokens } from './access-token.js';
import { Admission } from './admission.js';
import { AttemptStore, SYSTEM } from './attempt.store.js';
import { ChallengeStore } from './challenge.store.js';
import { Challenges } from './challenges.js';
import { CodeCheck, type Sealing } from './code-check.js';
import { isEmail, isTenantCode, normaliseEmail } from './credentials.js';
import { FactorStore, type Accepted } from './factor.store.js';
import { Factors, type Enrolment } from './factors.js';
import { IdentityStore, type AccountRow } from './identity.store.js';
import { actorIn, actorOf, LiveSessions, suspectOf } from './live-sessions.js';
import { acceptNewPassword, Passwords } from './password.js';
import { newRefreshToken, readRefreshToken } from './refresh-token.js';
import { emailIndexOf, SignIns, type Digest, type SignInRequest } from './sign-in.js';
import { Unauthenticated } from './unauthenticated.js';

export type { SignInRequest };

const ACCESS_LIFE = 10 * 60_000;
const SESSION_LIFE = 12 * 3_600_000;
/** Two hashes leave two of libuv's four threads to files and names, and about 40 MiB are in use at most. */
const HASHES_AT_ONCE = 2;
const LONGEST_QUEUE = 64;
/** A role that no person has: its account has no password, and nobody signs in with it. */
const MACHINE_ROLE = 'reminder_service' satisfies Role;

export interface NewAccount extends Omit<SignInRequest, 'code'> {
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
  /** What was shown beside the password; null for nothing, and for a refresh. */
  readonly factor: Accepted;
}

export interface IdentityDependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** HMAC key of access tokens. Whoever has it can speak for every living session. */
  readonly tokenKey: KeyObject;
  /** Keyed digest (HMAC): what of an e-mail or an address reaches the database. Only ever asked for the system's key. */
  readonly digest: Digest;
  /** Seals the secrets of second factors. */
  readonly sealing: Sealing;
  readonly passwords?: Passwords;
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
}

/**
 * Token → Actor, and the ways to get a token. Every refusal is an {@link Unauthenticated}; an unknown tenant, an unknown
 * account, a wrong password and a lock cost the same statements, one Argon2id run and the same waiting time. It writes
 * no ledger records: whoever calls it does.
 */
export class Identity {
  readonly challenges: Challenges;
  private readonly store: IdentityStore;
  private readonly signIns: SignIns;
  private readonly factors: Factors;
  private readonly sessions: LiveSessions;
  private readonly tokens: AccessTokens;
  private readonly passwords: Passwords;
  private readonly clock: Clock;
  private readonly digest: Digest;
  private readonly admission = new Admission(HASHES_AT_ONCE, LONGEST_QUEUE);

  constructor(dependencies: IdentityDependencies) {
    const { database, clock, digest, sealing } = dependencies;
    this.store = new IdentityStore(database);
    const attempts = new AttemptStore(database);
    const factorStore = new FactorStore(database);
    const check = new CodeCheck(attempts, clock, digest, sealing);
    this.factors = new Factors(factorStore, check, clock);
    this.challenges = new Challenges(new ChallengeStore(database), factorStore, check, clock);
    this.sessions = new LiveSessions(this.store, clock);
    this.tokens = new AccessTokens(dependencies.tokenKey);
    this.passwords = dependencies.passwords ?? new Passwords();
    this.clock = clock;
    this.digest = digest;
    this.signIns = new SignIns({
      store: this.store,
      attempts,
      factors: this.factors,
      passwords: this.passwords,
      admission: this.admission,
      clock,
      digest,
      sleep: dependencies.sleep,
    });
  }

  /**
   * Starts a session. Throws Unauthenticated, or RATE_LIMITED when the machine is busy with other sign-ins. After three
   * failures the answer, good or bad, comes no sooner than 250 ms · 2^n, at most 4 s, after the question.
   */
  async signIn(request: SignInRequest, clientAddress: string): Promise<SignedIn> {
    const { tenant, accountId, factor } = await this.signIns.admit(request, clientAddress);
    // The recovery code has ended the account's other sessions.
    if (factor === 'RECOVERY') this.sessions.forgetAll();
    return this.startSession(tenant, accountId, factor);
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
      const closed = rotation.session.review_overdue ? 'REVIEW_OVERDUE' : 'SESSION_ENDED';
      const reason = rotation.outcome === 'reused' ? 'REFRESH_REUSED' : closed;
      throw new Unauthenticated(reason, suspectOf(tenant, rotation.session));
    }
    return this.tokensFor(actorOf(tenant, rotation.session), rotation.session.expires_at, successor.text, null);
  }

  /** Ends the actor's session: when this resolves, its tokens are refused. */
  async signOut(actor: Actor): Promise<void> {
    await this.store.endSession(actor.tenant, actor.sessionId, 'SIGN_OUT', this.clock.now());
    this.sessions.forget(actor);
  }

  /**
   * The actor of an access token: at once when its session was looked up within the last second, else a promise.
   * Throws or rejects with Unauthenticated; a lost database is not hidden behind it.
   * @param use false for what goes on without the person (an open subscription): it keeps no idle session alive.
   */
  authenticate(accessToken: string, use = true): Actor | Promise<Actor> {
    const claim = this.tokens.verify(accessToken, this.clock.milliseconds());
    if (claim === null) throw new Unauthenticated('BAD_TOKEN');
    return this.sessions.actor(claim, use);
  }

  me({ id, tenant, role, patientIds, factorMissing }: Actor) {
    return { id, tenant, role, patientIds, factorMissing };
  }

  /**
   * Begins a second factor, within five minutes of the sign-in: somebody who finds a session open has none of his own in
   * it. An account that has one shows it, at the sign-in or by the challenge that STEP_UP_REQUIRED brings, which opens one
   * enrolment. A code that was given for another action opens none.
   */
  async enrolTotp(actor: Actor): Promise<Enrolment> {
    const binding = hash('sha256', `enrolTotp\n${actor.sessionId}`, 'buffer');
    const enrolment = await this.factors.enrol(actor, binding);
    if (enrolment !== null) return enrolment;
    const { id, methods, expiresAt } = await this.challenges.issue(actor, binding);
    const isFirst = methods.length === 0;
    throw new Failure(
      'STEP_UP_REQUIRED',
      isFirst
        ? 'A second factor is enrolled only by who has just signed in.'
        : 'A second factor is replaced only by who has just shown it.',
      isFirst
        ? 'Sign in again, then call enrolTotp within five minutes.'
        : 'Call satisfyChallenge with a code, or sign in with one; then call enrolTotp within five minutes.',
      { extensions: { challenge: { id, methods, expiresAt: expiresAt.toISOString() } } },
    );
  }

  /** Confirms the enrolled factor by its first code, and returns the recovery codes, this once. See Factors.confirm. */
  async confirmTotp(actor: Actor, code: string): Promise<readonly string[]> {
    const codes = await this.factors.confirm(actor, code);
    this.sessions.forgetAll();
    return codes;
  }

  /** See Challenges.satisfy. The session has shown its factor then: none is missing any more. */
  async satisfyChallenge(actor: Actor, id: string, code: string): Promise<void> {
    await this.challenges.satisfy(actor, id, code);
    this.sessions.forget(actor);
  }

  /**
   * The account as it is now, for work that goes on after its request: whether a factor was missing was asked when the
   * request began. `sessionId` is carried for the records only. Null when the account is unknown, disabled or locked.
   */
  async actorOf(tenant: string, accountId: string, sessionId: string): Promise<Actor | null> {
    const row = await this.store.livingAccount(tenant, accountId, this.clock.now());
    return row === null ? null : actorIn(tenant, sessionId, row);
  }

  /** The account of a machine, made when it is first asked for. Throws FORBIDDEN when it was disabled. */
  async machine(tenant: string, role: typeof MACHINE_ROLE): Promise<Actor> {
    const index = this.digest(SYSTEM, 'identity.machine', `${tenant}\n${role}`);
    const account =
      (await this.store.findAccount(tenant, index)) ??
      (await this.storeAccount(tenant, { emailIndex: index, role, passwordHash: null }));
    const actor = await this.actorOf(tenant, account.id, newId());
    if (actor !== null) return actor;
    throw new Failure('FORBIDDEN', `The account of ${role} is disabled.`, 'Ask the security team.');
  }

  /**
   * For set-up. An e-mail that has an account keeps it as it is, password and role included. Throws BAD_USER_INPUT.
   */
  async createAccount(account: NewAccount): Promise<AccountRow> {
    const email = normaliseEmail(account.email);
    refuseMachineRole(account.role);
    if (!isTenantCode(account.tenant) || !isEmail(email)) {
      throw new Failure('BAD_USER_INPUT', 'The tenant code or the e-mail is malformed.', 'Correct it.');
    }
    const emailIndex = emailIndexOf(this.digest, account.tenant, email);
    const existing = await this.store.findAccount(account.tenant, emailIndex);
    if (existing !== null) return existing;
    const password = acceptNewPassword(account.password, email);
    const passwordHash = await this.admission.run(() => this.passwords.hash(password));
    return this.storeAccount(account.tenant, { emailIndex, role: account.role, passwordHash });
  }

  /** In effect here at once, in other processes within a second. */
  async changeRole(tenant: string, accountId: string, role: Role): Promise<void> {
    if (!ROLES.includes(role)) throw new Failure('BAD_USER_INPUT', 'There is no such role.', 'Use a role code.');
    refuseMachineRole(role);
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

  private async storeAccount(
    tenant: string,
    account: { emailIndex: Buffer; role: Role; passwordHash: string | null },
  ): Promise<AccountRow> {
    await this.store.createAccount(tenant, { ...account, now: this.clock.now() });
    const created = await this.store.findAccount(tenant, account.emailIndex);
    if (created === null) throw new Failure('INTERNAL_SERVER_ERROR', 'The account was not stored.', 'Try again.');
    return created;
  }

  private async startSession(tenant: string, accountId: string, factor: Accepted): Promise<SignedIn> {
    const now = this.clock.now();
    const id = newId();
    const refresh = newRefreshToken(tenant, id);
    const expiresAt = new Date(now.getTime() + SESSION_LIFE);
    const factorAt = factor === null ? null : now;
    await this.store.createSession(tenant, { id, accountId, refreshHash: refresh.hash, now, expiresAt, factorAt });
    const session = await this.store.session(tenant, id, now);
    if (session === null || !this.sessions.isLive(session)) {
      throw new Unauthenticated('SESSION_ENDED', suspectOf(tenant, session));
    }
    return this.tokensFor(actorOf(tenant, session), expiresAt, refresh.text, factor);
  }

  private tokensFor(actor: Actor, sessionEnd: Date, refreshToken: string, factor: Accepted): SignedIn {
    const end = Math.min(this.clock.milliseconds() + ACCESS_LIFE, sessionEnd.getTime());
    const accessToken = this.tokens.issue({ tenant: actor.tenant, sessionId: actor.sessionId }, end);
    return { session: actor.sessionId, actor, accessToken, refreshToken, expiresAt: new Date(end), factor };
  }
}

function refuseMachineRole(role: Role): void {
  if (role !== MACHINE_ROLE) return;
  throw new Failure('BAD_USER_INPUT', "This role is a machine's.", 'Use the role of a person.');
}
