import { randomBytes } from 'node:crypto';
import * as fileSystem from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { requireLogName } from './keys.js';

/**
 * Where signed checkpoints live: outside the database, so that a database that went back in time is found out. The
 * store is trusted with one thing: never to lose or exchange what was last written.
 *
 * Each method is at most a few requests to an object store as well: `read` is GET of `<log>/checkpoint`, whose ETag the
 * store remembers; `replace` is PUT of `<log>/history/<size>` with `If-None-Match: *` (412: what is there must be `next`),
 * then PUT of `<log>/checkpoint` with `If-Match: <that ETag>`, or `If-None-Match: *` for the first (412: a
 * {@link CheckpointConflict}). The other objects are plain PUTs: nothing is decided by them.
 */
export interface CheckpointStore {
  /** Logs that have a checkpoint. */
  logs(): Promise<string[]>;
  /** The newest signed checkpoint (a signed note), or null: what the next one must extend. */
  read(log: string): Promise<string | null>;
  /**
   * Replaces the checkpoint if it is still `expected` (null: there is none), durably, and keeps `next` under its size;
   * of the kept ones at least the last of every hour stays for good. Throws {@link CheckpointConflict} and changes nothing
   * if it is another, or if a different checkpoint of that size was signed before. After any other error it may or may not
   * have been replaced: whoever calls reads it again.
   */
  replace(log: string, expected: string | null, next: string, size: number): Promise<void>;
  /** What auditors are shown: the published checkpoint with its cosignatures, else the newest signed one. */
  readPublished(log: string): Promise<string | null>;
  /**
   * Shows auditors a checkpoint that `replace` stored, with the cosignatures there are. Nothing depends on it: when it is
   * lost, the one published before is shown, or the signed one, until the next is published.
   */
  publish(log: string, note: string): Promise<void>;
  /** Publishes the verifier key of the log. */
  publishKey(log: string, vkey: string): Promise<void>;
  /** The compact range that belongs to the newest checkpoint: a shortcut, checked against its root, null if absent. */
  readRange(log: string): Promise<Buffer | null>;
  writeRange(log: string, range: Buffer): Promise<void>;
  /** The notes that were kept of this incarnation of the log, in no order. */
  kept(log: string): Promise<string[]>;
  /**
   * The incarnation of the ledger that signs here: 1, and one more than the last that was retired. What a declared restore
   * leaves outside of the database, so that no older database can pass for the one that was declared.
   */
  incarnation(): Promise<number>;
  /** The last checkpoint that was signed in a retired incarnation of a log; null for none. */
  readRetired(log: string, incarnation: number): Promise<string | null>;
  /** Puts everything of a log aside under the incarnation that it was signed in. Repeating it changes nothing. */
  retire(log: string, incarnation: number): Promise<void>;
}

const HOUR = 3_600_000;
/** Folder of a log with what earlier incarnations signed, by their number. */
const RETIRED = 'incarnations';

/** Somebody else signed for this log: two sequencers with two stores, or a store that went back in time. */
export class CheckpointConflict extends Error {
  override readonly name = 'CheckpointConflict';
}

/** The file calls of the store, each of which may fail, or fail after it had its effect. */
export type FileSystem = Pick<
  typeof fileSystem,
  'link' | 'mkdir' | 'open' | 'readdir' | 'readFile' | 'rename' | 'rm' | 'stat' | 'writeFile'
>;

/**
 * `<directory>/<log>/`: `checkpoint`, `published`, `log.vkey`, `range`, `history/<size>` and `incarnations/<number>/`. A
 * crash leaves the old checkpoint or the new one, never a part. Only the leading sequencer writes here; between two
 * processes that both believe to lead, the history decides: a second note for a size is refused.
 */
export class FileCheckpointStore implements CheckpointStore {
  constructor(
    private readonly directory: string,
    private readonly files: FileSystem = fileSystem,
  ) {}

  async logs(): Promise<string[]> {
    const names = await this.files.readdir(this.directory).catch(ifAbsent([] as string[]));
    const notes = await Promise.all(names.map((name) => this.read(name)));
    return names.filter((_, index) => notes[index] !== null).sort();
  }

  read(log: string): Promise<string | null> {
    return this.files.readFile(this.path(log, 'checkpoint'), 'utf8').catch(ifAbsent(null));
  }

  async replace(log: string, expected: string | null, next: string, size: number): Promise<void> {
    const path = this.path(log, 'checkpoint');
    if ((await this.read(log)) !== expected) {
      throw new CheckpointConflict(`The stored checkpoint of log ${log} is not the one that was read last.`);
    }
    const kept = this.path(log, join('history', String(size)));
    if (!(await this.writeOnce(kept, next)) && (await this.files.readFile(kept, 'utf8')) !== next) {
      throw new CheckpointConflict(`Another checkpoint of log ${log} with ${size} entries was signed before.`);
    }
    await this.writeWhole(path, next);
    if (expected === null) await this.syncDirectory(this.directory);
    else await this.thin(log, Number(expected.split('\n')[1]), kept);
  }

