import { Field, ID, InputType, Int, registerEnumType } from '@nestjs/graphql';
import {
  DisclosureCategory,
  DisclosureChannel,
  DisclosureConsent,
} from '../../domain/disclosure/disclosure-category.js';
import type { RecordDisclosureArguments } from '../../domain/disclosure/record-disclosure.js';
import type { RecordResearchProtocolArguments } from '../../domain/disclosure/record-research-protocol.js';
import type { SuspendAccountingArguments } from '../../domain/disclosure/suspend-accounting.js';

registerEnumType(DisclosureCategory, {
  name: 'DisclosureCategory',
  description: 'The legal ground of a disclosure. Whether it is in the accounting follows from it.',
  valuesMap: {
    REQUIRED_BY_LAW: { description: 'Required by law. 45 CFR 164.512(a).' },
    PUBLIC_HEALTH: { description: 'To a public-health authority. 164.512(b).' },
    ABUSE_REPORT: { description: 'About a victim of abuse, neglect or violence. 164.512(c).' },
    HEALTH_OVERSIGHT: { description: 'To an agency of health oversight. 164.512(d).' },
    COURT_ORDER: { description: 'In a proceeding of a court or tribunal. 164.512(e).' },
    LAW_ENFORCEMENT: { description: 'To law enforcement. 164.512(f).' },
    DECEDENT: { description: 'About a deceased, to coroners and funeral directors. 164.512(g).' },
    ORGAN_DONATION: { description: 'For the donation of organs, eyes or tissue. 164.512(h).' },
    RESEARCH: { description: 'For research without an authorisation. 164.512(i).' },
    SERIOUS_THREAT: { description: 'To avert a serious threat to health or safety. 164.512(j).' },
    GOVERNMENT_FUNCTION: { description: 'Military, protective services, State Department, benefits. 164.512(k).' },
    WORKERS_COMPENSATION: { description: "For workers' compensation. 164.512(l)." },
    SECRETARY: { description: 'To the Secretary of Health and Human Services. 164.502(a)(2)(ii).' },
    MISDIRECTED: { description: 'To the wrong recipient, or against the rules: a breach.' },
    TREATMENT: { description: 'For treatment. Not in the accounting: 164.528(a)(1)(i).' },
    PAYMENT: { description: 'For payment. Not in the accounting: 164.528(a)(1)(i).' },
    OPERATIONS: { description: 'For health care operations. Not in the accounting: 164.528(a)(1)(i).' },
    TO_INDIVIDUAL: { description: 'To the patient. Not in the accounting: 164.528(a)(1)(ii).' },
    INCIDENTAL: { description: 'Incident to what is permitted. Not in the accounting: 164.528(a)(1)(iii).' },
    AUTHORISED: { description: 'Under an authorisation of the patient. Not in the accounting: 164.528(a)(1)(iv).' },
    DIRECTORY: { description: 'Directory, or persons involved in the care. Not in the accounting: 164.528(a)(1)(v).' },
    NATIONAL_SECURITY: { description: 'National security, intelligence. Not in the accounting: 164.528(a)(1)(vi).' },
    CUSTODY: { description: 'To those who hold the patient in custody. Not in the accounting: 164.528(a)(1)(vii).' },
    LIMITED_DATA_SET: { description: 'As part of a limited data set. Not in the accounting: 164.528(a)(1)(viii).' },
  },
});
registerEnumType(DisclosureConsent, {
  name: 'DisclosureConsent',
  description: "Whether a disclosure was made with the patient's written consent (42 CFR 2.31).",
});
registerEnumType(DisclosureChannel, {
  name: 'DisclosureChannel',
  description: 'How the data left. EHR: through an electronic health record (42 CFR 2.25).',
});

@InputType()
export class RecordDisclosureInput implements RecordDisclosureArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => String, { description: 'RFC 3339 with a zone; not in the future.' })
  disclosedAt: string;

  @Field(() => String, { description: 'Who received the data: the entity or the person.' })
  recipientName: string;

  @Field(() => String, { nullable: true, description: 'Where it is known.' })
  recipientAddress?: string | null;

  @Field(() => String, { description: 'What was disclosed, in brief.' })
  description: string;

  @Field(() => String, { description: 'Why: a statement that tells the patient the basis of the disclosure.' })
  purpose: string;

  @Field(() => DisclosureCategory)
  category: DisclosureCategory;

  @Field(() => DisclosureConsent, { nullable: true, description: 'WITHOUT_CONSENT where it is left out.' })
  consent?: DisclosureConsent | null;

  @Field(() => DisclosureChannel, { nullable: true, description: 'OTHER where it is left out.' })
  channel?: DisclosureChannel | null;

  @Field(() => String, { nullable: true, description: 'The business associate that disclosed.' })
  disclosedBy?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'What it is on record as elsewhere, such as the id of an export.',
  })
  sourceReference?: string | null;
}

@InputType()
export class SuspendAccountingInput implements SuspendAccountingArguments {
  @Field(() => ID)
  patientId: string;

  @Field(() => String, { description: 'The agency or official, named as the recipient of the disclosures is.' })
  agency: string;

  @Field(() => String, { description: 'RFC 3339 with a zone: the end that the agency stated.' })
  until: string;

  @Field(() => Boolean, { description: 'True for an oral statement: 30 days at most.' })
  oral: boolean;

  @Field(() => String, { nullable: true, description: 'When the agency stated it; now where it is left out.' })
  statedAt?: string | null;
}

@InputType()
export class RecordResearchProtocolInput implements RecordResearchProtocolArguments {
  @Field(() => String)
  name: string;

  @Field(() => String, { description: 'The research and its purpose, in plain language.' })
  description: string;

  @Field(() => String, { description: 'By which criteria records were selected.' })
  criteria: string;

  @Field(() => String, { description: 'Which types of data were disclosed.' })
  types: string;

  @Field(() => String, { description: 'RFC 3339 with a zone: the first disclosure.' })
  disclosedFrom: string;

  @Field(() => String, { description: 'RFC 3339 with a zone: the last disclosure.' })
  disclosedTo: string;

  @Field(() => Int, { description: 'How many persons; 50 or more.' })
  persons: number;

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
