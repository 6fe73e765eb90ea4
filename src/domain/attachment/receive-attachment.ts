import { Failure, notFound } from '../../kernel/failure.js';
import { newReference } from '../../kernel/identifier.js';
import type { Document } from '../../operation/document.js';
import { defineOperation } from '../../operation/operation.js';
import type { Operations } from '../../operation/run.js';
import type { ContentPlace, SealedContents } from '../../operation/sealed-content.js';
import { selectFields } from '../../operation/selection.js';
import type { View } from '../../operation/view.js';
import { versionConflict } from '../../operation/writing.js';
import { ContentCheck, RefusedContent } from './content-check.js';
import { contentPlace } from './open-attachment.js';

const ANNOUNCED = selectFields('version', 'status', 'patientId', 'contentType', 'size');
const STORED = selectFields('version', 'status');

/** What was announced, and where the bytes go. */
interface Announced {
  readonly version: number;
  readonly contentType: string;
  readonly size: number;
  readonly contents: SealedContents;
  readonly place: ContentPlace;
}

/** Whether bytes may be sent for this attachment now, by this caller: whoever may not hears it before they are taken. */
export const uploadAttachment = defineOperation<{ readonly id: string }, Announced>({
  name: 'uploadAttachment',
  kind: 'READ',
  action: 'update',
  type: 'Attachment',
  mode: 'read',
  refusal: 'NOT_FOUND',
  handler: async (scope, { id }) => {
    const view = await scope.get('Attachment', id);
    await scope.write.allowUpdate('Attachment', id);
    const { version, status, contentType, size } = view;
    if (typeof version !== 'number' || typeof contentType !== 'string' || typeof size !== 'number') throw notFound();
    if (status !== 'pending') throw versionConflict('Attachment');
    // A name for this attempt alone: whoever loses against another upload deletes nothing but his own bytes.
    const place = contentPlace(scope, view, newReference());
    // An upload takes long: whose key is opened for it is recorded now, and not at its end.
    const { contents, ledger, vault } = scope.services;
    await vault.loadSubjectKeys(place.tenant, [place.subjectId], scope.document.keyUse);
    await scope.document.settleKeys(ledger);
    return { version, contentType, size, contents, place };
  },
});

interface StoreArguments {
  readonly id: string;
  readonly version: number;
  /** Null where the bytes were refused. */
  readonly content: { readonly name: string; readonly sha256: string } | null;
}

/** Ends the upload of a file: it is available with these bytes, or refused for good. */
export const storeAttachment = defineOperation<StoreArguments, View>({
  name: 'storeAttachment',
  kind: 'UPDATE',
  action: 'update',
  type: 'Attachment',
  mode: 'write',
  refusal: 'NOT_FOUND',
  handler: (scope, { id, version, content }) =>
    scope.write.update(
      'Attachment',
      id,
      version,
      content === null ? { status: 'refused' } : { status: 'available', content: content.name, sha256: content.sha256 },
    ),
});

/**
 * Takes the bytes of an announced file: seals and stores them while they are looked at, then makes the attachment
 * available. Of uploads at the same time one wins, the others are VERSION_CONFLICT. A crash before the last step leaves
 * the attachment pending; one within it may leave sealed bytes that no row names, which are erased with the patient's key.
 */
export async function receiveAttachment(
  operations: Operations,
  document: Document,
  id: string,
  bytes: AsyncIterable<Uint8Array>,
): Promise<View> {
  const { version, contents, place, ...declared } = await operations.run(uploadAttachment, document, { id }, ANNOUNCED);
  const check = new ContentCheck(declared);
  const store = (content: StoreArguments['content']) =>
    operations.run(storeAttachment, document, { id, version, content }, STORED);
  try {
    await contents.keep(place, check.inspect(bytes), document.keyUse);
  } catch (error) {
    if (error instanceof RefusedContent) await store(null);
    throw error;
  }
  try {
    return await store({ name: place.name, sha256: check.sha256 });
  } catch (error) {
    // Where the answer of the database was lost, the row may name these bytes: then they stay.
    if (error instanceof Failure && !IN_DOUBT.has(error.code)) await contents.discard(place);
    throw error;
  }
}

const IN_DOUBT = new Set(['AUDIT_UNAVAILABLE', 'INTERNAL_SERVER_ERROR']);
