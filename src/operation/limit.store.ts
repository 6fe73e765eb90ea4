import type { Actor } from '../kernel/actor.js';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';

/** Windows in which uses are counted, in milliseconds, by the name of the limit. */
const WINDOWS = { perMinute: 60_000, perHour: 3_600_000, perDay: 86_400_000 } as const;
const PERIODS = { perMinute: ['a', 'minute'], perHour: ['an', 'hour'], perDay: ['a', 'day'] } as const;
type Window = keyof typeof WINDOWS;

/** How many uses each window takes; one that is not named is not counted. */
export type Limit = Readonly<Partial<Record<Window, number>>>;

/**
 * Counts uses per account in fixed windows, in PostgreSQL, so that several API processes share one count. A use is counted
 * before it is made: a refused and a failed use count too. Owns the table `rate_limit`.
 */
export class LimitStore {
  constructor(private readonly database: Database) {}

  /** Takes one use or throws RATE_LIMITED. */
  async take(actor: Actor, action: string, limit: Limit, now: Date): Promise<void> {
    const windows = (Object.keys(WINDOWS) as Window[]).filter((name) => limit[name] !== undefined);
    const lengths = windows.map((name) => WINDOWS[name]);
    const rows = await this.database.query<{ length: number; uses: number }>(actor.tenant, {
      name: 'rate-limit-take',
      text:
        `INSERT INTO rate_limit AS r (tenant_id, account_id, action, seconds, window_start, uses) ` +
        `SELECT $1, $2::uuid, $3, w.seconds, w.start, 1 FROM unnest($4::integer[], $5::timestamptz[]) AS w(seconds, start) ` +
        `ON CONFLICT (tenant_id, account_id, action, seconds) DO UPDATE SET ` +
        `uses = CASE WHEN r.window_start = excluded.window_start THEN r.uses + 1 ELSE 1 END, window_start = excluded.window_start ` +
        `RETURNING seconds AS length, uses`,
      values: [
        actor.tenant,
        actor.id,
        action,
        lengths.map((length) => length / 1000),
        lengths.map((length) => new Date(Math.floor(now.getTime() / length) * length)),
      ],
    });
    for (const { length, uses } of rows) {
      const window = windows.find((name) => WINDOWS[name] === length * 1000);
      const most = window === undefined ? 0 : (limit[window] ?? 0);
      if (uses <= most) continue;
      const [article, period] = PERIODS[window ?? 'perDay'];
      throw new Failure(
        'RATE_LIMITED',
        `At most ${most} uses ${article} ${period} are allowed.`,
        `Wait for the next ${period}.`,
        {
          extensions: { limit: most, period, retryAfterSeconds: Math.ceil(untilNext(now, length * 1000) / 1000) },
        },
      );
    }
  }
}

/** Milliseconds to the next window: more than none, so that a retry does not meet the same one. */
function untilNext(now: Date, length: number): number {
  return length - (now.getTime() % length);
}
