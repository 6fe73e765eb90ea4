import { Field, Int, ObjectType, registerEnumType } from '@nestjs/graphql';
import type { Countable } from '../../operation/count-dimensions.js';

export const PatientDimension = {
  BIRTH_YEAR: 'birthYear',
  GENDER: 'gender',
  REGION: 'region',
  STATUS: 'status',
} as const satisfies Record<string, Countable>;
registerEnumType(PatientDimension, {
  name: 'PatientDimension',
  description: 'What patients may be counted by.',
  valuesMap: {
    BIRTH_YEAR: { description: 'Decade of birth; the years of those who are 90 or older are one group.' },
    REGION: { description: 'Province or State of the own country.' },
  },
});

@ObjectType()
export class PatientCountValue {
  @Field(() => PatientDimension)
  dimension: Countable;

  @Field(() => String, { nullable: true, description: 'Null: not known, or none of the listed values.' })
  value: string | null;
}

@ObjectType()
export class PatientCountCell {
  @Field(() => [PatientCountValue])
  values: PatientCountValue[];

  @Field(() => Int, {
    nullable: true,
    description: 'At least so many patients; null where the group is too small or empty.',
  })
  count: number | null;
}

@ObjectType({
  description:
    'Patients in groups. Numbers are rounded down to multiples of k in the finest groups, by all dimensions that the caller may use; all tables are sums of those. Taken once a day.',
})
export class PatientCounts {
  @Field(() => Int, { description: 'Patients of the smallest group that any number is about.' })
  k: number;

  @Field(() => [PatientCountCell], { description: 'Every combination of values, whoever was counted.' })
  cells: PatientCountCell[];

  @Field(() => Int, { nullable: true, description: 'The sum of all groups that are large enough, and of no others.' })
  total: number | null;

  @Field(() => Int)
  suppressedCells: number;
}
