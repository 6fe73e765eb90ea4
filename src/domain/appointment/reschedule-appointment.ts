import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { readPeriod, reminderFor, type Period } from './appointment-period.js';
import { changeAppointment, currentAppointment, refuseUnless, type AppointmentVersion } from './current-appointment.js';

export type RescheduleAppointmentArguments = AppointmentVersion & Period;

/** Moves an appointment. It must be confirmed again, and the reminder follows: one that was sent was of another time. */
export const rescheduleAppointment = defineOperation<RescheduleAppointmentArguments, View>({
  name: 'rescheduleAppointment',
  kind: 'UPDATE',
  action: 'update',
  type: 'Appointment',
  mode: 'write',
  handler: async (scope, { start, end, ...asked }) => {
    const appointment = await currentAppointment(scope, asked);
    refuseUnless(appointment, ['booked', 'confirmed'], 'rescheduled');
    const period = readPeriod({ start, end }, scope.now);
    const reminder = reminderFor(period.start, scope.now);
    return changeAppointment(scope, asked.id, appointment, { ...period, status: 'booked', ...reminder });
  },
});
