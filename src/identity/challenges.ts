import type { Actor } from '../kernel/actor.js';
import type { Clock } from '../kernel/clock.js';
import { isId, newId } from '../kernel/identifier.js';
import type { ChallengeStore } from './challenge.store.js';
import type { CodeCheck } from './code-check.js';
import type { FactorStore } from './factor.store.js';
import { codeRefused, factorLocked, moment } from './factors.js';
import { TOLERANCE } from './totp.js';

/** Seconds. */
const CHALLENGE_LIFE = 300;

/** What a caller is told of a challenge. */
export interface Challenge {
  readonly id: string;
  readonly methods: readonly 'totp'[];
  readonly expiresAt: Date;
}

/**
 * Step-up: a pending row per action, bound to session and selection; unlocked by a code, used once within five minutes of
 * its issue. A TOTP code cannot be bound to an action cryptographically: the row is what binds it.
 */
export class Challenges {
  constructor(
    private readonly store: ChallengeStore,
    private readonly factors: FactorStore,
    private readonly check: CodeCheck,
    private readonly clock: Clock,
  ) {}

  /**
   * A pending challenge for one action of this session. `methods` is [] when the account has no confirmed factor.
   * @param binding 32 bytes: SHA-256 over all that the action is
   * @param life seconds from now to its end, five minutes at most: the code that unlocks it is not older when it is used
   */
  async issue(actor: Actor, binding: Buffer, life = CHALLENGE_LIFE): Promise<Challenge> {
    const now = this.clock.now();
    const id = newId();
    const expiresAt = new Date(now.getTime() + Math.min(life, CHALLENGE_LIFE) * 1000);
    const hasFactor = await this.store.issue(actor, { id, binding, now, expiresAt });
    return { id, methods: hasFactor ? ['totp'] : [], expiresAt };
  }

  /**
   * Unlocks a challenge by a TOTP code. A wrong code, a used one, and a challenge that is unknown, foreign, over or satisfied
   * already: UNAUTHENTICATED, the same bytes at the same cost. RATE_LIMITED after five failures. A recovery code is a wrong
   * code here.
   */
  async satisfy(actor: Actor, id: string, code: string): Promise<void> {
    const factor = await this.factors.confirmed(actor.tenant, actor.id);
    const tried = await this.check.attempt(actor, factor, code, TOLERANCE.stepUp);
    const challenge = { id: isId(id) ? id : newId(), ...moment(this.clock) };
    const satisfied = await this.factors.satisfy(actor, factor?.id ?? null, tried.step, challenge);
    if (tried.wait > 0) throw factorLocked(tried);
    if (!satisfied) throw codeRefused(tried);
    await this.check.forgive(tried.key);
  }

  /** Uses a satisfied challenge: true once, for the same session and binding. */
  async consume(actor: Actor, id: string, binding: Buffer): Promise<boolean> {
    return isId(id) && this.store.use(actor, { id, binding, ...moment(this.clock) });
  }
}
