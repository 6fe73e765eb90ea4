import { Args, Context, ID, Info, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { GraphQLResolveInfo } from 'graphql';
import { CompartmentGrant } from '../domain/compartment-grant/compartment-grant.js';
import {
  grantCompartment,
  listCompartmentGrants,
  revokeCompartmentGrant,
} from '../domain/compartment-grant/grant-compartment.js';
import { breakGlass } from '../domain/emergency-access/break-glass.js';
import { EmergencyAccess } from '../domain/emergency-access/emergency-access.js';
import { listEmergencyAccesses, reviewEmergencyAccess } from '../domain/emergency-access/review-emergency-access.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import { connectionSelectionOf, selectionOf } from './selection.js';
import { connectionType } from './types/connection-types.js';
import { listArguments, type ListArgumentsType } from './types/criteria-types.js';
import {
  BreakGlassInput,
  EmergencyAccessesArguments,
  GrantCompartmentInput,
  ReviewEmergencyAccessArgumentsType,
} from './types/emergency-types.js';

const CompartmentGrantConnection = connectionType(CompartmentGrant);
const CompartmentGrantListArguments = listArguments(CompartmentGrant);
const EmergencyAccessConnection = connectionType(EmergencyAccess);

/** Special compartments that clinicians are granted. */
@Resolver(() => CompartmentGrant)
export class CompartmentGrantResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => CompartmentGrantConnection)
  compartmentGrants(
    @Context('document') document: Document,
    @Args({ type: () => CompartmentGrantListArguments }) input: ListArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listCompartmentGrants, document, input, connectionSelectionOf(info, 'CompartmentGrant'));
  }

  @Mutation(() => CompartmentGrant, {
    description: 'Lets a clinician who treats a patient see a special compartment of that patient, whatever is in it.',
  })
  grantCompartment(
    @Context('document') document: Document,
    @Args('input') input: GrantCompartmentInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(grantCompartment, document, input, selectionOf(info, 'CompartmentGrant'));
  }

  @Mutation(() => CompartmentGrant, { description: 'Takes a grant back.' })
  revokeCompartmentGrant(
    @Context('document') document: Document,
    @Args('id', { type: () => ID }) id: string,
    @Args('challengeId', { type: () => ID, nullable: true }) challengeId: string | null,
    @Info() info: GraphQLResolveInfo,
  ) {
    const selection = selectionOf(info, 'CompartmentGrant');
    return this.operations.run(revokeCompartmentGrant, document, { id, challengeId }, selection);
  }
}

/** Accesses in emergencies, and their review. */
@Resolver(() => EmergencyAccess)
export class EmergencyAccessResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => EmergencyAccessConnection, {
    description: 'Latest first: all of the organisation for the privacy office, one’s own for a clinician.',
  })
  emergencyAccesses(
    @Context('document') document: Document,
    @Args() input: EmergencyAccessesArguments,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listEmergencyAccesses, document, input, connectionSelectionOf(info, 'EmergencyAccess'));
  }

  @Mutation(() => EmergencyAccess, {
    description:
      'Opens one patient for four hours. Needs the headers X-Break-Glass: BTG and X-Reason, the purpose ETREAT and a second factor. The privacy office is told, and reviews it within 72 hours.',
  })
  breakGlass(
    @Context('document') document: Document,
    @Args('input') input: BreakGlassInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(breakGlass, document, input, selectionOf(info, 'EmergencyAccess'));
  }

  @Mutation(() => EmergencyAccess, { description: 'Notes what the review found. An access that is still open ends.' })
  reviewEmergencyAccess(
    @Context('document') document: Document,
    @Args() input: ReviewEmergencyAccessArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(reviewEmergencyAccess, document, input, selectionOf(info, 'EmergencyAccess'));
  }
}
