import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

/** One file of the store. */
export interface StoredTombstone {
  readonly tenant: string;
  /** Of the erasure. */
  readonly id: string;
  readonly note: string;
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TENANT = /^[A-Z0-9][A-Z0-9-]{1,31}$/;

/**
 * That somebody was erased, kept where a restore of the database does not reach: `<directory>/<tenant>/<erasure>.note`, one
 * file for each erasure, written once and never changed. Who may write here decides who stays erased; what a file says counts
 * only under its signature, which is not this store's to check.
 */
export class TombstoneStore {
  constructor(readonly directory: string) {}

  /**
   * Stores a note, whole and durable when it resolves, and answers what is stored: of two processes that write one at once
   * the first counts.
   */
  async write({ tenant, id, note }: StoredTombstone): Promise<string> {
    if (!ID.test(id) || !TENANT.test(tenant)) throw new RangeError('A tombstone is named after its erasure.');
    const folder = path.join(this.directory, tenant);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const place = path.join(folder, `${id}.note`);
    const incoming = path.join(folder, `.${id}.${randomBytes(6).toString('hex')}`);
    const file = await open(incoming, 'wx', 0o600);
    try {
      await file.writeFile(note);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await link(incoming, place);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      await rm(incoming, { force: true });
    }
    for (const one of [folder, this.directory]) await syncDirectory(one);
    return readFile(place, 'utf8');
  }

  /** Every tombstone, by tenant and id. A directory that is not there holds none. */
  async all(): Promise<StoredTombstone[]> {
    const found: StoredTombstone[] = [];
    for (const tenant of (await names(this.directory)).filter((name) => TENANT.test(name))) {
      for (const file of await names(path.join(this.directory, tenant))) {
        const id = file.endsWith('.note') ? file.slice(0, -'.note'.length) : '';
        if (!ID.test(id)) continue;
        found.push({ tenant, id, note: await readFile(path.join(this.directory, tenant, file), 'utf8') });
      }
    }
    return found;
  }
}

async function names(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

/** A new name in a directory survives a power cut only when the directory is on the disk too. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
