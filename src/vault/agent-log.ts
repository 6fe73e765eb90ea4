import { mkdir, open, readFile, truncate, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal } from '../config/refusal.js';
import {
  hashOfLine,
  LOG_BEGIN,
  logFileName,
  logFiles,
  type LogPosition,
  type UnwrapEntry,
} from './agent-log-reader.js';

/** A file of the log that is larger than this is not continued. */
const LARGEST_FILE = 16 * 1024 * 1024;

interface Waiting {
  readonly entry: UnwrapEntry;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * The log of a key agent, append-only: one line for each batch of keys, durable before a key is given out. A line that a
 * crash cut off is removed at the next start: its keys were not given out. Lines of requests that come together share one
 * flush. After a write that failed nothing is appended any more, until a new start has looked what is on the disk.
 */
export class UnwrapLog {
  private waiting: Waiting[] = [];
  private writing: Promise<void> | null = null;
  private failure: unknown = null;

  private constructor(
    private readonly directory: string,
    private file: FileHandle,
    private bytes: number,
    private position: LogPosition,
    private readonly largest: number,
  ) {}

  /** Continues the log of a directory that no other process writes to. */
  static async open(directory: string, largest: number = LARGEST_FILE): Promise<UnwrapLog> {
    await mkdir(directory, { recursive: true, mode: 0o750 });
    const files = await logFiles(directory);
    const last = files.at(-1) ?? 1;
    let position = await cut(directory, last);
    // A file without a line: the process ended between making it and writing to it.
    if (position === null && files.length > 1) position = await cut(directory, files.at(-2) ?? 1);
    position ??= LOG_BEGIN;
    if (position.n + 1 < last)
      throw new Refusal(`The log ${directory} has no line ${last - 1}: restore it, or move it.`);
    const file = await open(join(directory, logFileName(last)), 'a', 0o640);
    const { size } = await file.stat();
    await syncDirectory(directory);
    return new UnwrapLog(directory, file, size, position, largest);
  }

  /** The last line that is durable. */
  get end(): LogPosition {
    return this.position;
  }

  /** Resolves when the line is on the disk. */
  append(entry: UnwrapEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ entry, resolve, reject });
      this.writing ??= this.write();
    });
  }

  async close(): Promise<void> {
    await this.writing;
    await this.file.close();
  }

  private async write(): Promise<void> {
    // What is asked for in this turn goes into the first flush.
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0);
      try {
        if (this.failure !== null) throw this.failure;
        await this.writeBatch(batch);
      } catch (error) {
        this.failure = error;
        for (const { reject } of batch) reject(error);
        continue;
      }
      for (const { resolve } of batch) resolve();
    }
    // In the same turn as the last look, so that nothing is left waiting for a writer that has ended.
    this.writing = null;
  }

  private async writeBatch(batch: readonly Waiting[]): Promise<void> {
    if (this.bytes >= this.largest) await this.rotate();
    let { n, hash } = this.position;
    let text = '';
    for (const { entry } of batch) {
      const line = JSON.stringify({ n: ++n, ...entry, previous: hash });
      hash = hashOfLine(line);
      text += `${line}\n`;
    }
    const bytes = Buffer.from(text);
    await this.file.appendFile(bytes);
    await this.file.datasync();
    this.bytes += bytes.length;
    this.position = { n, hash };
  }

  private async rotate(): Promise<void> {
    const next = await open(join(this.directory, logFileName(this.position.n + 1)), 'a', 0o640);
    await syncDirectory(this.directory);
    await this.file.close();
    this.file = next;
    this.bytes = 0;
  }
}

/** Cuts off what is no whole line; the position after the last line, null where there is none. */
async function cut(directory: string, first: number): Promise<LogPosition | null> {
  const path = join(directory, logFileName(first));
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0);
    throw new Refusal(`The log ${path} cannot be read (${error.code}).`);
  });
  const end = bytes.lastIndexOf('\n');
  if (end + 1 < bytes.length) await truncate(path, end + 1);
  if (end < 0) return null;
  const line = bytes.subarray(bytes.lastIndexOf('\n', end - 1) + 1, end);
  try {
    const { n } = JSON.parse(line.toString()) as { n: number };
    return { n, hash: hashOfLine(line) };
  } catch {
    throw new Refusal(`The last line of the log ${path} is not one of a key agent: restore the file, or move the log.`);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}
