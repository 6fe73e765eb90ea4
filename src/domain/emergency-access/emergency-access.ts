import { Check } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * That a clinician broke the glass to one patient for some hours, and what the privacy office found of it afterwards. It is
 * the patient's: it stands in the access report, and its record names the patient. It says nothing of what the patient has.
 */
@TenantIndex('patientId', 'startedAt')
@TenantIndex('accountId', 'expiresAt')
@TenantIndex('startedAt', 'id')
@Check({ name: 'emergency_access_outcome_check', expression: `outcome IN ('PENDING', 'JUSTIFIED', 'UNJUSTIFIED')` })
@Check({
  name: 'emergency_access_reviewer_check',
  expression: `reviewed_by IS NULL OR reviewed_by <> account_id`,
})
@Noun({
  table: 'emergency_access',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'Access to one patient in an emergency, for some hours, with its review.',
  interfaces: () => [Governed],
  order: { field: 'startedAt', direction: 'DESC' },
  facts: [
    { name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' },
    { name: 'account', source: 'column', column: 'account_id', kind: 'uuid' },
  ],
})
export class EmergencyAccess {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({ kind: 'id', group: 'access', level: 'L3', mask: 'M_NULL', present: true, filter: 'equality' })
  patientId: string | null;

  @Attribute({
    kind: 'id',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    filter: 'equality',
    description: 'Who broke the glass.',
  })
  accountId: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description: 'LIFE_THREAT, UNCONSCIOUS, URGENT_CARE or DISASTER.',
  })
  reasonCode: string | null;

  @Attribute({
    kind: 'instant',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    filter: 'range',
    sortable: true,
  })
  startedAt: string | null;

  @Attribute({
    kind: 'instant',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    filter: 'range',
    description: 'From this instant on it opens nothing.',
  })
  expiresAt: string | null;

  @Attribute({
    kind: 'instant',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    filter: 'range',
    sortable: true,
    description: 'By when the privacy office has to review it.',
  })
  reviewDueAt: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L3', mask: 'M_NULL' })
  reviewedAt: string | null;

  @Attribute({ kind: 'id', group: 'access', level: 'L3', mask: 'M_NULL' })
  reviewedBy: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    filter: 'equality',
    description: 'PENDING until it was reviewed, then JUSTIFIED or UNJUSTIFIED.',
  })
  outcome: string | null;

  @Attribute({
    kind: 'text',
    group: 'notes',
    level: 'L4',
    mask: 'M_TEXT',
    sealed: true,
    maximum: 1000,
    description: 'What the review found.',
  })
  note: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  /** When the privacy office was told of it; null until then. */
  @Internal('timestamptz', { nullable: true })
  noticedAt: Date | null;
}
