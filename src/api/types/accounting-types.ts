import { ArgsType, Field, ID, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type {
  Accounting,
  AccountForDisclosuresArguments,
  AccountingProtocol,
} from '../../domain/disclosure/account-for-disclosures.js';
import type { AccountingEntry } from '../../domain/disclosure/accounting.js';
import { DisclosureCategory } from '../../domain/disclosure/disclosure-category.js';

export enum AccountingModeType {
  HIPAA = 'HIPAA',
  PART2 = 'PART2',
}
registerEnumType(AccountingModeType, {
  name: 'AccountingMode',
  description:
    'HIPAA: what is accountable, six years back (45 CFR 164.528). PART2: what was disclosed with consent, three years ' +
    'back; for treatment, payment and operations only through an electronic health record (42 CFR 2.25).',
});

@ArgsType()
export class AccountingArgumentsType implements AccountForDisclosuresArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => String, {
    nullable: true,
    description: 'RFC 3339 with a zone; cut to what the law gives, which is all where it is left out.',
  })
  from: string | null;

  @Field(() => String, { nullable: true, description: 'RFC 3339 with a zone; now where it is left out.' })
  to: string | null;

  @Field(() => AccountingModeType, { nullable: true, defaultValue: AccountingModeType.HIPAA })
  mode: AccountingModeType;
}

@ObjectType('AccountingPeriod', { description: 'The period that an accounting covers, both instants included.' })
export class AccountingPeriodType {
  @Field(() => String)
  from: string;

  @Field(() => String)
  to: string;
}

@ObjectType('AccountingTimes', { description: 'Repeated disclosures to one recipient for one purpose.' })
export class AccountingTimesType {
  @Field(() => String)
  first: string;

  @Field(() => String)
  last: string;

  @Field(() => Int)
  count: number;
}

@ObjectType('AccountingEntry', { description: 'A disclosure, or the first of several that are summarised.' })
export class AccountingEntryType implements AccountingEntry {
  @Field(() => ID)
  id: string;

  @Field(() => String, { description: 'RFC 3339, UTC.' })
  disclosedAt: string;

  @Field(() => String)
  recipientName: string;

  @Field(() => String, { nullable: true, description: 'Where it is known.' })
  recipientAddress: string | null;

  @Field(() => String)
  description: string;

  @Field(() => String)
  purpose: string;

  @Field(() => DisclosureCategory)
  category: DisclosureCategory;

  @Field(() => String, { nullable: true, description: 'The business associate that disclosed, if it was one.' })
  disclosedBy: string | null;

  @Field(() => AccountingTimesType, { nullable: true, description: 'Null where there was one disclosure.' })
  times: AccountingEntry['times'];
}

@ObjectType('AccountingProtocol', {
  description: 'Research for which records of many persons were disclosed in the period.',
})
export class AccountingProtocolType implements AccountingProtocol {
  @Field(() => ID)
  id: string;

  @Field(() => String)
  name: string;

  @Field(() => String)
  description: string;

  @Field(() => String)
  criteria: string;

  @Field(() => String)
  types: string;

  @Field(() => String)
  disclosedFrom: string;

  @Field(() => String, { description: 'The last disclosure, at the latest the end of the period.' })
  disclosedTo: string;

  @Field(() => String)
  sponsorName: string;

  @Field(() => String)
  sponsorAddress: string;

  @Field(() => String)
  sponsorPhone: string;

  @Field(() => String)
  researcherName: string;

  @Field(() => String)
  researcherAddress: string;

  @Field(() => String)
  researcherPhone: string;
}

@ObjectType('Accounting', { description: 'To whom the data of a patient went, oldest first.' })
export class AccountingType implements Accounting {
  @Field(() => ID, { description: 'Of the request that it answers.' })
  id: string;

  @Field(() => AccountingModeType)
  mode: AccountingModeType;

  @Field(() => AccountingPeriodType)
  period: AccountingPeriodType;

  @Field(() => String, { description: 'RFC 3339, UTC.' })
  generatedAt: string;

  @Field(() => [AccountingEntryType])
  entries: AccountingEntryType[];

  @Field(() => [AccountingProtocolType])
  protocols: AccountingProtocolType[];

  @Field(() => String, { description: 'What the list of research protocols means for the patient.' })
  protocolStatement: string;

  @Field(() => Boolean, {
    description: 'True where an accounting of this mode was given within 12 months: the first one is free.',
  })
  feeMayApply: boolean;

  @Field(() => String, { description: 'SHA-256 of what was given out, hexadecimal: the ledger names it too.' })
  sha256: string;
}
