import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Refusal } from '../config/refusal.js';
import type { Clock } from '../kernel/clock.js';
import { KEYS_KEY, MANIFEST } from './backup-manifest.js';

export interface BackupRetention {
  readonly days: number;
  /** Of the wrapped keys: so long can a restore bring back a person who was erased. */
  readonly keyDays: number;
}

/**
 * 35 days is the longest that erased data may lie in backups. Seven days of keys are enough for every restore of the newest
 * state, with a week to notice its loss; what is older opens with the keys of a newer backup, and those erased since do not.
 */
export const STANDARD_BACKUP_RETENTION: BackupRetention = { days: 35, keyDays: 7 };

const DAY = 86_400_000;
const NAME = /^custodia-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-[0-9a-f]{8}(\.partial|\.pruned)?$/;

export interface Pruned {
  readonly backups: readonly string[];
  readonly keys: readonly string[];
  /** The newest backup, if it is older than its retention: it stays, until there is another. */
  readonly overdue: string | null;
}

/**
 * Deletes backups, and the keys of backups, that are older than their retention, and what killed commands left for a day.
 * The age stands in the name; whatever has another name stays. The key of the keys goes first: without it they are nothing.
 */
export async function pruneBackups(directory: string, retention: BackupRetention, clock: Clock): Promise<Pruned> {
  if (retention.keyDays > retention.days) throw new Refusal('Keys are kept no longer than data.', 2);
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal(`The directory of backups cannot be read (${error.code}).`);
  });
  const found = entries.flatMap((name) => {
    const parts = NAME.exec(name);
    return parts === null ? [] : [{ name, age: clock.milliseconds() - begunAt(parts), rest: parts[7] !== undefined }];
  });
  const whole = found
    .filter(({ name, rest }) => !rest && existsSync(path.join(directory, name, MANIFEST)))
    .sort((one, other) => one.age - other.age);
  const newest = whole[0];
  const backups: string[] = [];
  const keys: string[] = [];
  for (const { name, age, rest } of found) {
    const place = path.join(directory, name);
    if (name === newest?.name) continue;
    const days = rest || !existsSync(path.join(place, MANIFEST)) ? 1 : retention.days;
    if (age > retention.keyDays * DAY && existsSync(path.join(place, 'keys'))) {
      await rm(path.join(place, KEYS_KEY), { force: true });
      await rm(path.join(place, 'keys'), { recursive: true });
      keys.push(name);
    }
    if (age <= days * DAY) continue;
    const pruned = rest ? place : `${place}.pruned`;
    if (!rest) await rename(place, pruned);
    await rm(pruned, { recursive: true });
    backups.push(name);
  }
  return { backups, keys, overdue: newest !== undefined && newest.age > retention.keyDays * DAY ? newest.name : null };
}

function begunAt(parts: RegExpExecArray): number {
  const [, year, month, day, hour, minute, second] = parts;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
