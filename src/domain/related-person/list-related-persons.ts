import type { Connection } from '../../operation/connection.js';
import { defineOperation } from '../../operation/operation.js';
import type { PageArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

/** Who speaks or spoke for a patient, latest first. */
export const listRelatedPersons = defineOperation<PageArguments & { readonly patient: View }, Connection>({
  name: 'Patient.relatedPersons',
  kind: 'SEARCH',
  action: 'read',
  type: 'RelatedPerson',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { patient, ...page }) => scope.children('RelatedPerson', patient, page),
});
