import { Args, Context, Info, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { GraphQLResolveInfo } from 'graphql';
import { assignCareTeam } from '../domain/care-team/assign-care-team.js';
import { CareTeamAssignment } from '../domain/care-team/care-team-assignment.js';
import { CareTeam } from '../domain/care-team/care-team.js';
import { createCareTeam } from '../domain/care-team/create-care-team.js';
import { assignedTeam, listCareTeams } from '../domain/care-team/list-care-teams.js';
import { Diagnosis } from '../domain/diagnosis/diagnosis.js';
import { recordDiagnosis } from '../domain/diagnosis/record-diagnosis.js';
import { Organization } from '../domain/organization/organization.js';
import { Practitioner } from '../domain/practitioner/practitioner.js';
import { createVisit } from '../domain/visit/create-visit.js';
import { visitOrganization, visitPractitioner } from '../domain/visit/visit-references.js';
import { Visit } from '../domain/visit/visit.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import { connectionSelectionOf, selectionOf } from './selection.js';
import {
  AssignCareTeamInput,
  CreateCareTeamInput,
  CreateVisitInput,
  RecordDiagnosisInput,
} from './types/clinical-inputs.js';
import { connectionType } from './types/connection-types.js';
import { listArguments, type ListArgumentsType } from './types/criteria-types.js';

const CareTeamConnection = connectionType(CareTeam);
const CareTeamListArguments = listArguments(CareTeam);

@Resolver(() => Visit)
export class VisitResolver {
  constructor(private readonly operations: Operations) {}

  @Mutation(() => Visit)
  createVisit(
    @Context('document') document: Document,
    @Args('input') input: CreateVisitInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(createVisit, document, input, selectionOf(info, 'Visit'));
  }

  @ResolveField(() => Practitioner, { nullable: true })
  practitioner(@Context('document') document: Document, @Parent() visit: Visit, @Info() info: GraphQLResolveInfo) {
    return this.operations.run(
      visitPractitioner,
      document,
      { id: visit.practitionerId },
      selectionOf(info, 'Practitioner'),
    );
  }

  @ResolveField(() => Organization, { nullable: true })
  organization(@Context('document') document: Document, @Parent() visit: Visit, @Info() info: GraphQLResolveInfo) {
    return this.operations.run(
      visitOrganization,
      document,
      { id: visit.organizationId },
      selectionOf(info, 'Organization'),
    );
  }
}

@Resolver(() => Diagnosis)
export class DiagnosisResolver {
  constructor(private readonly operations: Operations) {}

  @Mutation(() => Diagnosis)
  recordDiagnosis(
    @Context('document') document: Document,
    @Args('input') input: RecordDiagnosisInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(recordDiagnosis, document, input, selectionOf(info, 'Diagnosis'));
  }
}

@Resolver(() => CareTeamAssignment)
export class CareTeamResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => CareTeamConnection)
  careTeams(
    @Context('document') document: Document,
    @Args({ type: () => CareTeamListArguments }) input: ListArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listCareTeams, document, input, connectionSelectionOf(info, 'CareTeam'));
  }

  @Mutation(() => CareTeam)
  createCareTeam(
    @Context('document') document: Document,
    @Args('input') input: CreateCareTeamInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(createCareTeam, document, input, selectionOf(info, 'CareTeam'));
  }

  @Mutation(() => CareTeamAssignment)
  assignCareTeam(
    @Context('document') document: Document,
    @Args('input') input: AssignCareTeamInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(assignCareTeam, document, input, selectionOf(info, 'CareTeamAssignment'));
  }

  @ResolveField(() => CareTeam, { nullable: true })
  careTeam(
    @Context('document') document: Document,
    @Parent() assignment: CareTeamAssignment,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(assignedTeam, document, { id: assignment.careTeamId }, selectionOf(info, 'CareTeam'));
  }
}
