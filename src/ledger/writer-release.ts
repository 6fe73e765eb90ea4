import type { KeyObject } from 'node:crypto';
import type { Database } from '../persistence/database.js';
import { writerKey } from './writer-key.js';

/** Writers of a log that registered with a commitment to their key: only those have keys that can be checked. */
export async function registeredWriters(database: Database, log: string): Promise<string[]> {
  const rows = await database.query<{ writer: string }>(null, {
    name: 'ledger_registered_writers',
    text:
      `SELECT writer FROM ledger_entry WHERE log = $1 AND number = 1 AND position('"commitment":"'::bytea IN record) > 0 ` +
      'UNION SELECT writer FROM ledger_writer WHERE log = $1 AND registered ORDER BY writer',
    values: [log],
  });
  return rows.map(({ writer }) => writer);
}

/** Writers of a log that have ended and whose keys are public from then on. */
export async function releasedWriters(database: Database, log: string): Promise<string[]> {
  const rows = await database.query<{ writer: string }>(null, {
    name: 'ledger_released_writers',
    text: 'SELECT writer FROM ledger_writer WHERE log = $1 AND released_at IS NOT NULL ORDER BY writer',
    values: [log],
  });
  return rows.map(({ writer }) => writer);
}

/** The file `writer.keys`: a line for each writer, with the key of its MACs in this log. Null for none. */
export function writerKeysText(macKey: KeyObject, log: string, writers: readonly string[]): string | null {
  if (writers.length === 0) return null;
  return writers.map((writer) => `${writer} ${writerKey(macKey, log, writer).toString('hex')}\n`).join('');
}
