import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { CONTENT_TYPES } from './content-type.js';

export interface AttachFileArguments {
  readonly patientId: string;
  readonly title: string;
  readonly contentType: string;
  /** In bytes. */
  readonly size: number;
  readonly category?: string | null;
}

/** What a file is about, so that a list can be read by those who may not see its title. */
const CATEGORIES = ['laboratory', 'imaging', 'report', 'correspondence', 'consent', 'identity', 'insurance', 'other'];

/** Announces a file. Its bytes follow with one PUT by the same account; until then the attachment is pending. */
export const attachFile = defineOperation<AttachFileArguments, View>({
  name: 'attachFile',
  kind: 'CREATE',
  action: 'create',
  type: 'Attachment',
  mode: 'write',
  handler: async (scope, { patientId, ...values }) => {
    const subject = await scope.write.subject('Patient', patientId);
    const category = values.category ?? 'other';
    const { largest } = scope.services.contents;
    if (values.title.trim() === '') throw bad('title', 'is required', 'Send a title.');
    if (!CATEGORIES.includes(category))
      throw bad('category', `is one of ${CATEGORIES.join(', ')}`, 'Send one of them.');
    if (!CONTENT_TYPES.has(values.contentType)) {
      const types = [...CONTENT_TYPES.keys()].join(', ');
      throw bad('contentType', `is one of ${types}`, 'Send one of them, without parameters.');
    }
    if (!Number.isInteger(values.size) || values.size < 1 || values.size > largest) {
      throw bad('size', `is between 1 and ${largest} bytes`, 'Send the exact size of the file.');
    }
    const internal = { status: 'pending', announced_by: scope.actor.id };
    return scope.write.create('Attachment', { ...values, category }, { subject, internal }).view;
  },
});

function bad(field: string, problem: string, nextStep: string): Failure {
  const name = `Attachment.${field}`;
  return new Failure('BAD_USER_INPUT', `${name} ${problem}.`, nextStep, { extensions: { field: name } });
}
