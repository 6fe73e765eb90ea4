import { Refusal } from '../config/refusal.js';
import type { Database } from '../persistence/database.js';

/**
 * Refuses a database on which a committed entry could be lost by a crash: `fsync` and `full_page_writes` must be on,
 * `synchronous_commit` not off for this role. To be called with the API role's database before anything is recorded.
 */
export async function assertDurability(database: Database): Promise<void> {
  const settings = await database.query<{ name: string; setting: string }>(null, {
    text: "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')",
    values: [],
  });
  const off = settings.filter(({ setting }) => setting === 'off').map(({ name }) => name);
  if (off.length === 0 && settings.length === 3) return;
  throw new Refusal(
    `PostgreSQL may lose committed ledger entries: switch on ${off.join(', ') || 'fsync'} in its configuration.`,
  );
}
