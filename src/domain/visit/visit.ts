import { Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/** An encounter between a patient and the organisation. FHIR R4 Encounter. */
@Unique({ properties: ['tenantId', 'patientId', 'id'] })
@TenantIndex('patientId', 'start')
@Noun({
  table: 'visit',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  imported: true,
  description: 'An encounter of a patient (FHIR Encounter).',
  interfaces: () => [Governed],
  order: { field: 'start', direction: 'DESC' },
  facts: [
    { name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' },
    { name: 'status', source: 'column', column: 'status', kind: 'text' },
    { name: 'compartment', source: 'column', column: 'compartment', kind: 'text' },
    {
      name: 'isGranted',
      source: 'granted',
      patient: 'patient_id',
      column: 'compartment',
      visit: 'id',
      actorAttribute: 'compartmentGrants',
    },
  ],
})
export class Visit {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({ kind: 'code', group: 'record', level: 'L4', mask: 'M_NULL', present: true })
  status: string | null;

  @Attribute({
    kind: 'code',
    group: 'record',
    level: 'L4',
    mask: 'M_NULL',
    description: 'HL7 ActCode, such as AMB, EMER, IMP.',
  })
  class: string | null;

  @Attribute({ kind: 'instant', group: 'record', level: 'L4', mask: 'M_NULL', column: 'start_at', present: true })
  start: string | null;

  @Attribute({ kind: 'instant', group: 'record', level: 'L4', mask: 'M_NULL', column: 'end_at' })
  end: string | null;

  @Attribute({ kind: 'text', group: 'record', level: 'L4', mask: 'M_NULL', sealed: true })
  department: string | null;

  @Attribute({ kind: 'code', group: 'clinical', level: 'L4', mask: 'M_DX', sealed: true, maximum: 40 })
  reasonCode: string | null;

  @Attribute({ kind: 'text', group: 'clinical', level: 'L4', mask: 'M_TEXT', sealed: true, maximum: 500 })
  reason: string | null;

  @Attribute({ kind: 'code', group: 'clinical', level: 'L4', derivedFrom: ['reasonCode'] })
  reasonChapter: string | null;

  @Attribute({ kind: 'id', group: 'record', level: 'L3', mask: 'M_NULL' })
  practitionerId: string | null;

  @Attribute({ kind: 'id', group: 'record', level: 'L3', mask: 'M_NULL' })
  organizationId: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  @Internal('uuid')
  patientId: string;

  /** Label of the special compartment that the department or the reason belongs to; NONE where there is none. */
  @Internal('text', { default: `'NONE'` })
  compartment: string;
}
