import { randomBytes, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal } from '../config/refusal.js';
import { canonical, deriveBytes, deriveKey, intoKey, KEY_BYTES } from './derivation.js';
import { keyIdOf, openBytes, sealBytes } from './sealed-value.js';

/**
 * Keeper of the root key. It wraps the keys of tenants and of backups, and never gives the root key away. A provider for
 * PKCS#11, the transit engine of Vault or a cloud KMS implements this interface, with the context as the authenticated data
 * of its encryption, and {@link SubjectKeyProvider} where the keys of tenants must not reach this process either.
 */
export interface RootKeyProvider {
  /** Names the root key without telling anything about it; for messages to the operator. */
  readonly id: string;
  wrap(plain: Buffer, context: string): Promise<Buffer>;
  /** A fresh random key of 32 bytes, wrapped: nobody but the keeper has seen it. */
  wrapNew(context: string): Promise<Buffer>;
  /** Null when the bytes were not wrapped under this root key and context. */
  unwrap(wrapped: Buffer, context: string): Promise<Buffer | null>;
}

/**
 * A keeper whose root key can be replaced: it has several, each with an id, and a wrapped value names the one that opens it.
 * A new one is `pending` until it is promoted: every process can open with it before anything is wrapped with it.
 */
export interface RotatingRootKey extends RootKeyProvider {
  /** The key that wraps from now on. */
  primaryId(): Promise<number>;
  /** The keys that exist, ascending: those above the primary are pending, those below it only open. */
  keyIds(): Promise<readonly number[]>;
  /** Makes a key, pending, and answers its id when it is durable. A pending one that exists already is answered again. */
  create(): Promise<number>;
  /** Makes a pending key the primary of every process. Does nothing to the primary; refuses every other one. */
  promote(keyId: number): Promise<void>;
  /** The same bytes under the primary. Refused where they open under no key with this context. */
  rewrap(wrapped: Buffer, context: string): Promise<Buffer>;
  /**
   * Removes a key for ever; refuses the primary. The caller knows that nothing is wrapped under it any more. A process that
   * has used it keeps it in memory until it ends.
   */
  destroy(keyId: number): Promise<void>;
}

const FIRST_KEY_ID = 0;
const PRIMARY = 'root.primary';
const LATER_KEY = /^root-([1-9]\d{0,8})\.key$/;

interface RootKey {
  readonly name: string;
  readonly wrapping: KeyObject;
}

/**
 * Root keys in files: `root.key` (id 0) and later ones, `root-<id>.key`; the file `root.primary` has the id of the primary,
 * and is replaced in one step. Whoever can read the directory can read everything. The first key is made once, when nothing
 * has been wrapped yet; a lost file is never replaced, because a new key beside old wrapped ones would look healthy and
 * open nothing.
 */
export class FileRootKeyProvider implements RotatingRootKey {
  private readonly keys = new Map<number, RootKey>();

  private constructor(
    private readonly directory: string,
    readonly id: string,
  ) {}

  /** Reads `<keyDirectory>/root.key` (32 bytes, mode 0600) or its successor; creates it when no wrapped key exists yet. */
  static async open(keyDirectory: string, wrappedKeysExist: boolean): Promise<FileRootKeyProvider> {
    const primary = await primaryIn(keyDirectory);
    const path = pathOf(keyDirectory, primary);
    if (!(await exists(path))) {
      if (wrappedKeysExist || primary !== FIRST_KEY_ID) {
        throw new Refusal(
          `The root key ${path} is missing, but the database holds keys wrapped under it: restore the file from its backup.`,
        );
      }
      await create(keyDirectory, path);
    }
    await checkDirectory(keyDirectory);
    const key = await read(path);
    const provider = new FileRootKeyProvider(keyDirectory, key.name);
    provider.keys.set(primary, key);
    return provider;
  }

  async primaryId(): Promise<number> {
    return primaryIn(this.directory);
  }

  async keyIds(): Promise<readonly number[]> {
    const ids = (await readdir(this.directory)).flatMap((name) => {
      if (name === 'root.key') return [FIRST_KEY_ID];
      const id = LATER_KEY.exec(name)?.[1];
      return id === undefined ? [] : [Number(id)];
    });
    return ids.sort((one, other) => one - other);
  }

  async wrap(plain: Buffer, context: string): Promise<Buffer> {
    const keyId = await this.primaryId();
    const key = await this.key(keyId);
    if (key === null) throw new Refusal(`The root key ${pathOf(this.directory, keyId)} is missing: restore the file.`);
    return sealBytes(key.wrapping, keyId, canonical([context]), plain);
  }

