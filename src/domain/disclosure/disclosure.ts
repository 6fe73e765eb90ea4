import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * Data about a patient that left the organisation or a business associate of it. Never changed and never deleted. To whom,
 * what and why are sealed; ground and time are columns, because the accounting selects by them.
 */
@TenantIndex('patientId', 'disclosedAt')
@Noun({
  table: 'disclosure',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'Data about a patient that left the organisation (45 CFR 164.528, 42 CFR 2.25).',
  interfaces: () => [Governed],
  order: { field: 'disclosedAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class Disclosure {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'instant', group: 'access', level: 'L4', mask: 'M_NULL', present: true })
  disclosedAt: string | null;

  @Attribute({
    kind: 'text',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    maximum: 300,
    description: 'Who received the data: the entity or the person.',
  })
  recipientName: string | null;

  @Attribute({ kind: 'text', group: 'access', level: 'L4', mask: 'M_NULL', sealed: true, maximum: 500 })
  recipientAddress: string | null;

  @Attribute({
    kind: 'text',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    maximum: 2000,
    description: 'What was disclosed, in brief.',
  })
  description: string | null;

  @Attribute({
    kind: 'text',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    maximum: 2000,
    description: 'Why: a statement that tells the patient the basis of the disclosure.',
  })
  purpose: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    present: true,
    maximum: 40,
    description: 'The legal ground, one of DisclosureCategory.',
  })
  category: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    maximum: 40,
    description:
      'The clause that takes it out of the accounting of disclosures, such as 164.528(a)(1)(i); follows from the category. ' +
      'Null where it is accountable.',
  })
  exclusion: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    present: true,
    maximum: 40,
    description: "WITH_CONSENT where it was made with the patient's written consent (42 CFR 2.31).",
  })
  consent: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    present: true,
    maximum: 40,
    description: 'How the data left, one of DisclosureChannel.',
  })
  channel: string | null;

  @Attribute({
    kind: 'text',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    maximum: 300,
    description: 'The business associate that disclosed; null for the organisation itself.',
  })
  disclosedBy: string | null;

  @Attribute({
    kind: 'text',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    description: 'What the disclosure is on record as elsewhere, such as the id of an export.',
  })
  sourceReference: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L4', mask: 'M_NULL', present: true })
  recordedAt: string | null;

  @Attribute({ kind: 'code', group: 'access', level: 'L4', mask: 'M_NULL', present: true })
  recordedByRole: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  @Internal('uuid')
  patientId: string;
}
