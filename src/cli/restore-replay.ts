import { readConfiguration } from '../config/configuration.js';
import { runCommand } from './command.js';
import { withWorkingLedger } from './ledger-access.js';
import { replayTombstones } from './tombstone-replay.js';

const usage = `Usage: npm run restore:replay

  Erases again whoever was erased since the backup that was restored. Tombstones are read from CUSTODIA_TOMBSTONE_DIRECTORY;
  each erasure is a record in the ledger. Run it after "npm run ledger -- restored" and before you serve: until then the
  system does not start. It may be run again at any time.`;

await runCommand({
  usage,
  async run() {
    const configuration = readConfiguration();
    await withWorkingLedger(configuration, async ({ ledger, owner, settle }) => {
      const { tombstones, replayed } = await replayTombstones(configuration, owner, ledger.writer);
      await settle();
      process.stdout.write(`${tombstones} tombstones, ${replayed} replayed\n`);
    });
  },
});
