import { defineOperation } from '../../operation/operation.js';
import type { Connection } from '../../operation/connection.js';
import type { PageArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

/** The diagnoses of a patient, latest first. */
export const listDiagnoses = defineOperation<PageArguments & { readonly patient: View }, Connection>({
  name: 'Patient.diagnoses',
  kind: 'SEARCH',
  action: 'read',
  type: 'Diagnosis',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { patient, ...page }) => scope.children('Diagnosis', patient, page),
});
