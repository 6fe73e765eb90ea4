import { Args, Context, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { completeErasureNotice, erasureNotices } from '../domain/erasure/erasure-notices.js';
import { erasureReceipt } from '../domain/erasure/erasure-receipt.js';
import { eraseSubject } from '../domain/erasure/erase-subject.js';
import { legalHolds, placeLegalHold, releaseLegalHold } from '../domain/erasure/legal-hold.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import { selectFields, type Selection } from '../operation/selection.js';
import {
  EraseSubjectArgumentsType,
  ErasureNoticeConnectionType,
  ErasureNoticesArgumentsType,
  ErasureNoticeType,
  ErasureReceiptType,
  LegalHoldType,
  PlaceLegalHoldArgumentsType,
} from './types/erasure-types.js';

/** Nothing here is a field of a noun: receipts name nobody, notices and holds are the privacy office's. */
const NOTHING: Selection = selectFields();
const CHALLENGE = {
  type: () => ID,
  nullable: true,
  description: 'The satisfied challenge of an earlier STEP_UP_REQUIRED.',
} as const;

/** Erasure of persons, what stands in its way, and who is told. */
@Resolver()
export class ErasureResolver {
  constructor(private readonly operations: Operations) {}

  @Mutation(() => ErasureReceiptType, {
    description:
      'Erases a person for good. LEGAL_HOLD and RETENTION_MINIMUM say what stands in the way. After any other error of it ask for the receipt before you repeat it: the erasure may have happened.',
  })
  async eraseSubject(@Context('document') document: Document, @Args() input: EraseSubjectArgumentsType) {
    const id = await this.operations.run(eraseSubject, document, { ...input }, NOTHING);
    return this.operations.run(erasureReceipt, document, { id }, NOTHING);
  }

  @Query(() => ErasureReceiptType)
  erasureReceipt(@Context('document') document: Document, @Args('id', { type: () => ID }) id: string) {
    return this.operations.run(erasureReceipt, document, { id }, NOTHING);
  }

  @Query(() => ErasureNoticeConnectionType, { description: 'What is due first comes first.' })
  erasureNotices(@Context('document') document: Document, @Args() input: ErasureNoticesArgumentsType) {
    return this.operations.run(erasureNotices, document, { ...input }, NOTHING);
  }

  @Mutation(() => ErasureNoticeType, { description: 'Somebody was told, or the last backup is gone.' })
  completeErasureNotice(@Context('document') document: Document, @Args('id', { type: () => ID }) id: string) {
    return this.operations.run(completeErasureNotice, document, { id }, NOTHING);
  }

  @Query(() => [LegalHoldType], { description: 'The holds of a person, also those that were released.' })
  legalHolds(@Context('document') document: Document, @Args('patientId', { type: () => ID }) patientId: string) {
    return this.operations.run(legalHolds, document, { patientId }, NOTHING);
  }

  @Mutation(() => LegalHoldType, { description: 'Keeps the data of a person from erasure. It opens nothing.' })
  placeLegalHold(@Context('document') document: Document, @Args() input: PlaceLegalHoldArgumentsType) {
    return this.operations.run(placeLegalHold, document, { ...input }, NOTHING);
  }

  @Mutation(() => LegalHoldType, { description: 'Releases a hold that somebody else placed.' })
  releaseLegalHold(
    @Context('document') document: Document,
    @Args('id', { type: () => ID }) id: string,
    @Args('challengeId', CHALLENGE) challengeId: string | null,
  ) {
    return this.operations.run(releaseLegalHold, document, { id, challengeId }, NOTHING);
  }
}
