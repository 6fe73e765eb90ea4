import { notFound } from '../../kernel/failure.js';
import { isId } from '../../kernel/identifier.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

export interface AppointmentChangedArguments {
  readonly patientId: string;
  /** The appointment that changed; null when the subscription begins: then nothing is read. */
  readonly id: string | null;
}

/**
 * One push of a subscription: the appointment as its subscriber may see it at this moment. Whether there is such a patient
 * is not told when the subscription begins; what may be seen is decided at every change.
 */
export const appointmentChanged = defineOperation<AppointmentChangedArguments, View | null>({
  name: 'appointmentChanged',
  kind: 'READ',
  action: 'read',
  type: 'Appointment',
  mode: 'read',
  handler: async (scope, { patientId, id }) => {
    if (!isId(patientId)) throw notFound();
    if (id !== null) return scope.get('Appointment', id);
    scope.obliged('read', 'Appointment');
    return null;
  },
});
