import { Failure } from '../kernel/failure.js';
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
import { askedRelease, engineOf, LOOK, noteLooked } from './policy-sources.js';

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
  readonly changes: readonly (PolicyChange & { readonly direction: Direction; readonly sentence: string })[];
  readonly grants: readonly (GrantChange & { readonly sentence: string })[];
}

/** Less than an answer may take: what takes longer is a matter for the command. */
const LONGEST = 25_000;
const LIMIT = { perMinute: 12, perDay: 500 };

/** Who gains and who loses what: counts rows and accounts of the caller's tenant, reads no value. */
export const policyDiff = defineOperation<PolicyDiffArguments, PolicyDiff>({
  ...LOOK,
  name: 'policyDiff',
  handler: async (scope, { before, after }) => {
    const { services, actor, now } = scope;
    const releases = { before: await askedRelease(scope, before), after: await askedRelease(scope, after) };
    await services.limits.take(actor, 'policyDiff', LIMIT, now);
    noteLooked(scope, 2);
    const engines = { before: engineOf(releases.before), after: engineOf(releases.after) };
    const signal = AbortSignal.timeout(LONGEST);
    try {
      const { changes, grants } = await policyDifference(services.database, actor.tenant, engines, now, signal);
      return {
        before: releases.before.hash,
        after: releases.after.hash,
        changes: changes.map((one) => ({ ...one, direction: directionOf(one), sentence: sentenceOf(one) })),
        grants: grants.map((one) => ({ ...one, sentence: grantSentenceOf(one) })),
      };
    } catch (error) {
      if (error !== signal.reason) throw error;
      throw new Failure(
        'QUERY_COST_EXCEEDED',
        'To count this takes longer than an answer may.',
        'Use the command "npm run policy -- diff" on the server.',
      );
    }
  },
});
