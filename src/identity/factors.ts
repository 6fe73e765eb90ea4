import type { Actor } from '../kernel/actor.js';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import type { CodeCheck, CodeTry, FactorOwner } from './code-check.js';
import type { Accepted, FactorStore } from './factor.store.js';
import type { SignInRow } from './identity.store.js';
import { newRecoveryCodes, newTotpSecret, NO_STEP, otpauthUri, recoveryHash, TOLERANCE } from './totp.js';
import type { RefusalReason } from './unauthenticated.js';

/** How long after its sign-in a session may enrol a factor, and how long an enrolled factor waits for its first code. */
const SIGN_IN_FRESHNESS = 5 * 60_000;
const CONFIRMATION_TIME = 15 * 60_000;

/** By how much the clocks of two API processes may differ. */
const CLOCK_SKEW = 30_000;

/** Now, and the latest moment at which another process can have made something. */
export function moment(clock: Clock): { now: Date; latest: Date } {
  const now = clock.now();
  return { now, latest: new Date(now.getTime() + CLOCK_SKEW) };
}

/** A factor that is not confirmed yet. The secret is shown this once. */
export interface Enrolment {
  /** Base32. */
  readonly secret: string;
  /** `otpauth://`, for a QR code. */
  readonly uri: string;
}

/** What a sign-in brought beside the password. */
export interface FactorAtSignIn {
  readonly refusal: RefusalReason | null;
  readonly accepted: Accepted;
  /** Keys of counters that a successful sign-in clears. */
  readonly forgive: readonly Buffer[];
}

/** The second factors of accounts: enrolled, confirmed, shown at sign-in. Challenges show them for one action. */
export class Factors {
  constructor(
    private readonly store: FactorStore,
    private readonly check: CodeCheck,
    private readonly clock: Clock,
  ) {}

  /**
   * A new factor, or null when the session has proved too little for it: see FactorStore.enrol.
   * @param binding of the challenge that permits it
   */
  async enrol(actor: Actor, binding: Buffer): Promise<Enrolment | null> {
    const { now, latest } = moment(this.clock);
    const id = newId();
    const secret = newTotpSecret();
    const sealed_secret = this.check.seal(actor, id, secret);
    const since = new Date(now.getTime() - SIGN_IN_FRESHNESS);
    if (!(await this.store.enrol(actor, { id, sealed_secret }, { since, now, latest, binding }))) return null;
    return { secret, uri: otpauthUri(secret, `${actor.tenant} ${actor.role}`) };
  }

  /**
   * Makes the enrolled factor the account's factor, by its first code. Returns the recovery codes, this once.
   * Throws BAD_USER_INPUT when nothing waits for a code, UNAUTHENTICATED for a wrong one, RATE_LIMITED after five.
   */
  async confirm(actor: Actor, code: string): Promise<readonly string[]> {
    const factor = await this.store.pending(
      actor.tenant,
      actor.id,
      new Date(this.clock.milliseconds() - CONFIRMATION_TIME),
    );
    if (factor === null) {
      throw new Failure(
        'BAD_USER_INPUT',
        'There is no factor to confirm.',
        'Call enrolTotp, and confirm within 15 minutes.',
      );
    }
    const tried = await this.check.attempt(actor, factor, code, TOLERANCE.signIn);
    if (tried.wait > 0) throw factorLocked(tried);
    const codes = newRecoveryCodes();
    const hashes = codes.map((one) => recoveryHash(one) ?? Buffer.alloc(0));
    const confirmed =
      tried.step !== NO_STEP && (await this.store.confirm(actor, factor.id, tried.step, hashes, this.clock.now()));
    if (!confirmed) throw codeRefused(tried);
    await this.check.forgive(tried.key);
    return codes;
  }

  /**
   * What a sign-in says about the second factor. Only where everything else is right is a factor tried; elsewhere the same
   * statements run on nothing, so that a wrong password costs what a wrong code costs.
   * @param account null when the sign-in is refused anyway
   * @param standIn counted in place of a factor where there is none
   */
  async atSignIn(tenant: string, account: SignInRow | null, code: string, standIn: string): Promise<FactorAtSignIn> {
    const { factor_id: id = null, sealed_secret = null, factor_demanded: demanded = false } = account ?? {};
    if (code === '') {
      return { refusal: demanded && id !== null ? 'FACTOR_REQUIRED' : null, accepted: null, forgive: [] };
    }
    const owner: FactorOwner = { tenant, id: account?.id ?? standIn };
    const factor = id === null || sealed_secret === null ? null : { id, sealed_secret };
    const tried = await this.check.attempt(owner, factor, code, TOLERANCE.signIn);
    const recovery = tried.wait > 0 ? null : recoveryHash(code);
    const accepted = await this.store.useAtSignIn(tenant, id, { step: tried.step, recovery }, this.clock.now());
    const refusal = factor === null || accepted !== null ? null : reasonOf(tried);
    return { refusal, accepted, forgive: [tried.key] };
  }
}

function reasonOf({ wait, step }: CodeTry): RefusalReason {
  if (wait > 0) return 'FACTOR_LOCKED';
  return step === NO_STEP ? 'BAD_CODE' : 'CODE_REUSED';
}

/** The one answer to a code that is wrong or was used, and to a challenge that is not good: the same bytes. */
export function codeRefused(tried: CodeTry): Failure {
  return new Failure(
    'UNAUTHENTICATED',
    'The code was not accepted.',
    'Wait for the next code of your authenticator and try again; a challenge is good for five minutes.',
    { recordedAs: reasonOf(tried) },
  );
}

export function factorLocked({ wait }: CodeTry): Failure {
  return new Failure('RATE_LIMITED', 'Too many codes were tried.', 'Wait before the next one.', {
    recordedAs: 'FACTOR_LOCKED',
    extensions: { retryAfterSeconds: wait },
  });
}
