import { defineOperation } from '../../operation/operation.js';
import type { Connection } from '../../operation/connection.js';
import type { PageArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

/** The files about a patient, latest first. */
export const listAttachments = defineOperation<PageArguments & { readonly patient: View }, Connection>({
  name: 'Patient.attachments',
  kind: 'SEARCH',
  action: 'read',
  type: 'Attachment',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { patient, ...page }) => scope.children('Attachment', patient, page),
});
