import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * Research for which records of 50 or more persons were disclosed without their authorisation (45 CFR 164.512(i)): every
 * accounting of the period names it, instead of each disclosure (45 CFR 164.528(b)(4)). Names no patient. Never changed.
 */
@TenantIndex('createdAt', 'id')
@Noun({
  table: 'research_protocol',
  subject: 'none',
  description: 'Research for which records of 50 or more persons were disclosed (45 CFR 164.528(b)(4)).',
  interfaces: () => [Governed],
  order: { field: 'createdAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class ResearchProtocol {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, maximum: 300 })
  name: string | null;

  @Attribute({
    kind: 'text',
    group: 'public',
    level: 'L2',
    present: true,
    maximum: 5000,
    description: 'The research and its purpose, in plain language.',
  })
  description: string | null;

  @Attribute({
    kind: 'text',
    group: 'public',
    level: 'L2',
    present: true,
    maximum: 2000,
    description: 'By which criteria records were selected.',
  })
  criteria: string | null;

  @Attribute({
    kind: 'text',
    group: 'public',
    level: 'L2',
    present: true,
    maximum: 2000,
    description: 'Which types of data were disclosed.',
  })
  types: string | null;

  @Attribute({ kind: 'instant', group: 'public', level: 'L2', present: true })
  disclosedFrom: string | null;

  @Attribute({ kind: 'instant', group: 'public', level: 'L2', present: true, description: 'The last disclosure.' })
  disclosedTo: string | null;

  @Attribute({
    kind: 'count',
    group: 'public',
    level: 'L2',
    present: true,
    description: 'How many persons; 50 or more.',
  })
  persons: number | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, maximum: 300 })
  sponsorName: string | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, maximum: 500 })
  sponsorAddress: string | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, maximum: 60 })
  sponsorPhone: string | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, maximum: 300 })
  researcherName: string | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, maximum: 500 })
  researcherAddress: string | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L2', present: true, maximum: 60 })
  researcherPhone: string | null;

  @Attribute({ kind: 'instant', group: 'public', level: 'L2', required: true, sortable: true })
  createdAt: string;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;
}
