import { Failure } from '../../kernel/failure.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

export interface EndRelatedPersonArguments {
  readonly id: string;
  /** The version that the caller read: another one in the table is VERSION_CONFLICT. */
  readonly version: number;
}

/** Ends that an account speaks for a patient. Sessions that are open know it within a second. The row stays. */
export const endRelatedPerson = defineOperation<EndRelatedPersonArguments, View>({
  name: 'endRelatedPerson',
  kind: 'UPDATE',
  action: 'update',
  type: 'RelatedPerson',
  mode: 'write',
  handler: async (scope, { id, version }) => {
    const stored = await scope.write.stored('RelatedPerson', id);
    if (stored.value('status') !== 'active') {
      throw new Failure('BAD_USER_INPUT', 'It was ended before.', 'Read it again.');
    }
    const known = stored.value('endAt');
    const endAt = known instanceof Date && known < scope.now ? known : scope.now;
    return scope.write.update('RelatedPerson', id, version, { status: 'inactive', endAt: endAt.toISOString() });
  },
});
