import { Args, Context, ID, Info, Int, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { GraphQLResolveInfo } from 'graphql';
import { accountForDisclosures } from '../domain/disclosure/account-for-disclosures.js';
import { AccountingRequest } from '../domain/disclosure/accounting-request.js';
import { AccountingSuspension } from '../domain/disclosure/accounting-suspension.js';
import { Disclosure } from '../domain/disclosure/disclosure.js';
import { listAccountingRequests, listDisclosures } from '../domain/disclosure/list-disclosures.js';
import { recordDisclosure } from '../domain/disclosure/record-disclosure.js';
import { listResearchProtocols, recordResearchProtocol } from '../domain/disclosure/record-research-protocol.js';
import { ResearchProtocol } from '../domain/disclosure/research-protocol.js';
import {
  endAccountingSuspension,
  listAccountingSuspensions,
  suspendAccounting,
} from '../domain/disclosure/suspend-accounting.js';
import { Patient } from '../domain/patient/patient.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import { selectFields } from '../operation/selection.js';
import type { View } from '../operation/view.js';
import { connectionSelectionOf, selectionOf } from './selection.js';
import { AccountingArgumentsType, AccountingType } from './types/accounting-types.js';
import { connectionType, PageArgumentsType } from './types/connection-types.js';
import { listArguments, type ListArgumentsType } from './types/criteria-types.js';
import {
  RecordDisclosureInput,
  RecordResearchProtocolInput,
  SuspendAccountingInput,
} from './types/disclosure-types.js';

const DisclosureConnection = connectionType(Disclosure);
const AccountingRequestConnection = connectionType(AccountingRequest);
const AccountingSuspensionConnection = connectionType(AccountingSuspension);
const ResearchProtocolConnection = connectionType(ResearchProtocol);
const AccountingSuspensionListArguments = listArguments(AccountingSuspension);
const ResearchProtocolListArguments = listArguments(ResearchProtocol);

@Resolver(() => Disclosure)
export class DisclosureResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => AccountingType, {
    description: 'To whom the data of a patient went. Each time is counted, and recorded in the ledger.',
  })
  accountingOfDisclosures(@Context('document') document: Document, @Args() input: AccountingArgumentsType) {
    return this.operations.run(accountForDisclosures, document, input, selectFields());
  }

  @Mutation(() => Disclosure, { description: 'Records that data about a patient left the organisation.' })
  recordDisclosure(
    @Context('document') document: Document,
    @Args('input') input: RecordDisclosureInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(recordDisclosure, document, input, selectionOf(info, 'Disclosure'));
  }

  @Query(() => AccountingSuspensionConnection)
  accountingSuspensions(
    @Context('document') document: Document,
    @Args({ type: () => AccountingSuspensionListArguments }) input: ListArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = connectionSelectionOf(info, 'AccountingSuspension');
    return this.operations.run(listAccountingSuspensions, document, input, selection);
  }

  @Mutation(() => AccountingSuspension, {
    description:
      'Keeps disclosures to an agency out of a patient’s accounting until an instant, as the agency demanded.',
  })
  suspendAccounting(
    @Context('document') document: Document,
    @Args('input') input: SuspendAccountingInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(suspendAccounting, document, input, selectionOf(info, 'AccountingSuspension'));
  }

  @Mutation(() => AccountingSuspension, { description: 'Ends a suspension before its time.' })
  endAccountingSuspension(
    @Context('document') document: Document,
    @Args('id', { type: () => ID }) id: string,
    @Args('version', { type: () => Int }) version: number,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = selectionOf(info, 'AccountingSuspension');
    return this.operations.run(endAccountingSuspension, document, { id, version }, selection);
  }

  @Query(() => ResearchProtocolConnection)
  researchProtocols(
    @Context('document') document: Document,
    @Args({ type: () => ResearchProtocolListArguments }) input: ListArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = connectionSelectionOf(info, 'ResearchProtocol');
    return this.operations.run(listResearchProtocols, document, input, selection);
  }

  @Mutation(() => ResearchProtocol, {
    description: 'Records research for which records of 50 or more persons were disclosed without their authorisation.',
  })
  recordResearchProtocol(
    @Context('document') document: Document,
    @Args('input') input: RecordResearchProtocolInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(recordResearchProtocol, document, input, selectionOf(info, 'ResearchProtocol'));
  }
}

/** The register of disclosures of a patient, for those who keep it. */
@Resolver(() => Patient)
export class PatientDisclosuresResolver {
  constructor(private readonly operations: Operations) {}

  @ResolveField(() => DisclosureConnection, { nullable: true })
  disclosures(
    @Context('document') document: Document,
    @Parent() patient: View,
    @Args() page: PageArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = connectionSelectionOf(info, 'Disclosure');
    return this.operations.run(listDisclosures, document, { patient, ...page }, selection);
  }

  @ResolveField(() => AccountingRequestConnection, { nullable: true })
  accountingRequests(
    @Context('document') document: Document,
    @Parent() patient: View,
    @Args() page: PageArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = connectionSelectionOf(info, 'AccountingRequest');
    return this.operations.run(listAccountingRequests, document, { patient, ...page }, selection);
  }
}
