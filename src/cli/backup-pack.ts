import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Refusal } from '../config/refusal.js';

/**
 * A directory as one stream: for each file `length of path (2) path (UTF-8, slashes) length (6) bytes`, and two zero bytes at
 * the end; numbers are big-endian. Files that are written once need no snapshot: one that goes away meanwhile is left out.
 */
const END = Buffer.alloc(2);
const LENGTH_BYTES = 6;
const READ_BYTES = 256 * 1024;
/** Files that are being written, and what a crash left of such. */
const UNFINISHED = /(^|\/)incoming\/|\.[0-9a-f]{12}$/;

/** @param counted is told the number of files at the end */
export async function* packDirectory(directory: string, counted: (files: number) => void): AsyncGenerator<Buffer> {
  let count = 0;
  for await (const name of filesIn(directory, '')) {
    if (UNFINISHED.test(name)) continue;
    const file = await open(path.join(directory, name), 'r').catch(ifGone);
    if (file === null) continue;
    try {
      const { size } = await file.stat();
      const title = Buffer.from(name);
      const header = Buffer.alloc(2 + title.length + LENGTH_BYTES);
      header.writeUInt16BE(title.length, 0);
      title.copy(header, 2);
      header.writeUIntBE(size, 2 + title.length, LENGTH_BYTES);
      yield header;
      for (let at = 0; at < size;) {
        const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size - at));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
        if (bytesRead === 0) throw new Refusal('A file became shorter while it was backed up: make another backup.');
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
      count += 1;
    } finally {
      await file.close();
    }
  }
  yield END;
  counted(count);
}

/**
 * Puts the files of a stream into a directory; null: nowhere, they are only read. A file that is there already stays, because
 * what is packed is written once. Returns the number of files in the stream.
 */
export async function unpackDirectory(source: AsyncIterable<Buffer>, directory: string | null): Promise<number> {
  const reader = new Reader(source);
  let count = 0;
  for (;;) {
    const length = (await reader.take(2)).readUInt16BE(0);
    if (length === 0) break;
    const name = (await reader.take(length)).toString();
    const size = (await reader.take(LENGTH_BYTES)).readUIntBE(0, LENGTH_BYTES);
    if (path.posix.normalize(name) !== name || /^(\.\.)?\/|^\.\.$/.test(name))
      throw new Refusal('A packed file has no name.');
    const place = directory === null ? null : path.join(directory, name);
    if (place === null || (await stat(place).catch(ifGone)) !== null) for await (const _ of reader.next(size));
    else await writeWhole(place, reader.next(size));
    count += 1;
  }
  await reader.end();
  return count;
}

async function writeWhole(place: string, source: AsyncIterable<Buffer>): Promise<void> {
  await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
  const unfinished = `${place}.restoring`;
  await rm(unfinished, { force: true });
  const file = await open(unfinished, 'wx', 0o600);
  try {
    for await (const bytes of source) await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, place);
}

async function* filesIn(directory: string, below: string): AsyncGenerator<string> {
  const entries = await readdir(path.join(directory, below), { withFileTypes: true }).catch(ifGone);
  for (const entry of entries ?? []) {
    const name = path.posix.join(below, entry.name);
    if (entry.isDirectory()) yield* filesIn(directory, name);
    else if (entry.isFile()) yield name;
  }
}

/** Takes exact numbers of bytes out of a stream. */
class Reader {
  private readonly source: AsyncIterator<Buffer>;
  private rest: Buffer = END.subarray(0, 0);

  constructor(source: AsyncIterable<Buffer>) {
    this.source = source[Symbol.asyncIterator]();
  }

  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.next(bytes)) parts.push(part);
    return Buffer.concat(parts);
  }

  async *next(bytes: number): AsyncGenerator<Buffer> {
    for (let left = bytes; left > 0;) {
      if (this.rest.length === 0) {
        const { done, value } = await this.source.next();
        if (done === true) throw new Refusal('A packed file ends too early.');
        this.rest = value;
      }
      const part = this.rest.subarray(0, left);
      this.rest = this.rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  /** Reads on to the end: what the source checks there is part of what was given out. */
  async end(): Promise<void> {
    if (this.rest.length > 0 || (await this.source.next()).done !== true)
      throw new Refusal('A packed file goes on too long.');
  }
}

function ifGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
