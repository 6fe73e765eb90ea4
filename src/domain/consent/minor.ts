import { Failure } from '../../kernel/failure.js';
import type { Scope } from '../../operation/scope.js';
import { ageOfConsentAt } from '../terminology/age-of-consent.js';

/**
 * Refuses with GUARDIAN_CONSENT_REQUIRED whatever would let data of a minor be used, unless the guardian does it (PIPL 31,
 * GDPR 8): a permission, the end of a refusal, and a refusal that ends by itself, because it takes the place of one that
 * does not. Whose age is not known counts as a minor.
 */
export async function refuseMinor(scope: Scope, patientId: string): Promise<void> {
  const { role, country, timeZone } = scope.actor;
  if (role === 'guardian') return;
  const patient = await scope.write.stored('Patient', patientId);
  const birthDate = patient.value('birthDate');
  const ofAgeAt = ageOfConsentAt(typeof birthDate === 'string' ? birthDate : null, country, timeZone);
  if (ofAgeAt !== null && ofAgeAt <= scope.now) return;
  throw new Failure(
    'GUARDIAN_CONSENT_REQUIRED',
    'The patient is a minor: only a guardian can permit, or take back a refusal.',
    'Let a registered guardian do it. A refusal without an end, and the withdrawal of a permission, are for everybody who may.',
  );
}
