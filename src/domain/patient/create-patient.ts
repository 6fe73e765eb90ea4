import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { checkPatient, type PatientValues } from './patient-values.js';

/** Registers a patient. With an Idempotency-Key, a repetition within 24 hours answers the patient of the first time. */
export const createPatient = defineOperation<PatientValues, View>({
  name: 'createPatient',
  kind: 'CREATE',
  action: 'create',
  type: 'Patient',
  mode: 'write',
  handler: async (scope, values) => {
    if (!values.name?.trim()) {
      throw new Failure('BAD_USER_INPUT', 'Patient.name is required.', 'Send a name.', {
        extensions: { field: 'Patient.name' },
      });
    }
    checkPatient(values, scope.now);
    return scope.write.create(
      'Patient',
      { ...values },
      {
        key: await scope.write.newSubject(),
        internal: { status: 'active' },
      },
    ).view;
  },
});
