import { SUITE, ZERO_LEAF } from '../../audit/entry.mjs';
import type { Database } from '../persistence/database.js';
import { headMac } from './head.js';
import type { LedgerKeys } from './keys.js';
import { requireLogName } from './keys.js';
import type { LedgerWriter } from './writer.js';

/** The log of what belongs to no tenant: sign-ins to unknown tenants, policies, keys. */
export const SYSTEM_LOG = 'system';

/**
 * Starts a log, once: its head, and as its first entry the START record with suite and origin; registers this process's
 * writer in it, by START or after it. To be awaited before any other record of the log. Runs as the sequencer's role; the
 * head's transaction stays open until START is durable, so of two processes that start the same log one waits and then
 * finds it started. A crash after START, before the head's COMMIT, leaves an entry without a head: the next call adds the
 * head and no second START.
 */
export async function createLog(
  sequencer: Database,
  writer: LedgerWriter,
  keys: LedgerKeys,
  incarnation: number,
  log: string,
): Promise<void> {
  requireLogName(log);
  const empty = { log, size: 0, lastLeaf: ZERO_LEAF, range: Buffer.alloc(0) };
  await sequencer.transaction(null, async (transaction) => {
    await transaction.query({
      text: "SELECT pg_advisory_xact_lock(hashtextextended('ledger log ' || $1, 0))",
      values: [log],
    });
    const started = await transaction.query({
      text: 'SELECT 1 FROM ledger_entry WHERE log = $1 LIMIT 1',
      values: [log],
    });
    await transaction.query({
      text:
        'INSERT INTO ledger_head (log, size, last_leaf, compact_range, incarnation, mac) ' +
        "VALUES ($1, 0, $2, '', $3, $4) ON CONFLICT DO NOTHING",
      values: [log, ZERO_LEAF, incarnation, headMac(keys.macKey, empty)],
    });
    if (started.length > 0) return;
    await writer.register(log, { suite: SUITE, origin: keys.signer(log).name });
  });
  await writer.register(log);
}

/** Names of the logs that have a head, sorted; it becomes visible once START is durable. Needs a role that may read. */
export async function listLogs(database: Database): Promise<string[]> {
  const rows = await database.query<{ log: string }>(null, {
    name: 'ledger_logs',
    text: 'SELECT log FROM ledger_head ORDER BY log',
    values: [],
  });
  return rows.map((row) => row.log);
}
