import type { PolicyProblem } from '../policy/error.js';
import { contentOf, textOf, type Release } from '../policy/release.js';
import type { ReleaseLoader } from '../policy/release-loader.js';
import { releaseRow } from '../policy/release.store.js';
import { SCHEMA } from '../policy/source.js';
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
const LIMIT = { perHour: 60 };

/** What the check could read of a proposal. */
interface Told {
  readonly hash: string | null;
  readonly version: number | null;
}

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
    await scope.services.limits.take(scope.actor, 'proposePolicy', LIMIT, scope.now);
    const base = await loader.baseline();
    const proposed = proposedFiles(loader, base, files);
    const shipped = Object.fromEntries(loader.shipped.texts);
    const checked = await scope.services.proofs.check(scope.actor.tenant, { proposed, base, shipped });
    const told = { hash: checked.hash, version: checked.version === null ? null : Number(checked.version) };
    const problems = [...checked.problems, ...(await versionProblems(loader, told, proposed)), ...noteProblems(note)];
    const { hash, version } = told;
    if (hash === null || version === null || problems.length > 0) return refused(scope, note, told, problems);
    const release = signedRelease(scope, loader, { hash, version }, proposed, note);
    scope.write.unit.insert('policy_release', releaseRow(release));
    staged(scope, release, decision);
    return releaseView(loader, release, []);
  },
});

/**
 * All files of the proposal: those in force, with what was sent in their place. The schema is the software's own, whatever the
 * release in force has: another one that was sent stays, and is a problem.
 */
export function proposedFiles(
  loader: Pick<ReleaseLoader, 'shipped'>,
  base: Release['files'],
  files: readonly PolicyFile[],
): Release['files'] {
  const texts = new Map(Object.entries(base));
  for (const name of texts.keys()) if (name.startsWith('_schema/')) texts.delete(name);
  texts.set(SCHEMA, loader.shipped.texts.get(SCHEMA) ?? '');
  for (const { name, text } of files) {
    if (text !== null) texts.set(name, text);
    else if (name !== SCHEMA) texts.delete(name);
  }
  return Object.fromEntries(texts);
}

/** A release has a version that none had before it, and says something that none says. */
async function versionProblems(
  { store }: ReleaseLoader,
  { hash, version }: Told,
  files: Release['files'],
): Promise<PolicyProblem[]> {
  if (hash === null || version === null) return [];
  const same = await store.release(hash);
  if (same !== null) return [problem(BUNDLE, `Release ${same.version} says the same.`)];
  const [highest] = await store.releases(null, 1);
  if (highest === undefined || version > highest.version) return [];
  const line = (files[BUNDLE] ?? '').split('\n').findIndex((text) => /^\s+version:/.test(text)) + 1;
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
  { hash, version }: { readonly hash: string; readonly version: number },
  files: Release['files'],
  note: string,
): Release {
  const author = { id: actor.id, tenant: actor.tenant };
  const unsigned = { hash, version, files, content: contentOf(files), author, proposedAt: now, note };
  return { ...unsigned, signature: key.sign(textOf.release(unsigned)) };
}

function refused(
  { actor, now }: Scope,
  note: string,
  { hash, version }: Told,
  problems: readonly PolicyProblem[],
): PolicyReleaseView {
  return {
    hash,
    version,
    state: 'REFUSED',
    note,
    author: actor.id,
    proposedAt: now.toISOString(),
    approver: null,
    approvedAt: null,
    files: [],
    problems,
    notices: [],
  };
}
