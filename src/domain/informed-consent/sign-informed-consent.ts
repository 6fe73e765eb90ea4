import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import { Scope } from '../../operation/scope.js';
import { selectFields } from '../../operation/selection.js';
import type { View } from '../../operation/view.js';
import { ageOfConsentAt } from '../terminology/age-of-consent.js';

export interface SignInformedConsentArguments {
  readonly appointmentId: string;
  /** SHA-256 of the text that the signer was shown, hexadecimal. */
  readonly textHash: string;
  /** The challenge that the signer's second factor has met; the door uses it up. */
  readonly challengeId?: string | null;
}

const LIVING = ['booked', 'confirmed'];

/**
 * The patient or the guardian signs the form of an appointment. The policy demands a second factor, which the door asks
 * for before this runs. A hash that is not the form's is BAD_USER_INPUT: what was shown is not what would be signed.
 * A minor's is the guardian's to sign.
 */
export const signInformedConsent = defineOperation<SignInformedConsentArguments, View>({
  name: 'signInformedConsent',
  kind: 'CREATE',
  action: 'create',
  type: 'InformedConsent',
  mode: 'write',
  handler: async (scope, { appointmentId, textHash }) => {
    // A policy without the obligation must not make signatures that claim a factor nobody gave.
    if (!scope.steppedUp) {
      throw new Failure('FORBIDDEN', 'A signature needs a second factor.', 'The policy must oblige to stepUp.');
    }
    const appointment = await scope.write.stored('Appointment', appointmentId);
    const formId = appointment.value('consentFormId');
    if (typeof formId !== 'string' || !LIVING.includes(String(appointment.value('status')))) {
      throw new Failure('BAD_USER_INPUT', 'There is nothing to sign for this appointment.', 'Read it again.');
    }
    const fields = selectFields('textVersion', 'sha256');
    const form = await new Scope(scope.services, scope.document, scope.purpose, fields).get('ConsentForm', formId);
    if (form['sha256'] !== textHash.trim().toLowerCase()) {
      throw new Failure(
        'BAD_USER_INPUT',
        'The hash is not of the text of this form.',
        'Show the text of the form, and send the SHA-256 of what was shown.',
      );
    }
    await refuseMinor(scope, appointment.subjectId);
    const subject = await scope.write.subject('Patient', appointment.subjectId);
    const values = {
      appointmentId,
      formId,
      textVersion: form['textVersion'],
      textHash: form['sha256'],
      signer: scope.actor.id,
      relationship: scope.actor.role === 'guardian' ? 'GUARDIAN' : 'SELF',
      signedAt: scope.now.toISOString(),
      factor: 'totp',
    };
    return scope.write.create('InformedConsent', values, { subject }).view;
  },
});

/** As for any other consent: below its age a patient does not sign alone; whose age is not known counts as a minor. */
async function refuseMinor(scope: Scope, patientId: string): Promise<void> {
  const { role, country, timeZone } = scope.actor;
  if (role === 'guardian') return;
  const birthDate = (await scope.write.stored('Patient', patientId)).value('birthDate');
  const ofAgeAt = ageOfConsentAt(typeof birthDate === 'string' ? birthDate : null, country, timeZone);
  if (ofAgeAt !== null && ofAgeAt <= scope.now) return;
  throw new Failure(
    'GUARDIAN_CONSENT_REQUIRED',
    'The patient is a minor: only a guardian can sign.',
    'Let a registered guardian sign.',
  );
}
