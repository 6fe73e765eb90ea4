import { Check, Trigger, Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * A time that is kept for a patient. FHIR R4 Appointment: `booked`, `cancelled`, `fulfilled` and `noshow` are its codes;
 * `confirmed` is a `booked` one whose patient participant has the participation status `accepted` (until then
 * `needs-action`). Two living appointments of one practitioner never overlap: the table excludes it.
 */
@Unique({ name: 'appointment_form_unique', properties: ['tenantId', 'patientId', 'id', 'consentFormId'] })
@TenantIndex('patientId', 'start')
@TenantIndex('start', 'id')
@TenantIndex('reminderStatus', 'reminderAt')
@Check({
  name: 'appointment_status_check',
  expression: `status IN ('booked', 'confirmed', 'cancelled', 'fulfilled', 'noshow')`,
})
@Check({ name: 'appointment_period_check', expression: 'end_at > start_at' })
@Check({
  name: 'appointment_confirmed_check',
  expression: `status <> 'confirmed' OR consent_form_id IS NULL OR informed_consent_id IS NOT NULL`,
})
@Trigger({
  name: 'appointment_queue',
  timing: 'before',
  events: ['insert', 'update'],
  expression:
    'CREATE TRIGGER appointment_queue BEFORE INSERT OR UPDATE ON appointment EXECUTE FUNCTION appointment_queue()',
})
@Noun({
  table: 'appointment',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'A time that is kept for a patient (FHIR Appointment).',
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
      actorAttribute: 'compartmentGrants',
    },
  ],
})
export class Appointment {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({ kind: 'id', group: 'public', level: 'L2', present: true, filter: 'equality' })
  patientId: string | null;

  @Attribute({
    kind: 'code',
    group: 'record',
    level: 'L4',
    mask: 'M_NULL',
    present: true,
    filter: 'equality',
    description: 'booked, confirmed, cancelled, fulfilled or noshow.',
  })
  status: string | null;

  @Attribute({
    kind: 'instant',
    group: 'record',
    level: 'L4',
    mask: 'M_NULL',
    column: 'start_at',
    present: true,
    filter: 'range',
    sortable: true,
  })
  start: string | null;

  @Attribute({
    kind: 'instant',
    group: 'record',
    level: 'L4',
    mask: 'M_NULL',
    column: 'end_at',
    present: true,
    filter: 'range',
  })
  end: string | null;

  @Attribute({ kind: 'text', group: 'record', level: 'L4', mask: 'M_NULL', sealed: true })
  department: string | null;

  @Attribute({ kind: 'text', group: 'clinical', level: 'L4', mask: 'M_TEXT', sealed: true, maximum: 500 })
  reason: string | null;

  @Attribute({ kind: 'id', group: 'record', level: 'L3', mask: 'M_NULL', filter: 'equality' })
  practitionerId: string | null;

  @Attribute({
    kind: 'id',
    group: 'record',
    level: 'L4',
    mask: 'M_NULL',
    description: 'The form that must be signed for this appointment before it can be confirmed.',
  })
  consentFormId: string | null;

  @Attribute({
    kind: 'id',
    group: 'record',
    level: 'L4',
    mask: 'M_NULL',
    description: 'The signature with which it was confirmed.',
  })
  informedConsentId: string | null;

  @Attribute({
    kind: 'instant',
    group: 'record',
    level: 'L3',
    mask: 'M_NULL',
    filter: 'range',
    sortable: true,
    description: 'When the reminder is due; while it is being sent, when the attempt counts as abandoned.',
  })
  reminderAt: string | null;

  @Attribute({
    kind: 'code',
    group: 'record',
    level: 'L3',
    mask: 'M_NULL',
    filter: 'equality',
    description: 'due, sending, sent or withheld; null where none is to be sent.',
  })
  reminderStatus: string | null;

  @Attribute({ kind: 'instant', group: 'public', level: 'L2', required: true, filter: 'range', sortable: true })
  createdAt: string;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  /** Label of the special compartment that the department belongs to; NONE where it belongs to none. */
  @Internal('text', { default: `'NONE'` })
  compartment: string;
}
