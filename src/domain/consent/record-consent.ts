import { Failure } from '../../kernel/failure.js';
import { readInstant } from '../../operation/input.js';
import { defineOperation } from '../../operation/operation.js';
import type { Scope } from '../../operation/scope.js';
import type { View } from '../../operation/view.js';
import { ageOfConsentAt } from '../terminology/age-of-consent.js';
import { stageState } from './consent.store.js';

export interface RecordConsentArguments {
  readonly patientId: string;
  /** A code of the policy's vocabulary, such as CAREMGT. */
  readonly purpose: string;
  readonly decision: 'PERMIT' | 'DENY';
  /** RFC 3339 with a zone; from then on it is as if nothing had been recorded. */
  readonly expiresAt?: string | null;
}

/**
 * Records what a patient decided about one purpose of use; every read that begins after the answer obeys it. With an
 * Idempotency-Key, a repetition answers the consent of the first time. A minor's permission is his guardian's to give.
 */
export const recordConsent = defineOperation<RecordConsentArguments, View>({
  name: 'recordConsent',
  kind: 'CREATE',
  action: 'create',
  type: 'Consent',
  mode: 'write',
  handler: async (scope, { patientId, purpose, decision, expiresAt }) => {
    const subject = await scope.write.subject('Patient', patientId);
    if (!scope.services.policy.knowsPurpose(purpose)) {
      throw refuse('purpose', 'is not a purpose of use', 'Send a code of the vocabulary, such as CAREMGT.');
    }
    const until = expiryOf(expiresAt ?? null, scope.now);
    if (decision === 'PERMIT') await refuseMinor(scope, patientId);
    const recordedAt = scope.now.toISOString();
    const consent = scope.write.create(
      'Consent',
      { purpose, decision, expiresAt: until },
      {
        subject,
        internal: { status: 'active', recorded_at: recordedAt, recorded_by_role: scope.actor.role },
      },
    );
    const { tenant } = scope.actor;
    const state = { decision, until, at: recordedAt, id: consent.id };
    stageState(scope.write.unit, { tenant, patientId }, purpose, state);
    return consent.view;
  },
});

/** A date-time of the years 0000 to 9999 in UTC that is still to come. */
function expiryOf(text: string | null, now: Date): string | null {
  if (text === null) return null;
  const instant = readInstant(text);
  if (instant === null || instant.length !== now.toISOString().length) {
    throw refuse('expiresAt', 'is not an instant with a zone', 'Send RFC 3339, such as 2027-01-31T08:00:00Z.');
  }
  if (instant > now.toISOString()) return instant;
  throw refuse('expiresAt', 'is in the past', 'Send an instant that is still to come, or none.');
}

/** Below the age of consent only a guardian permits (PIPL 31, GDPR 8); whose age is not known counts as a minor. */
async function refuseMinor(scope: Scope, patientId: string): Promise<void> {
  const { role, country, timeZone } = scope.actor;
  if (role === 'guardian') return;
  const patient = await scope.write.stored('Patient', patientId);
  const birthDate = patient.value('birthDate');
  const ofAgeAt = ageOfConsentAt(typeof birthDate === 'string' ? birthDate : null, country, timeZone);
  if (ofAgeAt !== null && ofAgeAt <= scope.now) return;
  throw new Failure(
    'GUARDIAN_CONSENT_REQUIRED',
    'The patient is a minor: only a guardian can permit.',
    'Let a registered guardian record it. A refusal can be recorded by everybody who may.',
  );
}

function refuse(field: string, problem: string, nextStep: string): Failure {
  return new Failure('BAD_USER_INPUT', `Consent.${field} ${problem}.`, nextStep, {
    extensions: { field: `Consent.${field}` },
  });
}
