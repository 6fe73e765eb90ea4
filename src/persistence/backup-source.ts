import pg from 'pg';
import { Refusal } from '../config/refusal.js';
import { CopyOut } from './backup-copy.js';
import { databaseFault } from './sqlstate.js';

/** A table as it is copied: ordinary ones, and of a partitioned one each partition by itself. */
export interface CopiedTable {
  readonly name: string;
  /** What is not computed from other columns. */
  readonly columns: readonly string[];
  /** The partitioned table that it belongs to. */
  readonly parent: string | null;
}

/** What a table holds: how many rows, and the digest of {@link CopyOut}. */
export interface TableRows {
  readonly rows: number;
  readonly digest: string;
}

/** `value` null: nothing was taken from it yet. */
export interface SequencePosition {
  readonly name: string;
  readonly value: string | null;
}

export interface LedgerPosition {
  readonly log: string;
  readonly size: number;
}

export const MIGRATION_TABLE = 'mikro_orm_migrations';

/** A session for long work: nothing ends it but its own end. Tables are read from their first block on. */
export const LONG_SESSION =
  '-c statement_timeout=0 -c transaction_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 ' +
  '-c lock_timeout=60s -c synchronize_seqscans=off -c bytea_output=hex -c DateStyle=ISO';

/** The tables of the schema `public`, without those of extensions and without the list of migrations. */
export const TABLES = `
  SELECT class.relname AS name, class.relfilenode::text AS file, parent.relname AS parent,
         array_agg(attname::text ORDER BY attnum) FILTER (WHERE attgenerated = '') AS columns
    FROM pg_class AS class
    JOIN pg_attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
    LEFT JOIN pg_inherits ON inhrelid = class.oid LEFT JOIN pg_class AS parent ON parent.oid = inhparent
   WHERE class.relnamespace = 'public'::regnamespace AND class.relkind = 'r' AND class.relname <> '${MIGRATION_TABLE}'
     AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = class.oid AND deptype = 'e')
   GROUP BY class.oid, parent.relname ORDER BY class.relname`;

const CANNOT_READ =
  'This login cannot read every row, and a backup must not leave out any: give DATABASE_URL a login that passes row-level ' +
  'security and reads all tables, such as CREATE ROLE custodia_backup LOGIN BYPASSRLS PASSWORD … IN ROLE pg_read_all_data.';

/**
 * One state of the database, held by a read-only transaction. It has no transaction id, so the sequencer of the ledger, which
 * waits for older ones, does not wait for it. Each table is locked only while it is copied, and against nothing but changes
 * of its definition: partitions can be made meanwhile, and whatever takes a table out of the snapshot ends the backup.
 */
export class BackupSource {
  private constructor(
    private readonly client: pg.Client,
    /** Version of the server. */
    readonly server: string,
    readonly migrations: readonly string[],
    private readonly found: readonly (CopiedTable & { readonly file: string })[],
  ) {}

  /** @param url of a login that passes row-level security; refuses any other. */
  static async open(url: string): Promise<BackupSource> {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'custodia backup',
      connectionTimeoutMillis: 10_000,
      options: `${LONG_SESSION} -c row_security=off`,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      const { rows: facts } = await client.query<{ server: string; sees: boolean; set: boolean }>(
        `SELECT current_setting('server_version') AS server, rolsuper OR rolbypassrls AS sees,
                to_regclass('public.${MIGRATION_TABLE}') IS NOT NULL AS set
           FROM pg_roles WHERE rolname = current_user`,
      );
      if (facts[0]?.set !== true)
        throw new Refusal('This database has no tables of Custodia: there is nothing to back up.');
      if (!facts[0].sees) throw new Refusal(CANNOT_READ);
      const { rows: done } = await client.query<{ name: string }>(`SELECT name FROM ${MIGRATION_TABLE} ORDER BY id`);
      const { rows: tables } = await client.query<CopiedTable & { file: string }>(TABLES);
      const names = done.map(({ name }) => name);
      return new BackupSource(client, facts[0].server, names, tables);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw refusalOf(error);
    }
  }

  get tables(): readonly CopiedTable[] {
    return this.found.map(({ name, columns, parent }) => ({ name, columns, parent }));
  }

  /** The table's rows in PostgreSQL's binary format; `done` is told what they were. */
  async *copy(name: string, done: (content: TableRows) => void): AsyncGenerator<Buffer> {
    const table = this.found.find((one) => one.name === name);
    if (table === undefined) throw new RangeError('There is no such table in the snapshot.');
    try {
      await this.client.query('SAVEPOINT one_table');
      await this.client.query(`LOCK TABLE ${inPublic(name)} IN ACCESS SHARE MODE`);
      // The catalog in the snapshot and the catalog now: a table that was rewritten would look empty to the snapshot.
      const { rows } = await this.client.query<{ file: string }>(
        'SELECT pg_relation_filenode($1::regclass)::text AS file',
        [inPublic(name)],
      );
      if (rows[0]?.file !== table.file) throw rewritten(name);
      const out = new CopyOut(this.client, copyText(table, 'TO STDOUT'));
      yield* out;
      await this.client.query('ROLLBACK TO SAVEPOINT one_table');
      done({ rows: out.rows, digest: out.digest });
    } catch (error) {
      const refused = refusalOf(error);
      throw 'sqlstate' in refused && refused.sqlstate === '42P01' ? rewritten(name) : refused;
    }
  }

  /** The logs as the snapshot has them. */
  async ledger(): Promise<LedgerPosition[]> {
    const { rows } = await this.client.query<{ log: string; size: string }>(
      'SELECT log, size FROM ledger_head ORDER BY log',
    );
    return rows.map(({ log, size }) => ({ log, size: Number(size) }));
  }

  /** To be asked last: sequences are not part of the snapshot, and must not be behind its rows. */
  async sequences(): Promise<SequencePosition[]> {
    const { rows } = await this.client.query<{ name: string; value: string | null }>(
      `SELECT sequencename AS name, last_value::text AS value FROM pg_sequences
        WHERE schemaname = 'public' AND sequencename <> '${MIGRATION_TABLE}_id_seq' ORDER BY sequencename`,
    );
    return rows;
  }

  /** Ends the transaction; throws where it had got a transaction id after all. */
  async finish(): Promise<void> {
    const { rows } = await this.client.query<{ id: string | null }>(
      'SELECT pg_current_xact_id_if_assigned()::text AS id',
    );
    if (rows[0]?.id != null) throw new Error('The backup held a transaction id.');
    await this.client.query('COMMIT');
  }

  async close(): Promise<void> {
    await this.client.end().catch(() => undefined);
  }
}

/** Columns by name: their order and number may differ in a table that an older migration made. */
export function copyText({ name, columns }: CopiedTable, direction: 'TO STDOUT' | 'FROM STDIN'): string {
  return `COPY ${inPublic(name)} (${columns.map(quoted).join(', ')}) ${direction} (FORMAT binary)`;
}

export function inPublic(name: string): string {
  return `public.${quoted(name)}`;
}

function quoted(name: string): string {
  return pg.escapeIdentifier(name);
}

function rewritten(name: string): Refusal {
  return new Refusal(`The table ${name} was rewritten or dropped while the backup ran: make another one.`);
}

function refusalOf(error: unknown): Error {
  if (error instanceof Refusal || error instanceof RangeError) return error;
  const fault = databaseFault(error);
  return fault.sqlstate === '42501' ? new Refusal(CANNOT_READ) : fault;
}
