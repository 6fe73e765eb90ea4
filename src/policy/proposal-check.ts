import path from 'node:path';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { judge, loadCases } from './cases.js';
import { MOST_PROBLEMS } from './document.js';
import { PolicyEngine } from './engine.js';
import { PolicyError, type PolicyProblem } from './error.js';
import { writtenInvariants } from './invariant.js';
import { mutants } from './mutant.js';
import { LEAST_SHARE } from './proofs.js';
import { lostCases } from './removals.js';
import { PolicySource, SCHEMA } from './source.js';

/** Proposed policies as a message for another thread: files by name. */
export interface ProposalTask {
  readonly proposed: Readonly<Record<string, string>>;
  /** Those in force, which they are compared with. */
  readonly base: Readonly<Record<string, string>>;
  /** Those that came with the software. */
  readonly shipped: Readonly<Record<string, string>>;
}

/** Hash and version are null where the policies do not load. */
export interface ProposalOutcome {
  readonly hash: string | null;
  readonly version: string | null;
  readonly problems: readonly PolicyProblem[];
}

const FILE_NAME = /^(cases\/|_schema\/)?[a-z0-9][a-z0-9._-]{0,79}\.(yaml|json)$/;
/** What may be read at all. The policies that are shipped are a tenth of it. */
const MOST_FILES = 200;
const LONGEST_FILE = 128 * 1024;
const LONGEST_ALL = 2 * 1024 * 1024;

/** What is wrong with the files as such, found without reading them; where something is, they are not read. */
export function fileProblems({ proposed, shipped }: Omit<ProposalTask, 'base'>): PolicyProblem[] {
  const texts = Object.entries(proposed);
  const problem = (message: string, file = 'policies') => ({ file, line: 1, message });
  if (texts.length > MOST_FILES) return [problem(`There are more than ${MOST_FILES} files.`)];
  if (texts.some(([name]) => !FILE_NAME.test(name))) return [problem('A file has a name that no policy file has.')];
  if (texts.reduce((sum, [, text]) => sum + text.length, 0) > LONGEST_ALL)
    return [problem(`The files have more than ${LONGEST_ALL} characters.`)];
  return texts.flatMap(([name, text]) => {
    const file = path.join('policies', name);
    if (name.startsWith('_schema/') && (name !== SCHEMA || text !== shipped[SCHEMA]))
      return [problem('The schema is a part of the software: leave it as it was shipped, or out.', file)];
    return text.length > LONGEST_FILE ? [problem(`The file has more than ${LONGEST_FILE} characters.`, file)] : [];
  });
}

/**
 * Everything that is wrong with proposed policies: what does not load, invariants of the software that were changed, cases
 * that fail, and changes to the touched rules that no case would notice. Piece by piece, so that whoever runs it can do
 * something between or stop.
 */
export function* checkProposal(task: ProposalTask, registry: AttributeRegistry): Generator<null, ProposalOutcome> {
  const unread = fileProblems(task);
  if (unread.length > 0) return { hash: null, version: null, problems: unread.slice(0, MOST_PROBLEMS) };
  const sourceOf = (name: string, files: ProposalTask['base'], standard: PolicySource | null) =>
    PolicySource.of(name, new Map(Object.entries(files)), standard);
  try {
    const shipped = sourceOf('shipped', task.shipped, null);
    const source = sourceOf('policies', task.proposed, shipped);
    const problems = changedInvariants(source, shipped);
    if (problems.length > 0) return { hash: null, version: null, problems: problems.slice(0, MOST_PROBLEMS) };
    yield null;
    const engine = PolicyEngine.load(source, registry);
    yield null;
    for (const one of loadCases(source, registry, engine)) {
      if (problems.length >= MOST_PROBLEMS) break;
      const differences = judge(one, engine);
      if (differences.length === 0) {
        yield null;
        continue;
      }
      const [, file = 'policies', line = '1'] = /^(\S+?):(\d+) /.exec(one.place) ?? [];
      const question = `${one.role}, ${one.purpose || 'no purpose'}, ${one.action} ${one.type}`;
      problems.push({ file, line: Number(line), message: `The case fails (${question}): ${differences.join('; ')}` });
    }
    if (problems.length === 0) problems.push(...(yield* unnoticed(source, registry, task)));
    return { hash: engine.hash, version: engine.version, problems: problems.slice(0, MOST_PROBLEMS) };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return { hash: null, version: null, problems: error.problems.slice(0, MOST_PROBLEMS) };
  }
}

/** An invariant that is left out holds all the same. One that keeps its name and says something else would mislead. */
function changedInvariants(source: PolicySource, shipped: PolicySource): PolicyProblem[] {
  const known = new Map(writtenInvariants(shipped).map(({ invariant }) => [invariant.id, JSON.stringify(invariant)]));
  return writtenInvariants(source).flatMap(({ document, invariant, index }) => {
    const words = known.get(invariant.id);
    if (words === undefined || words === JSON.stringify(invariant)) return [];
    const message = `"${invariant.id}" is an invariant of the software: leave it as it was shipped, and give yours another id.`;
    return [document.problem(['invariants', index, 'id'], message)];
  });
}

interface Rule {
  readonly id: string;
  readonly subjects?: readonly string[];
}
interface RuleFile {
  readonly subject?: string;
  readonly rules?: readonly Rule[];
  readonly guardrails?: readonly Rule[];
}

/**
 * Changes to rules that none of the cases would notice, where they are more than the shipped policies may have. Looked at are
 * the rules of files that were touched, and those about types of which cases are gone: the others were looked at when they
 * were proposed.
 */
function* unnoticed(
  source: PolicySource,
  registry: AttributeRegistry,
  { proposed, base }: ProposalTask,
): Generator<null, PolicyProblem[]> {
  const names = [...new Set([...Object.keys(proposed), ...Object.keys(base)])];
  const differ = names.filter((name) => base[name] !== proposed[name]);
  const touched = new Set(differ.map((name) => name.replace(/^cases\//, '')));
  const uncovered = new Set(lostCases(base, proposed).flatMap(({ subject }) => subject ?? []));
  const meant = new Map<string, { file: string; line: number }>();
  for (const document of source.policies()) {
    const { subject, rules, guardrails } = document.value as RuleFile;
    const whole = touched.has(path.basename(document.file)) || uncovered.has(subject ?? '');
    for (const [key, list = []] of Object.entries({ rules, guardrails })) {
      for (const [index, { id, subjects = [] }] of list.entries()) {
        if (whole || subjects.some((type) => uncovered.has(type)))
          meant.set(id, document.problem([key, index, 'id'], ''));
      }
    }
  }
  let judged = 0;
  const survivors: PolicyProblem[] = [];
  for (const { rule, mutation, outcome } of mutants(source, registry, (id) => meant.has(id))) {
    yield null;
    if (outcome !== 'NOTICED' && outcome !== 'SURVIVED') continue;
    judged += 1;
    const { file = 'policies', line = 1 } = meant.get(rule) ?? {};
    if (outcome === 'SURVIVED') survivors.push({ file, line, message: `No case would notice: ${mutation}.` });
  }
  return survivors.length > (1 - LEAST_SHARE.MUTATION) * judged ? survivors : [];
}
