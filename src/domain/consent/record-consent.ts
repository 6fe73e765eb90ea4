import { Failure } from '../../kernel/failure.js';
import { readInstant } from '../../operation/input.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { nextRecordedAt, stageState } from './consent.store.js';
import { refuseMinor } from './minor.js';

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
 * Idempotency-Key, a repetition answers the consent of the first time. What opens a minor's data is for his guardian.
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
    if (decision === 'PERMIT' || until !== null) await refuseMinor(scope, patientId);
    const recordedAt = await nextRecordedAt(scope, patientId, purpose);
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

/** An instant that is still to come. */
function expiryOf(text: string | null, now: Date): string | null {
  if (text === null) return null;
  const instant = readInstant(text);
  if (instant === null) {
    throw refuse('expiresAt', 'is not an instant with a zone', 'Send RFC 3339, such as 2027-01-31T08:00:00Z.');
  }
  if (instant > now.toISOString()) return instant;
  throw refuse('expiresAt', 'is in the past', 'Send an instant that is still to come, or none.');
}

function refuse(field: string, problem: string, nextStep: string): Failure {
  return new Failure('BAD_USER_INPUT', `Consent.${field} ${problem}.`, nextStep, {
    extensions: { field: `Consent.${field}` },
  });
}
