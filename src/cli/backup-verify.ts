import { rmSync } from 'node:fs';
import path from 'node:path';
import type { Configuration } from '../config/configuration.js';
import { verdictLine } from '../ledger/verification.js';
import { removeCluster, startEmbedded } from '../persistence/embedded.js';
import { passwordsIn } from '../persistence/login.js';
import { makeDataDirectory } from '../persistence/ownership.js';
import { prepareEmbedded } from '../persistence/preparation.js';
import { openBackup, rootKeyOf } from './backup-manifest.js';
import { onInterruption } from './command.js';
import { loadBackup, requireLedgerKeys, requireWhole, unpackFiles, verifyRestored } from './restore-load.js';

/** A server that is thrown away afterwards; whoever is killed meanwhile leaves one that the next verification removes. */
const SCRATCH_SETTINGS = { fsync: 'off', full_page_writes: 'off', autovacuum: 'off' };

/**
 * Restores a backup into an embedded server of its own, compares every table with the manifest, verifies the ledger and
 * removes everything. The running system is not touched. False where a log is not in order.
 */
export async function verifyBackup(
  directory: string,
  keysDirectory: string,
  configuration: Configuration,
): Promise<boolean> {
  const root = await rootKeyOf(configuration);
  const data = await openBackup(directory, root);
  const set = await requireWhole(data, keysDirectory === directory ? data : await openBackup(keysDirectory, root));
  requireLedgerKeys(set, configuration);
  makeDataDirectory(configuration.dataDirectory);
  const scratch = path.join(configuration.dataDirectory, 'backup-verify');
  await remove(scratch);
  const passwords = passwordsIn(scratch);
  const server = await startEmbedded({
    dataDirectory: scratch,
    password: passwords.superuser,
    settings: SCRATCH_SETTINGS,
  });
  const ignore = onInterruption((code) => {
    void server
      .stop()
      .then(() => remove(scratch))
      .finally(() => process.exit(code));
  });
  try {
    const urls = await loadBackup(set, await prepareEmbedded(server.port, passwords), passwords);
    const packed = set.data.manifest.files.some(({ kind }) => kind === 'archive');
    const archive = packed ? path.join(scratch, 'archive') : configuration.archiveDirectory;
    await unpackFiles(set, { blobs: null, archive: packed ? archive : null });
    const places = { configuration, archive, scratch: path.join(scratch, 'checkpoints') };
    const verdicts = await verifyRestored(set, urls.auditor, places);
    for (const verdict of verdicts) process.stdout.write(`${verdictLine(verdict)}\n`);
    return verdicts.every(({ bad }) => bad === null);
  } finally {
    ignore();
    await server.stop();
    await remove(scratch);
  }
}

async function remove(scratch: string): Promise<void> {
  await removeCluster(scratch);
  rmSync(scratch, { recursive: true, force: true });
}
