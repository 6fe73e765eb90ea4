import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { stageWithdrawal } from './consent.store.js';
import { refuseMinor } from './minor.js';

/**
 * Withdraws a consent: a mark on it, never a deletion (GDPR 7(3), PIPL 15). A withdrawn permission is a refusal from then
 * on; a withdrawn refusal leaves nothing, and of a minor only the guardian takes one back. Older and replaced consents can
 * be withdrawn too, and that changes nothing else.
 */
export const withdrawConsent = defineOperation<{ readonly id: string }, View>({
  name: 'withdrawConsent',
  kind: 'UPDATE',
  action: 'update',
  type: 'Consent',
  mode: 'write',
  handler: async (scope, { id }) => {
    const consent = await scope.write.stored('Consent', id);
    if (consent.value('status') !== 'active') {
      throw new Failure('BAD_USER_INPUT', 'The consent was withdrawn before.', 'Read it again.');
    }
    if (consent.value('decision') !== 'PERMIT') await refuseMinor(scope, consent.subjectId);
    const mark = { status: 'inactive', withdrawnAt: scope.now.toISOString(), withdrawnByRole: scope.actor.role };
    const view = await scope.write.update('Consent', id, consent.version, mark);
    const patient = { tenant: scope.actor.tenant, patientId: consent.subjectId };
    stageWithdrawal(scope.write.unit, patient, String(consent.value('purpose')), id);
    return view;
  },
});
