import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/** A condition stated for a patient. FHIR R4 Condition. */
@TenantIndex('patientId', 'visitId')
@TenantIndex('patientId', 'recordedAt')
@Noun({
  table: 'diagnosis',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  imported: true,
  description: 'A condition stated for a patient (FHIR Condition).',
  interfaces: () => [Governed],
  order: { field: 'recordedAt', direction: 'DESC' },
  facts: [
    { name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' },
    { name: 'compartment', source: 'column', column: 'compartment', kind: 'text' },
    {
      name: 'isGranted',
      source: 'granted',
      patient: 'patient_id',
      column: 'compartment',
      visit: 'visit_id',
      actorAttribute: 'compartmentGrants',
    },
    { name: 'codeSystem', source: 'column', column: 'code_system', kind: 'text' },
  ],
})
export class Diagnosis {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({ kind: 'code', group: 'clinical', level: 'L4', mask: 'M_DX', sealed: true, maximum: 40 })
  code: string | null;

  @Attribute({ kind: 'code', group: 'clinical', level: 'L3', present: true })
  codeSystem: string | null;

  @Attribute({ kind: 'text', group: 'clinical', level: 'L4', mask: 'M_TEXT', sealed: true, maximum: 500 })
  display: string | null;

  @Attribute({
    kind: 'code',
    group: 'clinical',
    level: 'L4',
    derivedFrom: ['code'],
    description: 'ICD-10 chapter; null where the code system is not ICD-10.',
  })
  icdChapter: string | null;

  @Attribute({ kind: 'code', group: 'clinical', level: 'L4', mask: 'M_NULL' })
  clinicalStatus: string | null;

  @Attribute({ kind: 'date', group: 'clinical', level: 'L4', mask: 'M_DOB', sealed: true })
  onsetDate: string | null;

  @Attribute({ kind: 'instant', group: 'record', level: 'L4', mask: 'M_NULL', present: true })
  recordedAt: string | null;

  @Attribute({ kind: 'id', group: 'record', level: 'L3', mask: 'M_NULL' })
  visitId: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  @Internal('uuid')
  patientId: string;

  /** Label of the special compartment of the code; UNMAPPED where the code system is not ICD-10. */
  @Internal('text', { default: `'UNMAPPED'` })
  compartment: string;
}
