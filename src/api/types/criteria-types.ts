import type { Type } from '@nestjs/common';
import { ArgsType, Field, InputType, Int, registerEnumType } from '@nestjs/graphql';
import { registry, type AttributeDeclaration } from '../../kernel/attribute.js';
import type { Filter, Sort } from '../../operation/criteria.js';
import { PageArgumentsType } from './connection-types.js';

export enum SortDirection {
  ASC = 'ASC',
  DESC = 'DESC',
}
registerEnumType(SortDirection, { name: 'SortDirection' });

@InputType()
export class TextCriterion {
  @Field(() => String, { nullable: true })
  eq: string | null;

  @Field(() => [String], { nullable: true })
  in: string[] | null;
}

@InputType()
export class InstantCriterion extends TextCriterion {
  @Field(() => String, { nullable: true })
  lt: string | null;

  @Field(() => String, { nullable: true })
  lte: string | null;

  @Field(() => String, { nullable: true })
  gt: string | null;

  @Field(() => String, { nullable: true })
  gte: string | null;
}

@InputType()
export class IntegerCriterion {
  @Field(() => Int, { nullable: true })
  eq: number | null;

  @Field(() => [Int], { nullable: true })
  in: number[] | null;

  @Field(() => Int, { nullable: true })
  lt: number | null;

  @Field(() => Int, { nullable: true })
  lte: number | null;

  @Field(() => Int, { nullable: true })
  gt: number | null;

  @Field(() => Int, { nullable: true })
  gte: number | null;
}

export interface ListArgumentsType extends PageArgumentsType {
  readonly filter: Filter | null;
  readonly sort: readonly Sort[] | null;
}

/**
 * The list arguments of a noun, made from its attributes. The schema is the same for every role and names every scalar:
 * what a caller may really filter and sort by is the policy's answer, given as FIELD_NOT_FILTERABLE.
 */
export function listArguments(noun: Type<object>): Type<ListArgumentsType> {
  const sortFields = Object.fromEntries(attributesOf(noun).map((one) => [enumName(one.field), one.field]));
  registerEnumType(sortFields, { name: `${noun.name}SortField` });

  @InputType(`${noun.name}Sort`)
  class SortType {
    @Field(() => sortFields)
    field: string;

    @Field(() => SortDirection)
    direction: SortDirection;
  }

  const FilterType = filterType(noun);

  @ArgsType()
  class ListArguments extends PageArgumentsType {
    @Field(() => FilterType, { nullable: true })
    filter: Filter | null;

    @Field(() => [SortType], { nullable: true })
    sort: Sort[] | null;
  }
  return ListArguments;
}

const filterTypes = new Map<string, Type<Filter>>();

/** The filter of a noun, one criterion for each of its attributes; one class however often it is asked for. */
export function filterType(noun: Type<object>): Type<Filter> {
  const known = filterTypes.get(noun.name);
  if (known !== undefined) return known;

  @InputType(`${noun.name}Filter`)
  class FilterType {
    @Field(() => [FilterType], { nullable: true })
    and: FilterType[] | null;

    @Field(() => [FilterType], { nullable: true })
    or: FilterType[] | null;

    @Field(() => FilterType, { nullable: true })
    not: FilterType | null;

    readonly [field: string]: unknown;
  }
  for (const attribute of attributesOf(noun)) {
    Field(() => criterionOf(attribute), { nullable: true })(FilterType.prototype, attribute.field);
  }
  filterTypes.set(noun.name, FilterType);
  return FilterType;
}

function attributesOf(noun: Type<object>): AttributeDeclaration[] {
  return [...registry.noun(noun.name).attributes.values()].filter(
    (one) => one.field !== 'id' && one.field !== 'version',
  );
}

function criterionOf(attribute: AttributeDeclaration): Type<object> {
  if (attribute.kind === 'year' || attribute.kind === 'count') return IntegerCriterion;
  return attribute.kind === 'instant' ? InstantCriterion : TextCriterion;
}

/** `birthYear` → `BIRTH_YEAR`, as GraphQL names enum values. */
function enumName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
