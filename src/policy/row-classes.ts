import {
  ActorAttribute,
  CONSENT_STATES,
  kindOf,
  operandOf,
  RANGES,
  type ActorAttributes,
  type ConditionNode,
  type FactKind,
} from './condition.js';
import type { Decision, Facts } from './decision.js';
import type { CompiledCondition } from './matcher.js';
import { Plan } from './plan.js';
import { locateFact } from './sql.js';

/** More rows than this are never looked at one by one: a proof that is not whole is refused. */
const LARGEST_CLASS_COUNT = 65_536;
const OTHER_ID = '01900000-0000-7000-8000-00000000ffff';
const OTHER_TEXT = 'another value';

/** The plan that a decision of the engine was made of. */
export function planOf(decision: Decision): Plan {
  if (!(decision.shape instanceof Plan)) throw new TypeError('This decision was not made by a policy engine.');
  return decision.shape;
}

/** One comparison of a condition: `inCareTeam eq true`. */
export interface Leaf {
  readonly fact: string;
  readonly operator: string;
  readonly value: unknown;
}

/** All comparisons of a condition, in the order in which they are written. */
export function leavesOf(node: ConditionNode): Leaf[] {
  if (node.field !== undefined) return [{ fact: node.field, operator: node.operator, value: node.value }];
  return (node.value as readonly ConditionNode[]).flatMap(leavesOf);
}

export function conditionsAsLeaves(conditions: readonly CompiledCondition[]): Leaf[] {
  return conditions.flatMap((one) => leavesOf(one.node));
}

/** The conditions that take part in a plan, those of consent questions too. */
export function conditionsOf(plan: Plan): ConditionNode[] {
  return [...plan.conditions.list, ...(plan.consent?.conditions.list ?? [])].map((one) => one.node);
}

/**
 * Rows that stand for all rows: for every fact that the conditions of some decisions read, each value that a comparison can
 * tell from another, in every combination. Two rows of one class look the same to all of these decisions, so that what holds
 * for the rows given out holds for all. The tenant is the actor's own: no decision reaches another. `names` adds facts that
 * somebody else compares, with the values in question. Throws RangeError where there are too many to look at.
 */
export function rowClasses(
  decisions: readonly Decision[],
  actor: ActorAttributes,
  further: readonly Leaf[] = [],
): Facts[] {
  const plans = decisions.map(planOf);
  const leaves = [...plans.flatMap((plan) => conditionsOf(plan).flatMap(leavesOf)), ...further];
  const names = new Set([...plans.flatMap((plan) => plan.factNames), ...further.map((leaf) => leaf.fact)]);
  names.delete('tenant');
  let rows: Record<string, unknown>[] = [{ tenant: actor.tenant }];
  for (const name of [...names].sort()) {
    const compared = leaves.filter((leaf) => leaf.fact === name);
    const values = valuesOf(plans, name, compared, actor);
    if (rows.length * values.length > LARGEST_CLASS_COUNT) {
      throw new RangeError(`${[...names].join(', ')}: too many combinations of facts meet in one decision.`);
    }
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
  }
  return rows;
}

function valuesOf(plans: readonly Plan[], name: string, leaves: readonly Leaf[], actor: ActorAttributes): unknown[] {
  const setting = plans[0]?.setting;
  const fact = setting === undefined ? undefined : locateFact(setting.noun, setting.parent, name)?.fact;
  if (fact === undefined) throw new RangeError(`There is no fact ${name}.`);
  return representatives(kindOf(fact), leaves, actor);
}

/**
 * Values of a fact of which every other value is like one: no comparison of `leaves` tells the two apart. Of texts that are
 * compared by order, U+0000 after a text is the next one in the order of UTF-8 bytes.
 */
export function representatives(kind: FactKind, leaves: readonly Leaf[], actor: ActorAttributes): unknown[] {
  if (kind === 'boolean') return [true, false];
  if (kind === 'consent') return [...CONSENT_STATES];
  const named = leaves.flatMap(({ operator, value }) => {
    if (operator === 'exists') return [];
    const operand = operandOf(value, actor);
    if (!Array.isArray(operand)) return [operand];
    // Of a list of the actor's, one member is like every other.
    return value instanceof ActorAttribute ? operand.slice(0, 1) : (operand as unknown[]);
  });
  if (kind === 'integer') {
    const numbers = named.filter((value) => typeof value === 'number');
    return [...new Set(numbers.length === 0 ? [0] : numbers.flatMap((value) => [value - 1, value, value + 1]))];
  }
  const texts = named.filter((value) => typeof value === 'string');
  if (kind === 'uuid') return [...new Set([...texts, OTHER_ID])];
  const ordered = leaves.some(({ operator }) => RANGES.includes(`$${operator}`));
  const between = ordered ? ['', ...texts.map((text) => `${text}\u0000`)] : [OTHER_TEXT];
  return [...new Set([...texts, ...between])];
}

/** The facts of a row in words, without the tenant: `inCareTeam true, consent.CAREMGT DENY`. */
export function describeFacts(facts: Facts): string {
  const named = Object.entries(facts).filter(([name]) => name !== 'tenant');
  return named.length === 0
    ? 'any row'
    : named.map(([name, value]) => `${name} ${String(value).replace('\u0000', ' and more')}`).join(', ');
}
