import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/** The care relationship: a team is responsible for a patient from one moment to another. */
@TenantIndex('patientId', 'assignedAt')
@Noun({
  table: 'care_team_assignment',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'A care relationship between a patient and a care team.',
  interfaces: () => [Governed],
  order: { field: 'assignedAt', direction: 'DESC' },
  maintains: { column: 'care_team_ids', from: 'careTeamId' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class CareTeamAssignment {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'id', group: 'record', level: 'L3', mask: 'M_NULL', present: true })
  careTeamId: string | null;

  @Attribute({ kind: 'instant', group: 'record', level: 'L3', mask: 'M_NULL', present: true })
  assignedAt: string | null;

  @Attribute({ kind: 'instant', group: 'record', level: 'L3', mask: 'M_NULL' })
  endedAt: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  @Internal('uuid')
  patientId: string;
}
