import { randomBytes, type KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal } from '../config/refusal.js';
import { canonical, deriveBytes, deriveKey, intoKey, KEY_BYTES } from './derivation.js';
import { openBytes, sealBytes } from './sealed-value.js';

/** Keeper of the root key. It wraps tenant keys and never gives the root key away. */
export interface RootKeyProvider {
  /** Names the root key without telling anything about it; for messages to the operator. */
  readonly id: string;
  wrap(plain: Buffer, context: string): Promise<Buffer>;
  /** Null when the bytes were not wrapped under this root key and context. */
  unwrap(wrapped: Buffer, context: string): Promise<Buffer | null>;
}

const KEY_ID = 0;

/**
 * The root key in a file, for trying out: whoever can read the folder can read everything. The file is made once, when
 * nothing has been wrapped yet; a lost file is never replaced, because a new key beside old wrapped ones would look
 * healthy and open nothing.
 */
export class FileRootKeyProvider implements RootKeyProvider {
  readonly id: string;
  private readonly key: KeyObject;

  private constructor(root: KeyObject) {
    this.id = `file:${deriveBytes(root, 'root-id').toString('hex', 0, 8)}`;
    this.key = deriveKey(root, 'root-wrap');
  }

  /** Reads `<keyDirectory>/root.key` (32 bytes, mode 0600), or creates it when no wrapped key exists yet. */
  static async open(keyDirectory: string, wrappedKeysExist: boolean): Promise<FileRootKeyProvider> {
    const path = join(keyDirectory, 'root.key');
    if (!(await exists(path))) {
      if (wrappedKeysExist) {
        throw new Refusal(
          `The root key ${path} is missing, but the database holds keys wrapped under it: restore the file from its backup.`,
        );
      }
      await create(keyDirectory, path);
    }
    return new FileRootKeyProvider(await read(path));
  }

  wrap(plain: Buffer, context: string): Promise<Buffer> {
    return Promise.resolve(sealBytes(this.key, KEY_ID, canonical([context]), plain));
  }

  unwrap(wrapped: Buffer, context: string): Promise<Buffer | null> {
    return Promise.resolve(openBytes(this.key, KEY_ID, canonical([context]), wrapped));
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new Refusal(`The root key ${path} cannot be reached: ${(error as NodeJS.ErrnoException).code}.`);
  }
}

async function read(path: string): Promise<KeyObject> {
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0) {
    throw new Refusal(`The root key ${path} can be read by others than its owner: set its mode to 0600.`);
  }
  const raw = await readFile(path);
  if (raw.length !== KEY_BYTES) {
    throw new Refusal(`The root key ${path} is not ${KEY_BYTES} bytes long: restore the file from its backup.`);
  }
  return intoKey(raw);
}

/**
 * Written and synced under another name, then linked: after a crash there is a whole key or none, and of two processes
 * that start at once one wins and both read the winner's key.
 */
async function create(keyDirectory: string, path: string): Promise<void> {
  await mkdir(keyDirectory, { recursive: true, mode: 0o700 });
  const draft = join(keyDirectory, `root.key.${randomBytes(8).toString('hex')}`);
  const raw = randomBytes(KEY_BYTES);
  try {
    await writeDurably(draft, raw);
    await link(draft, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw new Refusal(`The root key ${path} cannot be created: ${code}.`);
  } finally {
    raw.fill(0);
    await rm(draft, { force: true });
  }
  const directory = await open(keyDirectory, 'r');
  await directory.sync().finally(() => directory.close());
}

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
