import pg from 'pg';
import { Refusal } from '../config/refusal.js';
import { copyIn, CopyOut } from './backup-copy.js';
import type { CopiedTable, SequencePosition, TableRows } from './backup-source.js';
import { copyText, inPublic, LONG_SESSION, MIGRATION_TABLE, TABLES } from './backup-source.js';
import { databaseFault } from './sqlstate.js';

/** A table of a backup, with what has to come of it. */
export type TableContent = CopiedTable & TableRows;

/** A foreign key: rows of `child` name rows of `parent`. */
interface Reference {
  readonly name: string;
  readonly child: string;
  readonly parent: string;
}

/**
 * Tables that migrations fill, and which of their rows are still what these wrote: of the sequence the one row that says that
 * nothing was sequenced, of the terms of retention all.
 */
const SEEDED: ReadonlyMap<string, string> = new Map([
  ['ledger_sequence', 'last_id = 0 AND incarnation = 1'],
  ['retention_floor', 'TRUE'],
]);

const NOT_EMPTY = 'The target database is not empty: a restore never writes over an existing system.';

/** What protects the rows. It must be after the load what the migrations have made of it. */
const PROTECTION = `
  SELECT 'table' AS kind, relname::text AS name, concat(relrowsecurity, relforcerowsecurity) AS state
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  UNION ALL SELECT 'trigger', concat(tgrelid::regclass, ' ', tgname), tgenabled::text FROM pg_trigger
    JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = 'public'::regnamespace
  UNION ALL SELECT 'constraint', concat(conrelid::regclass, ' ', conname), concat(convalidated, conenforced, pg_get_constraintdef(pg_constraint.oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT 'policy', concat(tablename, ' ', policyname), concat(roles, cmd, qual, with_check)
    FROM pg_policies WHERE schemaname = 'public'
  ORDER BY 1, 2, 3`;

/** A database that takes a backup in. The owner's session; no superuser is needed. */
export class RestoreTarget {
  private constructor(private readonly client: pg.Client) {}

  static async open(ownerUrl: string): Promise<RestoreTarget> {
    const client = new pg.Client({
      connectionString: ownerUrl,
      application_name: 'custodia restore',
      connectionTimeoutMillis: 10_000,
      options: LONG_SESSION,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      await client.end().catch(() => undefined);
      throw databaseFault(error);
    }
    return new RestoreTarget(client);
  }

  /**
   * Refuses a database that somebody uses, before anything is migrated: one with tables that are not ours, with a migration
   * that the backup does not know, or with an entry in its ledger. What a restore left that died is none of these.
   */
  async requireUnused(migrations: readonly string[]): Promise<void> {
    const tables = await this.select<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')`,
    );
    const names = new Set(tables.map(({ name }) => name));
    if (names.size === 0) return;
    if (!names.has(MIGRATION_TABLE)) throw new Refusal('The target database holds tables that are not of Custodia.');
    const done = await this.select<{ name: string }>(`SELECT name FROM ${MIGRATION_TABLE}`);
    for (const name of ['ledger_head', 'ledger_entry']) {
      if (names.has(name) && (await this.holdsRows(name))) throw new Refusal(NOT_EMPTY);
    }
    if (done.some(({ name }) => !migrations.includes(name))) {
      throw new Refusal('The target database is newer than the backup: give the restore an empty one.');
    }
  }

  /**
   * Loads every table in one transaction and reads each back before the commit: all of it is there, or nothing. Row-level
   * security and triggers are out of force for this transaction alone, which nobody else sees; at its end they are compared
   * with what they were. Foreign keys hold throughout.
   */
  async load<Table extends TableContent>(
    tables: readonly Table[],
    sequences: readonly SequencePosition[],
    content: (table: Table) => AsyncIterable<Buffer>,
    loaded: (table: Table) => void,
  ): Promise<void> {
    await this.client.query('BEGIN').catch(rethrow);
    try {
      await this.layOut(tables);
      const before = await this.select(PROTECTION);
      const forced = await this.suspend(tables);
      const references = await this.references();
      // Of two tables that name each other neither can be first. The others are checked at once, which costs no memory.
      const rings = references.filter(({ child, parent }) => leads(references, parent, child));
      await this.defer(rings, 'DEFERRABLE INITIALLY DEFERRED');
      const straight = references.filter((one) => !rings.includes(one));
      for (const table of inOrder(tables, straight)) {
        await copyIn(this.client, copyText(table, 'FROM STDIN'), content(table));
        const restored = new CopyOut(this.client, copyText(table, 'TO STDOUT'));
        for await (const _ of restored);
        if (restored.rows !== table.rows || restored.digest !== table.digest) {
          throw new Refusal(`What was restored of the table ${table.name} is not what was backed up.`);
        }
        loaded(table);
      }
      for (const { name, value } of sequences) {
        if (value !== null) await this.client.query('SELECT setval($1::regclass, $2)', [inPublic(name), value]);
      }
      await this.client.query('SET CONSTRAINTS ALL IMMEDIATE');
      await this.defer(rings, 'NOT DEFERRABLE');
      await this.resume(tables, forced);
      if (JSON.stringify(await this.select(PROTECTION)) !== JSON.stringify(before)) {
        throw new Error('The protection of the tables is not what it was before the load.');
      }
      await this.client.query('COMMIT');
      await this.client.query('ANALYZE');
    } catch (error) {
      await this.client.query('ROLLBACK').catch(() => undefined);
      rethrow(error);
    }
  }

