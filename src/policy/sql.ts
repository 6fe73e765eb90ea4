import type { FactDeclaration, NounDeclaration } from '../kernel/attribute.js';
import { dayIn, yearEverywhere } from '../kernel/clock.js';
import {
  ActorAttribute,
  CONSENT_STATES,
  operandOf,
  type ActorAttributes,
  type ConditionNode,
  type ConsentState,
} from './condition.js';
import type { Aliases, Bind, Facts, PolicyContext } from './decision.js';
import { isAlways, isNever, type Conditions, type Formula } from './formula.js';
import { COMPARE } from './matcher.js';

/** What is known only when a statement is made: the values to bind. */
export interface Late {
  readonly bind: Bind;
  readonly actor: ActorAttributes;
  readonly context: PolicyContext;
}

/** SQL with its values left open. Made once per rule set and aliases; rendered per statement. */
export type Template = readonly (string | ((late: Late) => string))[];

export function render(template: Template, late: Late): string {
  let sql = '';
  for (const part of template) sql += typeof part === 'string' ? part : part(late);
  return sql;
}

const IDENTIFIER = /^[a-z_][a-z0-9_]{0,62}$/;
/** Alias of the row in a subquery: reserved, so that it can never hide an alias of the caller. */
const INNER_ALIAS = 'policy_row';
const SQL_TYPES = { text: 'text', integer: 'bigint', boolean: 'boolean', uuid: 'uuid' } as const;
type ColumnFact = Extract<FactDeclaration, { source: 'column' }>;
type ConsentFact = Extract<FactDeclaration, { source: 'consent' }>;
type VirtualFact = Exclude<FactDeclaration, ColumnFact | ConsentFact>;
/** A purpose stands in a path, not in a parameter: the pattern is that of the vocabulary. */
const SCOPE = /^[A-Z]+(\.[A-Z]+)?$/;

/** Refuses any identifier outside the closed pattern: identifiers are the only text that is not bound. */
export function identifier(name: string): string {
  if (!IDENTIFIER.test(name) || name === INNER_ALIAS)
    throw new Error('An SQL identifier is outside the closed pattern.');
  return name;
}

/** A fact with the alias of the table it is read from, and the purpose that a consent is asked for. */
export interface LocatedFact {
  readonly fact: FactDeclaration;
  readonly alias: string;
  readonly scope: string | null;
}

/** Finds a fact of a noun, or of its parent as `subject.<fact>`. A consent is named `<fact>.<purpose>`. */
export function locateFact(
  noun: NounDeclaration,
  parent: NounDeclaration | null,
  name: string,
): { fact: FactDeclaration; of: keyof Aliases; scope: string | null } | null {
  const ofSubject = name.startsWith('subject.');
  const owner = ofSubject ? parent : noun;
  const wanted = ofSubject ? name.slice('subject.'.length) : name;
  const fact = owner?.facts.find((candidate) =>
    candidate.source === 'consent' ? wanted.startsWith(`${candidate.name}.`) : candidate.name === wanted,
  );
  if (fact === undefined) return null;
  const scope = fact.source === 'consent' ? wanted.slice(fact.name.length + 1) : null;
  return { fact, of: ofSubject ? 'subject' : 'self', scope };
}

/**
 * Compiles conditions to SQL that is two-valued whatever is null: `c = $1 AND c IS NOT NULL` is FALSE, never NULL, and
 * still uses an index (PostgreSQL drops the second half where the column is NOT NULL).
 */
export class SqlCompiler {
  constructor(
    private readonly locate: (name: string) => LocatedFact,
    private readonly known: Facts = {},
  ) {}

  formula(formula: Formula, conditions: Conditions): Template {
    if ('condition' in formula) return this.node((conditions.list[formula.condition] as { node: ConditionNode }).node);
    if ('not' in formula) return ['NOT ', ...this.formula(formula.not, conditions)];
    if (isAlways(formula)) return ['TRUE'];
    if (isNever(formula)) return ['FALSE'];
    return 'all' in formula
      ? joined(
          formula.all.map((member) => this.formula(member, conditions)),
          ' AND ',
        )
      : joined(
          formula.any.map((member) => this.formula(member, conditions)),
          ' OR ',
        );
  }

