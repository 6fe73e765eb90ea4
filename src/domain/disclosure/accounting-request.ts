import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * That an accounting of disclosures was given out: when, to whom, for which period, and the digest of what it said
 * (45 CFR 164.528(d)). Never changed. Requests of the patient, or for him, decide whether a fee may be asked.
 */
@TenantIndex('patientId', 'requestedAt')
@Noun({
  table: 'accounting_request',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'An accounting of disclosures that was given out.',
  interfaces: () => [Governed],
  order: { field: 'requestedAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class AccountingRequest {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description: 'HIPAA or PART2.',
  })
  mode: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L3', mask: 'M_NULL', present: true })
  periodFrom: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L3', mask: 'M_NULL', present: true })
  periodTo: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L3', mask: 'M_NULL', present: true })
  requestedAt: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description:
      'Who asked: PATIENT or GUARDIAN; PRIVACY_OFFICE on behalf of the patient; COMPLIANCE for oversight, which does not count as a request of the patient.',
  })
  requester: string | null;

  @Attribute({
    kind: 'id',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description: 'The account that asked.',
  })
  accountId: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L3',
    mask: 'M_NULL',
    present: true,
    description: 'SHA-256 of the accounting as it was given out, hexadecimal: the ledger names it too.',
  })
  sha256: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  @Internal('uuid')
  patientId: string;
}