  async readPublished(log: string): Promise<string | null> {
    const published = await this.files.readFile(this.path(log, 'published'), 'utf8').catch(ifAbsent(null));
    // The file is not synced: what a crash made of it may be no note.
    return published !== null && published.includes('\n\n') && published.endsWith('\n') ? published : this.read(log);
  }

  publish(log: string, note: string): Promise<void> {
    return this.writeUnsynced(this.path(log, 'published'), note);
  }

  async publishKey(log: string, vkey: string): Promise<void> {
    const path = this.path(log, 'log.vkey');
    const text = `${vkey}\n`;
    if ((await this.files.readFile(path, 'utf8').catch(ifAbsent(null))) !== text) await this.writeWhole(path, text);
  }

  readRange(log: string): Promise<Buffer | null> {
    return this.files.readFile(this.path(log, 'range')).catch(ifAbsent(null));
  }

  writeRange(log: string, range: Buffer): Promise<void> {
    // What a crash makes of it will not have the root of the checkpoint, and is then computed anew.
    return this.writeUnsynced(this.path(log, 'range'), range);
  }

  async kept(log: string): Promise<string[]> {
    const history = this.path(log, 'history');
    const sizes = (await this.files.readdir(history).catch(ifAbsent([] as string[]))).filter((name) =>
      /^\d+$/.test(name),
    );
    // One that is thinned out meanwhile is gone.
    const notes = sizes.map((size) => this.files.readFile(join(history, size), 'utf8').catch(ifAbsent(null)));
    return (await Promise.all(notes)).filter((note) => note !== null);
  }

  async incarnation(): Promise<number> {
    const logs = await this.files.readdir(this.directory).catch(ifAbsent([] as string[]));
    const retired = await Promise.all(
      logs.map((log) => this.files.readdir(join(this.directory, log, RETIRED)).catch(ifAbsent([] as string[]))),
    );
    return 1 + Math.max(0, ...retired.flat().map(Number).filter(Number.isInteger));
  }

  readRetired(log: string, incarnation: number): Promise<string | null> {
    const name = join(RETIRED, String(incarnation), 'checkpoint');
    return this.files.readFile(this.path(log, name), 'utf8').catch(ifAbsent(null));
  }

  async retire(log: string, incarnation: number): Promise<void> {
    const target = this.path(log, join(RETIRED, String(incarnation)));
    await this.files.mkdir(target, { recursive: true });
    const names = (await this.files.readdir(this.path(log, '.'))).filter((name) => name !== RETIRED);
    // The checkpoint last: while it is there, the start sees that this is not finished.
    for (const name of names.sort((a, b) => Number(a === 'checkpoint') - Number(b === 'checkpoint'))) {
      await this.files.rename(this.path(log, name), join(target, name));
    }
    for (const path of [target, dirname(target), this.path(log, '.'), this.directory]) await this.syncDirectory(path);
  }

  /** A log that grows all day has a checkpoint every second: of the previous one and this, of one hour, this stays. */
  private async thin(log: string, previous: number, kept: string): Promise<void> {
    const older = this.path(log, join('history', String(previous)));
    const [before, now] = await Promise.all([this.hourOf(older), this.hourOf(kept)]);
    if (older !== kept && before === now) await this.files.rm(older, { force: true });
  }

  private path(log: string, name: string): string {
    return join(this.directory, requireLogName(log), name);
  }

  /** The hour in which a file was written, counted from 1970; null when there is no such file. */
  private async hourOf(path: string): Promise<number | null> {
    const facts = await this.files.stat(path).catch(ifAbsent(null));
    return facts === null ? null : Math.floor(facts.mtimeMs / HOUR);
  }

  /** Puts a whole file in the place of another. A crash may leave anything of it. */
  private async writeUnsynced(path: string, content: string | Buffer): Promise<void> {
    await this.files.writeFile(`${path}.new`, content);
    await this.files.rename(`${path}.new`, path);
  }

  /** Puts a whole file in the place of another; durable when it resolves. */
  private async writeWhole(path: string, content: string): Promise<void> {
    const temporary = await this.writeBeside(path, content);
    await this.files.rename(temporary, path);
    await this.syncDirectory(dirname(path));
  }

  /** False when the file exists already; otherwise it is there, whole and durable. */
  private async writeOnce(path: string, content: string): Promise<boolean> {
    const temporary = await this.writeBeside(path, content);
    let created = true;
    try {
      await this.files.link(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      created = false;
    } finally {
      await this.files.rm(temporary, { force: true });
    }
    // Also where it was there before: whoever made it may have died before the name was durable.
    await this.syncDirectory(dirname(path));
    return created;
  }

  private async writeBeside(path: string, content: string): Promise<string> {
    await this.files.mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${randomBytes(6).toString('hex')}`;
    const file = await this.files.open(temporary, 'wx', 0o644);
    try {
      await file.writeFile(content);
      await file.sync();
    } catch (error) {
      // A full disk must not fill up with what did not fit on it.
      await this.files.rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
    return temporary;
  }

  private async syncDirectory(path: string): Promise<void> {
    const directory = await this.files.open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

function ifAbsent<Value>(value: Value): (error: NodeJS.ErrnoException) => Value {
  return (error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return value;
    throw error;
  };
}
