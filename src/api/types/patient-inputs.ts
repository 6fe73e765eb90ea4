import { Field, InputType } from '@nestjs/graphql';
import type { PatientValues } from '../../domain/patient/patient-values.js';

@InputType({ description: 'A patch: a field that is absent stays as it is, null clears it.' })
export class UpdatePatientInput implements PatientValues {
  @Field(() => String, { nullable: true })
  name?: string | null;

  @Field(() => String, { nullable: true, description: 'male, female, other or unknown (FHIR administrative gender).' })
  gender?: string | null;

  @Field(() => String, { nullable: true, description: 'YYYY-MM-DD.' })
  birthDate?: string | null;

  @Field(() => String, { nullable: true })
  phone?: string | null;

  @Field(() => String, { nullable: true })
  email?: string | null;

  @Field(() => String, { nullable: true })
  address?: string | null;

  @Field(() => String, { nullable: true })
  nationalId?: string | null;

  @Field(() => String, { nullable: true })
  insuranceNumber?: string | null;

  @Field(() => String, { nullable: true })
  notes?: string | null;
}

@InputType()
export class CreatePatientInput extends UpdatePatientInput {
  @Field(() => String)
  declare name: string;
}

@InputType({ description: 'One of the two, or both.' })
export class PatientSearchInput {
  @Field(() => String, {
    nullable: true,
    description:
      'A part of the name: Chinese characters, the whole pinyin, its initials or the family name in pinyin, or the beginning of a word.',
  })
  name: string | null;

  @Field(() => String, { nullable: true, description: 'The last four digits of the phone.' })
  phoneSuffix: string | null;
}

@InputType({ description: 'Exactly one of the two, whole.' })
export class PatientLookupInput {
  @Field(() => String, { nullable: true })
  phone: string | null;

  @Field(() => String, { nullable: true })
  nationalId: string | null;
}
