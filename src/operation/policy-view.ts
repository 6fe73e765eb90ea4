import { LRUCache } from 'lru-cache';
import { setImmediate as breathe } from 'node:timers/promises';
import { Failure } from '../kernel/failure.js';
import type { Decision } from '../policy/decision.js';
import type { PolicyProblem } from '../policy/error.js';
import { contentOf, countedApprovals, releaseFault, type Approval, type Release } from '../policy/release.js';
import type { ReleaseLoader } from '../policy/release-loader.js';
import { removalsOf } from '../policy/removals.js';
import type { Scope } from './scope.js';

/**
 * PROPOSED: stored, not approved. APPROVED: by somebody else than its author. ACTIVE: in force. REPLACED: it was. REFUSED: not
 * stored, see its problems. INVALID: what is stored is not what was signed, and is never in force.
 */
export type ReleaseState = 'PROPOSED' | 'APPROVED' | 'ACTIVE' | 'REPLACED' | 'REFUSED' | 'INVALID';

export interface PolicyReleaseView {
  /** Hash and version: null where the policies could not be read. */
  readonly hash: string | null;
  readonly version: number | null;
  readonly state: ReleaseState;
  readonly note: string;
  /** Account id, or `system` where it came with the software. */
  readonly author: string;
  /** RFC 3339, UTC. */
  readonly proposedAt: string;
  /** Who approved it first. */
  readonly approver: string | null;
  readonly approvedAt: string | null;
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly problems: readonly PolicyProblem[];
  /** What was watched over in the release in force and would be no more, for whoever approves. */
  readonly notices: readonly string[];
}

/**
 * The releases of the installation, where the policy lets the caller at them and his tenant is one of those whose officers
 * decide for all. FORBIDDEN also where the policies are a directory's.
 */
export function releasesOf(scope: Scope, decision: Decision): ReleaseLoader {
  const { policies, policyTenants } = scope.services;
  const { releases } = policies;
  const { tenant } = scope.actor;
  if (!decision.matches({ tenant }) || (policyTenants !== null && !policyTenants.includes(tenant))) {
    throw new Failure('FORBIDDEN', 'You have no hand in these policies.', 'Ask the security team.');
  }
  if (releases !== null) return releases;
  throw new Failure(
    'FORBIDDEN',
    'The policies of this process are those of a directory.',
    'Start it without naming one.',
  );
}

export async function releaseView(
  loader: ReleaseLoader,
  release: Release,
  approvals: readonly Approval[],
): Promise<PolicyReleaseView> {
  const { hash, version, note, author, proposedAt, files } = release;
  const [first] = countedApprovals(release, approvals, loader.key);
  return {
    hash,
    version,
    state: await stateOf(loader, release, first !== undefined),
    note,
    author: author.id,
    proposedAt: proposedAt.toISOString(),
    approver: first?.approver.id ?? null,
    approvedAt: first?.approvedAt.toISOString() ?? null,
    files: Object.entries(files).map(([name, text]) => ({ name, text })),
    problems: [],
    notices: await noticesOf(loader, release),
  };
}

const MOST_NOTICED = 64;
/** By what is in force and what would be: they never change. */
const noticed = new LRUCache<string, readonly string[]>({ max: MOST_NOTICED });

/** What a release takes away of the cases and invariants of the one in force; of one that was in force itself, nothing. */
export async function noticesOf(loader: ReleaseLoader, release: Release): Promise<readonly string[]> {
  const history = await loader.history();
  if (history.some((one) => one.hash === release.hash)) return [];
  const base = await loader.baseline();
  const key = `${contentOf(base)} ${release.content}`;
  const known = noticed.get(key);
  if (known !== undefined) return known;
  // A page of releases that nobody looked at yet: others get their turn between two of them.
  await breathe();
  const made = removalsOf(base, release.files, Object.fromEntries(loader.shipped.texts));
  noticed.set(key, made);
  return made;
}

async function stateOf(loader: ReleaseLoader, release: Release, approved: boolean): Promise<ReleaseState> {
  if (releaseFault(release, loader.key) !== null) return 'INVALID';
  const history = await loader.history();
  if (history.at(-1)?.hash === release.hash) return 'ACTIVE';
  if (history.some((one) => one.hash === release.hash)) return 'REPLACED';
  return approved ? 'APPROVED' : 'PROPOSED';
}

/** Says in the record of a step which release it is about. */
export function staged(scope: Scope, { hash, version }: Pick<Release, 'hash' | 'version'>, decision: Decision): void {
  scope.write.detail = { key: `policy:${version}`, sha256: hash };
  scope.write.record.noteOther(
    { type: 'PolicyRelease', rows: 1, fields: { hash: 'WRITTEN', version: 'WRITTEN' }, subjects: [] },
    decision,
  );
}
