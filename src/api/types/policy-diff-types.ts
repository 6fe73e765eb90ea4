import { Field, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { Role } from '../../kernel/actor.js';
import type { PolicyDiff } from '../../operation/policy-diff.js';
import type { PolicyAction } from '../../policy/decision.js';
import { enumOf, PolicyActionEnum, RoleEnum } from './policy-proof-types.js';

const DIRECTIONS: readonly PolicyDiff['changes'][number]['direction'][] = ['GAINS', 'LOSES', 'OTHERWISE'];
export const PolicyDirectionEnum = enumOf(DIRECTIONS);
registerEnumType(PolicyDirectionEnum, {
  name: 'PolicyDirection',
  description: 'OTHERWISE: something else that is as open as before, such as by another mask.',
});

@ObjectType('PolicyChangedRows', { description: 'The least and the most where accounts see different rows.' })
class PolicyChangedRowsType {
  @Field(() => Int, { nullable: true, description: 'null: fewer than 11, or none.' })
  least: number | null;

  @Field(() => Int, { nullable: true, description: 'null: fewer than 11, or none.' })
  most: number | null;

  @Field(() => Boolean, {
    description: 'The numbers are multiples of 11 and say at least so many: one of the two releases is not approved.',
  })
  atLeast: boolean;
}

@ObjectType('PolicyChange', {
  description: 'What changes for the accounts of a role: one field, or the row as a whole.',
})
class PolicyChangeType {
  @Field(() => RoleEnum)
  role: Role;

  @Field(() => String)
  purpose: string;

  @Field(() => PolicyActionEnum)
  action: PolicyAction;

  @Field(() => String)
  type: string;

  @Field(() => String, { nullable: true, description: 'null: the row as a whole.' })
  field: string | null;

  @Field(() => PolicyDirectionEnum)
  direction: PolicyDiff['changes'][number]['direction'];

  @Field(() => String, { description: 'Such as HIDDEN, MASKED M_PHONE, CLEAR; of a row REACHED or NOT REACHED.' })
  from: string;

  @Field(() => String)
  to: string;

  @Field(() => Int, { description: 'Living accounts that see a difference.' })
  accounts: number;

  @Field(() => PolicyChangedRowsType, { description: 'Rows of one account.' })
  rows: PolicyChangedRowsType;

  @Field(() => Int, { nullable: true, description: 'Rows summed over the accounts; null where they are not exact.' })
  sum: number | null;

  @Field(() => String)
  sentence: string;
}

@ObjectType('PolicyGrantChange', { description: 'What changes for the accounts of a role whatever the row is.' })
class PolicyGrantChangeType {
  @Field(() => RoleEnum)
  role: Role;

  @Field(() => String)
  purpose: string;

  @Field(() => PolicyActionEnum)
  action: PolicyAction;

  @Field(() => String)
  type: string;

  @Field(() => Int)
  accounts: number;

  @Field(() => [String], { description: 'In words, such as may write phone.' })
  grants: readonly string[];

  @Field(() => String)
  sentence: string;
}

@ObjectType('PolicyDiff', { description: "Counts of the caller's own organisation, of the rows that it has now." })
export class PolicyDiffType implements PolicyDiff {
  @Field(() => String, { description: 'Hash of the release.' })
  before: string;

  @Field(() => String)
  after: string;

  @Field(() => [PolicyChangeType])
  changes: PolicyDiff['changes'];

  @Field(() => [PolicyGrantChangeType])
  grants: PolicyDiff['grants'];

  @Field(() => [String], {
    description: 'Cases and invariants of the release in force that "after" removes or changes.',
  })
  notices: PolicyDiff['notices'];
}
