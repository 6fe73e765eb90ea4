import { Args, Context, Query, Resolver } from '@nestjs/graphql';
import type { Document } from '../operation/document.js';
import { policyDiff } from '../operation/policy-diff.js';
import { explainAccess } from '../operation/policy-explanation.js';
import { policyProof } from '../operation/policy-proof.js';
import { policyExplanation, policySimulation } from '../operation/policy-simulation.js';
import { Operations } from '../operation/run.js';
import { selectFields, type Selection } from '../operation/selection.js';
import { PolicyDiffType } from './types/policy-diff-types.js';
import {
  AccessExplanationType,
  ExplainAccessArgumentsType,
  PolicyExplanationArgumentsType,
  PolicyProofArgumentsType,
  PolicyProofType,
  PolicySimulationArgumentsType,
  SimulatedFieldType,
} from './types/policy-proof-types.js';

/** What is answered here says names and counts, and nothing of patients. */
const NOTHING: Selection = selectFields();

/** What is found out about policies before they are in force, and why they answer as they do. */
@Resolver()
export class PolicyProofResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => PolicyProofType, {
    description:
      'Proves a release. Answers within some seconds, DONE or not: a long proof goes on and is asked for again. One proof runs ' +
      'at a time, and one of each organisation waits; RATE_LIMITED for another.',
  })
  policyProof(@Context('document') document: Document, @Args() asked: PolicyProofArgumentsType) {
    return this.operations.run(policyProof, document, { ...asked }, NOTHING);
  }

  @Query(() => PolicyDiffType, {
    description:
      'Who gains and who loses what where one release takes the place of another; counts rows, reads no value.',
  })
  policyDiff(
    @Context('document') document: Document,
    @Args('before', { type: () => String, description: 'The hash of a release.' }) before: string,
    @Args('after', { type: () => String, nullable: true, description: 'Without it the policies in force.' })
    after: string | null = null,
  ) {
    return this.operations.run(policyDiff, document, { before, after }, NOTHING);
  }

  @Query(() => [SimulatedFieldType], {
    description: 'What a role sees of every field, on all rows that there could be.',
  })
  policySimulation(@Context('document') document: Document, @Args() asked: PolicySimulationArgumentsType) {
    return this.operations.run(policySimulation, document, { ...asked }, NOTHING);
  }

  @Query(() => [String], { description: 'Which rules, consent clauses and masks make an answer, line by line.' })
  policyExplanation(@Context('document') document: Document, @Args() asked: PolicyExplanationArgumentsType) {
    return this.operations.run(policyExplanation, document, { ...asked }, NOTHING);
  }

  @Query(() => AccessExplanationType, {
    description:
      'What an account would see of a patient if it asked now, from no known network; recorded, with the name of the patient. ' +
      'NOT_FOUND where the organisation has no such patient or no such account.',
  })
  explainAccess(@Context('document') document: Document, @Args() asked: ExplainAccessArgumentsType) {
    return this.operations.run(explainAccess, document, { ...asked }, NOTHING);
  }
}
