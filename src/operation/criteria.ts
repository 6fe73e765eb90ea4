import type { AttributeDeclaration, NounDeclaration } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';
import type { Aliases, Bind, Decision, PolicyContext } from '../policy/decision.js';
import { hasControlCharacter, readInstant } from './input.js';

/** A client's filter: criteria by field, joined by `and`, `or`, `not`. The same shape for every role. */
export interface Filter {
  readonly and?: readonly Filter[] | null;
  readonly or?: readonly Filter[] | null;
  readonly not?: Filter | null;
  readonly [field: string]: unknown;
}
export interface Sort {
  readonly field: string;
  readonly direction: 'ASC' | 'DESC';
}

type Criterion = Readonly<Partial<Record<'eq' | 'in' | 'lt' | 'lte' | 'gt' | 'gte', unknown>>>;
const COMPARISONS = { eq: '=', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const;
/** Criteria, and the objects that join them. */
const LARGEST_FILTER = 100;
const LARGEST_SET = 50;
const LONGEST_ORDER = 8;

export function notFilterable(type: string, field: string): Failure {
  return new Failure(
    'FIELD_NOT_FILTERABLE',
    `${type}.${field} cannot be used to filter or sort by you for this purpose.`,
    'Use a field that you see in clear, or the exact lookup if your role has it.',
  );
}

/** Compiles client filters and sorts. Every criterion carries the predicate under which its field is clear to the caller. */
export class Criteria {
  private used = 0;

  constructor(
    private readonly noun: NounDeclaration,
    private readonly decision: Decision,
    private readonly aliases: Aliases,
    private readonly bind: Bind,
    private readonly context: PolicyContext,
  ) {}

  /**
   * SQL of a filter. Negation is pushed down to the criteria before the guard is added, so that `not` never turns
   * "you may not see it" into a match.
   */
  filter(filter: Filter, negated = false): string {
    this.grow();
    const parts: string[] = [];
    for (const [key, value] of Object.entries(filter)) {
      if (value === null || value === undefined) continue;
      if (key === 'and' || key === 'or') {
        const inner = (value as readonly Filter[]).map((one) => this.filter(one, negated));
        const all = (key === 'and') !== negated;
        parts.push(inner.length === 0 ? String(all).toUpperCase() : `(${inner.join(all ? ' AND ' : ' OR ')})`);
      } else if (key === 'not') parts.push(this.filter(value as Filter, !negated));
      else parts.push(this.criterion(key, value as Criterion, negated));
    }
    if (parts.length === 0) return negated ? 'FALSE' : 'TRUE';
    return `(${parts.join(negated ? ' OR ' : ' AND ')})`;
  }

  /** Checks that the caller may sort by these fields, and gives each one's SQL. A missing value sorts as the smallest. */
  order(sorts: readonly Sort[]): { expression: string; direction: 'ASC' | 'DESC'; attribute: AttributeDeclaration }[] {
    if (sorts.length > LONGEST_ORDER) throw tooLarge(`A list is sorted by at most ${LONGEST_ORDER} fields.`);
    return sorts.map(({ field, direction }) => {
      const attribute = this.noun.attributes.get(field);
      if (attribute === undefined || !attribute.sortable || attribute.column === null) {
        throw notFilterable(this.noun.type, field);
      }
      if (this.decision.clearFor(field) !== 'always') throw notFilterable(this.noun.type, field);
      return { expression: sortExpression(this.aliases.self, attribute), direction, attribute };
    });
  }

  private criterion(field: string, criterion: Criterion, negated: boolean): string {
    const attribute = this.noun.attributes.get(field);
    if (attribute === undefined || attribute.filter === 'none' || attribute.column === null) {
      throw notFilterable(this.noun.type, field);
    }
    if (this.decision.clearFor(field) === 'never') throw notFilterable(this.noun.type, field);
    this.grow();
    const column = `${this.aliases.self}.${attribute.column}`;
    const parts: string[] = [];
    for (const [operator, operand] of Object.entries(criterion)) {
      if (operand === undefined) continue;
      if (operand === null) {
        throw new Failure('BAD_USER_INPUT', `${field} is compared with null.`, 'Leave the comparison out.');
      }
      parts.push(this.comparison(column, attribute, operator as keyof Criterion, operand));
    }
    const matched = parts.length === 0 ? 'TRUE' : `(${parts.join(' AND ')})`;
    const guard = this.decision.clearPredicate(field, this.aliases, this.bind, this.context);
    return `(${negated ? `NOT ${matched}` : matched} AND ${guard})`;
  }

  private grow(): void {
    if (++this.used > LARGEST_FILTER) throw tooLarge(`A filter has at most ${LARGEST_FILTER} parts.`);
  }

  private comparison(
    column: string,
    attribute: AttributeDeclaration,
    operator: keyof Criterion,
    operand: unknown,
  ): string {
    const type = SQL_TYPES[attribute.kind];
    if (operator === 'in') {
      const operands = operand as readonly unknown[];
      if (operands.length > LARGEST_SET) throw tooLarge(`"in" takes at most ${LARGEST_SET} values.`);
      const values = operands.map((value) => checked(attribute, value));
      return `COALESCE(${column} = ANY(${this.bind(values)}::${type}[]), FALSE)`;
    }
    return `COALESCE(${column} ${COMPARISONS[operator]} ${this.bind(checked(attribute, operand))}::${type}, FALSE)`;
  }
}

const SQL_TYPES: Record<AttributeDeclaration['kind'], string> = {
  id: 'uuid',
  text: 'text',
  code: 'text',
  date: 'text',
  year: 'integer',
  count: 'integer',
  instant: 'timestamptz',
};

export function sortExpression(alias: string, attribute: AttributeDeclaration): string {
  const column = `${alias}.${attribute.column}`;
  if (attribute.kind === 'instant') return column;
  return attribute.kind === 'year' || attribute.kind === 'count' ? `COALESCE(${column}, 0)` : `COALESCE(${column}, '')`;
}

export function sortType(attribute: AttributeDeclaration): string {
  return SQL_TYPES[attribute.kind];
}

function tooLarge(sentence: string): Failure {
  return new Failure('QUERY_COST_EXCEEDED', sentence, 'Ask for less at once.');
}

/** What PostgreSQL can compare with the column: it refuses a statement whose text holds a NUL or an instant that is none. */
function checked(attribute: AttributeDeclaration, value: unknown): unknown {
  if (typeof value === 'string' && hasControlCharacter(value)) {
    throw new Failure('BAD_USER_INPUT', `${attribute.field} holds no control characters.`, 'Send plain text.');
  }
  if (attribute.kind === 'id' && !(typeof value === 'string' && isId(value))) {
    throw new Failure(
      'BAD_USER_INPUT',
      `${attribute.field} is compared with an id.`,
      'Send an id that this system gave out.',
    );
  }
  if (attribute.kind !== 'instant') return value;
  const instant = typeof value === 'string' ? readInstant(value) : null;
  if (instant !== null) return instant;
  throw new Failure(
    'BAD_USER_INPUT',
    `${attribute.field} is compared with an instant.`,
    'Send RFC 3339, such as 2026-01-31T08:00:00Z.',
  );
}
