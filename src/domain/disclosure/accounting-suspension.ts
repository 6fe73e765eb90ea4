import { Check } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * That an agency asked to keep disclosures to itself out of a patient's accounting for a time (45 CFR 164.528(a)(2)).
 * It is its own subject, with a key and a reference of its own: were it the patient's, the access report would name it to
 * the very person who must not hear of it.
 */
@TenantIndex('patientId')
@Check({
  name: 'accounting_suspension_oral_check',
  expression: `statement <> 'ORAL' OR until_at <= stated_at + '720:00:00'::interval`,
})
@Noun({
  table: 'accounting_suspension',
  subject: 'self',
  description: 'An agency asked to keep disclosures to itself out of the accounting for a time (45 CFR 164.528(a)(2)).',
  interfaces: () => [Governed],
  order: { field: 'statedAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class AccountingSuspension {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({ kind: 'id', group: 'access', level: 'L4', mask: 'M_NULL', present: true, filter: 'equality' })
  patientId: string | null;

  @Attribute({
    kind: 'text',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    maximum: 300,
    description: 'The agency or official, named as the recipient of the disclosures is.',
  })
  agency: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    present: true,
    description: 'ORAL or WRITTEN: an oral statement counts for 30 days at most.',
  })
  statement: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L4', mask: 'M_NULL', present: true })
  statedAt: string | null;

  @Attribute({
    kind: 'instant',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    column: 'until_at',
    present: true,
    description: 'From this instant on the disclosures are in the accounting again.',
  })
  until: string | null;

  @Attribute({
    kind: 'code',
    group: 'access',
    level: 'L4',
    mask: 'M_NULL',
    present: true,
    filter: 'equality',
    description: 'active until somebody ends it before its time, then ended.',
  })
  status: string | null;

  @Attribute({ kind: 'instant', group: 'access', level: 'L4', mask: 'M_NULL' })
  endedAt: string | null;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  /** Its name in the ledger: random, and not the patient's. */
  @Internal('text')
  subjectReference: string;

  /** Every subject has it; nobody treats a suspension. */
  @Internal('uuid[]', { default: `'{}'` })
  careTeamIds: string[];
}
