import type { AttributeRegistry } from '../kernel/attribute.js';
import { AllDecisions } from './all-decisions.js';
import { loadBundle } from './bundle.js';
import { judge, loadCases } from './cases.js';
import { coverageOf } from './coverage.js';
import { PolicyEngine } from './engine.js';
import { counterExamples, problemOf, readInvariants } from './invariant.js';
import { mutants } from './mutant.js';
import { rulesIn } from './rule-note.js';
import type { PolicySource } from './source.js';

/**
 * CASES: the policies load and answer as their cases say. COVERAGE: what the cases reach. MUTATION: whether a case notices
 * when a rule is changed. INVARIANTS: what no role, purpose and row may ever see.
 */
export const PROOFS = ['CASES', 'COVERAGE', 'MUTATION', 'INVARIANTS'] as const;
export type ProofKind = (typeof PROOFS)[number];

/** Something that a proof found wanting. */
export interface Finding {
  /** A sentence that is whole beside the name of its proof. */
  readonly text: string;
  /** Where it stands; null where it is not about a line. Lines count from 1. */
  readonly file: string | null;
  readonly line: number | null;
  /** The rule that it is about; null where it is about none or several. */
  readonly rule: string | null;
}

export interface ProofCounts {
  readonly passed: number;
  readonly failed: number;
  /** Changes that no row could tell from the original, and those that do not load: neither counts. Of MUTATION alone. */
  readonly equivalent: number;
  readonly refused: number;
}

/** A part of a proof is done: cases, rules or invariants, of all that there are; with what was found, where something was. */
export interface ProofStep {
  readonly done: number;
  readonly total: number;
  readonly finding: Finding | null;
}

export type ProofRun = Generator<ProofStep, ProofCounts>;

/** The share of what passed that each proof asks for, where nobody says otherwise. */
export const LEAST_SHARE: Readonly<Record<ProofKind, number>> = { CASES: 1, COVERAGE: 1, MUTATION: 0.9, INVARIANTS: 1 };

/** From 0 to 1; 1 where there was nothing to prove. */
export function shareOf({ passed, failed }: ProofCounts): number {
  return passed + failed === 0 ? 1 : passed / (passed + failed);
}

/**
 * Proves the policies of a source step by step, so that whoever runs it can do something between. Throws PolicyError where
 * they cannot be read, and CASES where they do not load.
 * @param rule id of the one rule or guardrail to change; null: all. Of one that there is not, everything is counted as 0
 */
export function prove(
  source: PolicySource,
  registry: AttributeRegistry,
  proof: ProofKind,
  rule: string | null = null,
): ProofRun {
  if (proof === 'CASES') return ofCases(source, registry);
  if (proof === 'COVERAGE') return ofCoverage(source, registry);
  return proof === 'MUTATION' ? ofMutation(source, registry, rule) : ofInvariants(source, registry);
}

/** The policies of a source with every decision that they can make. */
export function opened(source: PolicySource, registry: AttributeRegistry) {
  const bundle = loadBundle(source, registry);
  return { bundle, decisions: new AllDecisions(bundle, registry, PolicyEngine.of(bundle, registry)) };
}

const counted = (passed: number, failed: number): ProofCounts => ({ passed, failed, equivalent: 0, refused: 0 });

function* ofCases(source: PolicySource, registry: AttributeRegistry): ProofRun {
  const engine = PolicyEngine.load(source, registry);
  const cases = loadCases(source, registry, engine);
  let failed = 0;
  for (const [index, one] of cases.entries()) {
    const differences = judge(one, engine);
    const { place, role, purpose, action, type } = one;
    let finding: Finding | null = null;
    if (differences.length > 0) {
      failed += 1;
      const [, file = null, line = null] = /^(.+?):(\d+) /.exec(place) ?? [];
      const text = `${place} (${role}, ${purpose || 'no purpose'}, ${action} ${type}): ${differences.join('; ')}`;
      finding = { text, file, line: line === null ? null : Number(line), rule: null };
    }
    yield { done: index + 1, total: cases.length, finding };
  }
  return counted(cases.length - failed, failed);
}

function* ofCoverage(source: PolicySource, registry: AttributeRegistry): ProofRun {
  const all = coverageOf(source, registry);
  const missing = all.filter((one) => !one.covered);
  for (const { name: text } of missing) {
    yield { done: all.length, total: all.length, finding: { text, file: null, line: null, rule: null } };
  }
  return counted(all.length - missing.length, missing.length);
}

function* ofMutation(source: PolicySource, registry: AttributeRegistry, only: string | null): ProofRun {
  const counts = { NOTICED: 0, SURVIVED: 0, EQUIVALENT: 0, REFUSED: 0 };
  const isMeant = (id: string) => only === null || id === only;
  const rules = rulesIn(source);
  const total = [...rules.keys()].filter(isMeant).length;
  const begun = new Set<string>();
  for (const { rule, mutation, outcome } of mutants(source, registry, isMeant)) {
    counts[outcome] += 1;
    begun.add(rule);
    const { file = null, line = null } = rules.get(rule) ?? {};
    const finding = outcome === 'SURVIVED' ? { text: `${rule}: ${mutation}`, file, line, rule } : null;
    yield { done: begun.size - 1, total, finding };
  }
  const { NOTICED: passed, SURVIVED: failed, EQUIVALENT: equivalent, REFUSED: refused } = counts;
  return { passed, failed, equivalent, refused };
}

function* ofInvariants(source: PolicySource, registry: AttributeRegistry): ProofRun {
  const { bundle, decisions } = opened(source, registry);
  const claimed = readInvariants(source, registry, bundle.vocabulary);
  const broken = new Set<string>();
  for (const [index, one] of claimed.entries()) {
    const step = { done: index + 1, total: claimed.length };
    const found = counterExamples([one], bundle.vocabulary, decisions).map(problemOf);
    if (found.length > 0) broken.add(one.id);
    if (found.length === 0) yield { ...step, finding: null };
    for (const { file, line, message: text } of found) yield { ...step, finding: { text, file, line, rule: null } };
  }
  return counted(claimed.length - broken.size, broken.size);
}
