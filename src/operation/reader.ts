import { registry, type NounDeclaration } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import type { Aliases, Bind, Decision, PolicyContext } from '../policy/decision.js';
import { Criteria, sortExpression, sortType, type Filter, type Sort } from './criteria.js';
import type { Cursors } from './cursor.js';
import { aliasesOf, fromClause, subjectColumns, unlessErased } from './noun-table.js';
import { Parameters } from './parameters.js';
import type { Reads } from './turn.js';
import type { Reading, Row } from './view.js';

export interface PageArguments {
  readonly first?: number | null;
  readonly after?: string | null;
}
export interface ListArguments extends PageArguments {
  readonly filter?: Filter | null;
  readonly sort?: readonly Sort[] | null;
}

export interface Page {
  readonly rows: readonly FetchedRow[];
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
}
/** A row with what the ledger, the vault and the cursor need beside its fields. */
export type FetchedRow = Row & {
  readonly subject_id: string | null;
  readonly subject_reference: string | null;
  readonly row_version: number;
  readonly parent_id?: string;
};

/** One row that was asked for by its id, and how the policy stands to it. */
export type SingleRow = FetchedRow & {
  readonly visible: boolean;
  /** True where nothing but a consent clause keeps the row from the caller. */
  readonly but_for_consent: boolean;
  readonly consent_denied: boolean;
};

/** A count above this is given as this: an exact count of a large set is slow, and more telling than useful. */
export const LARGEST_COUNT = 1_000;
export const LARGEST_PAGE = 50;

export function pageSize(first: number | null | undefined, standard: number): number {
  const size = first ?? standard;
  if (Number.isInteger(size) && size >= 0 && size <= LARGEST_PAGE) return size;
  throw new Failure(
    'BAD_USER_INPUT',
    `first is between 0 and ${LARGEST_PAGE}.`,
    'Ask for a smaller page and follow the cursor.',
  );
}

/**
 * Writes and runs the SELECTs of one reading. A page's size stands in the text: with an unknown LIMIT the planner takes a
 * tenth of the table for granted. Every statement asserts the tenant of its connection, names the tenant in
 * its condition and carries the row predicate of the decision; visibility bits come with each row.
 */
export class Reader {
  private readonly noun: NounDeclaration;
  private readonly aliases: Aliases;

  constructor(
    private readonly database: Reads,
    private readonly tenant: string,
    private readonly reading: Reading,
    private readonly decision: Decision,
    private readonly context: PolicyContext,
    /** Columns to fetch beside the selected ones: the sealed group that a lookup compares. */
    private readonly extra: readonly string[] = [],
  ) {
    this.noun = reading.noun;
    this.aliases = aliasesOf(this.noun);
  }

  async list(input: ListArguments, cursors: Cursors, standard: number): Promise<Page> {
    const size = pageSize(input.first, standard);
    const parameters = new Parameters();
    const { bind } = parameters;
    const criteria = this.criteria(parameters);
    const conditions = [this.visible(parameters)];
    if (input.filter) conditions.push(criteria.filter(input.filter));
    const order = this.order(criteria, input.sort ?? []);
    const after = input.after ?? null;
    if (after !== null) conditions.push(afterRow(order, cursors.open(after, order.length), bind));
    const rows = await this.database.query<FetchedRow>(
      this.tenant,
      parameters.statement(
        `SELECT ${this.selected(parameters, order)} FROM ${fromClause(this.noun)} WHERE ${conditions.join(' AND ')} ` +
          `ORDER BY ${order.map((one) => `${one.expression} ${one.direction}`).join(', ')} LIMIT ${size + 1}`,
      ),
    );
    return { rows: rows.slice(0, size), hasNextPage: rows.length > size, hasPreviousPage: after !== null };
  }

  async count(input: ListArguments): Promise<number> {
    const parameters = new Parameters();
    const conditions = [this.visible(parameters)];
    if (input.filter) conditions.push(this.criteria(parameters).filter(input.filter));
    const [row] = await this.database.query<{ found: number }>(
      this.tenant,
      parameters.statement(
        `SELECT count(*)::integer AS found FROM (SELECT 1 FROM ${fromClause(this.noun)} ` +
          `WHERE ${conditions.join(' AND ')} LIMIT ${LARGEST_COUNT}) AS counted`,
      ),
    );
    return row?.found ?? 0;
  }

