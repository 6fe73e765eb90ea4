import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../kernel/clock.js';
import type { Admission } from './admission.js';
import { SYSTEM, type Attempts, type AttemptStore } from './attempt.store.js';
import { clientNetwork, isTenantCode, normaliseEmail } from './credentials.js';
import type { Accepted } from './factor.store.js';
import type { Factors } from './factors.js';
import type { IdentityStore, SignInRow } from './identity.store.js';
import { normalisePassword, type Passwords } from './password.js';
import { Unauthenticated, type RefusalReason } from './unauthenticated.js';

const ATTEMPT_LIMITS = { account: 5, address: 20, duration: 15 * 60_000 } as const;
const UNHURRIED_FAILURES = 3;
const FIRST_DELAY = 250;
const LONGEST_DELAY = 4_000;
/** Stands for every tenant code that cannot be one, so that its statements are the same as for any other. */
const NO_TENANT = '-';

export interface SignInRequest {
  readonly tenant: string;
  readonly email: string;
  readonly password: string;
  /** Code of the second factor, or a recovery code. An empty one is none. */
  readonly code?: string | null;
}

/** Keyed digest (HMAC): what of an e-mail or an address reaches the database. Only ever asked for the system's key. */
export type Digest = (tenant: string, label: string, text: string) => Buffer;

export interface SignInDependencies {
  readonly store: IdentityStore;
  readonly attempts: AttemptStore;
  readonly factors: Factors;
  readonly passwords: Passwords;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly digest: Digest;
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
}

/** Whom a sign-in let in. */
export interface Admitted {
  readonly tenant: string;
  readonly accountId: string;
  readonly factor: Accepted;
}

/** Decides who is let in, before there is a session. Everything wrong is told in the same bytes and costs the same. */
export class SignIns {
  private readonly sleep: (milliseconds: number) => Promise<unknown>;

  constructor(private readonly parts: SignInDependencies) {
    this.sleep = parts.sleep ?? delay;
  }

  /** Throws Unauthenticated, or RATE_LIMITED when the machine is busy with other sign-ins. See Identity.signIn. */
  async admit(request: SignInRequest, clientAddress: string): Promise<Admitted> {
    const { admission, attempts: counters, clock, digest, factors, passwords, store } = this.parts;
    const asked = clock.milliseconds();
    const tenant = isTenantCode(request.tenant) ? request.tenant : NO_TENANT;
    const email = normaliseEmail(request.email);
    const addressKey = digest(SYSTEM, 'identity.address', clientNetwork(clientAddress));
    const accountKey = digest(SYSTEM, 'identity.attempt', `${tenant}\n${email}`);

    // Counting happens inside the admission: an honest crowd behind one address has two attempts under way, not fifty.
    const { attempts, refusal, account, accepted } = await admission.run(async () => {
      const now = clock.now();
      const attempts = await counters.countAttempt(addressKey, accountKey, ATTEMPT_LIMITS, now);
      const account = await store.signInRow(tenant, emailIndexOf(digest, tenant, email), now);
      const matches = await passwords.verify(account.password_hash, normalisePassword(request.password));
      const earlier = refusalOf(attempts, account, matches);
      const known = earlier === null ? account : null;
      const factor = await factors.atSignIn(tenant, known, request.code ?? '', accountKey.toString('hex'));
      const unproven = earlier ?? factor.refusal;
      if (unproven === null) {
        await counters.forgiveAddress(addressKey, ATTEMPT_LIMITS);
        await counters.forget([accountKey, ...factor.forgive], ATTEMPT_LIMITS, now);
      }
      // Told to nobody else than to who has proven that the account is his.
      const refusal = unproven ?? (account.review_overdue ? 'REVIEW_OVERDUE' : null);
      return { attempts, refusal, account, accepted: factor.accepted };
    });

    const wait = asked + delayAfter(attempts) - clock.milliseconds();
    if (wait > 0) await this.sleep(wait);
    const known = account.tenant_exists ? tenant : null;
    if (refusal !== null || account.id === null) {
      throw new Unauthenticated(refusal ?? 'UNKNOWN_ACCOUNT', {
        tenant: known,
        actor: account.reference,
        session: null,
      });
    }
    return { tenant, accountId: account.id, factor: accepted };
  }
}

/** Under the system's key with the tenant in the text: a tenant that does not exist has no key, and must cost the same. */
export function emailIndexOf(digest: Digest, tenant: string, email: string): Buffer {
  return digest(SYSTEM, 'identity.email', `${tenant}\n${email}`);
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
