import { Failure } from '../kernel/failure.js';

/** Asks for something that may need a second factor: where it does, satisfies the challenge and asks again. */
export async function withFactor(
  ask: (challengeId: string | null) => Promise<unknown>,
  satisfy: (challengeId: string) => Promise<void>,
): Promise<void> {
  try {
    await ask(null);
  } catch (error) {
    const challengeId = challengeOf(error);
    if (challengeId === null) throw error;
    await satisfy(challengeId);
    await ask(challengeId);
  }
}

/** The challenge that a refusal asks to satisfy; null where it asks for something else. */
function challengeOf(error: unknown): string | null {
  if (!(error instanceof Failure) || error.code !== 'STEP_UP_REQUIRED') return null;
  const { challenge } = error.options.extensions ?? {};
  const { id } = Object(challenge) as { readonly id?: unknown };
  return typeof id === 'string' ? id : null;
}
