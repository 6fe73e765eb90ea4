import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import { Scope } from '../../operation/scope.js';
import { selectFields } from '../../operation/selection.js';
import type { View } from '../../operation/view.js';
import { changeAppointment, currentAppointment, refuseUnless, type AppointmentVersion } from './current-appointment.js';

/**
 * Confirms an appointment. Where it names a form, a signature of that form for this appointment must be there: it cannot
 * go away between the look and the write, because signatures are never changed or deleted, and the table refuses a
 * confirmed row without one.
 */
export const confirmAppointment = defineOperation<AppointmentVersion, View>({
  name: 'confirmAppointment',
  kind: 'UPDATE',
  action: 'update',
  type: 'Appointment',
  mode: 'write',
  handler: async (scope, asked) => {
    const appointment = await currentAppointment(scope, asked);
    refuseUnless(appointment, ['booked'], 'confirmed');
    const signed =
      appointment.value('consentFormId') === null ? {} : { informedConsentId: await signatureFor(scope, asked.id) };
    return changeAppointment(scope, asked.id, appointment, { status: 'confirmed', ...signed });
  },
});

/** A signature refers to its appointment together with the appointment's form: of another form there is none. */
async function signatureFor(scope: Scope, appointmentId: string): Promise<string> {
  const filter = { appointmentId: { eq: appointmentId } };
  const look = new Scope(scope.services, scope.document, scope.purpose, selectFields('id'));
  const [signature] = (await look.list('InformedConsent', { first: 1, filter })).edges;
  if (signature !== undefined) return signature.node.id;
  throw new Failure(
    'CONSENT_REQUIRED',
    'The informed consent of this appointment is not signed.',
    'The patient or the guardian signs it with signInformedConsent.',
  );
}
