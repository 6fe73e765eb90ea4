import { Refusal } from '../config/refusal.js';
import type { Database } from '../persistence/database.js';
import type { Queryable, Statement } from '../persistence/statement.js';

interface Setting {
  readonly name: string;
  readonly setting: string;
}

const SETTINGS: Statement = {
  text:
    'SELECT name, setting FROM pg_settings ' +
    "WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names')",
  values: [],
};

/**
 * Refuses a database on which a committed entry could be lost by a crash: `fsync` and `full_page_writes` must be on, and
 * {@link assertSessionDurability} hold for this role. To be called with the API role's database before anything is recorded.
 */
export async function assertDurability(database: Database): Promise<void> {
  const settings = await read({ query: (statement) => database.query(null, statement) });
  const off = ['fsync', 'full_page_writes'].filter((name) => settings.get(name) !== 'on');
  refuseOff(commits(settings) ? off : [...off, 'synchronous_commit']);
  refuseUnsynchronised(settings);
}

/**
 * Refuses a session whose commits are not flushed: `synchronous_commit` must not be off. Where a synchronous standby is
 * named, a commit must wait until it is flushed there too: then whatever is committed may be signed.
 */
export async function assertSessionDurability(session: Queryable): Promise<void> {
  const settings = await read(session);
  refuseOff(commits(settings) ? [] : ['synchronous_commit']);
  refuseUnsynchronised(settings);
}

async function read(session: Queryable): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query<Setting>(SETTINGS);
  return new Map(rows.map(({ name, setting }) => [name, setting]));
}

function commits(settings: ReadonlyMap<string, string>): boolean {
  return (settings.get('synchronous_commit') ?? 'off') !== 'off';
}

function refuseOff(off: readonly string[]): void {
  if (off.length === 0) return;
  throw new Refusal(`PostgreSQL may lose committed ledger entries: switch on ${off.join(', ')} in its configuration.`);
}

function refuseUnsynchronised(settings: ReadonlyMap<string, string>): void {
  const commit = settings.get('synchronous_commit') ?? '';
  if ((settings.get('synchronous_standby_names') ?? '').trim() === '' || ['on', 'remote_apply'].includes(commit))
    return;
  throw new Refusal(
    `A synchronous standby is named, but synchronous_commit is ${commit}: set it to on or remote_apply for the roles of Custodia.`,
  );
}
