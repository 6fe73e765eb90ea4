import { ArgsType, Field, ID, InputType, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { RecordConsentArguments } from '../../domain/consent/record-consent.js';
import type { RegisterRelatedPersonArguments } from '../../domain/related-person/register-related-person.js';
import type { AccessEntry, AccessReport } from '../../operation/access-report.js';
import { PageArgumentsType, PageInfoType } from './connection-types.js';

export enum ConsentDecision {
  PERMIT = 'PERMIT',
  DENY = 'DENY',
}
registerEnumType(ConsentDecision, { name: 'ConsentDecision' });

export enum Relationship {
  SELF = 'SELF',
  GUARDIAN = 'GUARDIAN',
}
registerEnumType(Relationship, {
  name: 'Relationship',
  description: 'SELF: the account of the patient. GUARDIAN: the account of who decides for a minor.',
});

@InputType()
export class RecordConsentInput implements RecordConsentArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => String, { description: 'A purpose of use, such as CAREMGT.' })
  purpose: string;

  @Field(() => ConsentDecision)
  decision: ConsentDecision;

  @Field(() => String, { nullable: true, description: 'RFC 3339 with a zone: from then on it does not count.' })
  expiresAt?: string | null;
}

@InputType()
export class RegisterRelatedPersonInput implements RegisterRelatedPersonArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => ID, { description: 'The id that "me" shows to who signs in with the account.' })
  accountId: string;

  @Field(() => Relationship)
  relationship: Relationship;

  @Field(() => String, { nullable: true, description: 'What was shown to prove it. A guardian needs some.' })
  evidence?: string | null;
}

@ArgsType()
export class ConsentListArgumentsType extends PageArgumentsType {
  @Field(() => String, {
    nullable: true,
    description: 'RFC 3339 with a zone: only what was in force then. The whole history without it.',
  })
  asOf: string | null;
}

@ObjectType('AccessedField', { description: 'What became of one field in one access.' })
export class AccessedFieldType {
  @Field(() => String)
  type: string;

  @Field(() => String)
  field: string;

  @Field(() => String, { description: 'CLEAR, MASKED, HIDDEN (asked for, not given), ERASED or WRITTEN.' })
  state: string;
}

@ObjectType('AccessEntry', {
  description: 'One operation that reached data of the patient. Names nobody of the staff.',
})
export class AccessEntryType implements AccessEntry {
  @Field(() => String, { description: 'RFC 3339, UTC.' })
  at: string;

  @Field(() => String, { description: 'The organisation whose staff or machine it was.' })
  organization: string;

  @Field(() => String, { nullable: true })
  role: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Stands for the account: the same in every report on this patient, another in reports on others.',
  })
  agent: string | null;

  @Field(() => String, { nullable: true })
  purpose: string | null;

  @Field(() => String)
  operation: string;

  @Field(() => String)
  kind: string;

  @Field(() => String)
  outcome: string;

  @Field(() => Boolean)
  emergency: boolean;

  @Field(() => [String], {
    description:
      'Groups of data of which anything was shown or written; access: reports and entries of the ledger about the patient.',
  })
  categories: AccessEntry['categories'];

  @Field(() => [AccessedFieldType])
  fields: AccessEntry['fields'];
}

@ObjectType('AccessReport', {
  description: 'Who reached the data of a patient, newest first. A page may be short before the end: follow endCursor.',
})
export class AccessReportType implements AccessReport {
  @Field(() => [AccessEntryType])
  entries: AccessReport['entries'];

  @Field(() => PageInfoType)
  pageInfo: PageInfoType;
}
