import { hash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { isAlive } from './postmaster.js';

/**
 * Where sealed bytes lie that are too large for a row. Names are random references that the caller makes, never data. The
 * three verbs are those of S3-compatible storage too; nothing is listed, because the database knows what there is.
 */
export interface BlobStore {
  /** Stores the source whole or, when it throws or the process dies, not at all. A name is used once. */
  put(name: string, source: AsyncIterable<Uint8Array>): Promise<void>;
  /** The bytes, as the reader takes them. Throws INTEGRITY_FAILED where there is no blob with this name. */
  get(name: string): AsyncIterable<Uint8Array>;
  /** Deletes a blob; one that is not there is deleted already. */
  delete(name: string): Promise<void>;
}

const NAME = /^[0-9a-f]{32}$/;
const INCOMING = 'incoming';
const READ_BYTES = 256 * 1024;
const ABANDONED_MILLISECONDS = 24 * 3_600_000;

/**
 * Blobs as files, by the first two digits of their name. An incoming file is named after its writer and moved to its place
 * when it is whole and on the disk: a file in its place is complete.
 */
export class FileBlobStore implements BlobStore {
  private static readonly host = hash('sha256', hostname()).slice(0, 16);

  private constructor(private readonly directory: string) {}

  /** Makes the directory where there is none, and removes what writers that are gone left behind. */
  static async open(directory: string, clock: Clock): Promise<FileBlobStore> {
    const incoming = path.join(directory, INCOMING);
    await mkdir(incoming, { recursive: true, mode: 0o700 });
    for (const name of await readdir(incoming)) {
      if (await FileBlobStore.abandoned(path.join(incoming, name), clock))
        await rm(path.join(incoming, name), { force: true });
    }
    return new FileBlobStore(directory);
  }

  async put(name: string, source: AsyncIterable<Uint8Array>): Promise<void> {
    const place = this.place(name);
    const writer = `${FileBlobStore.host}.${process.pid}.${randomBytes(8).toString('hex')}`;
    const incoming = path.join(this.directory, INCOMING, writer);
    const file = await open(incoming, 'wx', 0o600);
    try {
      try {
        for await (const bytes of source) await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
      await rename(incoming, place);
    } catch (error) {
      await rm(incoming, { force: true });
      throw error;
    }
    await syncDirectory(path.dirname(place));
  }

  async *get(name: string): AsyncGenerator<Uint8Array> {
    try {
      yield* createReadStream(this.place(name), { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
      throw new Failure('INTEGRITY_FAILED', 'A stored file is gone.', 'Tell the operator: it must be restored.', {
        cause,
      });
    }
  }

  async delete(name: string): Promise<void> {
    await rm(this.place(name), { force: true });
  }

  private place(name: string): string {
    if (!NAME.test(name)) throw new RangeError('The name of a blob is 32 hexadecimal digits.');
    return path.join(this.directory, name.slice(0, 2), name);
  }

  /**
   * Whether nobody writes this incoming file any more. Another process of this machine may be at work; of one on another
   * machine that shares the directory only time can tell. This process has not begun to write when this is asked.
   */
  private static async abandoned(file: string, clock: Clock): Promise<boolean> {
    const [host, process_] = path.basename(file).split('.');
    const writer = Number(process_);
    if (host === FileBlobStore.host) return writer === process.pid || !isAlive(writer);
    const found = await stat(file).catch(() => null);
    return found !== null && found.mtimeMs < clock.milliseconds() - ABANDONED_MILLISECONDS;
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
