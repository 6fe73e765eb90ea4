import { Args, ArgsType, Context, Field, Int, Query, Resolver } from '@nestjs/graphql';
import type { Document } from '../operation/document.js';
import {
  auditEvent,
  ledgerCheckpoint,
  ledgerConsistency,
  ledgerEntries,
  ledgerEntry,
  ledgerProof,
  ledgerReceipt,
} from '../operation/ledger-query.js';
import { Operations } from '../operation/run.js';
import { selectFields, type Selection } from '../operation/selection.js';
import { PageArgumentsType } from './types/connection-types.js';
import {
  LedgerCheckpointType,
  LedgerConsistencyType,
  LedgerEntryConnectionType,
  LedgerEntryType,
  LedgerFilterType,
  LedgerProofType,
} from './types/ledger-types.js';

/** Entries and proofs have no governed fields: they name references. */
const NOTHING: Selection = selectFields();

@ArgsType()
class LedgerEntriesArgumentsType extends PageArgumentsType {
  @Field(() => LedgerFilterType, { nullable: true })
  filter: LedgerFilterType | null;
}

/** The ledger of the caller's tenant, for those who oversee it, and proofs for those who hold a receipt. */
@Resolver()
export class LedgerResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => LedgerEntryConnectionType)
  ledgerEntries(@Context('document') document: Document, @Args() page: LedgerEntriesArgumentsType) {
    return this.operations.run(ledgerEntries, document, page, NOTHING);
  }

  @Query(() => LedgerEntryType)
  ledgerEntry(@Context('document') document: Document, @Args('index', { type: () => Int }) index: number) {
    return this.operations.run(ledgerEntry, document, { index }, NOTHING);
  }

  @Query(() => LedgerCheckpointType)
  ledgerCheckpoint(@Context('document') document: Document) {
    return this.operations.run(ledgerCheckpoint, document, {}, NOTHING);
  }

  @Query(() => LedgerProofType)
  ledgerProof(@Context('document') document: Document, @Args('index', { type: () => Int }) index: number) {
    return this.operations.run(ledgerProof, document, { index }, NOTHING);
  }

  @Query(() => LedgerConsistencyType)
  ledgerConsistency(
    @Context('document') document: Document,
    @Args('from', { type: () => Int }) from: number,
    @Args('to', { type: () => Int, nullable: true, description: 'The size that was signed last without it.' })
    to: number | null,
  ) {
    return this.operations.run(ledgerConsistency, document, { from, to }, NOTHING);
  }

  @Query(() => [String], {
    description:
      'The entry as FHIR R4 AuditEvent resources in the form of IHE Basic Audit Log Patterns, JSON: one for each patient that it names.',
  })
  auditEvent(@Context('document') document: Document, @Args('index', { type: () => Int }) index: number) {
    return this.operations.run(auditEvent, document, { index }, NOTHING);
  }

  @Query(() => LedgerProofType, {
    description:
      'The proof of the record that an earlier answer named in extensions.ledger. PROOF_NOT_READY: a second later.',
  })
  ledgerReceipt(
    @Context('document') document: Document,
    @Args('writer', { type: () => String }) writer: string,
    @Args('number', { type: () => Int }) number: number,
    @Args('recordHash', { type: () => String }) recordHash: string,
  ) {
    return this.operations.run(ledgerReceipt, document, { writer, number, recordHash }, NOTHING);
  }
}
