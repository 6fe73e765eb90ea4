import type { Configuration } from '../config/configuration.js';
import { SystemClock } from '../kernel/clock.js';
import { FileCheckpointStore } from '../ledger/checkpoint-store.js';
import type { ExportSource } from '../ledger/export.js';
import type { LedgerFault } from '../ledger/fault.js';
import { fileLedgerKeys } from '../ledger/keys.js';
import { Ledger } from '../ledger/ledger.js';
import { settleOrFault } from '../ledger/verification.js';
import { Database } from '../persistence/database.js';
import { withDatabase } from './command.js';

const SETTLE_MILLISECONDS = 10_000;

/**
 * Opens the ledger for reading, with everything that was committed before sequenced and under a signed checkpoint: by
 * the running server where there is one, else by this process. What stops that is handed to `work` as a fault.
 */
export async function withLedger<T>(
  configuration: Configuration,
  work: (source: ExportSource, fault: LedgerFault | null) => Promise<T>,
): Promise<T> {
  return withDatabase(configuration, async (open) => {
    const [app, sequencer, database] = await Promise.all([
      Database.connect(open.appUrl, { maximum: 2 }),
      Database.connect(open.sequencerUrl, { maximum: 2 }),
      Database.connect(open.auditorUrl, { maximum: 2 }),
    ]);
    const keys = fileLedgerKeys(configuration.keyDirectory, configuration.origin);
    const store = new FileCheckpointStore(configuration.checkpointDirectory);
    let ledger: Ledger | null = null;
    try {
      const fault = await settleOrFault(async () => {
        const clock = new SystemClock();
        ledger = await Ledger.open({ app, sequencer, sequencerUrl: open.sequencerUrl, keys, store, clock });
        await ledger.settle(SETTLE_MILLISECONDS);
      });
      return await work({ database, store, keys }, fault);
    } finally {
      await (ledger as Ledger | null)?.close();
      await Promise.all([app.close(), sequencer.close(), database.close()]);
    }
  });
}
