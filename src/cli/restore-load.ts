import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { migrations } from '../../migrations/list.js';
import type { Configuration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { FileCheckpointStore } from '../ledger/checkpoint-store.js';
import { fileLedgerKeys } from '../ledger/keys.js';
import { LogFiles } from '../ledger/log-files.js';
import { unsequencedEntries } from '../ledger/row-check.js';
import { knownLogs, type LogVerdict, verifyLog } from '../ledger/verification.js';
import { RestoreTarget } from '../persistence/backup-target.js';
import { Database } from '../persistence/database.js';
import type { DatabaseUrls, Passwords } from '../persistence/login.js';
import { prepareDatabase } from '../persistence/preparation.js';
import { readSealed, requireFile } from './backup-file.js';
import { type BackedUpTable, fileContext, type OpenBackup } from './backup-manifest.js';
import { unpackDirectory } from './backup-pack.js';
import { say } from './ledger-access.js';

/** A backup that was looked through, and the one whose keys go with its data. */
export interface RestoreSet {
  readonly data: OpenBackup;
  /** The same one, or a later one: its keys open the older data of everybody who was not erased since. */
  readonly keys: OpenBackup;
  readonly tables: readonly BackedUpTable[];
}

/** Reads every file once, before anything is made of it. Refuses what is not whole, and keys that were destroyed. */
export async function requireWhole(data: OpenBackup, keys: OpenBackup): Promise<RestoreSet> {
  if (keys.keysKey === null) {
    throw new Refusal(
      'The keys of this backup were destroyed when their retention was over: name a later one with --keys.',
    );
  }
  if (keys.manifest.startedAt < data.manifest.startedAt) {
    throw new Refusal('The backup of --keys is older than the data.');
  }
  const from = (backup: OpenBackup, part: 'data' | 'keys') => backup.manifest.tables.filter((one) => one.part === part);
  const tables = [...from(data, 'data'), ...from(keys, 'keys')];
  const unknown = data.manifest.migrations.filter((name) => !migrations.some((one) => one.name === name));
  if (unknown.length > 0) throw new Refusal('The backup is of a newer version of Custodia: restore it with that one.');
  if (keys.manifest.migrations.join() !== data.manifest.migrations.join()) {
    throw new Refusal('The two backups are of different versions: their keys do not go together.');
  }
  for (const file of [...tables, ...data.manifest.files]) {
    const { directory } = 'part' in file && file.part === 'keys' ? keys : data;
    await requireFile(directory, file);
  }
  return { data, keys, tables };
}

/** Refuses to begin without the keys of the ledger: they would be made anew, and nothing would verify under them. */
export function requireLedgerKeys({ data: { manifest } }: RestoreSet, { keyDirectory }: Configuration): void {
  const names = ['ledger-mac.key', ...manifest.ledger.map(({ log }) => `ledger-${log}.pem`)];
  const missing = names.filter((name) => !existsSync(path.join(keyDirectory, name)));
  if (missing.length > 0) {
    throw new Refusal(`Keys of the ledger are missing in ${keyDirectory}: put ${missing.join(', ')} there first.`);
  }
}

/**
 * Makes an empty database one that holds the backup: the migrations that it was made with, its rows, and the migrations that
 * came since. Roles and privileges are those that the migrations make.
 */
export async function loadBackup(set: RestoreSet, ownerUrl: string, passwords: Passwords): Promise<DatabaseUrls> {
  const { manifest } = set.data;
  const target = await RestoreTarget.open(ownerUrl);
  try {
    await target.requireUnused(manifest.migrations);
    const then = migrations.filter(({ name }) => manifest.migrations.includes(name));
    await prepareDatabase(ownerUrl, passwords, then);
    const loaded = ({ name, rows }: BackedUpTable) => say(`${name} ${rows} rows`);
    await target.load(set.tables, manifest.sequences, (table) => contentOf(set, table), loaded);
  } finally {
    await target.close();
  }
  return (await prepareDatabase(ownerUrl, passwords, migrations)).urls;
}

function contentOf({ data, keys }: RestoreSet, table: BackedUpTable): AsyncGenerator<Buffer> {
  const { directory, manifest, dataKey, keysKey } = table.part === 'keys' ? keys : data;
  const key = table.part === 'keys' ? keysKey : dataKey;
  if (key === null) throw new Error('There are no keys.');
  return readSealed(directory, key, fileContext(manifest.id, table.file), table.file);
}

/** Puts the files of a backup in their places; a place that is null is not filled, its files are only read. */
export async function unpackFiles(
  { data: { directory, manifest, dataKey } }: RestoreSet,
  places: Readonly<Record<'blobs' | 'archive', string | null>>,
): Promise<void> {
  for (const packed of manifest.files) {
    const source = readSealed(directory, dataKey, fileContext(manifest.id, packed.file), packed.file);
    const count = await unpackDirectory(source, places[packed.kind]);
    if (count !== packed.count) throw new Refusal(`The file ${packed.file} of the backup does not hold what it says.`);
    say(`${packed.kind} ${count} files`);
  }
}

/**
 * Verifies the restored ledger from the bytes of its records up, against the checkpoints that were signed before the backup
 * was made. The store of the installation is not asked: it may be further, and nothing is declared here.
 * @param scratch an empty directory for the checkpoints
 */
export async function verifyRestored(
  { data: { manifest } }: RestoreSet,
  auditorUrl: string,
  { configuration, archive, scratch }: { configuration: Configuration; archive: string; scratch: string },
): Promise<LogVerdict[]> {
  for (const { log, checkpoint } of manifest.ledger) {
    if (checkpoint === null) continue;
    await mkdir(path.join(scratch, log), { recursive: true });
    await writeFile(path.join(scratch, log, 'checkpoint'), checkpoint);
  }
  const database = await Database.connect(auditorUrl, { maximum: 2, name: 'custodia restore' });
  try {
    const keys = fileLedgerKeys(configuration.keyDirectory, manifest.origin, manifest.incarnation);
    const files = new LogFiles(database, new FileCheckpointStore(scratch), keys, archive);
    const unsequenced = await unsequencedEntries(database);
    const verdicts: LogVerdict[] = [];
    for (const log of await knownLogs(files)) verdicts.push(await verifyLog(files, log, { unsequenced }));
    return verdicts;
  } finally {
    await database.close();
  }
}
