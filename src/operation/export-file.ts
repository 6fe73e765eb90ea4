import { createHash, type Hash, type KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';
import { LARGEST_FRAME, openFrames, sealFrame } from '../vault/sealed-stream.js';
import type { Vault } from '../vault/vault.js';
import type { ExportJobRow } from './export.store.js';

/** Which file of an export: each run of the work writes its own, so that one that lost its claim spoils nothing. */
type FileAddress = Pick<ExportJobRow, 'tenant' | 'id'> & { readonly version: number };

/**
 * The files of exports: `<directory>/<tenant>/<id>.<version>`, mode 0600, sealed in frames under a key of the tenant and the
 * export (sealed-stream.ts). Names hold ids only; nothing clear ever lies on the disk.
 */
export class ExportFiles {
  constructor(
    private readonly directory: string,
    private readonly vault: Pick<Vault, 'streamKey'>,
  ) {}

  /** An empty file for this run. */
  async create(address: FileAddress): Promise<ExportFile> {
    await mkdir(this.folder(address.tenant), { recursive: true, mode: 0o700 });
    const handle = await open(this.pathOf(address), 'w', 0o600);
    return new ExportFile(handle, this.key(address), contextOf(address));
  }

  /**
   * A file for this run that begins with what earlier runs committed: those frames are opened and checked on the way, and
   * their digest goes on. Null when they are not all there and true (a lost disk, another host): then it starts over.
   */
  async resume(job: ExportJobRow): Promise<ExportFile | null> {
    const file = await this.create(job);
    const from = { ...job, version: job.fileVersion };
    const copied = async function* (this: ExportFiles) {
      const source = createReadStream(this.pathOf(from), { end: job.fileBytes - 1 });
      for await (const chunk of source as AsyncIterable<Buffer>) {
        await file.copy(chunk);
        yield chunk;
      }
    };
    try {
      for await (const plain of openFrames(this.key(job), contextOf(job), copied.call(this))) file.digest(plain);
    } catch {
      // The last frame is not written yet, so the frames never end well: what counts is that those committed were opened.
    }
    if (file.frames === job.fileFrames && file.bytes === job.fileBytes && file.plainBytes === job.plainBytes)
      return file;
    await file.close();
    return null;
  }

  /** INTEGRITY_FAILED when a finished file is not there or not as long as it was. */
  async check(job: ExportJobRow): Promise<void> {
    const found = await stat(this.pathOf({ ...job, version: job.fileVersion })).catch(() => null);
    if (found?.size === job.fileBytes) return;
    throw new Failure('INTEGRITY_FAILED', 'The file of the export is not there any more.', 'Ask for a new export.');
  }

  /** The clear bytes of a finished file. INTEGRITY_FAILED, perhaps in the middle, when it is not the one that was written. */
  read(job: ExportJobRow): AsyncGenerator<Buffer> {
    const source = createReadStream(this.pathOf({ ...job, version: job.fileVersion }));
    return openFrames(this.key(job), contextOf(job), source as AsyncIterable<Buffer>);
  }

  /** Deletes the files of an export but that of one run. */
  async remove({ tenant, id }: Pick<ExportJobRow, 'tenant' | 'id'>, except: number | null = null): Promise<void> {
    for (const name of await this.names(tenant)) {
      if (name.startsWith(`${id}.`) && name !== `${id}.${except}`)
        await rm(path.join(this.folder(tenant), name), { force: true });
    }
  }

  /** The exports of a tenant that have a file here. */
  async ids(tenant: string): Promise<string[]> {
    const ids = (await this.names(tenant)).map((name) => name.split('.')[0] ?? '');
    return [...new Set(ids.filter(isId))];
  }

  private async names(tenant: string): Promise<string[]> {
    try {
      return await readdir(this.folder(tenant));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  private folder(tenant: string): string {
    return path.join(this.directory, tenant);
  }

  private pathOf({ tenant, id, version }: FileAddress): string {
    return path.join(this.folder(tenant), `${id}.${version}`);
  }

  private key({ tenant, id }: Pick<ExportJobRow, 'tenant' | 'id'>): KeyObject {
    return this.vault.streamKey(tenant, `export ${id}`);
  }
}

/** A file that is being written, frame by frame. What it counts is what has been handed to the operating system. */
export class ExportFile {
  bytes = 0;
  frames = 0;
  plainBytes = 0;
  private readonly hash: Hash = createHash('sha256');

  constructor(
    private readonly handle: FileHandle,
    private readonly key: KeyObject,
    private readonly context: string,
  ) {}

  async append(plain: Buffer): Promise<void> {
    for (let at = 0; at < plain.length; at += LARGEST_FRAME)
      await this.frame(plain.subarray(at, at + LARGEST_FRAME), false);
  }

  /** Ends the stream, and makes the file last a power cut. @returns SHA-256 of everything that was appended */
  async finish(): Promise<Buffer> {
    await this.frame(Buffer.alloc(0), true);
    await this.handle.sync();
    await this.handle.close();
    return this.hash.digest();
  }

  async close(): Promise<void> {
    await this.handle.close().catch(() => undefined);
  }

  /** Takes over bytes that are sealed already. */
  async copy(sealed: Buffer): Promise<void> {
    await this.handle.write(sealed, 0, sealed.length, this.bytes);
    this.bytes += sealed.length;
  }

  /** Counts the plain bytes of a frame that was taken over. */
  digest(plain: Buffer): void {
    this.hash.update(plain);
    this.frames += 1;
    this.plainBytes += plain.length;
  }

  private async frame(plain: Buffer, last: boolean): Promise<void> {
    await this.copy(sealFrame(this.key, this.context, this.frames, last, plain));
    this.digest(plain);
  }
}

function contextOf({ id }: Pick<ExportJobRow, 'id'>): string {
  return `export ${id}`;
}
