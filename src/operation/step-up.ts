import { hash } from 'node:crypto';
import type { Challenges } from '../identity/challenges.js';
import { Failure } from '../kernel/failure.js';
import type { AnyOperation } from './operation.js';
import type { Scope } from './scope.js';

/** What is asked for, without the challenge: the same before and after a second factor was given. */
export function askedFor(input: unknown): object {
  const { challengeId: _challenge, ...selection } = Object(input) as { readonly challengeId?: unknown };
  return selection;
}

/**
 * A second factor for one action (RFC 9470 in spirit: the answer says what is needed). The challenge is bound to session,
 * operation, input, purpose and policy, so that it opens nothing else; a change of the policy makes it worthless.
 */
export class StepUp {
  constructor(private readonly challenges: Challenges) {}

  /**
   * Uses the satisfied challenge that the input names, or throws STEP_UP_REQUIRED with a new one in its extensions. Asked
   * before any row is looked up: whether something exists is not told. What fails afterwards needs a new challenge.
   * @param maxAge seconds from the challenge to its use, where a policy says less than the life of every challenge
   */
  async demand(operation: AnyOperation, scope: Scope, input: unknown, maxAge?: number): Promise<void> {
    const { challengeId } = Object(input) as { readonly challengeId?: string | null };
    const binding = hash(
      'sha256',
      JSON.stringify([
        scope.actor.sessionId,
        operation.name,
        operation.action,
        askedFor(input),
        scope.purpose,
        scope.services.policy.hash,
      ]),
      'buffer',
    );
    if (challengeId && (await this.challenges.consume(scope.actor, challengeId, binding))) return;
    const { id, methods, expiresAt } = await this.challenges.issue(scope.actor, binding, maxAge);
    throw new Failure(
      'STEP_UP_REQUIRED',
      'This needs a second factor.',
      methods.length === 0
        ? 'Enrol a second factor with enrolTotp and confirmTotp, then ask again.'
        : 'Call satisfyChallenge with a code, then send the same request with challengeId.',
      { extensions: { challenge: { id, methods, expiresAt: expiresAt.toISOString() } } },
    );
  }
}
