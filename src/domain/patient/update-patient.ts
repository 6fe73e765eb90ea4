import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { ageOfConsentAt } from '../terminology/age-of-consent.js';
import { stageGuardianshipEnd } from './guardianship.store.js';
import { checkPatient, type PatientValues } from './patient-values.js';

export interface UpdatePatientArguments {
  readonly id: string;
  /** The version that the caller read: another one in the table is VERSION_CONFLICT. */
  readonly version: number;
  readonly input: PatientValues;
}

/** Patches a patient: an absent field stays, null clears. With the date of birth moves the end of guardianships. */
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
    const { tenant, country, timeZone } = scope.actor;
    const view = await scope.write.update('Patient', id, version, { ...input });
    if (input.birthDate !== undefined) {
      const endAt = ageOfConsentAt(input.birthDate?.trim() || null, country, timeZone);
      stageGuardianshipEnd(scope.write.unit, { tenant, patientId: id }, endAt);
    }
    return view;
  },
});
