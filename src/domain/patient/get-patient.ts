import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

/** One patient by id. Missing, foreign and forbidden are one answer. */
export const getPatient = defineOperation<{ readonly id: string }, View>({
  name: 'patient',
  kind: 'READ',
  action: 'read',
  type: 'Patient',
  mode: 'read',
  refusal: 'NOT_FOUND',
  handler: (scope, { id }) => scope.get('Patient', id),
});
