import { Failure } from '../../kernel/failure.js';
import { isId } from '../../kernel/identifier.js';
import { defineOperation } from '../../operation/operation.js';
import type { View } from '../../operation/view.js';

export interface CreateCareTeamArguments {
  readonly name: string;
  /** Accounts of the tenant (their `me.id`). */
  readonly memberIds?: readonly string[] | null;
}

const LARGEST_TEAM = 200;

/** Makes a care team with its members. Names are unique within the tenant. */
export const createCareTeam = defineOperation<CreateCareTeamArguments, View>({
  name: 'createCareTeam',
  kind: 'CREATE',
  action: 'create',
  type: 'CareTeam',
  mode: 'write',
  handler: async (scope, { name, memberIds }) => {
    const members = [...new Set(memberIds ?? [])];
    if (!name.trim()) throw new Failure('BAD_USER_INPUT', 'CareTeam.name is required.', 'Send a name.');
    if (members.length > LARGEST_TEAM || !members.every(isId)) {
      throw new Failure(
        'BAD_USER_INPUT',
        `A care team has at most ${LARGEST_TEAM} members, by account id.`,
        'Correct memberIds.',
      );
    }
    const team = scope.write.create('CareTeam', { name });
    for (const member of members) scope.write.join(team.id, member);
    return team.view;
  },
});
