import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { NO_REMINDER } from './appointment-period.js';
import { changeAppointment, currentAppointment, refuseUnless, type AppointmentVersion } from './current-appointment.js';

/** Gives the time back. The row stays; nobody is reminded of it. */
export const cancelAppointment = defineOperation<AppointmentVersion, View>({
  name: 'cancelAppointment',
  kind: 'UPDATE',
  action: 'deactivate',
  type: 'Appointment',
  mode: 'write',
  handler: async (scope, asked) => {
    const appointment = await currentAppointment(scope, asked);
    refuseUnless(appointment, ['booked', 'confirmed'], 'cancelled');
    return changeAppointment(scope, asked.id, appointment, { status: 'cancelled', ...NO_REMINDER }, 'deactivate');
  },
});
