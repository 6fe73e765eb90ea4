import type { AttributeRegistry, NounDeclaration } from '../kernel/attribute.js';
import { PolicyError, type PolicyProblem } from './error.js';
import { prove, type Finding, type ProofCounts, type ProofKind } from './proofs.js';
import { checkProposal, type ProposalOutcome, type ProposalTask } from './proposal-check.js';
import { PolicySource } from './source.js';

/** Findings that are kept of one proof: what is wrong a thousand times is wrong. */
const MOST_FINDINGS = 1_000;

/** A proof as a message for another thread. */
export interface ProofTask {
  /** All texts of the policies, by file. */
  readonly texts: ReadonlyMap<string, string>;
  /** Those that came with the software, whose invariants hold too; null where the texts are those themselves. */
  readonly shipped: ReadonlyMap<string, string> | null;
  readonly proof: ProofKind;
  /** Of MUTATION: id of the one rule to change; null: all. */
  readonly rule: string | null;
}

/** What the other thread is started with: it declares no nouns of its own. */
export interface ProofWork {
  readonly task: ProofTask | ProposalTask;
  readonly nouns: readonly NounDeclaration[];
}

/** Cases, rules or invariants of all that there are. */
export interface ProofProgress {
  readonly done: number;
  readonly total: number;
}

/** What was counted, or why nothing could be: the policies do not load. */
export type ProofOutcome =
  | { readonly counts: ProofCounts; readonly findings: readonly Finding[] }
  | { readonly problems: readonly PolicyProblem[] };

export type TaskOutcome = ProofOutcome | ProposalOutcome;

/** What the other thread says. */
export type ProofMessage = 'running' | { readonly progress: ProofProgress } | { readonly outcome: TaskOutcome };

/** Runs a task piece by piece: gives out how far it is, where that is known, and returns what came out. */
export function taskRun(
  task: ProofTask | ProposalTask,
  registry: AttributeRegistry,
): Generator<ProofProgress | null, TaskOutcome> {
  return 'proof' in task ? proofRun(task, registry) : checkProposal(task, registry);
}

function* proofRun(task: ProofTask, registry: AttributeRegistry): Generator<ProofProgress, ProofOutcome> {
  const findings: Finding[] = [];
  try {
    const shipped = task.shipped === null ? null : PolicySource.of('shipped', task.shipped);
    const run = prove(PolicySource.of('policies', task.texts, shipped), registry, task.proof, task.rule);
    for (let step = run.next(); ; step = run.next()) {
      if (step.done === true) return { counts: step.value, findings };
      const { finding, done, total } = step.value;
      if (finding !== null && findings.length < MOST_FINDINGS) findings.push(finding);
      yield { done, total };
    }
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return { problems: error.problems.slice(0, MOST_FINDINGS) };
  }
}