  async close(): Promise<void> {
    await this.client.end().catch(() => undefined);
  }

  /** Makes the months that the backup has and drops those that it has not; any other difference is refused. */
  private async layOut(tables: readonly TableContent[]): Promise<void> {
    const wanted = new Set(tables.map(({ name }) => name));
    for (const { name } of tables) {
      const month = /^ledger_entry_y(\d{4})m(\d{2})$/.exec(name);
      if (month === null) continue;
      await this.client.query('SELECT ensure_ledger_months($1, 1)', [`${month[1]}-${month[2]}-15T00:00:00Z`]);
    }
    for (const { name, parent } of await this.select<CopiedTable>(TABLES)) {
      if (parent === null || wanted.has(name)) continue;
      if (await this.holdsRows(name)) throw new Refusal(NOT_EMPTY);
      await this.client.query(`DROP TABLE ${inPublic(name)}`);
    }
    const found = (await this.select<CopiedTable>(TABLES)).map(
      ({ name, columns }) => `${name} ${[...columns].sort().join()}`,
    );
    const given = tables.map(({ name, columns }) => `${name} ${[...columns].sort().join()}`);
    const different = [...new Set([...found, ...given])].filter((one) => !found.includes(one) || !given.includes(one));
    if (different.length > 0) {
      throw new Refusal(`The tables of the backup are not those of its migrations: ${names(different)}.`);
    }
  }

  /** @returns the tables whose row-level security held for their owner too */
  private async suspend(tables: readonly TableContent[]): Promise<string[]> {
    const forced = await this.select<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relforcerowsecurity`,
    );
    for (const { name } of forced) await this.client.query(`ALTER TABLE ${inPublic(name)} NO FORCE ROW LEVEL SECURITY`);
    for (const { name } of tables) {
      const untouched = SEEDED.get(name);
      if (untouched !== undefined) await this.client.query(`DELETE FROM ${inPublic(name)} WHERE ${untouched}`);
      if (await this.holdsRows(name)) throw new Refusal(NOT_EMPTY);
      await this.client.query(`ALTER TABLE ${inPublic(name)} DISABLE TRIGGER USER`);
    }
    return forced.map(({ name }) => name);
  }

  private async resume(tables: readonly TableContent[], forced: readonly string[]): Promise<void> {
    for (const { name } of tables) await this.client.query(`ALTER TABLE ${inPublic(name)} ENABLE TRIGGER USER`);
    for (const name of forced) await this.client.query(`ALTER TABLE ${inPublic(name)} FORCE ROW LEVEL SECURITY`);
  }

  /** Foreign keys of the tables, with what they need to be checked at the end instead of row by row. */
  private references(): Promise<Reference[]> {
    return this.select<Reference>(
      `SELECT conname AS name, child.relname AS child, parent.relname AS parent FROM pg_constraint
         JOIN pg_class AS child ON child.oid = conrelid JOIN pg_class AS parent ON parent.oid = confrelid
        WHERE contype = 'f' AND conrelid <> confrelid AND connamespace = 'public'::regnamespace AND NOT condeferrable`,
    );
  }

  private async defer(references: readonly Reference[], how: 'DEFERRABLE INITIALLY DEFERRED' | 'NOT DEFERRABLE') {
    for (const { name, child } of references) {
      await this.client.query(`ALTER TABLE ${inPublic(child)} ALTER CONSTRAINT ${pg.escapeIdentifier(name)} ${how}`);
    }
  }

  private async holdsRows(name: string): Promise<boolean> {
    const [row] = await this.select<{ found: boolean }>(`SELECT EXISTS (SELECT FROM ${inPublic(name)}) AS found`);
    return row?.found === true;
  }

  private async select<Row>(text: string): Promise<Row[]> {
    try {
      return (await this.client.query(text)).rows as Row[];
    } catch (error) {
      return rethrow(error);
    }
  }
}

/** A table comes after those that its foreign keys name. */
function inOrder<Table extends CopiedTable>(tables: readonly Table[], references: readonly Reference[]): Table[] {
  const waiting = new Map(tables.map((table) => [table.name, table]));
  const ordered: Table[] = [];
  while (waiting.size > 0) {
    const free = [...waiting.values()].filter(
      ({ name }) => !references.some(({ child, parent }) => child === name && waiting.has(parent)),
    );
    if (free.length === 0) throw new Error('Foreign keys form a ring.');
    for (const table of free) waiting.delete(table.name);
    ordered.push(...free);
  }
  return ordered;
}

/** Whether foreign keys lead from one table to the other. */
function leads(references: readonly Reference[], from: string, to: string): boolean {
  const seen = new Set([from]);
  for (const name of seen) for (const { child, parent } of references) if (child === name) seen.add(parent);
  return seen.has(to);
}

function names(of: readonly string[]): string {
  return [...new Set(of.map((one) => one.split(' ')[0] ?? ''))].join(', ');
}

/** Errors of the driver quote values. Those of this program, and of the source that is loaded, are passed on. */
function rethrow(error: unknown): never {
  throw error instanceof pg.DatabaseError ? databaseFault(error) : error;
}
