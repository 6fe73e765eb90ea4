import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import { lookupRow } from '../../operation/lookup.js';
import type { View } from '../../operation/view.js';
import { normaliseNationalId, normalisePhone } from './normalise.js';

export interface PatientLookupArguments {
  readonly phone?: string | null;
  readonly nationalId?: string | null;
}

/** Finds the one patient with this phone or national number: exact and whole, counted against the caller's limit. */
export const lookupPatient = defineOperation<PatientLookupArguments, View>({
  name: 'patientLookup',
  kind: 'LOOKUP',
  action: 'lookup',
  type: 'Patient',
  mode: 'read',
  handler: (scope, { phone, nationalId }) => {
    if ((phone == null) === (nationalId == null)) {
      throw new Failure('BAD_USER_INPUT', 'A lookup has exactly one of phone and nationalId.', 'Send one of them.');
    }
    const [field, text, normalise] =
      phone != null
        ? (['phone', phone, (value: string) => normalisePhone(value, scope.actor.country)] as const)
        : (['nationalId', nationalId ?? '', normaliseNationalId] as const);
    const wanted = normalise(text);
    if (wanted === null) {
      throw new Failure('BAD_USER_INPUT', `The ${field} is not complete.`, 'Send the whole number.');
    }
    return lookupRow(scope, 'Patient', field, wanted, (opened) => normalise(opened) === wanted);
  },
});
