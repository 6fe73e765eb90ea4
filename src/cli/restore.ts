import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Configuration, readConfiguration, readConfigurationIn } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { verdictLine } from '../ledger/verification.js';
import { isRunning, removeCluster, startEmbedded } from '../persistence/embedded.js';
import { type Passwords, passwordsIn } from '../persistence/login.js';
import { prepareEmbedded } from '../persistence/preparation.js';
import { openBackup, rootKeyOf } from './backup-manifest.js';
import { onInterruption, runCommand } from './command.js';
import { loadBackup, requireLedgerKeys, requireWhole, unpackFiles, verifyRestored } from './restore-load.js';

const usage = `Usage: npm run restore -- <backup> [--into <data directory>] [--keys <later backup>]

  Puts a backup into an empty database: the embedded one of the data directory, or the one of DATABASE_URL (its owner's login).
  Every byte is checked before anything is made, every table is compared before the commit, the ledger is verified afterwards.
  Put the keys in their directory first (root key, keys of the ledger and of the policies), and the checkpoints in theirs.

  --into   a data directory, in place of CUSTODIA_DATA_DIRECTORY
  --keys   takes the wrapped keys from this backup: those of the older one were pruned, or somebody was erased since

  It declares nothing: which entries of the ledger are given up is looked at and confirmed with "npm run ledger -- restored".
  Exit code 0: restored; 1: not restored, or a log of the ledger is not in order; 2: wrong use.`;

await runCommand({
  usage,
  options: { into: { type: 'string' }, keys: { type: 'string' } },
  words: [1, 1],
  async run({ values, positionals }) {
    const { into, keys: later } = values;
    const configuration = typeof into === 'string' ? readConfigurationIn(into) : readConfiguration();
    if (into !== undefined && configuration.databaseUrl !== null) {
      throw new Refusal('--into is for the embedded server, and DATABASE_URL is set: keep the one that is meant.', 2);
    }
    const root = await rootKeyOf(configuration);
    const data = await openBackup(path.resolve(positionals[0] ?? ''), root);
    const keys = typeof later === 'string' ? await openBackup(path.resolve(later), root) : data;
    const set = await requireWhole(data, keys);
    requireLedgerKeys(set, configuration);
    const verdicts = await withTarget(configuration, async (ownerUrl, passwords) => {
      const urls = await loadBackup(set, ownerUrl, passwords);
      const { blobDirectory: blobs, archiveDirectory: archive } = configuration;
      await unpackFiles(set, { blobs, archive });
      const scratch = mkdtempSync(path.join(tmpdir(), 'custodia-restore-'));
      try {
        return await verifyRestored(set, urls.auditor, { configuration, archive, scratch });
      } finally {
        rmSync(scratch, { recursive: true });
      }
    });
    for (const verdict of verdicts) process.stdout.write(`${verdictLine(verdict)}\n`);
    const rows = set.tables.reduce((sum, table) => sum + table.rows, 0);
    process.stdout.write(
      `run npm run ledger -- restored before you serve: it shows what the ledger gives up, and asks for your word\n` +
        `run npm run restore:replay before you serve: whoever was erased since the backup is in it\n` +
        `restored ${set.tables.length} tables ${rows} rows\n`,
    );
    return verdicts.every(({ bad }) => bad === null);
  },
});

/** An owner's login of the target. A cluster that was made for this and did not become a restored one is removed. */
async function withTarget<T>(
  { databaseUrl, dataDirectory, databasePort }: Configuration,
  work: (ownerUrl: string, passwords: Passwords) => Promise<T>,
): Promise<T> {
  if (databaseUrl !== null) return work(databaseUrl, passwordsIn(dataDirectory));
  if ((await isRunning(dataDirectory)) !== null) {
    throw new Refusal('The system is running on this data directory: a restore never writes over an existing one.');
  }
  const existed = ['postgres', 'location'].some((name) => existsSync(path.join(dataDirectory, name)));
  const passwords = passwordsIn(dataDirectory);
  const server = await startEmbedded({ dataDirectory, password: passwords.superuser, port: databasePort });
  const stop = async (remove: boolean) => {
    await server.stop();
    if (remove && !existed) await removeCluster(dataDirectory);
  };
  const ignore = onInterruption((code) => void stop(true).finally(() => process.exit(code)));
  let restored = false;
  try {
    const result = await work(await prepareEmbedded(server.port, passwords), passwords);
    restored = true;
    return result;
  } finally {
    ignore();
    await stop(!restored);
  }
}