  node(node: ConditionNode): Template {
    const children = () => (node.value as readonly ConditionNode[]).map((child) => this.node(child));
    if (node.field !== undefined) return this.comparison(node.field, node.operator, node.value);
    if (node.operator === 'and') return joined(children(), ' AND ', 'TRUE');
    if (node.operator === 'or') return joined(children(), ' OR ', 'FALSE');
    if (node.operator === 'nor') return ['NOT ', ...joined(children(), ' OR ', 'FALSE')];
    throw new Error(`The connective ${node.operator} has no SQL.`);
  }

  private comparison(name: string, operator: string, value: unknown): Template {
    if (Object.hasOwn(this.known, name)) {
      const holds = COMPARE[operator] as (fact: unknown, operand: unknown) => boolean;
      return [({ actor }) => (holds(this.known[name], operandOf(value, actor)) ? 'TRUE' : 'FALSE')];
    }
    const { fact, alias, scope } = this.locate(name);
    if (fact.source === 'column')
      return column(`${identifier(alias)}.${identifier(fact.column)}`, fact, operator, value);
    return fact.source === 'consent'
      ? consent(`${identifier(alias)}.${identifier(fact.column)}`, scope ?? '', operator, value)
      : virtual(fact, identifier(alias), operator, value);
  }
}

function joined(members: readonly Template[], by: string, empty = ''): Template {
  if (members.length === 0) return [empty];
  return ['(', ...members.flatMap((member, index) => (index === 0 ? member : [by, ...member])), ')'];
}

function column(name: string, fact: ColumnFact, operator: string, value: unknown): Template {
  const type = SQL_TYPES[fact.kind];
  const ordered = fact.kind === 'text' ? `${name} COLLATE "C"` : name;
  const bound = ({ bind, actor }: Late): string => `${bind(operandOf(value, actor))}::${type}`;
  const compared = (by: string): Template => [`(${ordered} ${by} `, bound, ` AND ${name} IS NOT NULL)`];
  switch (operator) {
    case 'eq':
      if (value === null) return [`${name} IS NULL`];
      return [`(${name} = `, bound, ` AND ${name} IS NOT NULL)`];
    case 'ne':
      if (value === null) return [`${name} IS NOT NULL`];
      return [`${name} IS DISTINCT FROM `, bound];
    case 'in':
      return membership(name, type, value);
    case 'nin':
      return ['NOT ', ...membership(name, type, value)];
    case 'lt':
      return compared('<');
    case 'lte':
      return compared('<=');
    case 'gt':
      return compared('>');
    case 'gte':
      return compared('>=');
    case 'exists':
      return [`${name} IS ${value === true ? 'NOT ' : ''}NULL`];
    default:
      throw new Error(`The comparison ${operator} has no SQL.`);
  }
}

/** `c IN list`, two-valued. A null in the list stands for a null in the column, as it does in memory. */
function membership(name: string, type: string, value: unknown): Template {
  const list = ({ bind, actor }: Late): string => {
    const items = operandOf(value, actor) as readonly unknown[];
    return `${bind(items.filter((item) => item !== null))}::${type}[]`;
  };
  const found: Template = [`(${name} = ANY(`, list, `) AND ${name} IS NOT NULL)`];
  const nullListed = !(value instanceof ActorAttribute) && (value as readonly unknown[]).includes(null);
  return nullListed ? ['(', ...found, ` OR ${name} IS NULL)`] : found;
}

/** A fact that is true or false by an expression: the comparison is worked out for both, so that only the expression is left. */
function virtual(fact: VirtualFact, alias: string, operator: string, value: unknown): Template {
  const holds = COMPARE[operator];
  if (holds === undefined) throw new Error(`The comparison ${operator} has no SQL.`);
  const whenTrue = holds(true, value);
  if (whenTrue === holds(false, value)) return [whenTrue ? 'TRUE' : 'FALSE'];
  const expression = fact.source === 'today' ? startsToday(fact, alias) : ofRow(fact, alias);
  return whenTrue ? expression : ['NOT ', ...expression];
}

function ofRow(fact: Exclude<VirtualFact, { source: 'today' }>, alias: string): Template {
  if (fact.source !== 'age') return ofActor(fact, alias);
  const { column, years } = fact;
  return [
    ({ bind, context }) =>
      `COALESCE(${alias}.${identifier(column)} < ${bind(yearEverywhere(context.now) - years)}::integer, FALSE)`,
  ];
}

