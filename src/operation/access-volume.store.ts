import { LRUCache } from 'lru-cache';
import type { Actor } from '../kernel/actor.js';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';
import type { Volume } from '../policy/decision.js';

const HOUR = 3_600_000;
const DAY = 86_400_000;
/** Accounts whose patients of the hour are known without asking. */
const LARGEST_MEMORY = 2_000;

/** The patients of one account that are counted in the hour that begins at `start` (POSIX milliseconds). */
interface Counted {
  readonly start: number;
  readonly subjects: Set<string>;
}

/**
 * How many distinct patients an account has seen, in hours and days of UTC. PostgreSQL keeps the count, so that several
 * processes share one; who was counted in this hour is remembered here, so that seeing the same patients again costs
 * nothing. Owns the tables `access_volume` and `access_volume_subject`.
 */
export class AccessVolume {
  private readonly memory = new LRUCache<string, Counted>({ max: LARGEST_MEMORY });
  private readonly refusals = { hour: 0, day: 0 };

  constructor(private readonly database: Database) {}

  /** How often this process refused, by the window that was full. */
  get refused(): Readonly<Record<'hour' | 'day', number>> {
    return this.refusals;
  }

  /**
   * Counts patients before their rows leave. Null where all of them are counted already. Rejects with BULK_LIMIT where the
   * account would have seen more than the volume allows: then none of them is counted, and none may be shown.
   */
  count(actor: Actor, subjects: Iterable<string | null>, volume: Volume, now: Date): Promise<void> | null {
    const key = `${actor.tenant} ${actor.id}`;
    const start = now.getTime() - (now.getTime() % HOUR);
    const known = this.memory.get(key);
    const current = known !== undefined && known.start >= start ? known : null;
    let fresh: Set<string> | null = null;
    for (const subject of subjects) {
      if (subject !== null && current?.subjects.has(subject) !== true) (fresh ??= new Set()).add(subject);
    }
    return fresh === null ? null : this.take(actor, fresh, volume, now, key);
  }

  private async take(actor: Actor, subjects: Set<string>, volume: Volume, now: Date, key: string): Promise<void> {
    const [hour, day] = [HOUR, DAY].map((length) => new Date(now.getTime() - (now.getTime() % length)));
    const [row] = await this.database.query<{ full: number }>(actor.tenant, {
      name: 'access-volume-count',
      text: 'SELECT count_subjects($1, $2::uuid, $3::uuid[], $4::timestamptz, $5, $6::timestamptz, $7) AS "full"',
      values: [actor.tenant, actor.id, [...subjects], hour, volume.patientsPerHour, day, volume.patientsPerDay],
    });
    if (row?.full !== 0) throw this.refusal(row?.full === DAY / 1000 ? 'day' : 'hour', volume, now);
    const start = hour?.getTime() ?? 0;
    const known = this.memory.get(key);
    if (known !== undefined && known.start > start) return;
    if (known?.start !== start) this.memory.set(key, { start, subjects });
    else for (const subject of subjects) known.subjects.add(subject);
  }

  private refusal(period: 'hour' | 'day', volume: Volume, now: Date): Failure {
    this.refusals[period] += 1;
    const [limit, length] = period === 'hour' ? [volume.patientsPerHour, HOUR] : [volume.patientsPerDay, DAY];
    return new Failure(
      'BULK_LIMIT',
      `At most ${limit} patients ${period === 'hour' ? 'an hour' : 'a day'} are shown to one account.`,
      `Wait for the next ${period}, or ask for an export.`,
      { extensions: { limit, period, retryAfterSeconds: Math.ceil((length - (now.getTime() % length)) / 1000) } },
    );
  }
}
