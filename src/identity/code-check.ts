import type { Clock } from '../kernel/clock.js';
import { SYSTEM, type AttemptStore } from './attempt.store.js';
import type { FactorRow } from './factor.store.js';
import { matchingStep, newTotpSecret, NO_STEP } from './totp.js';

const LIMITS = { account: 5, duration: 15 * 60_000 } as const;

/** One try of a code: already counted as failed. */
export interface CodeTry {
  /** Its time step; NO_STEP for a wrong code, and for every code of a factor that is locked. */
  readonly step: number;
  /** Seconds until the next try is admitted; 0 when this one was. */
  readonly wait: number;
  /** What {@link CodeCheck.forgive} takes back. */
  readonly key: Buffer;
}

/** Whose factor: tenant code and account id, or what stands for an account that does not exist. */
export interface FactorOwner {
  readonly tenant: string;
  readonly id: string;
}

/** Sealing of secrets that only this room opens. `context` must be the same for both. */
export interface Sealing {
  readonly seal: (label: string, context: string, payload: string) => string;
  readonly open: (label: string, context: string, token: string) => string | null;
}

const LABEL = 'totp-secret';

/**
 * Compares codes with a factor's secret: five tries in 15 minutes for a factor, over sign-in, confirmation and step-up
 * together. Which factor is meant follows from the account, never from the request. The only code that opens secrets.
 */
export class CodeCheck {
  /** Compared with where there is no factor, so that its absence costs the same. */
  private readonly decoy = newTotpSecret();

  constructor(
    private readonly attempts: AttemptStore,
    private readonly clock: Clock,
    private readonly digest: (tenant: string, label: string, text: string) => Buffer,
    private readonly sealing: Sealing,
  ) {}

  /** Bound to account and factor: a sealed secret that was moved to another row does not open. */
  seal(owner: FactorOwner, factorId: string, secret: string): string {
    return this.sealing.seal(LABEL, contextOf(owner, factorId), secret);
  }

  /**
   * Counts a try and then makes it.
   * @param factor null: there is none; its owner is counted in its place, and no code is right
   * @param tolerance seconds, see TOLERANCE
   */
  async attempt(owner: FactorOwner, factor: FactorRow | null, code: string, tolerance: number): Promise<CodeTry> {
    const key = this.digest(SYSTEM, 'identity.factor', `${owner.tenant}\n${factor?.id ?? `none ${owner.id}`}`);
    const now = this.clock.now();
    const { failures, locked_until } = await this.attempts.countCode(key, LIMITS, now);
    const secret = factor === null ? null : this.sealing.open(LABEL, contextOf(owner, factor.id), factor.sealed_secret);
    const step = matchingStep(secret ?? this.decoy, code, now.getTime(), tolerance);
    const admitted = failures <= LIMITS.account;
    const wait = admitted ? 0 : Math.max(1, Math.ceil(((locked_until ?? now).getTime() - now.getTime()) / 1000));
    return { step: admitted && secret !== null ? step : NO_STEP, wait, key };
  }

  /** The code was right and is used: the factor's tries start anew. */
  async forgive(...keys: readonly Buffer[]): Promise<void> {
    await this.attempts.forget(keys, LIMITS, this.clock.now());
  }
}

function contextOf({ tenant, id }: FactorOwner, factorId: string): string {
  return JSON.stringify([tenant, id, factorId]);
}
