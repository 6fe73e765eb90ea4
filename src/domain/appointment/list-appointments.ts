import type { Connection } from '../../operation/connection.js';
import { defineOperation } from '../../operation/operation.js';
import type { ListArguments, PageArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

/** The appointments that the caller may see for the stated purpose, latest first unless sorted otherwise. */
export const listAppointments = defineOperation<ListArguments, Connection>({
  name: 'appointments',
  kind: 'SEARCH',
  action: 'read',
  type: 'Appointment',
  mode: 'read',
  handler: (scope, input) => scope.list('Appointment', input),
});

/** The appointments of a patient, latest first. */
export const listPatientAppointments = defineOperation<PageArguments & { readonly patient: View }, Connection>({
  name: 'Patient.appointments',
  kind: 'SEARCH',
  action: 'read',
  type: 'Appointment',
  mode: 'read',
  refusal: 'HIDDEN',
  handler: (scope, { patient, ...page }) => scope.children('Appointment', patient, page),
});