  /** The row with this id and whether the caller may know of it. The work is the same for a hidden row and for none. */
  async one(id: string): Promise<SingleRow | null> {
    const parameters = new Parameters();
    const { bind } = parameters;
    const [row] = await this.database.query<SingleRow>(
      this.tenant,
      parameters.statement(
        `SELECT ${this.selected(parameters)}, ${this.predicate(parameters)} AS visible, ${this.consent(parameters)} ` +
          `FROM ${fromClause(this.noun)} WHERE ${this.tenantCondition(parameters)} AND s.id = ${bind(id)}::uuid`,
      ),
    );
    return row ?? null;
  }

  /** Rows that the permission covers and whose blind index equals one of these. A truncated index may match others: the caller compares the opened value. */
  async byIndex(
    permission: Decision,
    column: string,
    indexes: readonly Buffer[],
    limit: number,
  ): Promise<FetchedRow[]> {
    const parameters = new Parameters();
    const { bind } = parameters;
    const permitted = permission.rowPredicate(this.aliases, bind, this.context);
    return this.database.query<FetchedRow>(
      this.tenant,
      parameters.statement(
        `SELECT ${this.selected(parameters)} FROM ${fromClause(this.noun)} WHERE ${this.visible(parameters)} ` +
          `AND ${permitted} AND s.${column} = ANY(${bind(indexes)}::bytea[]) ORDER BY s.id LIMIT ${bind(limit)}`,
      ),
    );
  }

  /**
   * Rows that a search may mean, newest first: those that the permission covers, on which the caller sees the searched fields
   * in clear, and that have all tokens of one of the alternatives. The caller compares the opened values.
   */
  async byTokens(
    permission: Decision,
    fields: readonly string[],
    alternatives: readonly string[],
    before: string | null,
    limit: number,
  ): Promise<FetchedRow[]> {
    const parameters = new Parameters();
    const { bind } = parameters;
    const conditions = [
      this.visible(parameters),
      permission.rowPredicate(this.aliases, bind, this.context),
      ...fields.map((field) => this.decision.clearPredicate(field, this.aliases, bind, this.context)),
      `s.id IN (SELECT search_subjects(${bind(alternatives)}::text[]))`,
    ];
    if (before !== null) conditions.push(`s.id < ${bind(before)}::uuid`);
    return this.database.query<FetchedRow>(
      this.tenant,
      parameters.statement(
        `SELECT ${this.selected(parameters)} FROM ${fromClause(this.noun)} WHERE ${conditions.join(' AND ')} ` +
          `ORDER BY s.id DESC LIMIT ${limit}`,
      ),
    );
  }

  /** Children of many parents in one statement: a page for each parent. */
  async children(
    parents: readonly string[],
    foreignKey: string,
    size: number,
    after: string | null,
    cursors: Cursors,
    asOf: string | null,
  ): Promise<FetchedRow[]> {
    const parameters = new Parameters();
    const { bind } = parameters;
    const order = this.order(this.criteria(parameters), []);
    const conditions = [this.visible(parameters), `s.${foreignKey} = asked.id`];
    if (asOf !== null) conditions.push(inForceAt(this.noun, foreignKey, `${bind(asOf)}::timestamptz`));
    if (after !== null) conditions.push(afterRow(order, cursors.open(after, order.length), bind));
    const direction = order.map((one) => `${one.expression} ${one.direction}`).join(', ');
    return this.database.query<FetchedRow>(
      this.tenant,
      parameters.statement(
        `SELECT asked.id AS parent_id, child.* FROM unnest(${bind(parents)}::uuid[]) AS asked(id) CROSS JOIN LATERAL (` +
          `SELECT ${this.selected(parameters, order)} FROM ${fromClause(this.noun)} WHERE ${conditions.join(' AND ')} ` +
          `ORDER BY ${direction} LIMIT ${size + 1}) AS child`,
      ),
    );
  }

  /** Rows by id, for references from other rows. Hidden and missing ones are both absent. */
  async byIds(ids: readonly string[]): Promise<FetchedRow[]> {
    const parameters = new Parameters();
    const { bind } = parameters;
    return this.database.query<FetchedRow>(
      this.tenant,
      parameters.statement(
        `SELECT ${this.selected(parameters)} FROM ${fromClause(this.noun)} ` +
          `WHERE ${this.visible(parameters)} AND s.id = ANY(${bind(ids)}::uuid[])`,
      ),
    );
  }

