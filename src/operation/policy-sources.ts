import { LRUCache } from 'lru-cache';
import { registry } from '../kernel/attribute.js';
import { Failure, notFound } from '../kernel/failure.js';
import { PolicyEngine } from '../policy/engine.js';
import { PolicyError } from '../policy/error.js';
import type { Release } from '../policy/release.js';
import { UnfitRelease } from '../policy/release-loader.js';
import { PolicySource } from '../policy/source.js';
import { releasesOf } from './policy-view.js';
import type { Scope } from './scope.js';

const HASH = /^[0-9a-f]{64}$/;
/** Of a release that is looked at, and of one beside it. */
const MOST_ENGINES = 4;
const engines = new LRUCache<string, PolicyEngine>({ max: MOST_ENGINES });

/**
 * A release whose signature and content hold, approved or not, for whoever may read the policies; that of the policies in
 * force where no hash is given. Throws NOT_FOUND where there is none, BAD_USER_INPUT for one that is not what was signed.
 */
export async function askedRelease(scope: Scope, hash: string | null): Promise<Release> {
  const loader = releasesOf(scope, scope.obliged('readPolicy', 'Organization'));
  const asked = hash ?? scope.services.policy.hash;
  if (!HASH.test(asked) || (await loader.store.release(asked)) === null) throw notFound();
  try {
    return await loader.signed(asked);
  } catch (error) {
    if (!(error instanceof UnfitRelease)) throw error;
    throw new Failure('BAD_USER_INPUT', 'This release is not what was signed.', 'Propose it anew.');
  }
}

/**
 * The engine of a release, which compiles what is asked for: for answers about a release, and for no decision. Throws
 * BAD_USER_INPUT where it does not fit this software.
 */
export function engineOf({ content, files }: Release): PolicyEngine {
  const known = engines.get(content);
  if (known !== undefined) return known;
  try {
    const source = PolicySource.of('policies', new Map(Object.entries(files)));
    const engine = PolicyEngine.load(source, registry, { lazy: true });
    engines.set(content, engine);
    return engine;
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw new Failure(
      'BAD_USER_INPUT',
      'This release does not fit the software that runs.',
      'Ask for one of its proofs: its findings say why.',
    );
  }
}

/** What one account may ask about releases; a proof that is not done yet is asked for every few seconds. */
const LOOKS = {
  policyProof: { perHour: 600 },
  policyDiff: { perHour: 60 },
  policySimulation: { perHour: 60 },
  policyExplanation: { perHour: 60 },
} as const;

/** Takes one look or throws RATE_LIMITED: each is work of a second or more. */
export function takeLook({ services, actor, now }: Scope, name: keyof typeof LOOKS): Promise<void> {
  return services.limits.take(actor, name, LOOKS[name], now);
}

/** Notes that releases were looked at. */
export function noteLooked({ document }: Scope, rows: number): void {
  document.note({ type: 'PolicyRelease', rows, fields: { files: 'CLEAR' }, subjects: [] });
}

/** What all operations that look at releases have in common. */
export const LOOK = { kind: 'READ', action: 'readPolicy', type: 'Organization', mode: 'read' } as const;
