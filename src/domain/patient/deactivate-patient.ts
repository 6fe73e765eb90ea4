import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

/** Marks a patient as inactive. The record stays; nothing is erased. */
export const deactivatePatient = defineOperation<{ readonly id: string; readonly version: number }, View>({
  name: 'deactivatePatient',
  kind: 'UPDATE',
  action: 'deactivate',
  type: 'Patient',
  mode: 'write',
  handler: (scope, { id, version }) =>
    scope.write.update('Patient', id, version, { status: 'inactive' }, { action: 'deactivate' }),
});
