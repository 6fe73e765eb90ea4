import { Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/** An institution that provides care, as the source system names it. FHIR R4 Organization. */
@Unique({ properties: ['tenantId', 'id'] })
@TenantIndex('createdAt', 'id')
@Noun({
  table: 'organization',
  subject: 'none',
  imported: true,
  description: 'An institution that provides care (FHIR Organization).',
  interfaces: () => [Governed],
  order: { field: 'createdAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class Organization {
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
