import type { Configuration } from '../config/configuration.js';
import { SystemClock } from '../kernel/clock.js';
import { FileCheckpointStore } from '../ledger/checkpoint-store.js';
import type { LedgerFault } from '../ledger/fault.js';
import { fileLedgerKeys } from '../ledger/keys.js';
import { Ledger } from '../ledger/ledger.js';
import { LogFiles } from '../ledger/log-files.js';
import { ownerSession } from '../ledger/owner-session.js';
import type { Session } from '../ledger/session.js';
import { settleOrFault } from '../ledger/verification.js';
import { witnessSettings } from '../ledger/witness-policy.js';
import { Database } from '../persistence/database.js';
import { type OpenDatabase, withDatabase } from './command.js';

const SETTLE_MILLISECONDS = 10_000;

/** A ledger that goes on, for commands that write to it. */
export interface WorkingLedger {
  readonly files: LogFiles;
  readonly ledger: Ledger;
  readonly sequencer: Database;
  /** See {@link ownerSession}. */
  readonly owner: Session;
  readonly configuration: Configuration;
  settle(): Promise<void>;
}

interface OpenLedger {
  readonly ledger: Ledger;
  readonly sequencer: Database;
  readonly database: OpenDatabase;
}

/**
 * Opens the ledger for reading, with everything that was committed before sequenced and under a signed checkpoint: by
 * the running server where there is one, else by this process. What stops that is handed to `work` as a fault.
 */
export async function withLedger<T>(
  configuration: Configuration,
  work: (files: LogFiles, fault: LedgerFault | null, open: OpenLedger | null) => Promise<T>,
): Promise<T> {
  return withDatabase(configuration, async (open) => {
    const [app, sequencer, database] = await Promise.all([
      Database.connect(open.appUrl, { maximum: 2 }),
      Database.connect(open.sequencerUrl, { maximum: 2 }),
      Database.connect(open.auditorUrl, { maximum: 2 }),
    ]);
    const store = new FileCheckpointStore(configuration.checkpointDirectory);
    const keys = fileLedgerKeys(configuration.keyDirectory, configuration.origin, await store.incarnation());
    let ledger: Ledger | null = null;
    try {
      const fault = await settleOrFault(async () => {
        const clock = new SystemClock();
        const witnesses = witnessSettings(configuration);
        ledger = await Ledger.open({ app, sequencer, sequencerUrl: open.sequencerUrl, keys, store, clock, witnesses });
        await ledger.settle(SETTLE_MILLISECONDS);
      });
      const files = new LogFiles(database, store, keys, configuration.archiveDirectory);
      return await work(files, fault, ledger === null ? null : { ledger, sequencer, database: open });
    } finally {
      await (ledger as Ledger | null)?.close();
      await Promise.all([app.close(), sequencer.close(), database.close()]);
    }
  });
}

/** Opens the ledger for commands that record what they do; a fault of any log ends them before they begin. */
export async function withWorkingLedger<T>(
  configuration: Configuration,
  work: (open: WorkingLedger) => Promise<T>,
): Promise<T> {
  return withLedger(configuration, async (files, fault, open) => {
    if (fault !== null) throw fault;
    if (open === null) throw new Error('The ledger is neither open nor at fault.');
    const { ledger, sequencer, database } = open;
    const owner = await ownerSession(database.ownerUrl);
    const settle = () => ledger.settle(SETTLE_MILLISECONDS);
    try {
      return await work({ files, ledger, sequencer, owner, configuration, settle });
    } finally {
      await owner.close();
    }
  });
}

/** Says on standard error what a long command is doing. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