  async wrapNew(context: string): Promise<Buffer> {
    const raw = randomBytes(KEY_BYTES);
    return this.wrap(raw, context).finally(() => raw.fill(0));
  }

  async unwrap(wrapped: Buffer, context: string): Promise<Buffer | null> {
    const keyId = keyIdOf(wrapped);
    const key = await this.key(keyId);
    return key === null ? null : openBytes(key.wrapping, keyId, canonical([context]), wrapped);
  }

  async create(): Promise<number> {
    const [newest = FIRST_KEY_ID, primary] = [(await this.keyIds()).at(-1), await this.primaryId()];
    if (newest > primary) return newest;
    await create(this.directory, pathOf(this.directory, primary + 1));
    return primary + 1;
  }

  async promote(keyId: number): Promise<void> {
    const primary = await this.primaryId();
    if (keyId === primary) return;
    if (keyId < primary || (await this.key(keyId)) === null) {
      throw new Refusal(`The root key ${keyId} is not pending: make one first.`);
    }
    const draft = join(this.directory, `${PRIMARY}.${randomBytes(8).toString('hex')}`);
    await writeDurably(draft, Buffer.from(`${keyId}\n`));
    await rename(draft, join(this.directory, PRIMARY));
    await syncDirectory(this.directory);
  }

  async rewrap(wrapped: Buffer, context: string): Promise<Buffer> {
    const plain = await this.unwrap(wrapped, context);
    if (plain === null) {
      throw new Refusal(`A wrapped key opens under no root key of ${this.directory}: restore the one that wrapped it.`);
    }
    return this.wrap(plain, context).finally(() => plain.fill(0));
  }

  async destroy(keyId: number): Promise<void> {
    if (keyId === (await this.primaryId())) throw new Refusal(`The root key ${keyId} is the primary: promote another.`);
    await rm(pathOf(this.directory, keyId), { force: true });
    await syncDirectory(this.directory);
    this.keys.delete(keyId);
  }

  /** Null where there is no such key. One that another process made is read when it is needed first. */
  private async key(keyId: number): Promise<RootKey | null> {
    const known = this.keys.get(keyId);
    if (known !== undefined) return known;
    const path = pathOf(this.directory, keyId);
    if (!(await exists(path))) return null;
    const key = await read(path);
    this.keys.set(keyId, key);
    return key;
  }
}

function pathOf(directory: string, keyId: number): string {
  return join(directory, keyId === FIRST_KEY_ID ? 'root.key' : `root-${keyId}.key`);
}

async function primaryIn(directory: string): Promise<number> {
  const path = join(directory, PRIMARY);
  if (!(await exists(path))) return FIRST_KEY_ID;
  const text = (await readFile(path, 'utf8')).trim();
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Refusal(`${path} does not hold the id of a root key: restore the file from its backup.`);
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

/** Who may write to the directory could put another key in the place of this one. */
async function checkDirectory(directory: string): Promise<void> {
  const { mode, uid } = await stat(directory);
  if ((mode & 0o022) !== 0) {
    throw new Refusal(`The key directory ${directory} can be written by others than its owner: set its mode to 0700.`);
  }
  if (uid !== 0 && uid !== process.getuid?.()) {
    throw new Refusal(`The key directory ${directory} belongs to another user: give it to the one who runs this.`);
  }
}

async function read(path: string): Promise<RootKey> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ELOOP')
      throw new Refusal(`The root key ${path} is a symbolic link: put the file in its place.`);
    throw new Refusal(`The root key ${path} cannot be read: ${error.code}.`);
  });
  try {
    return await readChecked(file, path);
  } finally {
    await file.close();
  }
}

async function readChecked(file: FileHandle, path: string): Promise<RootKey> {
  const { mode, uid } = await file.stat();
  if ((mode & 0o077) !== 0) {
    throw new Refusal(`The root key ${path} can be read by others than its owner: set its mode to 0600.`);
  }
  if (uid !== process.getuid?.()) {
    throw new Refusal(`The root key ${path} belongs to another user: give it to the one who runs this.`);
  }
  const raw = await file.readFile();
  if (raw.length !== KEY_BYTES) {
    throw new Refusal(`The root key ${path} is not ${KEY_BYTES} bytes long: restore the file from its backup.`);
  }
  const root = intoKey(raw);
  return {
    name: `file:${deriveBytes(root, 'root-id').toString('hex', 0, 8)}`,
    wrapping: deriveKey(root, 'root-wrap'),
  };
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
  await syncDirectory(keyDirectory);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
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