  private selected(parameters: Parameters, order: readonly Order[] = []): string {
    const columns = [...new Set([...this.reading.columns, ...this.extra])].map((column) => `s.${column}`);
    const positions = order.map((one, index) => `${positionExpression(one)} AS order_${index}`);
    const bits = this.decision.visibilityBits(this.aliases, parameters.bind, this.context);
    return ['s.id', ...columns, ...positions, subjectColumns(this.noun), `${bits} AS bits`].join(', ');
  }

  private criteria(parameters: Parameters): Criteria {
    return new Criteria(this.noun, this.decision, this.aliases, parameters.bind, this.context);
  }

  private tenantCondition(parameters: Parameters): string {
    const tenant = parameters.bind(this.tenant);
    return `assert_tenant(${tenant}) AND s.tenant_id = ${tenant}`;
  }

  private predicate(parameters: Parameters): string {
    return this.decision.rowPredicate(this.aliases, parameters.bind, this.context);
  }

  private consent({ bind }: Parameters): string {
    const butFor = this.decision.butForConsentPredicate(this.aliases, bind, this.context);
    const denied = this.decision.consentDeniedPredicate(this.aliases, bind, this.context);
    return `${butFor} AS but_for_consent, ${denied} AS consent_denied`;
  }

  private visible(parameters: Parameters): string {
    return `${this.tenantCondition(parameters)} AND ${this.predicate(parameters)}${unlessErased(this.noun)}`;
  }

  private order(criteria: Criteria, sorts: readonly Sort[]): Order[] {
    const chosen: Order[] = criteria.order(sorts).map((one) => ({ ...one, type: sortType(one.attribute) }));
    if (chosen.length === 0) {
      const attribute = registry.attribute(this.noun.type, this.noun.order.field);
      const expression = sortExpression(this.aliases.self, attribute);
      chosen.push({ expression, direction: this.noun.order.direction, type: sortType(attribute) });
    }
    const direction = chosen.at(-1)?.direction ?? 'DESC';
    return [...chosen, { expression: 's.id', direction, type: 'uuid' }];
  }
}

/** Rows that counted at an instant: the newest of their key by then, unless they had ended. */
function inForceAt({ type, table, inForce }: NounDeclaration, foreignKey: string, instant: string): string {
  if (inForce === undefined) throw new Error(`${type} has no history.`);
  const { key, from, until } = inForce;
  const living = until.map((column) => `(s.${column} IS NULL OR s.${column} > ${instant})`);
  return (
    `s.${from} <= ${instant} AND ${living.join(' AND ')} AND NOT EXISTS (SELECT 1 FROM ${table} newer ` +
    `WHERE newer.tenant_id = s.tenant_id AND newer.${foreignKey} = s.${foreignKey} AND newer.${key} = s.${key} ` +
    `AND newer.${from} <= ${instant} AND (newer.${from}, newer.id) > (s.${from}, s.id))`
  );
}

interface Order {
  readonly expression: string;
  readonly direction: 'ASC' | 'DESC';
  readonly type: string;
}

/** As text where the driver would make a Date of each: a page has twenty, a document asks for one cursor at most. */
function positionExpression({ expression, type }: Order): string {
  return type === 'timestamptz' ? `${expression}::text` : expression;
}

/** The values of a row that its cursor holds: those of the order it was fetched in. */
export function positionOf(row: FetchedRow): unknown[] {
  const values: unknown[] = [];
  for (let index = 0; `order_${index}` in row; index += 1) values.push(row[`order_${index}`]);
  return values;
}

/**
 * Rows after a position. In one direction it is a row comparison, which an index answers by going there; in mixed
 * directions (a > x) or (a = x and b < y) or …, which reads all that lies before.
 */
function afterRow(order: readonly Order[], values: readonly unknown[], bind: Bind): string {
  const bound = order.map((one, index) => `${bind(values[index])}::${one.type}`);
  const [first] = order;
  if (first !== undefined && order.every((one) => one.direction === first.direction)) {
    const expressions = order.map((one) => one.expression).join(', ');
    return `(${expressions}) ${first.direction === 'ASC' ? '>' : '<'} (${bound.join(', ')})`;
  }
  const alternatives = order.map((one, index) => {
    const equal = order.slice(0, index).map((earlier, at) => `${earlier.expression} = ${bound[at]}`);
    return `(${[...equal, `${one.expression} ${one.direction === 'ASC' ? '>' : '<'} ${bound[index]}`].join(' AND ')})`;
  });
  return `(${alternatives.join(' OR ')})`;
}
