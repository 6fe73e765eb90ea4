import { Ability, buildMongoQueryMatcher } from '@casl/ability';
import type { AbilityTuple, MatchConditions, MongoQuery, RawRuleFrom } from '@casl/ability';
import {
  COMPARISONS,
  CONNECTIVES,
  operandOf,
  type ActorAttributes,
  type ConditionNode,
  type Where,
} from './condition.js';
import type { Facts } from './decision.js';

/** A row as CASL sees it: built only here, so that no object of a client can pass for one. */
export class SubjectRow {
  constructor(
    readonly type: string,
    readonly facts: Facts,
    readonly actor: ActorAttributes,
  ) {}
}

type Comparison = (fact: unknown, operand: unknown) => boolean;
const isNull = (value: unknown): boolean => value === null || value === undefined;

/** Order of `COLLATE "C"`: by UTF-8 bytes, which is not JavaScript's order of UTF-16 units above U+FFFF. */
function compare(left: unknown, right: unknown): number {
  if (typeof left === 'string' && typeof right === 'string') {
    return Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'));
  }
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  throw new TypeError('Only texts and numbers have an order.');
}

function ordered(test: (result: number) => boolean): Comparison {
  return (fact, operand) => !isNull(fact) && !isNull(operand) && test(compare(fact, operand));
}

const equals: Comparison = (fact, operand) => (isNull(operand) ? isNull(fact) : fact === operand);
const within: Comparison = (fact, operand) => (operand as readonly unknown[]).some((item) => equals(fact, item));

/** What each comparison means, nulls included. The SQL of every one of them is the same function. */
export const COMPARE: Readonly<Record<string, Comparison>> = {
  eq: equals,
  ne: (fact, operand) => !equals(fact, operand),
  in: within,
  nin: (fact, operand) => !within(fact, operand),
  lt: ordered((result) => result < 0),
  lte: ordered((result) => result <= 0),
  gt: ordered((result) => result > 0),
  gte: ordered((result) => result >= 0),
  exists: (fact, operand) => !isNull(fact) === operand,
};

interface Interpretation {
  readonly interpret: (node: ConditionNode, row: SubjectRow) => boolean;
}
type Interpreter = (node: ConditionNode, row: SubjectRow, context: Interpretation) => boolean;

/** Reads a fact by its whole name (dots do not descend). A fact that was not supplied throws: CASL would match it. */
function factOf(row: SubjectRow, name: string): unknown {
  if (!Object.hasOwn(row.facts, name)) throw new Error(`The fact ${row.type}.${name} was not supplied.`);
  return row.facts[name];
}

const children = (node: ConditionNode): readonly ConditionNode[] => node.value as readonly ConditionNode[];

const interpreters: Record<string, Interpreter> = {
  and: (node, row, { interpret }) => children(node).every((child) => interpret(child, row)),
  or: (node, row, { interpret }) => children(node).some((child) => interpret(child, row)),
  nor: (node, row, { interpret }) => !children(node).some((child) => interpret(child, row)),
};
for (const [operator, comparison] of Object.entries(COMPARE)) {
  interpreters[operator] = (node, row) =>
    comparison(factOf(row, node.field as string), operandOf(node.value, row.actor));
}

const instructions = Object.fromEntries([
  ...COMPARISONS.map((name) => [name, { type: 'field' }]),
  ...CONNECTIVES.map((name) => [name, { type: 'compound' }]),
]);

/** CASL's matcher with our comparisons in place of its own, which match null on `$lt` and a missing fact on `$ne`. */
const strictMatcher = buildMongoQueryMatcher(instructions, interpreters as never);

export interface CompiledCondition {
  /** Equal for equal conditions. */
  readonly key: string;
  readonly node: ConditionNode;
  matches(row: SubjectRow): boolean;
}

/** Compiles a condition alone, as CASL would within a rule. */
export function compileCondition(where: Where): CompiledCondition {
  const matcher = strictMatcher(where as MongoQuery) as MatchConditions;
  return {
    key: JSON.stringify(where),
    node: matcher.ast as ConditionNode,
    matches: (row) => matcher(row),
  };
}

export type PolicyAbility = Ability<AbilityTuple, MongoQuery>;
export type CaslRule = RawRuleFrom<AbilityTuple, MongoQuery>;

/** Rules to an ability that knows exact field names only (`*` is not a pattern) and takes nothing but {@link SubjectRow}. */
export function buildAbility(rules: CaslRule[]): PolicyAbility {
  return new Ability<AbilityTuple, MongoQuery>(rules, {
    conditionsMatcher: strictMatcher,
    fieldMatcher: (fields) => {
      const exact = new Set<string>(fields);
      return (field) => exact.has(field);
    },
    detectSubjectType: (subject) => {
      if (!(subject instanceof SubjectRow)) throw new TypeError('A policy judges rows, not objects of a client.');
      return subject.type;
    },
  });
}
