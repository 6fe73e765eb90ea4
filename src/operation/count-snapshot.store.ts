import type { Database } from '../persistence/database.js';
import type { GroupSize } from './cell-suppression.js';

/** Milliseconds for which a count stands. */
export const LIFETIME = 86_400_000;

export interface CountSnapshot {
  readonly takenAt: Date;
  /** Digest of what the rules said under which it was taken. */
  readonly rules: string;
  /** Rounded: nothing more exact than what is published is kept. */
  readonly groups: readonly GroupSize[];
}

/**
 * The last count of each family of tables: whoever may ask for one of them gets all of them out of the same count, from
 * every process. A count stands for a day from the moment it was taken, not to the end of the day: two counts are never
 * closer to each other, whatever the hour. A crash after the insert leaves a count that stands; before it, none.
 * Owns the table `aggregate_snapshot`.
 */
export class CountSnapshots {
  constructor(private readonly database: Database) {}

  /** The count that stands, or null. */
  async find(tenant: string, family: string, now: Date): Promise<CountSnapshot | null> {
    const [row] = await this.database.query<CountSnapshot>(tenant, {
      name: 'aggregate-snapshot-find',
      text:
        `SELECT taken_at AS "takenAt", rules, groups FROM aggregate_snapshot ` +
        `WHERE assert_tenant($1) AND tenant_id = $1 AND family = $2 AND taken_at > $3::timestamptz`,
      values: [tenant, family, new Date(now.getTime() - LIFETIME)],
    });
    return row ?? null;
  }

  /** Keeps a count unless another one stands, and gives back the one that does. Counts of families that nobody asks for go. */
  async keep(tenant: string, family: string, taken: CountSnapshot): Promise<CountSnapshot> {
    const over = new Date(taken.takenAt.getTime() - LIFETIME);
    await this.database.query(tenant, {
      name: 'aggregate-snapshot-keep',
      text:
        `WITH gone AS (DELETE FROM aggregate_snapshot WHERE assert_tenant($1) AND tenant_id = $1 AND family <> $2 ` +
        `AND taken_at <= $5::timestamptz) ` +
        `INSERT INTO aggregate_snapshot AS known (tenant_id, family, taken_at, groups, rules) ` +
        `VALUES ($1, $2, $3::timestamptz, $4::jsonb, $6) ON CONFLICT (tenant_id, family) DO UPDATE ` +
        `SET taken_at = excluded.taken_at, groups = excluded.groups, rules = excluded.rules WHERE known.taken_at <= $5::timestamptz`,
      values: [tenant, family, taken.takenAt, JSON.stringify(taken.groups), over, taken.rules],
    });
    const standing = await this.find(tenant, family, taken.takenAt);
    if (standing === null) throw new Error('A count that was kept is not there.');
    return standing;
  }
}
