import { Args, Context, ID, Int, Mutation, Query, Resolver } from '@nestjs/graphql';
import { explainDecision, explainDecisions } from '../operation/decision-explanation.js';
import type { Document } from '../operation/document.js';
import { proposePolicy } from '../operation/policy-proposal.js';
import {
  activatePolicy,
  approvePolicy,
  policyRelease,
  policyReleases,
  rollbackPolicy,
  shadowPolicy,
} from '../operation/policy-release.js';
import { Operations } from '../operation/run.js';
import { selectFields, type Selection } from '../operation/selection.js';
import { PageArgumentsType } from './types/connection-types.js';
import {
  DecisionExplanationType,
  PolicyReleaseConnectionType,
  PolicyReleaseType,
  ProposePolicyInput,
} from './types/policy-types.js';

/** Releases have no governed fields: they say rules, and nothing of patients. */
const NOTHING: Selection = selectFields();
const CHALLENGE = {
  type: () => ID,
  nullable: true,
  description: 'The satisfied challenge of an earlier STEP_UP_REQUIRED; it is bound to this very release.',
} as const;
const HASH = { type: () => String, description: 'The hash of the release.' } as const;

/** The life of the policies: proposed by one person, approved by another, in force, gone back from, explained. */
@Resolver()
export class PolicyResolver {
  constructor(private readonly operations: Operations) {}

  @Mutation(() => PolicyReleaseType, {
    description:
      'Stores a proposal. One that does not load or fails its cases comes back with problems, and is not stored.',
  })
  proposePolicy(@Context('document') document: Document, @Args('input') input: ProposePolicyInput) {
    return this.operations.run(proposePolicy, document, { ...input }, NOTHING);
  }

  @Mutation(() => PolicyReleaseType, { description: 'Approves what somebody else proposed.' })
  approvePolicy(
    @Context('document') document: Document,
    @Args('hash', HASH) hash: string,
    @Args('challengeId', CHALLENGE) challengeId: string | null,
  ) {
    return this.operations.run(approvePolicy, document, { hash, challengeId }, NOTHING);
  }

  @Mutation(() => PolicyReleaseType, {
    description: 'Puts an approved release in force, everywhere within five seconds.',
  })
  activatePolicy(
    @Context('document') document: Document,
    @Args('hash', HASH) hash: string,
    @Args('challengeId', CHALLENGE) challengeId: string | null,
  ) {
    return this.operations.run(activatePolicy, document, { hash, challengeId }, NOTHING);
  }

  @Mutation(() => PolicyReleaseType, { description: 'Puts a release in force again that was in force before.' })
  rollbackPolicy(
    @Context('document') document: Document,
    @Args('toHash', HASH) toHash: string,
    @Args('challengeId', CHALLENGE) challengeId: string | null,
  ) {
    return this.operations.run(rollbackPolicy, document, { toHash, challengeId }, NOTHING);
  }

  @Mutation(() => PolicyReleaseType, {
    nullable: true,
    description: 'Asks a release beside the one in force, and logs where it would decide otherwise; null ends that.',
  })
  shadowPolicy(
    @Context('document') document: Document,
    @Args('hash', { ...HASH, nullable: true }) hash: string | null,
    @Args('challengeId', CHALLENGE) challengeId: string | null,
  ) {
    return this.operations.run(shadowPolicy, document, { hash, challengeId }, NOTHING);
  }

  @Query(() => PolicyReleaseConnectionType, { description: 'The highest version first.' })
  policyReleases(@Context('document') document: Document, @Args() page: PageArgumentsType) {
    return this.operations.run(policyReleases, document, page, NOTHING);
  }

  @Query(() => PolicyReleaseType)
  policyRelease(@Context('document') document: Document, @Args('hash', HASH) hash: string) {
    return this.operations.run(policyRelease, document, { hash }, NOTHING);
  }

  @Query(() => DecisionExplanationType, {
    description:
      'The decision behind an entry of the ledger, with the policies of its time: rules, consent, masks; no values.',
  })
  explainDecision(@Context('document') document: Document, @Args('index', { type: () => Int }) index: number) {
    return this.operations.run(explainDecision, document, { index }, NOTHING);
  }

  @Query(() => [DecisionExplanationType], {
    description:
      'Every record of one document, by the decisionId that its answer has in extensions.policy; the oldest first.',
  })
  explainDecisions(
    @Context('document') document: Document,
    @Args('decisionId', { type: () => ID }) decisionId: string,
  ) {
    return this.operations.run(explainDecisions, document, { decisionId }, NOTHING);
  }
}
