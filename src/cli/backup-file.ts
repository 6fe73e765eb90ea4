import { createHash, type KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '../config/refusal.js';
import { openFrames, sealFrames } from '../vault/sealed-stream.js';

/** A sealed file of a backup; the hash is SHA-256, hexadecimal. */
export interface SealedFile {
  /** Relative to the backup, with slashes. */
  readonly file: string;
  /** Bytes of what is sealed. */
  readonly bytes: number;
  /** Bytes and hash of the file. */
  readonly size: number;
  readonly sha256: string;
}

const READ_BYTES = 256 * 1024;

/** Holds a work back to a number of bytes a second, over its whole time. */
export class Pace {
  private readonly start = performance.now();
  private taken = 0;

  /** @param perSecond null: as fast as it goes */
  constructor(private readonly perSecond: number | null) {}

  async take(bytes: number): Promise<void> {
    if (this.perSecond === null) return;
    this.taken += bytes;
    const early = (this.taken / this.perSecond) * 1_000 - (performance.now() - this.start);
    if (early > 1) await pause(early);
  }
}

/** Seals the source into a new file, durably. Memory does not grow with it. */
export async function writeSealed(
  place: { readonly directory: string; readonly file: string },
  key: KeyObject,
  context: string,
  source: AsyncIterable<Uint8Array>,
  pace: Pace,
): Promise<SealedFile> {
  const plain = { bytes: 0 };
  const sealed = new Digest();
  const counted = async function* () {
    for await (const bytes of source) {
      plain.bytes += bytes.length;
      yield bytes;
    }
  };
  const file = await open(path.join(place.directory, place.file), 'wx', 0o600);
  try {
    for await (const frame of sealFrames(key, context, counted())) {
      sealed.take(frame);
      await file.writeFile(frame);
      await pace.take(frame.length);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { file: place.file, ...plain, size: sealed.bytes, sha256: sealed.hex() };
}

/** The bytes that were sealed, each frame checked. Throws where they are not those, at the latest at their end. */
export function readSealed(directory: string, key: KeyObject, context: string, file: string): AsyncGenerator<Buffer> {
  return openFrames(key, context, bytesOf(directory, file));
}

/** Reads a file once and refuses it where it is not the one that was written. */
export async function requireFile(directory: string, expected: SealedFile): Promise<void> {
  const sealed = new Digest();
  for await (const _ of sealed.of(bytesOf(directory, expected.file)));
  if (sealed.bytes !== expected.size || sealed.hex() !== expected.sha256) throw changed(expected.file);
}

class Digest {
  bytes = 0;
  private readonly hash = createHash('sha256');

  take(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.hash.update(bytes);
  }

  async *of<Bytes extends Uint8Array>(source: AsyncIterable<Bytes>): AsyncGenerator<Bytes> {
    for await (const bytes of source) {
      this.take(bytes);
      yield bytes;
    }
  }

  hex(): string {
    return this.hash.digest('hex');
  }
}

async function* bytesOf(directory: string, file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path.join(directory, file), { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>;
  } catch (error) {
    throw new Refusal(`The file ${file} of the backup cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}

function changed(file: string): Refusal {
  return new Refusal(`The file ${file} of the backup is not the one that was written.`);
}
