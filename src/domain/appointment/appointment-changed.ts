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
 * is not told when the subscription begins; what may be seen is decided at every change. A notice is a hint and no fact,
 * because every login of the database can send one: an appointment of somebody else is none. The selection must have
 * `patientId`.
 */
export const appointmentChanged = defineOperation<AppointmentChangedArguments, View | null>({
  name: 'appointmentChanged',
  kind: 'READ',
  action: 'read',
  type: 'Appointment',
  mode: 'read',
  handler: async (scope, { patientId, id }) => {
    if (!isId(patientId)) throw notFound();
    if (id === null) {
      scope.obliged('read', 'Appointment');
      return null;
    }
    const appointment = await scope.get('Appointment', id);
    if (appointment['patientId'] !== patientId) throw notFound();
    return appointment;
  },
});
