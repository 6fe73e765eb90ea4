import { Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/** A person who provides care, as the source system names them. FHIR R4 Practitioner. */
@Unique({ properties: ['tenantId', 'id'] })
@TenantIndex('createdAt', 'id')
@Noun({
  table: 'practitioner',
  subject: 'none',
  imported: true,
  description: 'A person who provides care (FHIR Practitioner).',
  interfaces: () => [Governed],
  order: { field: 'createdAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class Practitioner {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, maximum: 300 })
  name: string | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', maximum: 100 })
  identifier: string | null;

  @Attribute({ kind: 'instant', group: 'public', level: 'L2', required: true, sortable: true })
  createdAt: string;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;
}
