import { rulesToCondition } from '@casl/ability/extra';
import { compileCondition, type CompiledCondition, type PolicyAbility } from './matcher.js';
import type { Where } from './condition.js';

/** A boolean function of the conditions of rules. Conditions are numbered: the number is the visibility bit. */
export type Formula =
  | { readonly all: readonly Formula[] }
  | { readonly any: readonly Formula[] }
  | { readonly not: Formula }
  | { readonly condition: number };

export const ALWAYS: Formula = { all: [] };
export const NEVER: Formula = { any: [] };

/** Conjunction, folded: without members it is true, with a false one it is false. */
export function all(members: readonly Formula[]): Formula {
  const rest = distinct(members.flatMap((member) => ('all' in member ? member.all : [member])));
  if (rest.some(isNever)) return NEVER;
  return rest.length === 1 ? (rest[0] as Formula) : { all: rest };
}

/** Disjunction, folded: without members it is false, with a true one it is true. */
export function any(members: readonly Formula[]): Formula {
  const rest = distinct(members.flatMap((member) => ('any' in member ? member.any : [member])));
  if (rest.some(isAlways)) return ALWAYS;
  return rest.length === 1 ? (rest[0] as Formula) : { any: rest };
}

function distinct(members: readonly Formula[]): readonly Formula[] {
  return [...new Map(members.map((member) => [JSON.stringify(member), member])).values()];
}

export const isAlways = (formula: Formula): boolean => 'all' in formula && formula.all.length === 0;
export const isNever = (formula: Formula): boolean => 'any' in formula && formula.any.length === 0;

/** The value of a formula where bit n of `bits` says whether condition n holds. */
export function evaluate(formula: Formula, bits: number): boolean {
  return holds(formula, (condition) => (bits & (1 << condition)) !== 0);
}

/** The value of a formula where each condition is asked for by its number. */
export function holds(formula: Formula, condition: (number: number) => boolean): boolean {
  if ('condition' in formula) return condition(formula.condition);
  if ('not' in formula) return !holds(formula.not, condition);
  if ('all' in formula) return formula.all.every((member) => holds(member, condition));
  return formula.any.some((member) => holds(member, condition));
}

/** The distinct conditions of one plan, in the order in which they were first met. */
export class Conditions {
  readonly list: CompiledCondition[] = [];
  private readonly numbers = new Map<string, number>();

  numberOf(where: Where): number {
    const key = JSON.stringify(where);
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    this.numbers.set(key, this.list.length);
    return this.list.push(compileCondition(where)) - 1;
  }
}

/**
 * CASL's own answer to "action on a row of this type (on this field)?" as a formula: permits joined, each bounded by the
 * forbids that stand above it. Without a field: rows on which at least one field is permitted.
 */
export function formulaOf(
  ability: PolicyAbility,
  conditions: Conditions,
  action: string,
  type: string,
  field?: string,
): Formula {
  const formula = rulesToCondition<PolicyAbility, Formula, Formula>(
    ability.rulesFor(action, type, field),
    (rule) => {
      const condition: Formula = { condition: conditions.numberOf(rule.conditions as Where) };
      return rule.inverted ? { not: condition } : condition;
    },
    { and: all, or: any, empty: () => ALWAYS },
  );
  return formula ?? NEVER;
}

/** Rows of which no guardrail forbids to count by a field, whether or not a permit shows it. */
export function unlessForbidden(ability: PolicyAbility, conditions: Conditions, type: string, field: string): Formula {
  const rules = ['aggregate', 'aggregate:clear'].flatMap((action) => ability.rulesFor(action, type, field));
  return all(
    rules
      .filter((rule) => rule.inverted)
      .map((rule) =>
        rule.conditions === undefined ? NEVER : { not: { condition: conditions.numberOf(rule.conditions as Where) } },
      ),
  );
}
