import { Failure } from '../kernel/failure.js';
import { countedApprovals, SYSTEM, type Release } from '../policy/release.js';
import type { ReleaseLoader } from '../policy/release-loader.js';
import { defineOperation } from './operation.js';
import {
  directionOf,
  grantSentenceOf,
  policyDifference,
  sentenceOf,
  type Direction,
  type GrantChange,
  type PolicyChange,
} from './policy-difference.js';
import { askedRelease, engineOf, LOOK, noteLooked, takeLook } from './policy-sources.js';
import { noticesOf, releasesOf } from './policy-view.js';

export interface PolicyDiffArguments {
  readonly before: string;
  /** Null: the policies in force. */
  readonly after: string | null;
}

/** What changes for the caller's tenant, on the rows that it has now, where one release takes the place of another. */
export interface PolicyDiff {
  /** Hashes. */
  readonly before: string;
  readonly after: string;
  readonly changes: readonly ToldChange[];
  readonly grants: readonly (GrantChange & { readonly sentence: string })[];
  /** What `after` takes away of the cases and invariants of the release in force. */
  readonly notices: readonly string[];
}

/** Of releases that nobody but their author has seen, numbers are those of groups: null is fewer than 11, or none. */
export interface ToldChange extends Omit<PolicyChange, 'rows' | 'sum' | 'coarse'> {
  readonly direction: Direction;
  readonly sentence: string;
  readonly rows: { readonly least: number | null; readonly most: number | null; readonly atLeast: boolean };
  readonly sum: number | null;
}

/** Less than an answer may take: what takes longer is a matter for the command. */
const LONGEST = 25_000;

/**
 * Who gains and who loses what: counts rows and accounts of the caller's tenant, reads no value. Where one of the two is not
 * approved, whoever wrote it chose the condition by which is counted: numbers are then too coarse to be about anybody. Exact
 * ones are the command's.
 */
export const policyDiff = defineOperation<PolicyDiffArguments, PolicyDiff>({
  ...LOOK,
  name: 'policyDiff',
  handler: async (scope, { before, after }) => {
    const { services, actor, now } = scope;
    const releases = { before: await askedRelease(scope, before), after: await askedRelease(scope, after) };
    await takeLook(scope, 'policyDiff');
    noteLooked(scope, 2);
    const loader = releasesOf(scope, scope.obliged('readPolicy', 'Organization'));
    const seen = await Promise.all([releases.before, releases.after].map((one) => isSeen(loader, one)));
    const coarse = seen.includes(false);
    const engines = { before: engineOf(releases.before), after: engineOf(releases.after) };
    const signal = AbortSignal.timeout(LONGEST);
    try {
      const options = { signal, coarse };
      const { changes, grants } = await policyDifference(services.database, actor.tenant, engines, now, options);
      return {
        before: releases.before.hash,
        after: releases.after.hash,
        changes: changes.map(toldOf),
        grants: grants.map((one) => ({ ...one, sentence: grantSentenceOf(one) })),
        notices: await noticesOf(loader, releases.after),
      };
    } catch (error) {
      if (error !== signal.reason && !(error instanceof RangeError)) throw error;
      throw new Failure(
        'QUERY_COST_EXCEEDED',
        'To count this takes more than an answer may.',
        'Use the command "npm run policy -- diff" on the server.',
      );
    }
  },
});

/** Whether somebody else than its author answers for a release, or it came with the software. */
async function isSeen({ store, key }: ReleaseLoader, release: Release): Promise<boolean> {
  if (release.author.id === SYSTEM.id) return true;
  return countedApprovals(release, await store.approvals(release.hash), key).length > 0;
}

function toldOf(change: PolicyChange): ToldChange {
  const { rows, sum, coarse, ...rest } = change;
  const told = (number: number) => (coarse && number === 0 ? null : number);
  return {
    ...rest,
    ...{ direction: directionOf(change), sentence: sentenceOf(change), sum: coarse ? null : sum },
    rows: { least: told(rows.least), most: told(rows.most), atLeast: coarse },
  };
}