/** A column, or two of them, that meets a list of the actor's. Without a list there is nothing to meet, and nothing to compare. */
function ofActor(fact: Exclude<VirtualFact, { source: 'today' | 'age' }>, alias: string): Template {
  const name = `${alias}.${identifier(fact.column)}`;
  const attribute = new ActorAttribute(fact.actorAttribute);
  return [
    ({ bind, actor }) => {
      const values = attribute.of(actor);
      if (values.length === 0) return 'FALSE';
      if (fact.source === 'granted') {
        const list = `${bind(values)}::text[]`;
        const isOne = (grant: string) => `(${grant} = ANY(${list}) AND ${grant} IS NOT NULL)`;
        const pair = `(${alias}.${identifier(fact.patient)}::text || ':' || ${name})`;
        if (fact.visit === undefined) return isOne(pair);
        return `(${isOne(pair)} OR ${isOne(`(${pair} || ':' || ${alias}.${identifier(fact.visit)}::text)`)})`;
      }
      const list = `${bind(values)}::uuid[]`;
      return `(${fact.source === 'overlap' ? `${name} && ${list}` : `${name} = ANY(${list})`} AND ${name} IS NOT NULL)`;
    },
  ];
}

/**
 * What a patient decided for a purpose, out of `{"<purpose>": {"decision", "until"}}`. The states that satisfy the
 * comparison are worked out first, so that one look into the document is left where nothing was decided. `until` is
 * UTC in the fixed form of ECMAScript's toISOString: byte order is time order. A living entry of which the decision is
 * not PERMIT counts as DENY: what cannot be read never opens.
 */
function consent(name: string, scope: string, operator: string, value: unknown): Template {
  const holds = COMPARE[operator];
  if (holds === undefined || value instanceof ActorAttribute) throw new Error(`${operator} has no SQL for a consent.`);
  if (!SCOPE.test(scope)) throw new Error('A purpose is outside the closed pattern.');
  const states = CONSENT_STATES.filter((state) => holds(state, value));
  if (states.length === 0) return ['FALSE'];
  if (states.length === CONSENT_STATES.length) return ['TRUE'];
  const decided = (wanted: readonly ConsentState[]): Template => {
    const decision = `(${name} -> '${scope}' ->> 'decision')`;
    const sought =
      wanted.length === 2
        ? `${decision} IS NOT NULL`
        : `COALESCE(${decision} ${wanted[0] === 'PERMIT' ? '=' : '<>'} 'PERMIT', FALSE)`;
    const until = `(${name} -> '${scope}' ->> 'until')`;
    const now = ({ bind, context }: Late): string => `${bind(context.now.toISOString())}::text`;
    return [`(${sought} AND COALESCE(${until} > `, now, ' COLLATE "C", TRUE))'];
  };
  if (!states.includes('NONE')) return decided(states);
  return ['NOT ', ...decided(CONSENT_STATES.filter((state) => !states.includes(state)))];
}

/**
 * A scalar subquery, not EXISTS: the planner would turn EXISTS into a hash over all visits of the tenant, which costs
 * more than the twenty probes of an index that a page needs.
 */
function startsToday(fact: Extract<FactDeclaration, { source: 'today' }>, alias: string): Template {
  const start = `${INNER_ALIAS}.${identifier(fact.column)}`;
  return [
    `((SELECT 1 FROM ${identifier(fact.table)} ${INNER_ALIAS} `,
    `WHERE ${INNER_ALIAS}.${identifier(fact.foreignKey)} = ${alias}.id `,
    ({ bind, context }) => {
      const day = today(context);
      const counted = `${INNER_ALIAS}.${identifier(fact.only.column)} = ${bind(fact.only.equals)}::text`;
      return `AND ${counted} AND ${start} >= ${bind(day.start)}::timestamptz AND ${start} < ${bind(day.end)}::timestamptz LIMIT 1) IS NOT NULL)`;
    },
  ];
}

/** The last day per time zone: calendar arithmetic costs more than the whole rest of a predicate. */
const days = new Map<string, { start: Date; end: Date }>();

function today({ now, timeZone }: PolicyContext): { start: Date; end: Date } {
  const known = days.get(timeZone);
  if (known !== undefined && now >= known.start && now < known.end) return known;
  const day = dayIn(timeZone, now);
  days.set(timeZone, day);
  return day;
}
