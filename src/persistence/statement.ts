/**
 * One SQL statement with its parameters. A `name` makes every connection prepare it once; the same name must always
 * come with the same text.
 */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly name?: string;
}

/** Where statements can be sent: a transaction. Rows come back as objects: int8 and date as text, timestamptz as Date. */
export interface Queryable {
  query<Row>(statement: Statement): Promise<Row[]>;
}
