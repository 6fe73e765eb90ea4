import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

export enum EmergencyReason {
  LIFE_THREAT = 'LIFE_THREAT',
  UNCONSCIOUS = 'UNCONSCIOUS',
  URGENT_CARE = 'URGENT_CARE',
  DISASTER = 'DISASTER',
}

export interface BreakGlassArguments {
  readonly patientId: string;
  readonly reasonCode: EmergencyReason;
  readonly challengeId?: string | null;
}

const HOUR = 3_600_000;

/**
 * Opens one patient to the caller for some hours. What it opens is the policy's affair: rules and guardrails that name
 * `isEmergency`. Whether the patient has anything hidden is not looked at, so the answer cannot tell. The row is the notice
 * to the privacy office as well: it is there if and only if the access is.
 */
export const breakGlass = defineOperation<BreakGlassArguments, View>({
  name: 'breakGlass',
  kind: 'CREATE',
  action: 'create',
  type: 'EmergencyAccess',
  mode: 'write',
  handler: async (scope, { patientId, reasonCode }) => {
    if (scope.document.facts.breakGlass !== true) {
      throw new Failure(
        'BAD_USER_INPUT',
        'The request does not say that it breaks the glass.',
        'Send the header X-Break-Glass: BTG.',
      );
    }
    const { now, actor, services } = scope;
    const { hours, reviewHours, patientsPerHour } = services.policy.emergencyAccess;
    await services.limits.take(actor, 'breakGlass', { perHour: patientsPerHour }, now);
    const subject = await scope.write.subject('Patient', patientId, true);
    return scope.write.create(
      'EmergencyAccess',
      { reasonCode },
      {
        subject,
        internal: {
          account_id: actor.id,
          started_at: now,
          expires_at: new Date(now.getTime() + hours * HOUR),
          review_due_at: new Date(now.getTime() + reviewHours * HOUR),
          outcome: 'PENDING',
        },
      },
    ).view;
  },
});
