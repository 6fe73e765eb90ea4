import { Failure } from '../../kernel/failure.js';
import { isId } from '../../kernel/identifier.js';
import { defineOperation } from '../../operation/operation.js';
import type { Scope } from '../../operation/scope.js';
import type { View } from '../../operation/view.js';
import { versionConflict } from '../../operation/writing.js';
import { ageOfConsentAt } from '../terminology/age-of-consent.js';

export interface RegisterRelatedPersonArguments {
  readonly patientId: string;
  /** An account of the tenant (its `me.id`): of the role patient for SELF, of the role guardian for GUARDIAN. */
  readonly accountId: string;
  readonly relationship: 'SELF' | 'GUARDIAN';
  /** What was shown to prove it; a guardian needs some. */
  readonly evidence?: string | null;
}

const ROLE_OF = { SELF: 'patient', GUARDIAN: 'guardian' } as const;

/**
 * Lets an account speak for a patient. A guardian speaks for a minor only, until midnight of the birthday from which the
 * patient decides alone. The reference to the account carries its role: an unknown account, one of another tenant and one
 * of another role are refused alike.
 */
export const registerRelatedPerson = defineOperation<RegisterRelatedPersonArguments, View>({
  name: 'registerRelatedPerson',
  kind: 'CREATE',
  action: 'create',
  type: 'RelatedPerson',
  mode: 'write',
  handler: async (scope, { patientId, accountId, relationship, evidence }) => {
    const subject = await scope.write.subject('Patient', patientId);
    if (!isId(accountId)) {
      throw new Failure('BAD_USER_INPUT', 'RelatedPerson.accountId is an id.', 'Send the id that "me" shows.');
    }
    const endAt = relationship === 'GUARDIAN' ? await guardianshipEnd(scope, patientId, evidence ?? null) : null;
    const internal = {
      status: 'active',
      start_at: scope.now,
      end_at: endAt,
      account_role: ROLE_OF[relationship],
    };
    return scope.write.create('RelatedPerson', { relationship, accountId, evidence }, { subject, internal }).view;
  },
});

async function guardianshipEnd(scope: Scope, patientId: string, evidence: string | null): Promise<Date | null> {
  if (!evidence?.trim()) {
    throw new Failure('GUARDIAN_CONSENT_REQUIRED', 'A guardian needs evidence.', 'Send what was shown to prove it.');
  }
  const patient = await scope.write.stored('Patient', patientId);
  const birthDate = patient.value('birthDate');
  const { tenant, country, timeZone } = scope.actor;
  // Another date of birth meanwhile would find no guardianship to end yet, and this one would keep the end of the old one.
  scope.write.unit.hold('patient', { tenant, id: patientId, version: patient.version });
  scope.write.conflict = versionConflict('Patient');
  const endAt = ageOfConsentAt(typeof birthDate === 'string' ? birthDate : null, country, timeZone);
  if (endAt === null || endAt > scope.now) return endAt;
  throw new Failure('BAD_USER_INPUT', 'The patient is old enough to decide alone.', 'Register the patient as SELF.');
}
