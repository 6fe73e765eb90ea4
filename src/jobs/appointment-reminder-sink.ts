import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

export interface ReminderMessage {
  /** The telephone number as it is registered. */
  readonly to: string;
  readonly text: string;
}

/** Where reminders go: something that hands them to a gateway. A key is handed over at most once, whoever comes with it. */
export interface ReminderSink {
  /** Whether the message of this key was handed over before. */
  has(key: string): Promise<boolean>;
  /** Hands a message over, durably. Does nothing when one of this key was handed over before. */
  write(key: string, message: ReminderMessage): Promise<void>;
}

/**
 * A directory with one file a message, named by its key alone. A message is written under a temporary name, made durable,
 * and then linked to its own: the link is what hands it over, and of two of one key the second fails. A crash before the
 * link leaves a temporary file, which the next one to write the same key removes.
 */
export class ReminderDirectory implements ReminderSink {
  constructor(private readonly directory: string) {}

  async has(key: string): Promise<boolean> {
    try {
      await stat(this.fileOf(key));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async write(key: string, message: ReminderMessage): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const partial = path.join(this.directory, `${key}.${randomBytes(8).toString('hex')}.partial`);
    const file = await open(partial, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(message)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await link(partial, this.fileOf(key));
    } catch (error) {
      // Somebody was faster: the message is there, or its writer has just removed what this one was about to link.
      if (!(await this.has(key))) throw error;
    }
    await this.settle(key);
  }

  private fileOf(key: string): string {
    return path.join(this.directory, `${key}.json`);
  }

  /** Makes the name durable and removes what writers of this key left behind. */
  private async settle(key: string): Promise<void> {
    const directory = await open(this.directory, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
    for (const name of await readdir(this.directory)) {
      if (name.startsWith(`${key}.`) && name.endsWith('.partial')) {
        await rm(path.join(this.directory, name), { force: true });
      }
    }
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
