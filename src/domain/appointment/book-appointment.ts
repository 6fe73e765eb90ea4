import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { compartmentOfDepartment } from '../terminology/compartment.js';
import { readPeriod, reminderFor, type Period } from './appointment-period.js';

export interface BookAppointmentArguments extends Period {
  readonly patientId: string;
  readonly department?: string | null;
  readonly reason?: string | null;
  readonly practitionerId?: string | null;
  readonly consentFormId?: string | null;
}

/**
 * Books a time for a patient, with a reminder 24 hours before it. Of bookings of one practitioner that overlap, one at most
 * happens: the others are BAD_USER_INPUT. The refusal tells that the practitioner is not free, also where the caller sees no
 * appointment then: without it nobody could book. It does not tell why. The compartment follows from the department, never from the caller.
 */
export const bookAppointment = defineOperation<BookAppointmentArguments, View>({
  name: 'bookAppointment',
  kind: 'CREATE',
  action: 'create',
  type: 'Appointment',
  mode: 'write',
  handler: async (scope, { patientId, start, end, ...values }) => {
    const subject = await scope.write.subject('Patient', patientId);
    const period = readPeriod({ start, end }, scope.now);
    const compartment = values.department ? compartmentOfDepartment(values.department) : 'NONE';
    const { id, view } = scope.write.create(
      'Appointment',
      { ...values, ...period, status: 'booked', ...reminderFor(period.start, scope.now) },
      { subject, internal: { compartment } },
    );
    scope.write.unit.notify('Appointment', id, subject.id);
    return view;
  },
});
