import { Failure } from '../kernel/failure.js';
import type { Decision } from '../policy/decision.js';
import type { PolicyProblem } from '../policy/error.js';
import { countedApprovals, releaseFault, type Approval, type Release } from '../policy/release.js';
import type { ReleaseLoader } from '../policy/release-loader.js';
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
}

/** The releases of the installation, where the policy lets the caller at them. FORBIDDEN where the policies are a directory's. */
export function releasesOf(scope: Scope, decision: Decision): ReleaseLoader {
  const { releases } = scope.services.policies;
  if (!decision.matches({ tenant: scope.actor.tenant })) {
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
  };
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
