import { Args, Context, ID, Int, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { Document } from '../operation/document.js';
import { ledgerDetail } from '../operation/ledger-detail.js';
import { eraseLedgerDetails } from '../operation/ledger-erasure.js';
import { Operations } from '../operation/run.js';
import { selectFields, type Selection } from '../operation/selection.js';
import { LedgerDetail } from './types/ledger-detail-types.js';

/** Details have no governed fields of their own: what is seen of them is decided value by value. */
const NOTHING: Selection = selectFields();
const CHALLENGE = {
  type: () => ID,
  nullable: true,
  description: 'The satisfied challenge of an earlier STEP_UP_REQUIRED.',
} as const;

@Resolver(() => LedgerDetail)
export class LedgerDetailResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => LedgerDetail)
  ledgerDetail(
    @Context('document') document: Document,
    @Args('index', { type: () => Int }) index: number,
    @Args('challengeId', CHALLENGE) challengeId: string | null,
  ) {
    return this.operations.run(ledgerDetail, document, { index, challengeId }, NOTHING);
  }

  @Mutation(() => Int, {
    description: 'How many details of entries about this patient were erased; ask again until it is 0.',
  })
  eraseLedgerDetails(
    @Context('document') document: Document,
    @Args('patientId', { type: () => ID }) patientId: string,
    @Args('challengeId', CHALLENGE) challengeId: string | null,
  ) {
    return this.operations.run(eraseLedgerDetails, document, { patientId, challengeId }, NOTHING);
  }
}
