import { Field, ID, InputType } from '@nestjs/graphql';
import type { AssignCareTeamArguments } from '../../domain/care-team/assign-care-team.js';
import type { CreateCareTeamArguments } from '../../domain/care-team/create-care-team.js';
import type { RecordDiagnosisArguments } from '../../domain/diagnosis/record-diagnosis.js';
import type { CreateVisitArguments } from '../../domain/visit/create-visit.js';

@InputType()
export class CreateVisitInput implements CreateVisitArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => String, { nullable: true, description: 'FHIR encounter status; planned unless stated.' })
  status?: string | null;

  @Field(() => String, { nullable: true, description: 'HL7 ActCode, such as AMB, EMER, IMP.' })
  class?: string | null;

  @Field(() => String, { description: 'RFC 3339 with a zone.' })
  start: string;

  @Field(() => String, { nullable: true })
  end?: string | null;

  @Field(() => String, { nullable: true })
  department?: string | null;

  @Field(() => String, { nullable: true })
  reasonCode?: string | null;

  @Field(() => String, { nullable: true, description: 'ICD-10 unless stated.' })
  reasonCodeSystem?: string | null;

  @Field(() => String, { nullable: true })
  reason?: string | null;

  @Field(() => ID, { nullable: true })
  practitionerId?: string | null;

  @Field(() => ID, { nullable: true })
  organizationId?: string | null;
}

@InputType()
export class RecordDiagnosisInput implements RecordDiagnosisArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => ID, { nullable: true })
  visitId?: string | null;

  @Field(() => String)
  code: string;

  @Field(() => String, {
    nullable: true,
    description: 'ICD-10 unless stated. Another system has no chapter and is shown to the treating team alone.',
  })
  codeSystem?: string | null;

  @Field(() => String, { nullable: true })
  display?: string | null;

  @Field(() => String, { nullable: true, description: 'FHIR condition clinical status; active unless stated.' })
  clinicalStatus?: string | null;

  @Field(() => String, { nullable: true, description: 'YYYY, YYYY-MM or YYYY-MM-DD.' })
  onsetDate?: string | null;

  @Field(() => String, { nullable: true, description: 'RFC 3339 with a zone; now unless stated.' })
  recordedAt?: string | null;
}

@InputType()
export class AssignCareTeamInput implements AssignCareTeamArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => ID)
  careTeamId: string;
}

@InputType()
export class CreateCareTeamInput implements CreateCareTeamArguments {
  @Field(() => String)
  name: string;

  @Field(() => [ID], { nullable: true, description: 'Accounts of the tenant (their me.id).' })
  memberIds?: string[] | null;
}
