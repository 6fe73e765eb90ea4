import { Unique } from '@mikro-orm/decorators/legacy';
import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/** The text that patients sign before a procedure, in one version and one language. Never changed: a new text is a new form. */
@Unique({ properties: ['tenantId', 'id'] })
@Unique({ name: 'consent_form_version_unique', properties: ['tenantId', 'code', 'language', 'textVersion'] })
@TenantIndex('createdAt', 'id')
@Noun({
  table: 'consent_form',
  subject: 'none',
  description: 'The text of an informed consent, in one version and one language.',
  interfaces: () => [Governed],
  order: { field: 'createdAt', direction: 'DESC' },
  facts: [{ name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' }],
})
export class ConsentForm {
  @Attribute({ kind: 'id', group: 'public', level: 'L1', required: true })
  id: string;

  @Attribute({
    kind: 'code',
    group: 'public',
    level: 'L1',
    present: true,
    maximum: 60,
    filter: 'equality',
    sortable: true,
    description: 'Names what is consented to, whatever the version and the language.',
  })
  code: string | null;

  @Attribute({ kind: 'code', group: 'public', level: 'L1', present: true, maximum: 40, filter: 'equality' })
  textVersion: string | null;

  @Attribute({
    kind: 'code',
    group: 'public',
    level: 'L1',
    present: true,
    maximum: 35,
    filter: 'equality',
    description: 'BCP 47 language tag of the text.',
  })
  language: string | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L1', present: true })
  title: string | null;

  @Attribute({ kind: 'text', group: 'public', level: 'L1', present: true, maximum: 50_000 })
  text: string | null;

  @Attribute({
    kind: 'code',
    group: 'public',
    level: 'L1',
    present: true,
    filter: 'equality',
    description: 'SHA-256 of the UTF-8 bytes of the text, hexadecimal: what a signature names.',
  })
  sha256: string | null;

  @Attribute({ kind: 'instant', group: 'public', level: 'L1', required: true, sortable: true })
  createdAt: string;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;
}
