import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * What a patient decided about one purpose of use. FHIR R4 Consent. Never changed after it was recorded, but for the mark
 * of its withdrawal; a newer one of the same purpose replaces it without touching it.
 */
@TenantIndex('patientId', 'recordedAt')
@Noun({
  table: 'consent',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'What a patient decided about one purpose of use (FHIR Consent).',
  interfaces: () => [Governed],
  order: { field: 'recordedAt', direction: 'DESC' },
  inForce: { key: 'purpose', from: 'recorded_at', until: ['withdrawn_at', 'expires_at'] },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class Consent {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({
    kind: 'code',
    group: 'consent',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    maximum: 40,
    description: 'A purpose of use, such as CAREMGT.',
  })
  purpose: string | null;

  @Attribute({
    kind: 'code',
    group: 'consent',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description: 'PERMIT or DENY.',
  })
  decision: string | null;

  @Attribute({
    kind: 'code',
    group: 'consent',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description:
      'active until it is withdrawn, then inactive. A newer consent of the same purpose replaces an active one.',
  })
  status: string | null;

  @Attribute({ kind: 'instant', group: 'consent', level: 'L3', mask: 'M_NULL', present: true })
  recordedAt: string | null;

  @Attribute({ kind: 'code', group: 'consent', level: 'L3', mask: 'M_NULL', present: true })
  recordedByRole: string | null;

  @Attribute({
    kind: 'instant',
    group: 'consent',
    level: 'L3',
    mask: 'M_NULL',
    description: 'From this instant on it is as if nothing had been recorded.',
  })
  expiresAt: string | null;

  @Attribute({ kind: 'instant', group: 'consent', level: 'L3', mask: 'M_NULL' })
  withdrawnAt: string | null;

  @Attribute({ kind: 'code', group: 'consent', level: 'L3', mask: 'M_NULL' })
  withdrawnByRole: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  @Internal('uuid')
  patientId: string;
}
