import path from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { judge, loadCases } from '../policy/cases.js';
import { PolicyEngine } from '../policy/engine.js';
import { PolicyError, type PolicyProblem } from '../policy/error.js';
import { mutants } from '../policy/mutant.js';
import { contentOf, textOf, type Release } from '../policy/release.js';
import type { ReleaseLoader } from '../policy/release-loader.js';
import { releaseRow } from '../policy/release.store.js';
import { LEAST_SHARE } from '../policy/proofs.js';
import { PolicySource } from '../policy/source.js';
import { defineOperation } from './operation.js';
import { releasesOf, releaseView, staged, type PolicyReleaseView } from './policy-view.js';
import type { Scope } from './scope.js';

/** One file of a proposal. What is not sent stays as it is in the release in force; a text of null takes the file away. */
export interface PolicyFile {
  readonly name: string;
  readonly text: string | null;
}
export interface ProposePolicyArguments {
  readonly files: readonly PolicyFile[];
  readonly note: string;
  readonly challengeId?: string | null;
}

const BUNDLE = 'bundle.yaml';
const LONGEST_NOTE = 2_000;
const FILE_NAME = /^(cases\/|_schema\/)?[a-z0-9][a-z0-9._-]{0,79}\.(yaml|json)$/;
/** Cases that are judged before others get their turn of the event loop. */
const CASES_AT_ONCE = 500;
/** Problems that are told at once. */
const MOST_PROBLEMS = 200;

/**
 * Proposes policies. What does not load, or fails its own cases, is answered with its problems and not stored. What is
 * stored changes nothing before somebody else approved it and it was put in force.
 */
export const proposePolicy = defineOperation<ProposePolicyArguments, PolicyReleaseView>({
  name: 'proposePolicy',
  kind: 'POLICY',
  action: 'proposePolicy',
  type: 'Organization',
  mode: 'write',
  withheld: ['files'],
  handler: async (scope, { files, note }) => {
    const decision = scope.obliged('proposePolicy', 'Organization');
    const loader = releasesOf(scope, decision);
    const texts = await proposedTexts(loader, files);
    const source = PolicySource.of('policies', texts);
    const { engine, problems } = await checkProposal(source, loader.registry, await loader.baseline());
    const found = [...problems, ...(await versionProblems(loader, engine, texts)), ...noteProblems(note)];
    if (engine === null || found.length > 0) return refused(scope, note, engine, found.slice(0, MOST_PROBLEMS));
    const release = signedRelease(scope, loader, engine, texts, note);
    scope.write.unit.insert('policy_release', releaseRow(release));
    staged(scope, release, decision);
    return releaseView(loader, release, []);
  },
});

/** All texts of the proposal: those in force, with what was sent in their place. */
export async function proposedTexts(
  loader: ReleaseLoader,
  files: readonly PolicyFile[],
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map(Object.entries(await loader.baseline()));
  for (const { name, text } of files) {
    if (text === null) texts.delete(name);
    else texts.set(name, text);
  }
  return texts;
}

/**
 * Everything that is wrong with proposed policies: what does not load, cases that fail, and changes to the touched rules that
 * no case would notice. Lets other work pass between. The engine is null where they do not load.
 * @param base the files that they are compared with
 */
export async function checkProposal(
  source: PolicySource,
  registry: AttributeRegistry,
  base: Readonly<Record<string, string>>,
): Promise<{ engine: PolicyEngine | null; problems: PolicyProblem[] }> {
  const strange = [...source.texts.keys()].filter((name) => !FILE_NAME.test(name));
  if (strange.length > 0) {
    return {
      engine: null,
      problems: strange.map(() => problem('policies', 'A file has a name that no policy file has.')),
    };
  }
  try {
    const engine = PolicyEngine.load(source, registry);
    await breathe();
    const cases = loadCases(source, registry, engine);
    const problems: PolicyProblem[] = [];
    for (const [index, one] of cases.entries()) {
      if (index % CASES_AT_ONCE === 0) await breathe();
      const differences = judge(one, engine);
      if (differences.length === 0) continue;
      const [, file = 'policies', line = '1'] = /^(\S+?):(\d+) /.exec(one.place) ?? [];
      const question = `${one.role}, ${one.purpose || 'no purpose'}, ${one.action} ${one.type}`;
      problems.push({ file, line: Number(line), message: `The case fails (${question}): ${differences.join('; ')}` });
    }
    if (problems.length === 0) problems.push(...(await unnoticed(source, registry, base)));
    return { engine, problems };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return { engine: null, problems: [...error.problems] };
  }
}

