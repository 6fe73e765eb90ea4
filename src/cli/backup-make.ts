import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Configuration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import { type Clock, instantText } from '../kernel/clock.js';
import { newReference } from '../kernel/identifier.js';
import { FileCheckpointStore } from '../ledger/checkpoint-store.js';
import { BackupSource, type CopiedTable, type TableRows } from '../persistence/backup-source.js';
import { type Pace, writeSealed } from './backup-file.js';
import {
  type BackedUpFiles,
  type BackedUpTable,
  type BackupPart,
  fileContext,
  KEYS_KEY,
  type Manifest,
  newBackupKey,
  rootKeyOf,
  writeManifest,
} from './backup-manifest.js';
import { packDirectory } from './backup-pack.js';
import { say } from './ledger-access.js';

export interface BackupOptions {
  /** Holds the backups. */
  readonly directory: string;
  readonly configuration: Configuration;
  /** Of a login that sees every row. */
  readonly url: string;
  readonly clock: Clock;
  readonly pace: Pace;
  /** Whether attachments and archive are part of it. */
  readonly files: boolean;
}

export interface MadeBackup {
  readonly name: string;
  readonly directory: string;
  readonly manifest: Manifest;
  /** Of all sealed files. */
  readonly bytes: number;
  readonly rows: number;
}

/** A table with wrapped keys: whoever destroys these, destroys what they open. */
export const partOf = ({ columns }: CopiedTable): BackupPart => (columns.includes('wrapped') ? 'keys' : 'data');

/**
 * Makes a backup under a name of its own. Until the manifest is there the directory ends with `.partial`: a crash at any point
 * leaves no backup. The checkpoints are read first, so that each of them is a state before the snapshot; the files last, so
 * that what the snapshot refers to is among them.
 */
export async function makeBackup(options: BackupOptions): Promise<MadeBackup> {
  const { configuration, clock } = options;
  const startedAt = instantText(clock.milliseconds());
  const id = newReference();
  const name = `custodia-${startedAt.replace(/[-:]|\.\d+/g, '')}-${id.slice(0, 8)}`;
  const root = await rootKeyOf(configuration);
  const { incarnation, checkpoints } = await checkpointsIn(configuration);
  const source = await BackupSource.open(options.url);
  try {
    const directory = path.join(options.directory, `${name}.partial`);
    for (const part of ['data', 'keys', 'files']) await makeDirectory(path.join(directory, part));
    const [data, keys] = [await newBackupKey(root, id, 'data'), await newBackupKey(root, id, 'keys')];
    await writeFile(path.join(directory, KEYS_KEY), keys.wrapped, { mode: 0o600, flush: true });

    const tables: BackedUpTable[] = [];
    for (const table of source.tables) {
      const part = partOf(table);
      const file = `${part}/${table.name}.sealed`;
      const key = part === 'keys' ? keys.key : data.key;
      let content: TableRows = { rows: 0, digest: '' };
      const begun = performance.now();
      const bytes = source.copy(table.name, (found) => (content = found));
      const sealed = await writeSealed({ directory, file }, key, fileContext(id, file), bytes, options.pace);
      tables.push({ ...table, part, ...content, ...sealed });
      say(`${table.name} ${content.rows} rows, ${rate(content.rows, begun)} rows/s`);
    }
    const logs = await source.ledger();
    const sequences = await source.sequences();
    await source.finish();
    await source.close();

    const files: BackedUpFiles[] = [];
    for (const kind of options.files ? (['blobs', 'archive'] as const) : []) {
      const from = kind === 'blobs' ? configuration.blobDirectory : configuration.archiveDirectory;
      const file = `files/${kind}.sealed`;
      const counted = { count: 0 };
      const bytes = packDirectory(from, (count) => (counted.count = count));
      const sealed = await writeSealed({ directory, file }, data.key, fileContext(id, file), bytes, options.pace);
      files.push({ kind, ...counted, ...sealed });
      say(`${kind} ${counted.count} files`);
    }

    const manifest: Manifest = {
      format: 1,
      id,
      startedAt,
      endedAt: instantText(clock.milliseconds()),
      origin: configuration.origin,
      server: source.server,
      migrations: source.migrations,
      rootKey: root.id,
      key: data.wrapped.toString('base64'),
      incarnation,
      ledger: logs.map((log) => ({ ...log, checkpoint: checkpoints.get(log.log) ?? null })),
      sequences,
      tables,
      files,
    };
    for (const part of ['data', 'keys', 'files']) await syncDirectory(path.join(directory, part));
    await writeManifest(directory, data.key, manifest);
    await syncDirectory(directory);
    const whole = path.join(options.directory, name);
    await rename(directory, whole);
    await syncDirectory(options.directory);
    const bytes = [...tables, ...files].reduce((sum, { size }) => sum + size, 0);
    return { name, directory: whole, manifest, bytes, rows: tables.reduce((sum, { rows }) => sum + rows, 0) };
  } finally {
    await source.close();
  }
}

/** What was signed so far: evidence for whoever verifies the backup, not a copy of the store, which guards against old databases. */
async function checkpointsIn({ checkpointDirectory }: Configuration) {
  const store = new FileCheckpointStore(checkpointDirectory);
  const checkpoints = new Map<string, string>();
  for (const log of await store.logs()) {
    const note = await store.read(log);
    if (note !== null) checkpoints.set(log, note);
  }
  return { incarnation: await store.incarnation(), checkpoints };
}

function rate(rows: number, begun: number): number {
  return Math.round(rows / Math.max(0.001, (performance.now() - begun) / 1_000));
}

async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(`The directory for backups cannot be written (${error.code}).`);
  });
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}
