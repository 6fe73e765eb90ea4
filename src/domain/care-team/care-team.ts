import { Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/** A group of people who treat patients together. FHIR R4 CareTeam without its subject: one team cares for many patients. */
@Unique({ properties: ['tenantId', 'id'] })
@Unique({ properties: ['tenantId', 'name'] })
@Noun({
  table: 'care_team',
  subject: 'none',
  description: 'A group of people who treat patients together (FHIR CareTeam).',
  interfaces: () => [Governed],
  order: { field: 'name', direction: 'ASC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class CareTeam {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, filter: 'equality', sortable: true })
  name: string | null;

  @Attribute({ kind: 'instant', group: 'public', level: 'L2', required: true, sortable: true })
  createdAt: string;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;
}
