import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Configuration } from '../config/configuration.js';
import { Refusal } from '../config/refusal.js';
import type { LedgerPosition, SequencePosition } from '../persistence/backup-source.js';
import type { TableContent } from '../persistence/backup-target.js';
import { FileRootKeyProvider, type RootKeyProvider } from '../vault/root-key.js';
import type { SealedFile } from './backup-file.js';

/** What of a backup a key opens: the keys of the vault have one of their own, which can be destroyed earlier. */
export type BackupPart = 'data' | 'keys';

export interface BackedUpTable extends TableContent, SealedFile {
  readonly part: BackupPart;
}

/** Files from beside the database, packed into one. */
export interface BackedUpFiles extends SealedFile {
  readonly kind: 'blobs' | 'archive';
  readonly count: number;
}

/** A log at the snapshot, and the checkpoint that was signed last before it. */
export interface BackedUpLog extends LedgerPosition {
  readonly checkpoint: string | null;
}

/** What a backup is. Names of tables and tenants, counts and times stand in the open; nothing of any person does. */
export interface Manifest {
  readonly format: 1;
  readonly id: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly origin: string;
  /** Version of PostgreSQL. */
  readonly server: string;
  readonly migrations: readonly string[];
  readonly rootKey: string;
  /** The key of the part `data`, wrapped under the root key; base64. */
  readonly key: string;
  readonly incarnation: number;
  readonly ledger: readonly BackedUpLog[];
  readonly sequences: readonly SequencePosition[];
  readonly tables: readonly BackedUpTable[];
  readonly files: readonly BackedUpFiles[];
}

export const MANIFEST = 'manifest.json';
/** The wrapped key of the part `keys`: not in the manifest, so that it goes with them. */
export const KEYS_KEY = path.join('keys', 'key');
const KEY_BYTES = 32;

/** The keeper of the root key, which must exist: a backup under a new one would open nothing that was sealed before. */
export function rootKeyOf({ keyDirectory }: Configuration): Promise<RootKeyProvider> {
  return FileRootKeyProvider.open(keyDirectory, true);
}

/** A fresh key for one part of one backup, and its wrapped form. */
export async function newBackupKey(
  root: RootKeyProvider,
  id: string,
  part: BackupPart,
): Promise<{ key: KeyObject; wrapped: Buffer }> {
  const raw = randomBytes(KEY_BYTES);
  const wrapped = await root.wrap(raw, contextOf(id, part));
  return { key: intoKey(raw), wrapped };
}

/** Null where the bytes were not wrapped under this root key, for this part of this backup. */
async function unwrapBackupKey(
  root: RootKeyProvider,
  id: string,
  part: BackupPart,
  wrapped: Buffer,
): Promise<KeyObject | null> {
  const raw = await root.unwrap(wrapped, contextOf(id, part));
  return raw === null ? null : intoKey(raw);
}

/** Puts the manifest in its place, durably: what makes a directory a backup. */
export async function writeManifest(directory: string, key: KeyObject, manifest: Manifest): Promise<void> {
  const file = await open(path.join(directory, MANIFEST), 'wx', 0o600);
  try {
    await file.writeFile(textOf(manifest, macOf(key, manifest)));
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A backup whose manifest is true. */
export interface OpenBackup {
  readonly directory: string;
  readonly manifest: Manifest;
  readonly dataKey: KeyObject;
  /** Null: the keys of this backup were destroyed. */
  readonly keysKey: KeyObject | null;
}

/** Reads a manifest and checks every byte of it. Refuses what is no backup, or is not one of this root key. */
export async function openBackup(directory: string, root: RootKeyProvider): Promise<OpenBackup> {
  const text = await readFile(path.join(directory, MANIFEST), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(`There is no backup in this directory: ${MANIFEST} cannot be read (${error.code}).`);
  });
  const stored = parsed(text);
  if (stored === null) throw changed();
  const { manifest, mac } = stored;
  const dataKey = await unwrapBackupKey(root, manifest.id, 'data', Buffer.from(manifest.key, 'base64'));
  if (dataKey === null) {
    throw new Refusal(
      `The manifest was changed, or the backup was made under another root key (${manifest.rootKey}) than this one (${root.id}).`,
    );
  }
  const expected = macOf(dataKey, manifest);
  if (mac.length !== expected.length || !timingSafeEqual(Buffer.from(mac), Buffer.from(expected))) throw changed();
  if (textOf(manifest, mac) !== text) throw changed();
  const wrapped = await readFile(path.join(directory, KEYS_KEY)).catch(() => null);
  const keysKey = wrapped === null ? null : await unwrapBackupKey(root, manifest.id, 'keys', wrapped);
  if (wrapped !== null && keysKey === null) throw new Refusal(`The file ${KEYS_KEY} is not of this backup.`);
  return { directory, manifest, dataKey, keysKey };
}

/** What a sealed file is: authenticated in every frame, so that no file passes for another, or for one of another backup. */
export function fileContext(id: string, name: string): string {
  return `custodia backup ${id} ${name}`;
}

function contextOf(id: string, part: BackupPart): string {
  return `custodia backup ${id} ${part}`;
}

function intoKey(raw: Buffer): KeyObject {
  const key = createSecretKey(raw);
  raw.fill(0);
  return key;
}

function macOf(key: KeyObject, manifest: Manifest): string {
  const macKey = Buffer.from(hkdfSync('sha256', key, '', 'custodia backup manifest', KEY_BYTES));
  return createHmac('sha256', macKey).update(JSON.stringify(manifest)).digest('hex');
}

/** The one spelling of a manifest: whatever differs from it was changed. */
function textOf(manifest: Manifest, mac: string): string {
  return `${JSON.stringify({ manifest, mac }, null, 1)}\n`;
}

function parsed(text: string): { manifest: Manifest; mac: string } | null {
  try {
    const { manifest, mac } = JSON.parse(text) as { manifest?: Partial<Manifest>; mac?: unknown };
    if (manifest === undefined || typeof mac !== 'string') return null;
    if (manifest.format !== 1) throw new Refusal('The backup was made by a newer version: use that one.');
    return typeof manifest.id === 'string' && typeof manifest.key === 'string'
      ? { manifest: manifest as Manifest, mac }
      : null;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    return null;
  }
}

function changed(): Refusal {
  return new Refusal(`The file ${MANIFEST} of the backup was changed.`);
}
