import { Failure } from '../kernel/failure.js';
import type { ProofStanding } from '../policy/proof-desk.js';
import { LEAST_SHARE, PROOFS, shareOf, type Finding, type ProofKind } from '../policy/proofs.js';
import { rulesOf } from '../policy/rule-note.js';
import { defineOperation } from './operation.js';
import { askedRelease, LOOK, noteLooked, takeLook } from './policy-sources.js';
import { pageSize } from './reader.js';

export const PROOF_KINDS: readonly ProofKind[] = PROOFS;

export interface PolicyProofArguments {
  /** Null: of the policies in force. */
  readonly hash: string | null;
  readonly proof: ProofKind;
  /** Of MUTATION: the one rule to change. */
  readonly rule: string | null;
  /** Findings that are answered. */
  readonly first: number | null;
}

/**
 * WAITING for another proof to end. RUNNING. DONE. REFUSED: the policies do not load, the findings say why. FAILED: it came to
 * no end, and is begun anew when asked for.
 */
export type PolicyProofState = 'WAITING' | 'RUNNING' | 'DONE' | 'REFUSED' | 'FAILED';

export interface PolicyProof {
  readonly hash: string;
  readonly version: number;
  readonly proof: ProofKind;
  readonly rule: string | null;
  readonly state: PolicyProofState;
  /** Cases, rules or invariants that were looked at, of all; null where nothing can be said yet. */
  readonly done: number | null;
  readonly total: number | null;
  /** Counts are null until it is DONE. */
  readonly passed: number | null;
  readonly failed: number | null;
  readonly equivalent: number | null;
  readonly refused: number | null;
  /** Share of what passed, from 0 to 1, and the least that holds. */
  readonly score: number | null;
  readonly minimum: number;
  readonly holds: boolean | null;
  readonly findings: readonly Finding[];
}

const STANDARD_FINDINGS = 50;
const NOTHING_YET = {
  ...{ done: null, total: null, passed: null, failed: null, equivalent: null, refused: null, score: null, holds: null },
  findings: [],
} as const;

/** Proves a release, in another thread: what is not done within some seconds is asked for again. */
export const policyProof = defineOperation<PolicyProofArguments, PolicyProof>({
  ...LOOK,
  name: 'policyProof',
  handler: async (scope, { hash, proof, rule, first }) => {
    const size = pageSize(first, STANDARD_FINDINGS);
    const release = await askedRelease(scope, hash);
    if (rule !== null && proof !== 'MUTATION') {
      throw new Failure('BAD_USER_INPUT', 'A rule is named for MUTATION alone.', 'Leave it out.');
    }
    await takeLook(scope, 'policyProof');
    if (rule !== null && !rulesOf(release).has(rule)) {
      throw new Failure('BAD_USER_INPUT', 'There is no such rule.', 'Name a rule or guardrail of this release.');
    }
    const { proofs, policies } = scope.services;
    const texts = new Map(Object.entries(release.files));
    const shipped = policies.releases?.shipped.texts ?? null;
    const standing = await proofs.ask(scope.actor.tenant, release.hash, { texts, shipped, proof, rule });
    noteLooked(scope, 1);
    const head = { hash: release.hash, version: release.version, proof, rule, minimum: LEAST_SHARE[proof] };
    return { ...head, ...shown(standing, LEAST_SHARE[proof], size) };
  },
});

function shown(standing: ProofStanding, minimum: number, size: number) {
  if (standing.state === 'RUNNING') return { ...NOTHING_YET, state: standing.state, ...standing.progress };
  if (standing.state !== 'DONE') return { ...NOTHING_YET, state: standing.state };
  const { outcome } = standing;
  if ('problems' in outcome) {
    const findings = outcome.problems
      .slice(0, size)
      .map(({ message: text, ...place }) => ({ text, ...place, rule: null }));
    return { ...NOTHING_YET, state: 'REFUSED' as const, holds: false, findings };
  }
  const { counts } = outcome;
  const score = shareOf(counts);
  const findings = outcome.findings.slice(0, size);
  return { ...NOTHING_YET, state: 'DONE' as const, ...counts, score, holds: score >= minimum, findings };
}
