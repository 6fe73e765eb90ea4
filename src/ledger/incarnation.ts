import { splitNote } from '../../audit/note.mjs';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';
import type { CheckpointStore } from './checkpoint-store.js';
import { LedgerFault } from './fault.js';
import type { LedgerKeys } from './keys.js';
import { SYSTEM_LOG } from './logs.js';

/** What database and checkpoint store say about the life that the ledger is in. */
export interface Incarnations {
  /** Of the row in the database, which a restore takes back. */
  readonly stored: number;
  /** Of the checkpoint store, which lies outside of it. */
  readonly declared: number;
  /** A declared restore was begun: the database is in the new incarnation, and not every checkpoint is set aside. */
  readonly unfinished: boolean;
  /** The database has transaction ids that its cluster has not given out yet: it was made somewhere else. */
  readonly foreign: boolean;
}

export async function readIncarnations(
  database: Database,
  store: CheckpointStore,
  keys: LedgerKeys,
): Promise<Incarnations> {
  const [row] = await database.query<{ incarnation: number; foreign: boolean }>(null, {
    text:
      'SELECT incarnation, last_xid > pg_snapshot_xmax(pg_current_snapshot()) OR EXISTS (SELECT 1 FROM ledger_entry ' +
      'WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()) AND id > restored_id) AS foreign FROM ledger_sequence',
    values: [],
  });
  if (row === undefined) throw new Error('The table ledger_sequence has lost its row.');
  const stored = row.incarnation;
  const declared = await store.incarnation();
  const behind = async () => {
    for (const log of await store.logs()) {
      if (originIn(await store.read(log)) === keys.signer(log, declared - 1).name) return true;
    }
    return false;
  };
  const unfinished = stored === declared + 1 || (declared > 1 && stored === declared && (await behind()));
  return { stored, declared, unfinished, foreign: row.foreign };
}

/**
 * The number of this ledger's life, for its writers. Throws a {@link LedgerFault} ("ledger rollback detected …") for a
 * database from before the last declared restore or from another cluster, and INTEGRITY_FAILED while a declared restore is
 * not finished. To be asked before anything is sequenced or signed.
 */
export async function requireIncarnation(
  database: Database,
  store: CheckpointStore,
  keys: LedgerKeys,
): Promise<number> {
  const { stored, declared, unfinished, foreign } = await readIncarnations(database, store, keys);
  if (unfinished || stored > declared) {
    throw new Failure(
      'INTEGRITY_FAILED',
      `A restore was declared and not finished: the database is in incarnation ${stored}, the checkpoints are in ${declared}.`,
      'Run "npm run ledger -- restored" again.',
    );
  }
  if (stored < declared) {
    throw await rolledBack(
      store,
      `the database is in incarnation ${stored} of the ledger, and ${declared} was declared.`,
    );
  }
  if (foreign) {
    throw await rolledBack(store, 'the database was made in another cluster, whose transaction ids were higher.');
  }
  return stored;
}

/** The first line of a checkpoint; null without one. */
function originIn(note: string | null): string | null {
  return note === null ? null : (splitNote(note).text.split('\n')[0] ?? null);
}

async function rolledBack(store: CheckpointStore, what: string): Promise<LedgerFault> {
  const log = (await store.logs())[0] ?? SYSTEM_LOG;
  return new LedgerFault(log, 0, 'consistency', `ledger rollback detected: ${what}`);
}
