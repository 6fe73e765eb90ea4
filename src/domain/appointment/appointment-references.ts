import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

/** What an appointment refers to by id; null where it refers to nothing, or to what is not shown. */
function reference(field: string, type: string) {
  return defineOperation<{ readonly id: string | null }, View | null>({
    name: `Appointment.${field}`,
    kind: 'READ',
    action: 'read',
    type,
    mode: 'read',
    refusal: 'HIDDEN',
    handler: (scope, { id }) => scope.reference(type, id),
  });
}

export const appointmentPatient = reference('patient', 'Patient');
export const appointmentPractitioner = reference('practitioner', 'Practitioner');
export const appointmentConsentForm = reference('consentForm', 'ConsentForm');
export const appointmentInformedConsent = reference('informedConsent', 'InformedConsent');
