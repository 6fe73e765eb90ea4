import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';
import { DisclosureChannel, DisclosureConsent, exclusionOf, type DisclosureCategory } from './disclosure-category.js';
import { demandTexts, pastInstantOf } from './statement.js';

export interface RecordDisclosureArguments {
  readonly patientId: string;
  /** RFC 3339 with a zone; not in the future. */
  readonly disclosedAt: string;
  readonly recipientName: string;
  readonly recipientAddress?: string | null;
  readonly description: string;
  readonly purpose: string;
  readonly category: DisclosureCategory;
  readonly consent?: DisclosureConsent | null;
  readonly channel?: DisclosureChannel | null;
  /** The business associate that disclosed; null for the organisation itself. */
  readonly disclosedBy?: string | null;
  readonly sourceReference?: string | null;
}

/**
 * Records that data about a patient left, by the organisation or by a business associate of it. Whether it is accountable
 * follows from the legal ground. With an Idempotency-Key, a repetition answers the disclosure of the first time.
 */
export const recordDisclosure = defineOperation<RecordDisclosureArguments, View>({
  name: 'recordDisclosure',
  kind: 'DISCLOSE',
  action: 'create',
  type: 'Disclosure',
  mode: 'write',
  handler: async (scope, { patientId, ...input }) => {
    const subject = await scope.write.subject('Patient', patientId);
    const { recipientName, description, purpose } = input;
    demandTexts('Disclosure', { recipientName, description, purpose });
    const values = {
      ...input,
      disclosedAt: pastInstantOf('Disclosure.disclosedAt', input.disclosedAt, scope.now),
      consent: input.consent ?? DisclosureConsent.WITHOUT_CONSENT,
      channel: input.channel ?? DisclosureChannel.OTHER,
    };
    const internal = {
      exclusion: exclusionOf(input.category),
      recorded_at: scope.now,
      recorded_by_role: scope.actor.role,
    };
    return scope.write.create('Disclosure', values, { subject, internal }).view;
  },
});
