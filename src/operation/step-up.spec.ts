import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Challenges } from '../identity/challenges.js';
import type { Actor } from '../kernel/actor.js';
import type { AnyOperation } from './operation.js';
import type { Scope } from './scope.js';
import { StepUp } from './step-up.js';

/** All that a challenge is bound to. */
interface Request {
  readonly session: string;
  readonly operation: string;
  readonly action: string;
  readonly purpose: string;
  readonly policy: string;
  readonly input: object;
}

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 });
const requests: fc.Arbitrary<Request> = fc.record({
  session: text,
  operation: text,
  action: fc.constantFrom('export', 'create'),
  purpose: text,
  policy: fc.stringMatching(/^[0-9a-f]{4}$/),
  input: fc.dictionary(text, fc.jsonValue({ maxDepth: 2 })),
});

/** The binding of the challenge that is issued for a request. */
async function bindingOf({ session, purpose, policy, input, ...operation }: Request, more = {}): Promise<string> {
  let binding = '';
  const challenges = {
    consume: async () => false,
    issue: async (_actor: Actor, bound: Buffer) => {
      binding = bound.toString('hex');
      return { id: 'x', methods: ['totp'], expiresAt: new Date(0) };
    },
  } as unknown as Challenges;
  const scope = { actor: { sessionId: session }, purpose, services: { policy: { hash: policy } } } as unknown as Scope;
  const named = { name: operation.operation, action: operation.action } as unknown as AnyOperation;
  await expect(new StepUp(challenges).demand(named, scope, { ...input, ...more })).rejects.toMatchObject({
    code: 'STEP_UP_REQUIRED',
  });
  expect(binding).toMatch(/^[0-9a-f]{64}$/);
  return binding;
}

describe('a challenge', () => {
  it('is bound to session, operation, action, input, purpose and policy, whichever of them differs', async () => {
    await fc.assert(
      fc.asyncProperty(requests, requests, async (one, other) => {
        for (const part of Object.keys(one) as (keyof Request)[]) {
          const changed = { ...one, [part]: other[part] };
          const same = JSON.stringify(changed) === JSON.stringify(one);
          expect((await bindingOf(changed)) === (await bindingOf(one))).toBe(same);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is not bound to itself: the request that names it is the one it was issued for', async () => {
    await fc.assert(
      fc.asyncProperty(requests, fc.option(text), async (one, challengeId) => {
        expect(await bindingOf(one, { challengeId })).toBe(await bindingOf(one));
      }),
      { numRuns: 50 },
    );
  });
});
