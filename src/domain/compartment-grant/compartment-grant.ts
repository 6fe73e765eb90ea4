import { Check } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * That one clinician may see one special compartment of one patient for a time, or what of it is of one visit. It says nothing of whether the patient has
 * anything in it. It is its own subject, with a key and a reference of its own: were it the patient's, the access report
 * would tell a guardian of a compartment that a minor keeps to himself.
 */
@TenantIndex('patientId', 'visitId')
@TenantIndex('accountId', 'validUntil')
@TenantIndex('validFrom', 'id')
@Check({ name: 'compartment_grant_period_check', expression: 'valid_until > valid_from' })
@Noun({
  table: 'compartment_grant',
  subject: 'self',
  description: 'That one clinician may see one special compartment of one patient for a time.',
  interfaces: () => [Governed],
  order: { field: 'validFrom', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class CompartmentGrant {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({
    kind: 'id',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    filter: 'equality',
    description: 'Who may see it: the account of a physician or a nurse.',
  })
  accountId: string | null;

  @Attribute({ kind: 'id', group: 'access', level: 'L4', mask: 'M_NULL', present: true, filter: 'equality' })
  patientId: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    present: true,
    filter: 'equality',
    description: 'HIV_STD, MENTAL, SUD, GENETIC, REPRO or ABUSE.',
  })
  compartment: string | null;

  @Attribute({
    kind: 'id',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    description:
      'The one visit that it opens, with what was diagnosed there; null where it opens the whole compartment.',
  })
  visitId: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description: 'TREATING_TEAM, CONSULTATION, PATIENT_REQUEST or COVER.',
  })
  reasonCode: string | null;

  @Attribute({ kind: 'id', group: 'access', level: 'L3', mask: 'M_NULL', present: true })
  grantedBy: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L3', mask: 'M_NULL', present: true, filter: 'range' })
  validFrom: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L3', mask: 'M_NULL', present: true, filter: 'range' })
  validUntil: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    filter: 'equality',
    description: 'active until somebody revokes it, then revoked.',
  })
  status: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L3', mask: 'M_NULL' })
  revokedAt: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  /** The role that the account had: with another one it sees nothing of what was granted. */
  @Internal('text')
  accountRole: string;

  /** Its name in the ledger: random, and not the patient's. */
  @Internal('text')
  subjectReference: string;

  /** Every subject has it; nobody treats a grant. */
  @Internal('uuid[]', { default: `'{}'` })
  careTeamIds: string[];
}
