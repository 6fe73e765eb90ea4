import { Field } from '@nestjs/graphql';
import { Attribute, Internal, Noun, TenantIndex } from '../../persistence/attribute.js';
import { FieldAccess, Governed } from '../governed.js';

/**
 * A file about a patient. FHIR R4 DocumentReference with one `content.attachment`. The row says that there is a file; the
 * bytes lie sealed in the blob store, and `content` is the only way to them.
 */
@TenantIndex('patientId', 'createdAt')
@Noun({
  table: 'attachment',
  subject: { parent: 'Patient', foreignKey: 'patient_id' },
  description: 'A file about a patient (FHIR DocumentReference).',
  interfaces: () => [Governed],
  order: { field: 'createdAt', direction: 'DESC' },
  facts: [
    { name: 'tenant', source: 'column', column: 'tenant_id', kind: 'text' },
    { name: 'status', source: 'column', column: 'status', kind: 'text' },
    { name: 'category', source: 'column', column: 'category', kind: 'text' },
    { name: 'announcedBy', source: 'column', column: 'announced_by', kind: 'uuid' },
  ],
})
export class Attachment {
  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  id: string;

  @Attribute({ kind: 'count', group: 'public', level: 'L2', required: true })
  version: number;

  @Attribute({ kind: 'id', group: 'public', level: 'L2', required: true })
  patientId: string;

  @Attribute({
    kind: 'code',
    group: 'public',
    level: 'L2',
    required: true,
    description: 'pending until the bytes were taken, then available; refused where they were not what was declared.',
  })
  status: string;

  @Attribute({ kind: 'code', group: 'record', level: 'L3', mask: 'M_NULL', present: true, maximum: 40 })
  category: string | null;

  @Attribute({ kind: 'text', group: 'notes', level: 'L4', mask: 'M_TEXT', sealed: true })
  title: string | null;

  @Attribute({ kind: 'code', group: 'record', level: 'L3', mask: 'M_NULL', present: true })
  contentType: string | null;

  @Attribute({ kind: 'count', group: 'record', level: 'L3', mask: 'M_NULL', present: true, description: 'In bytes.' })
  size: number | null;

  /** Tells who knows a file whether this is it, so it is as guarded as the bytes. */
  @Attribute({
    kind: 'text',
    group: 'clinical',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    description: 'SHA-256 of the bytes, hexadecimal.',
  })
  sha256: string | null;

  /** Sealed is the name of the blob: who may not see this field in clear does not learn where the bytes are. */
  @Attribute({
    kind: 'text',
    group: 'clinical',
    level: 'L4',
    mask: 'M_NULL',
    sealed: true,
    description: 'Path to GET the bytes from, with the same headers as this request. CLEAR in fieldAccess: you may.',
  })
  content: string | null;

  @Attribute({ kind: 'instant', group: 'public', level: 'L2', required: true })
  createdAt: string;

  @Field(() => [FieldAccess])
  fieldAccess: FieldAccess[];

  @Internal('text')
  tenantId: string;

  /** The account that announced the file: nobody else sends bytes under its title. */
  @Internal('uuid')
  announcedBy: string;
}
