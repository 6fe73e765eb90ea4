import { Failure, notFound } from '../kernel/failure.js';
import type { Decision, PolicyAction } from '../policy/decision.js';
import {
  countedApprovals,
  digestOf,
  highestOf,
  SYSTEM,
  textOf,
  type Activation,
  type Release,
} from '../policy/release.js';
import { UnfitRelease, type ReleaseLoader } from '../policy/release-loader.js';
import { activationRow, approvalRow, shadowRow } from '../policy/release.store.js';
import { Cursors } from './cursor.js';
import { defineOperation } from './operation.js';
import { releasesOf, releaseView, staged, type PolicyReleaseView } from './policy-view.js';
import { pageSize, type PageArguments } from './reader.js';
import type { Scope } from './scope.js';

export interface ReleaseArguments {
  readonly hash: string;
  readonly challengeId?: string | null;
}
export interface RollbackArguments {
  readonly toHash: string;
  readonly challengeId?: string | null;
}
export interface ShadowArguments {
  readonly hash: string | null;
  readonly challengeId?: string | null;
}
export interface PolicyReleaseConnection {
  readonly edges: readonly { readonly node: PolicyReleaseView; readonly cursor: string }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

const STANDARD_PAGE = 20;
const HASH = /^[0-9a-f]{64}$/;
const STEP = { kind: 'POLICY', type: 'Organization', mode: 'write' } as const;
const LOOK = { kind: 'READ', action: 'readPolicy', type: 'Organization', mode: 'read' } as const;

/** Approves a release that somebody else proposed. The second factor is bound to its hash. */
export const approvePolicy = defineOperation<ReleaseArguments, PolicyReleaseView>({
  ...STEP,
  name: 'approvePolicy',
  action: 'approvePolicy',
  handler: async (scope, { hash, challengeId }) => {
    const { decision, loader, release } = await opened(scope, 'approvePolicy', hash);
    const { actor, now } = scope;
    const approvals = await loader.store.approvals(hash);
    if (release.author.id === actor.id) {
      throw new Failure(
        'FORBIDDEN',
        'Nobody approves a release of his own.',
        'Ask another person of the privacy office.',
      );
    }
    if (approvals.some((one) => one.approver.id === actor.id)) {
      throw new Failure('BAD_USER_INPUT', 'You have approved this release.', 'Put it in force with activatePolicy.');
    }
    const approver = { id: actor.id, tenant: actor.tenant };
    const unsigned = { hash, approver, approvedAt: now, challenge: challengeId ?? '' };
    const approval = { ...unsigned, signature: loader.key.sign(textOf.approval(unsigned, release)) };
    scope.write.unit.insert('policy_approval', approvalRow(approval));
    staged(scope, release, decision);
    return releaseView(loader, release, [...approvals, approval]);
  },
});

/** Puts a release in force that somebody else than its author approved. Every process has it within five seconds. */
export const activatePolicy = defineOperation<ReleaseArguments, PolicyReleaseView>({
  ...STEP,
  name: 'activatePolicy',
  action: 'activatePolicy',
  handler: async (scope, { hash }) => {
    const { decision, loader, release } = await opened(scope, 'activatePolicy', hash);
    const highest = highestOf(await loader.history());
    if (release.version <= highest) {
      throw new Failure(
        'BAD_USER_INPUT',
        `Version ${release.version} is not higher than version ${highest}, which is or was in force.`,
        'Propose it with a higher version; go back to one that was in force with rollbackPolicy.',
      );
    }
    return putInForce(scope, loader, release, decision, 'activate');
  },
});

/**
 * Goes back to a release that was in force before: a new entry of the history, which names what it replaces. One person may,
 * because it is urgent and because two once approved it; what was gone back from needs two people and a higher version again.
 */
export const rollbackPolicy = defineOperation<RollbackArguments, PolicyReleaseView>({
  ...STEP,
  name: 'rollbackPolicy',
  action: 'activatePolicy',
  handler: async (scope, { toHash }) => {
    const { decision, loader, release } = await opened(scope, 'activatePolicy', toHash);
    const history = await loader.history();
    if (history.at(-1)?.hash === toHash) {
      throw new Failure('BAD_USER_INPUT', 'This release is in force.', 'Name one that was in force before.');
    }
    if (!history.some((one) => one.hash === toHash)) {
      throw new Failure('BAD_USER_INPUT', 'This release was never in force.', 'Put it in force with activatePolicy.');
    }
    if (release.version >= (history.at(-1)?.version ?? 0)) {
      throw new Failure(
        'BAD_USER_INPUT',
        'This release was gone back from.',
        'Propose it with a higher version, and have it approved.',
      );
    }
    return putInForce(scope, loader, release, decision, 'rollback');
  },
});

/** Asks a release beside the one in force from now on, and logs where it would decide otherwise; null ends it. */
export const shadowPolicy = defineOperation<ShadowArguments, PolicyReleaseView | null>({
  ...STEP,
  name: 'shadowPolicy',
  action: 'activatePolicy',
  handler: async (scope, { hash }) => {
    const { actor, now } = scope;
    const asked = hash ?? null;
    const { decision, loader, release } = await opened(scope, 'activatePolicy', asked ?? scope.services.policies.hash);
    if (asked !== null) await fitting(() => loader.proposed(asked));
    const sequence = ((await loader.store.lastShadowing())?.sequence ?? 0) + 1;
    const unsigned = { sequence, hash: asked, actor: { id: actor.id, tenant: actor.tenant }, startedAt: now };
    const signature = loader.key.sign(textOf.shadowing(unsigned));
    scope.write.unit.insert('policy_shadow', shadowRow({ ...unsigned, signature }));
    staged(scope, release, decision);
    return asked === null ? null : releaseView(loader, release, await loader.store.approvals(asked));
  },
});

/** The releases, the highest version first. */
export const policyReleases = defineOperation<PageArguments, PolicyReleaseConnection>({
  ...LOOK,
  name: 'policyReleases',
  handler: async (scope, { first, after }) => {
    const loader = releasesOf(scope, scope.obliged('readPolicy', 'Organization'));
    const size = pageSize(first, STANDARD_PAGE);
    const { services, actor, purpose } = scope;
    const binding = { account: actor.id, purpose, policy: services.policy.hash, list: ['PolicyRelease'] };
    const cursors = new Cursors(services.vault, binding);
    const [version, hash] = after == null ? [] : cursors.open(after, 2);
    const last = after == null ? null : { version: Number(version), hash: String(hash) };
    const found = await loader.store.releases(last, size + 1);
    const edges = [];
    for (const release of found.slice(0, size)) {
      const node = await releaseView(loader, release, await loader.store.approvals(release.hash));
      edges.push({ node, cursor: cursors.seal([release.version, release.hash]) });
    }
    noteReleases(scope, edges.length);
    const pageInfo = {
      hasNextPage: found.length > size,
      hasPreviousPage: after != null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    };
    return { edges, pageInfo };
  },
});

export const policyRelease = defineOperation<{ readonly hash: string }, PolicyReleaseView>({
  ...LOOK,
  name: 'policyRelease',
  handler: async (scope, { hash }) => {
    const loader = releasesOf(scope, scope.obliged('readPolicy', 'Organization'));
    const release = HASH.test(hash) ? await loader.store.release(hash) : null;
    if (release === null) throw notFound();
    noteReleases(scope, 1);
    return releaseView(loader, release, await loader.store.approvals(hash));
  },
});

function noteReleases({ document }: Scope, rows: number): void {
  document.note({ type: 'PolicyRelease', rows, fields: { files: 'CLEAR', note: 'CLEAR' }, subjects: [] });
}

/** The release that a step is about, once its signature holds. */
async function opened(
  scope: Scope,
  action: PolicyAction,
  hash: string,
): Promise<{ decision: Decision; loader: ReleaseLoader; release: Release }> {
  const decision = scope.obliged(action, 'Organization');
  const loader = releasesOf(scope, decision);
  if (!HASH.test(hash) || (await loader.store.release(hash)) === null) throw notFound();
  return { decision, loader, release: await fitting(() => loader.signed(hash)) };
}

async function putInForce(
  scope: Scope,
  loader: ReleaseLoader,
  release: Release,
  decision: Decision,
  cause: 'activate' | 'rollback',
): Promise<PolicyReleaseView> {
  const { actor, now } = scope;
  const { hash, version, author } = release;
  const approvals = await loader.store.approvals(hash);
  // Everything that every process will ask of it, asked here first: approval by another person, and that it loads.
  await fitting(() => loader.loaded(hash));
  const [approval] = countedApprovals(release, approvals, loader.key);
  const active = (await loader.history()).at(-1) ?? null;
  const unsigned: Omit<Activation, 'signature'> = {
    ...{ sequence: (await loader.lastSequence()) + 1, cause, hash, version },
    replaces: active?.hash ?? null,
    previous: active === null ? null : digestOf(active),
    author: author.id,
    approver: author.id === SYSTEM.id ? null : (approval?.approver.id ?? null),
    actor: { id: actor.id, tenant: actor.tenant },
    activatedAt: now,
  };
  const signature = loader.key.sign(textOf.activation(unsigned));
  scope.write.unit.insert('policy_activation', activationRow({ ...unsigned, signature }));
  staged(scope, release, decision);
  return { ...(await releaseView(loader, release, approvals)), state: 'ACTIVE' };
}

/** A release that may not be in force, said to the caller. */
async function fitting<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UnfitRelease)) throw error;
    throw new Failure('FORBIDDEN', error.message, 'Have it approved by another person, or propose it anew.');
  }
}
