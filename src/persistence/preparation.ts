import pg from 'pg';
import { Refusal } from '../config/refusal.js';
import { prepareJobSchema } from './job-schema.js';
import type { DatabaseUrls, Passwords } from './login.js';
import { urlsFrom } from './login.js';
import type { MigrationList } from './migrate.js';
import { migrate } from './migrate.js';
import { ensureRoles, refusePrivileged } from './roles.js';
import { databaseFault } from './sqlstate.js';

/** "cust" in ASCII: of several processes that prepare one database at once, one works and the others wait. */
const ADVISORY_LOCK = 0x63757374;
const OLDEST_VERSION = 180_000;
export const EMBEDDED_DATABASE = 'custodia';

/** Makes owner and database in a fresh embedded server, as its superuser. @returns the owner's URL */
export async function prepareEmbedded(port: number, passwords: Passwords): Promise<string> {
  const superuser = embeddedUrl(port, 'postgres', passwords.superuser, 'postgres');
  await withClient(superuser, 'the embedded PostgreSQL', async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [ADVISORY_LOCK]);
    const { rows } = await client.query<{ role: boolean; database: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'custodia_owner') AS role,
              EXISTS (SELECT FROM pg_database WHERE datname = $1) AS database`,
      [EMBEDDED_DATABASE],
    );
    if (!rows[0]?.role) {
      await client.query(
        `CREATE ROLE custodia_owner LOGIN CREATEROLE PASSWORD ${client.escapeLiteral(passwords.owner)}`,
      );
      await client.query('GRANT pg_read_all_stats TO custodia_owner WITH ADMIN OPTION');
    }
    if (!rows[0]?.database) await client.query(`CREATE DATABASE ${EMBEDDED_DATABASE} OWNER custodia_owner`);
  });
  return embeddedUrl(port, 'custodia_owner', passwords.owner, EMBEDDED_DATABASE);
}

/**
 * Brings a database to where the system can run on it: login roles, migrations, and the check that the application's
 * role is as weak as it must be. Safe to repeat and to run from several processes.
 */
export async function prepareDatabase(
  ownerUrl: string,
  passwords: Passwords,
  migrations: MigrationList,
): Promise<{ urls: DatabaseUrls; migrated: string[] }> {
  const urls = urlsFrom(ownerUrl, passwords);
  const migrated = await withClient(ownerUrl, 'the database of DATABASE_URL', async (owner) => {
    const { rows } = await owner.query<{ version: number }>(
      `SELECT current_setting('server_version_num')::int AS version`,
    );
    if ((rows[0]?.version ?? 0) < OLDEST_VERSION) throw new Refusal('The database is older than PostgreSQL 18.');
    await owner.query('SELECT pg_advisory_lock($1)', [ADVISORY_LOCK]);
    await ensureRoles(owner, passwords);
    const names = await migrate(ownerUrl, migrations);
    await prepareJobSchema(owner);
    return names;
  });
  await withClient(urls.app, 'the database as custodia_app', refusePrivileged);
  return { urls, migrated };
}

/** The superuser of the embedded server in Custodia's database: for tampering tests and emergencies, never for the API. */
export function embeddedUrl(port: number, user: string, password: string, database: string): string {
  return `postgresql://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
}

async function withClient<T>(url: string, what: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: 'custodia set-up',
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    const fields = error as { code?: unknown };
    const code = typeof fields.code === 'string' ? ` (${fields.code})` : '';
    throw new Refusal(
      `${what.charAt(0).toUpperCase()}${what.slice(1)} cannot be reached${code}: is it running, and are user and password right?`,
    );
  }
  try {
    return await work(client);
  } catch (error) {
    throw error instanceof Refusal ? error : databaseFault(error);
  } finally {
    await client.end();
  }
}
