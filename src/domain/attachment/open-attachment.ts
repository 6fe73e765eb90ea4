import { Failure, notFound } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { ContentPlace } from '../../operation/sealed-content.js';
import type { Scope } from '../../operation/scope.js';
import { selectFields, type Selection } from '../../operation/selection.js';
import type { FieldReport, View } from '../../operation/view.js';

/** What an opening reads, and what its record names. */
export const OPENING: Selection = {
  ...selectFields('patientId', 'contentType', 'size', 'content'),
  fieldAccess: true,
};

export interface OpenedAttachment {
  readonly id: string;
  readonly contentType: string;
  readonly size: number;
  /** Not read, and no file opened, before somebody asks for the first bytes. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * Opens the bytes of an attachment. Who sees the field `content` in clear may; of bytes there is no masked form, so that
 * a masked field is refused; where it is hidden, the attachment is not there.
 */
export const openAttachment = defineOperation<{ readonly id: string }, OpenedAttachment>({
  name: 'openAttachment',
  kind: 'READ',
  action: 'read',
  type: 'Attachment',
  mode: 'read',
  refusal: 'NOT_FOUND',
  handler: async (scope, { id }) => {
    const view = await scope.get('Attachment', id);
    const access = (view['fieldAccess'] as readonly FieldReport[]).find((one) => one.field === 'content');
    if (access?.state === 'MASKED') {
      throw new Failure(
        'FORBIDDEN',
        'The content of a file cannot be shown masked.',
        'State another purpose, or ask the security team.',
      );
    }
    const { contentType, size, content } = view;
    if (access?.state !== 'CLEAR') throw notFound('FORBIDDEN');
    if (typeof content !== 'string' || typeof contentType !== 'string' || typeof size !== 'number') throw notFound();
    const bytes = scope.services.contents.open(contentPlace(scope, view, content), scope.document.keyUse);
    return { id, contentType, size, bytes };
  },
});

/** Where the bytes of an attachment lie. `view` has `patientId`. */
export function contentPlace(scope: Scope, view: View, name: string): ContentPlace {
  return contentPlaceOf(scope.actor.tenant, String(view['patientId']), view.id, name);
}

export function contentPlaceOf(tenant: string, subjectId: string, id: string, name: string): ContentPlace {
  return { tenant, subjectId, row: `attachment ${id}`, name };
}
