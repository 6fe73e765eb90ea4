import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { requireLogName } from './keys.js';

/**
 * Where signed checkpoints live: outside the database, so that a database that went back in time is found out. The
 * store is trusted with one thing: never to lose or exchange what was last written.
 */
export interface CheckpointStore {
  /** Logs that have a checkpoint. */
  logs(): Promise<string[]>;
  /** The newest checkpoint (a signed note), or null. */
  read(log: string): Promise<string | null>;
  /**
   * Replaces the checkpoint if it is still `expected` (null: there is none), durably, and keeps `next` under its size;
   * of the kept ones at least the last of every hour stays for good. Throws {@link CheckpointConflict} and changes nothing if it is another, or if a different checkpoint of
   * that size was signed before.
   */
  replace(log: string, expected: string | null, next: string, size: number): Promise<void>;
  /** Publishes the verifier key of the log. */
  publishKey(log: string, vkey: string): Promise<void>;
  /** The compact range that belongs to the newest checkpoint: a shortcut, checked against its root, null if absent. */
  readRange(log: string): Promise<Buffer | null>;
  writeRange(log: string, range: Buffer): Promise<void>;
}

const HOUR = 3_600_000;

/** Somebody else signed for this log: two sequencers with two stores, or a store that went back in time. */
export class CheckpointConflict extends Error {
  override readonly name = 'CheckpointConflict';
}

/**
 * `<directory>/<log>/`: `checkpoint`, `log.vkey`, `range` and `history/<size>`. A crash leaves the old checkpoint or
 * the new one, never a part. Only the leading sequencer writes here; between two processes that both believe to lead,
 * the history decides: a second note for a size is refused.
 */
export class FileCheckpointStore implements CheckpointStore {
  constructor(private readonly directory: string) {}

  async logs(): Promise<string[]> {
    const names = await readdir(this.directory).catch(ifAbsent([] as string[]));
    const notes = await Promise.all(names.map((name) => this.read(name)));
    return names.filter((_, index) => notes[index] !== null).sort();
  }

  read(log: string): Promise<string | null> {
    return readFile(this.path(log, 'checkpoint'), 'utf8').catch(ifAbsent(null));
  }

  async replace(log: string, expected: string | null, next: string, size: number): Promise<void> {
    const path = this.path(log, 'checkpoint');
    if ((await this.read(log)) !== expected) {
      throw new CheckpointConflict(`The stored checkpoint of log ${log} is not the one that was read last.`);
    }
    const kept = this.path(log, join('history', String(size)));
    if (!(await writeOnce(kept, next)) && (await readFile(kept, 'utf8')) !== next) {
      throw new CheckpointConflict(`Another checkpoint of log ${log} with ${size} entries was signed before.`);
    }
    await writeWhole(path, next);
    if (expected !== null) await this.thin(log, Number(expected.split('\n')[1]), kept);
  }

  async publishKey(log: string, vkey: string): Promise<void> {
    const path = this.path(log, 'log.vkey');
    const text = `${vkey}\n`;
    if ((await readFile(path, 'utf8').catch(ifAbsent(null))) !== text) await writeWhole(path, text);
  }

  readRange(log: string): Promise<Buffer | null> {
    return readFile(this.path(log, 'range')).catch(ifAbsent(null));
  }

  async writeRange(log: string, range: Buffer): Promise<void> {
    // Not synced: what a crash makes of it will not have the root of the checkpoint, and is then computed anew.
    const path = this.path(log, 'range');
    await writeFile(`${path}.new`, range);
    await rename(`${path}.new`, path);
  }

  /** A log that grows all day has a checkpoint every second: of the previous one and this, of one hour, this stays. */
  private async thin(log: string, previous: number, kept: string): Promise<void> {
    const older = this.path(log, join('history', String(previous)));
    const [before, now] = await Promise.all([hourOf(older), hourOf(kept)]);
    if (older !== kept && before === now) await rm(older);
  }

  private path(log: string, name: string): string {
    return join(this.directory, requireLogName(log), name);
  }
}

/** The hour in which a file was written, counted from 1970; null when there is no such file. */
async function hourOf(path: string): Promise<number | null> {
  const facts = await stat(path).catch(ifAbsent(null));
  return facts === null ? null : Math.floor(facts.mtimeMs / HOUR);
}

/** Puts a whole file in the place of another; durable when it resolves. */
async function writeWhole(path: string, content: string | Buffer): Promise<void> {
  const temporary = await writeBeside(path, content);
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** False when the file exists already; otherwise it is there, whole and durable. */
async function writeOnce(path: string, content: string): Promise<boolean> {
  const temporary = await writeBeside(path, content);
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary);
  }
  await syncDirectory(dirname(path));
  return true;
}

async function writeBeside(path: string, content: string | Buffer): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o644);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  return temporary;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function ifAbsent<Value>(value: Value): (error: NodeJS.ErrnoException) => Value {
  return (error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return value;
    throw error;
  };
}
