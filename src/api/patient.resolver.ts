import { Args, Context, ID, Info, Int, Mutation, Parent, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { GraphQLResolveInfo } from 'graphql';
import { CareTeamAssignment } from '../domain/care-team/care-team-assignment.js';
import { listAssignments } from '../domain/care-team/list-care-teams.js';
import { Diagnosis } from '../domain/diagnosis/diagnosis.js';
import { listDiagnoses } from '../domain/diagnosis/list-diagnoses.js';
import { createPatient } from '../domain/patient/create-patient.js';
import { deactivatePatient } from '../domain/patient/deactivate-patient.js';
import { getPatient } from '../domain/patient/get-patient.js';
import { listPatients } from '../domain/patient/list-patients.js';
import { lookupPatient } from '../domain/patient/lookup-patient.js';
import { Patient } from '../domain/patient/patient.js';
import { searchPatients } from '../domain/patient/search-patients.js';
import { updatePatient } from '../domain/patient/update-patient.js';
import { listVisits } from '../domain/visit/list-visits.js';
import { Visit } from '../domain/visit/visit.js';
import type { Document } from '../operation/document.js';
import { Operations } from '../operation/run.js';
import type { View } from '../operation/view.js';
import { connectionSelectionOf, selectionOf } from './selection.js';
import { connectionType, PageArgumentsType } from './types/connection-types.js';
import { listArguments, type ListArgumentsType } from './types/criteria-types.js';
import {
  CreatePatientInput,
  PatientLookupInput,
  PatientSearchInput,
  UpdatePatientInput,
} from './types/patient-inputs.js';

const PatientConnection = connectionType(Patient);
const VisitConnection = connectionType(Visit);
const DiagnosisConnection = connectionType(Diagnosis);
const PatientListArguments = listArguments(Patient);

@Resolver(() => Patient)
export class PatientResolver {
  constructor(private readonly operations: Operations) {}

  @Query(() => PatientConnection)
  patients(
    @Context('document') document: Document,
    @Args({ type: () => PatientListArguments }) input: ListArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listPatients, document, input, connectionSelectionOf(info, 'Patient'));
  }

  @Query(() => Patient, { nullable: true })
  patient(
    @Context('document') document: Document,
    @Args('id', { type: () => ID }) id: string,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(getPatient, document, { id }, selectionOf(info, 'Patient'));
  }

  @Query(() => Patient, { nullable: true })
  patientLookup(
    @Context('document') document: Document,
    @Args('input') input: PatientLookupInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(lookupPatient, document, input, selectionOf(info, 'Patient'));
  }

  @Query(() => [Patient], {
    nullable: true,
    description: 'The newest that are found, at most 50: no count and no cursor.',
  })
  searchPatients(
    @Context('document') document: Document,
    @Args('input') input: PatientSearchInput,
    @Args('first', { type: () => Int, nullable: true }) first: number | null,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(searchPatients, document, { ...input, first }, selectionOf(info, 'Patient'));
  }

  @Mutation(() => Patient)
  createPatient(
    @Context('document') document: Document,
    @Args('input') input: CreatePatientInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(createPatient, document, input, selectionOf(info, 'Patient'));
  }

  @Mutation(() => Patient)
  updatePatient(
    @Context('document') document: Document,
    @Args('id', { type: () => ID }) id: string,
    @Args('version', { type: () => Int }) version: number,
    @Args('input') input: UpdatePatientInput,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(updatePatient, document, { id, version, input }, selectionOf(info, 'Patient'));
  }

  @Mutation(() => Patient)
  deactivatePatient(
    @Context('document') document: Document,
    @Args('id', { type: () => ID }) id: string,
    @Args('version', { type: () => Int }) version: number,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(deactivatePatient, document, { id, version }, selectionOf(info, 'Patient'));
  }

  @ResolveField(() => VisitConnection, { nullable: true })
  visits(
    @Context('document') document: Document,
    @Parent() patient: View,
    @Args() page: PageArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listVisits, document, { patient, ...page }, connectionSelectionOf(info, 'Visit'));
  }

  @ResolveField(() => DiagnosisConnection, { nullable: true })
  diagnoses(
    @Context('document') document: Document,
    @Parent() patient: View,
    @Args() page: PageArgumentsType,
    @Info() info: GraphQLResolveInfo,
  ) {
    return this.operations.run(listDiagnoses, document, { patient, ...page }, connectionSelectionOf(info, 'Diagnosis'));
  }

  @ResolveField(() => [CareTeamAssignment], { nullable: true })
  careTeam(@Context('document') document: Document, @Parent() patient: View, @Info() info: GraphQLResolveInfo) {
    return this.operations.run(listAssignments, document, { patient }, selectionOf(info, 'CareTeamAssignment'));
  }
}
