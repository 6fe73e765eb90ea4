import { defineOperation } from '../../operation/operation.js';
import type { Connection } from '../../operation/connection.js';
import type { PageArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

/** The visits of a patient, latest first. */
export const listVisits = defineOperation<PageArguments & { readonly patient: View }, Connection>({
  name: 'Patient.visits',
  kind: 'SEARCH',
  action: 'read',
  type: 'Visit',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { patient, ...page }) => scope.children('Visit', patient, page),
});
