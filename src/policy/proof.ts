import type { AttributeRegistry } from '../kernel/attribute.js';
import { AllDecisions } from './all-decisions.js';
import type { Bundle } from './bundle.js';
import { derivabilityProblems } from './derivability.js';
import type { PolicyEngine } from './engine.js';
import type { PolicyProblem } from './error.js';
import { counterExamples, problemOf, readInvariants } from './invariant.js';
import type { PolicySource } from './source.js';

/**
 * What is wrong with policies that are well-formed, found by looking at every decision that they can make: an invariant that
 * does not hold, a value that can be derived from what is shown beside it. Throws PolicyError for invariants that cannot be read.
 */
export function proofProblems(
  source: PolicySource,
  bundle: Bundle,
  registry: AttributeRegistry,
  engine: Pick<PolicyEngine, 'decide'>,
): PolicyProblem[] {
  const decisions = new AllDecisions(bundle, registry, engine);
  const invariants = readInvariants(source, registry, bundle.vocabulary);
  return [
    ...counterExamples(invariants, bundle.vocabulary, decisions).map(problemOf),
    ...derivabilityProblems(source, bundle, registry, decisions),
  ];
}
