import { Args, Context, ID, Info, Int, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { GraphQLResolveInfo } from 'graphql';
import { Consent } from '../domain/consent/consent.js';
import { listConsents } from '../domain/consent/list-consents.js';
import { recordConsent } from '../domain/consent/record-consent.js';
import { withdrawConsent } from '../domain/consent/withdraw-consent.js';
import { Patient } from '../domain/patient/patient.js';
import { reportAccesses } from '../domain/patient/report-accesses.js';
import { endRelatedPerson } from '../domain/related-person/end-related-person.js';
import { listRelatedPersons } from '../domain/related-person/list-related-persons.js';
import { registerRelatedPerson } from '../domain/related-person/register-related-person.js';
import { RelatedPerson } from '../domain/related-person/related-person.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import { selectFields } from '../operation/selection.js';
import type { View } from '../operation/view.js';
import { connectionSelectionOf, selectionOf } from './selection.js';
import { connectionType, PageArgumentsType } from './types/connection-types.js';
import {
  AccessReportType,
  ConsentListArgumentsType,
  RecordConsentInput,
  RegisterRelatedPersonInput,
} from './types/consent-types.js';

const ConsentConnection = connectionType(Consent);
const RelatedPersonConnection = connectionType(RelatedPerson);

@Resolver(() => Consent)
export class ConsentResolver {
  constructor(private readonly operations: Operations) {}

  @Mutation(() => Consent)
  recordConsent(
    @Context('document') document: Document,
    @Args('input') input: RecordConsentInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(recordConsent, document, input, selectionOf(info, 'Consent'));
  }

  @Mutation(() => Consent)
  withdrawConsent(
    @Context('document') document: Document,
    @Args('id', { type: () => ID }) id: string,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(withdrawConsent, document, { id }, selectionOf(info, 'Consent'));
  }
}

@Resolver(() => RelatedPerson)
export class RelatedPersonResolver {
  constructor(private readonly operations: Operations) {}

  @Mutation(() => RelatedPerson)
  registerRelatedPerson(
    @Context('document') document: Document,
    @Args('input') input: RegisterRelatedPersonInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(registerRelatedPerson, document, input, selectionOf(info, 'RelatedPerson'));
  }

  @Mutation(() => RelatedPerson)
  endRelatedPerson(
    @Context('document') document: Document,
    @Args('id', { type: () => ID }) id: string,
    @Args('version', { type: () => Int }) version: number,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(endRelatedPerson, document, { id, version }, selectionOf(info, 'RelatedPerson'));
  }
}

/** What a patient, or who speaks for him, asks about his own record. */
@Resolver(() => Patient)
export class PatientRightsResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => AccessReportType)
  accessReport(
    @Context('document') document: Document,
    @Args('patientId', { type: () => ID }) patientId: string,
    @Args() page: PageArgumentsType,
  ) {
    return this.operations.run(reportAccesses, document, { patientId, ...page }, selectFields());
  }

  @ResolveField(() => ConsentConnection, { nullable: true })
  consents(
    @Context('document') document: Document,
    @Parent() patient: View,
    @Args() page: ConsentListArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listConsents, document, { patient, ...page }, connectionSelectionOf(info, 'Consent'));
  }

  @ResolveField(() => RelatedPersonConnection, { nullable: true })
  relatedPersons(
    @Context('document') document: Document,
    @Parent() patient: View,
    @Args() page: PageArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = connectionSelectionOf(info, 'RelatedPerson');
    return this.operations.run(listRelatedPersons, document, { patient, ...page }, selection);
  }
}