/**
 * Changes to the rules of the touched types that none of the cases would notice, where they are more than the shipped
 * policies may have. Rules of other types were looked at when they were proposed.
 */
async function unnoticed(
  source: PolicySource,
  registry: AttributeRegistry,
  base: Readonly<Record<string, string>>,
): Promise<PolicyProblem[]> {
  const touched = new Set(
    [...source.texts].filter(([name, text]) => base[name] !== text).map(([name]) => name.replace(/^cases\//, '')),
  );
  const rules = new Map<string, { file: string; line: number }>();
  for (const document of source.policies()) {
    const { rules: permits, guardrails } = document.value as Record<string, readonly { id: string }[] | undefined>;
    if (!touched.has(path.basename(document.file))) continue;
    for (const [key, list] of Object.entries({ rules: permits, guardrails })) {
      for (const [index, { id }] of (list ?? []).entries()) rules.set(id, document.problem([key, index, 'id'], ''));
    }
  }
  let judged = 0;
  const survivors: PolicyProblem[] = [];
  for (const { rule, mutation, outcome } of mutants(source, registry, (id) => rules.has(id))) {
    await breathe();
    if (outcome !== 'NOTICED' && outcome !== 'SURVIVED') continue;
    judged += 1;
    const { file = 'policies', line = 1 } = rules.get(rule) ?? {};
    if (outcome === 'SURVIVED') survivors.push({ file, line, message: `No case would notice: ${mutation}.` });
  }
  return survivors.length > (1 - LEAST_SHARE.MUTATION) * judged ? survivors : [];
}

/** A release has a version that none had before it, and says something that none says. */
async function versionProblems(
  { store }: ReleaseLoader,
  engine: PolicyEngine | null,
  texts: ReadonlyMap<string, string>,
): Promise<PolicyProblem[]> {
  if (engine === null) return [];
  const same = await store.release(engine.hash);
  if (same !== null) return [problem(BUNDLE, `Release ${same.version} says the same.`)];
  const [highest] = await store.releases(null, 1);
  if (highest === undefined || Number(engine.version) > highest.version) return [];
  const line = (texts.get(BUNDLE) ?? '').split('\n').findIndex((text) => /^\s+version:/.test(text)) + 1;
  return [problem(BUNDLE, `The version is taken: write metadata.version: ${highest.version + 1}.`, line || 1)];
}

function noteProblems(note: string): PolicyProblem[] {
  const length = note.trim().length;
  return length > 0 && length <= LONGEST_NOTE
    ? []
    : [problem('policies', `The note has 1 to ${LONGEST_NOTE} characters.`)];
}

function problem(file: string, message: string, line = 1): PolicyProblem {
  return { file, line, message };
}

function signedRelease(
  { actor, now }: Scope,
  { key }: ReleaseLoader,
  { hash, version }: PolicyEngine,
  texts: ReadonlyMap<string, string>,
  note: string,
): Release {
  const files = Object.fromEntries(texts);
  const author = { id: actor.id, tenant: actor.tenant };
  const unsigned = { hash, version: Number(version), files, content: contentOf(files), author, proposedAt: now, note };
  return { ...unsigned, signature: key.sign(textOf.release(unsigned)) };
}

function refused(
  { actor, now }: Scope,
  note: string,
  engine: PolicyEngine | null,
  problems: readonly PolicyProblem[],
): PolicyReleaseView {
  return {
    hash: engine?.hash ?? null,
    version: engine === null ? null : Number(engine.version),
    state: 'REFUSED',
    note,
    author: actor.id,
    proposedAt: now.toISOString(),
    approver: null,
    approvedAt: null,
    files: [],
    problems,
  };
}
