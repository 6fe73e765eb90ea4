import { Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/** Who may speak for a patient with which account: the patient himself, or his guardian. FHIR R4 RelatedPerson. */
@Unique({
  name: 'related_person_patient_living',
  properties: ['tenantId', 'patientId'],
  where: `relationship = 'SELF' AND status = 'active'`,
})
@Unique({
  name: 'related_person_account_living',
  properties: ['tenantId', 'accountId'],
  where: `relationship = 'SELF' AND status = 'active'`,
})
@Unique({
  name: 'related_person_guardian_living',
  properties: ['tenantId', 'patientId', 'accountId'],
  where: `relationship = 'GUARDIAN' AND status = 'active'`,
})
@TenantIndex('patientId', 'startAt')
@TenantIndex('accountId')
@Noun({
  table: 'related_person',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'Who may speak for a patient: the patient himself, or his guardian (FHIR RelatedPerson).',
  interfaces: () => [Governed],
  order: { field: 'startAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class RelatedPerson {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({
    kind: 'code',
    group: 'identity',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description: 'SELF or GUARDIAN.',
  })
  relationship: string | null;

  @Attribute({ kind: 'id', group: 'identity', level: 'L3', mask: 'M_NULL', present: true })
  accountId: string | null;

  @Attribute({
    kind: 'text',
    group: 'identity',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    maximum: 1000,
    description: 'What was shown to prove the relationship.',
  })
  evidence: string | null;

  @Attribute({
    kind: 'code',
    group: 'identity',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description: 'active until somebody ends it, then inactive.',
  })
  status: string | null;

  @Attribute({ kind: 'instant', group: 'identity', level: 'L3', mask: 'M_NULL', present: true })
  startAt: string | null;

  @Attribute({
    kind: 'instant',
    group: 'identity',
    level: 'L3',
    mask: 'M_NULL',
    description: 'From this instant on it does not count; null where no end is known.',
  })
  endAt: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  @Internal('uuid')
  patientId: string;

  /** The role that the account must have: part of the reference to it. */
  @Internal('text')
  accountRole: string;
}
