import { Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * A signature under a form, for one appointment: what was read, who signed, when and with which factor. Never changed and
 * never deleted. What was signed is sealed together and bound to this row and this patient, so that a changed or moved
 * signature does not open; the references carry patient, appointment and form as one key.
 */
@Unique({
  name: 'informed_consent_signature_unique',
  properties: ['tenantId', 'patientId', 'appointmentId', 'formId', 'id'],
})
@TenantIndex('appointmentId')
@Noun({
  table: 'informed_consent',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'A signature under a consent form, for one appointment.',
  interfaces: () => [Governed],
  order: { field: 'signedAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class InformedConsent {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'id', group: 'consent', level: 'L4', mask: 'M_NULL', present: true, filter: 'equality' })
  appointmentId: string | null;

  @Attribute({ kind: 'id', group: 'consent', level: 'L4', mask: 'M_NULL', present: true })
  formId: string | null;

  @Attribute({ kind: 'code', group: 'consent', level: 'L4', mask: 'M_NULL', sealed: true })
  textVersion: string | null;

  @Attribute({
    kind: 'code',
    group: 'consent',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    description: 'SHA-256 of the text that was shown, hexadecimal.',
  })
  textHash: string | null;

  @Attribute({
    kind: 'id',
    group: 'consent',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    description: 'The account of the signer.',
  })
  signer: string | null;

  @Attribute({
    kind: 'code',
    group: 'consent',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    description: 'SELF or GUARDIAN.',
  })
  relationship: string | null;

  @Attribute({ kind: 'instant', group: 'consent', level: 'L4', mask: 'M_NULL', present: true })
  signedAt: string | null;

  @Attribute({
    kind: 'code',
    group: 'consent',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    description: 'The second factor that was given for this signature: totp.',
  })
  factor: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  @Internal('uuid')
  patientId: string;
}
