import type { Bind } from '../policy/decision.js';
import { announcement } from './notices.js';
import { Parameters } from './parameters.js';

interface Step {
  readonly name: string;
  readonly text: string;
  /** The step must touch exactly one row, or the unit did not happen. */
  readonly guards: boolean;
}

/** An INSERT of the ledger. `from` names the steps without whose rows nothing is inserted. */
type Insertion<Text> = (bind: Bind, from?: string) => Text;

/** A row of a tenant, as somebody looked at it. */
export interface RowVersion {
  readonly tenant: string;
  readonly id: string;
  readonly version: number;
}

/**
 * Everything one operation writes, composed into ONE statement of data-modifying CTEs: rows, keys, idempotency and the
 * ledger record commit together or not at all, in one round trip and one flush of the log. Owned by one scope.
 */
export class Unit {
  private readonly parameters = new Parameters();
  private readonly steps: Step[] = [];
  private readonly announced: string[] = [];

  readonly bind: Bind = this.parameters.bind;

  get empty(): boolean {
    return this.steps.length === 0;
  }

  get size(): number {
    return this.steps.length;
  }

  /** Adds a row; where the unit has guards by now, only if they hold. */
  insert(table: string, values: Readonly<Record<string, unknown>>): void {
    const columns = Object.keys(values);
    const bound = columns.map((column) => this.bind(values[column])).join(', ');
    const source = this.guards.length === 0 ? `VALUES (${bound})` : `SELECT ${bound} WHERE ${this.guarded()}`;
    this.add(`INSERT INTO ${table} (${columns.join(', ')}) ${source} RETURNING 1`, false);
  }

  /**
   * Keeps a row of the tenant as it was looked at until the unit is committed: at another version, the unit did not happen.
   * Must be staged before what depends on it.
   */
  hold(table: string, key: RowVersion): void {
    this.add(
      `SELECT 1 FROM ${table} WHERE id = ${this.bind(key.id)} AND tenant_id = ${this.bind(key.tenant)} ` +
        `AND version = ${this.bind(key.version)} FOR SHARE`,
      true,
    );
  }

  /** Changes one row of the tenant if it still has the version. What else the unit changes depends on it: see `change`. */
  update(table: string, key: RowVersion, values: Readonly<Record<string, unknown>>): void {
    const changes = Object.entries(values).map(([column, value]) => `${column} = ${this.bind(value)}`);
    this.add(
      `UPDATE ${table} SET version = version + 1${changes.map((change) => `, ${change}`).join('')} ` +
        `WHERE id = ${this.bind(key.id)} AND tenant_id = ${this.bind(key.tenant)} AND version = ${this.bind(key.version)} RETURNING 1`,
      true,
    );
  }

  /** Adds a value to an array column of an existing row, once. */
  include(table: string, key: { tenant: string; id: string }, column: string, value: string): void {
    const bound = this.bind(value);
    this.add(
      `UPDATE ${table} SET ${column} = array_append(array_remove(${column}, ${bound}::uuid), ${bound}::uuid) ` +
        `WHERE id = ${this.bind(key.id)} AND tenant_id = ${this.bind(key.tenant)} RETURNING 1`,
      false,
    );
  }

  /**
   * Stages a data-modifying statement that a domain wrote. `write` is given a condition to end its WHERE with: it is false
   * when the row of an `update` of this unit was not at its version, so that a unit that did not happen changed nothing.
   */
  change(write: (bind: Bind, happened: string) => string): void {
    this.add(`${write(this.bind, this.guarded())} RETURNING 1`, false);
  }

  /**
   * Tells every process, when and only when the unit commits, that a row of this subject has changed. Ids alone: who
   * hears of it reads the row again under a decision of its own.
   */
  notify(type: string, id: string, subjectId: string): void {
    this.announced.push(announcement(this.bind, type, id, subjectId));
  }

  /**
   * The whole statement, with the ledger's insertions at its end: of the record, and of its sealed details where it has
   * some. It answers one row with `happened`.
   */
  statement(record: Insertion<string>, detail: Insertion<string | null> = () => null) {
    const { guards } = this;
    const source = guards.map((step) => step.name).join(' CROSS JOIN ');
    const from = source === '' ? undefined : `FROM ${source}`;
    const happened = guards.map((step) => `(SELECT count(*) FROM ${step.name}) = 1`).join(' AND ') || 'TRUE';
    const withs = this.steps.map((step) => `${step.name} AS (${step.text})`);
    withs.push(`record AS (${record(this.bind, from)})`);
    const sealed = detail(this.bind, from);
    if (sealed !== null) withs.push(`detail AS (${sealed})`);
    const text = `WITH ${withs.join(', ')} SELECT ${happened} AS happened${this.announcements(source)}`;
    return this.steps.length > 6 ? this.parameters.unprepared(text) : this.parameters.statement(text);
  }

  /** In the last SELECT, because nothing would run a CTE that is only read; and not where a guard found no row. */
  private announcements(from: string): string {
    const source = from === '' ? '' : ` FROM ${from}`;
    return this.announced.map((one, index) => `, (SELECT ${one}${source})::text AS announced_${index}`).join('');
  }

  private get guards(): Step[] {
    return this.steps.filter((step) => step.guards);
  }

  private guarded(): string {
    return this.guards.map((step) => `EXISTS (SELECT 1 FROM ${step.name})`).join(' AND ') || 'TRUE';
  }

  private add(text: string, guards: boolean): void {
    this.steps.push({ name: `step_${this.steps.length}`, text, guards });
  }
}
