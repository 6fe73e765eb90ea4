import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { checkPatient, indexedTexts, type PatientValues } from './patient-values.js';

export interface UpdatePatientArguments {
  readonly id: string;
  /** The version that the caller read: another one in the table is VERSION_CONFLICT. */
  readonly version: number;
  readonly input: PatientValues;
}

/** Patches a patient: an absent field stays, null clears. */
export const updatePatient = defineOperation<UpdatePatientArguments, View>({
  name: 'updatePatient',
  kind: 'UPDATE',
  action: 'update',
  type: 'Patient',
  mode: 'write',
  handler: async (scope, { id, version, input }) => {
    checkPatient(input, scope.now);
    if (input.name !== undefined && !input.name?.trim()) {
      throw new Failure('BAD_USER_INPUT', 'Patient.name is required.', 'Leave the field out to keep it.', {
        extensions: { field: 'Patient.name' },
      });
    }
    return scope.write.update(
      'Patient',
      id,
      version,
      { ...input },
      { indexed: indexedTexts(input, scope.actor.country) },
    );
  },
});
