import type { Database } from '../persistence/database.js';

/** No tenant's own: the counters belong to it, because they count whether or not the named tenant exists. */
export const SYSTEM = 'system';

/** How often was tried, this attempt included. `account` is null when the address alone is enough to refuse. */
export interface Attempts {
  readonly address: number;
  readonly account: number | null;
}

/** How many failures lock, for how long, and for how long failures are added up. Milliseconds. */
export interface AttemptLimits {
  readonly address: number;
  readonly account: number;
  readonly duration: number;
}

/** How often the codes of one factor were tried, this attempt included. */
export interface CodeAttempts {
  readonly failures: number;
  readonly locked_until: Date | null;
}

/**
 * Failures by digest of what was tried: addresses, accounts, factors. Every attempt is counted as failed before it is made,
 * in one statement: however many arrive at once, no more than the limit are admitted. A crash before `forgive` leaves a
 * failure too many, never one too few. Owns the table `sign_in_attempt`.
 */
export class AttemptStore {
  constructor(private readonly database: Database) {}

  async countAttempt(address: Buffer, account: Buffer, limits: AttemptLimits, now: Date): Promise<Attempts> {
    const [row] = await this.database.query<Attempts>(SYSTEM, {
      name: 'identity_count_attempt',
      text: COUNT_ATTEMPT,
      values: [SYSTEM, now, ...windowOf(limits, now), address, limits.address, account, limits.account],
    });
    return row as Attempts;
  }

  async countCode(key: Buffer, limits: Pick<AttemptLimits, 'account' | 'duration'>, now: Date): Promise<CodeAttempts> {
    const [row] = await this.database.query<CodeAttempts>(SYSTEM, {
      name: 'identity_count_code',
      text: COUNT_CODE,
      values: [SYSTEM, now, ...windowOf(limits, now), key, limits.account],
    });
    return row as CodeAttempts;
  }

  /** Of the address only this attempt is taken back: or one account would clear it. */
  async forgiveAddress(address: Buffer, limits: AttemptLimits): Promise<void> {
    await this.database.query(SYSTEM, {
      name: 'identity_forgive_address',
      text: `UPDATE sign_in_attempt
                SET failures = greatest(failures - 1, 0),
                    locked_until = CASE WHEN failures > $3::integer THEN locked_until END
              WHERE tenant_id = $1 AND key = $2 AND assert_tenant($1)`,
      values: [SYSTEM, address, limits.address],
    });
  }

  /** After a success these accounts and factors start anew; some counters that are long over go with them. */
  async forget(keys: readonly Buffer[], limits: Pick<AttemptLimits, 'duration'>, now: Date): Promise<void> {
    await this.database.query(SYSTEM, {
      name: 'identity_forget_attempts',
      text: `DELETE FROM sign_in_attempt
              WHERE tenant_id = $1 AND assert_tenant($1) AND (key = ANY ($2::bytea[]) OR key IN (
                    SELECT old.key FROM sign_in_attempt old
                     WHERE old.tenant_id = $1 AND old.window_start < $3 AND coalesce(old.locked_until, $4) <= $4
                     ORDER BY old.window_start LIMIT 100 FOR UPDATE SKIP LOCKED))`,
      values: [SYSTEM, keys, new Date(now.getTime() - 2 * limits.duration), now],
    });
  }
}

/** From when on failures are added up, and until when a lock that begins now lasts. */
function windowOf({ duration }: Pick<AttemptLimits, 'duration'>, now: Date): [Date, Date] {
  return [new Date(now.getTime() - duration), new Date(now.getTime() + duration)];
}

/**
 * The counting of one key: a lock that is over and an unlocked window that is over both start anew at 1. Parameters: $1 the
 * system, $2 now, $3 and $4 the window.
 */
function countOne(key: string, limit: string, condition: string): string {
  const fresh = '(attempt.locked_until <= $2 OR (attempt.locked_until IS NULL AND attempt.window_start <= $3))';
  return `
    INSERT INTO sign_in_attempt AS attempt (tenant_id, key, failures, window_start)
    SELECT $1::text, ${key}::bytea, 1, $2::timestamptz ${condition}
    ON CONFLICT (tenant_id, key) DO UPDATE SET
      failures = CASE WHEN ${fresh} THEN 1 ELSE attempt.failures + 1 END,
      window_start = CASE WHEN ${fresh} THEN $2 ELSE attempt.window_start END,
      locked_until = CASE WHEN ${fresh} THEN NULL
                          WHEN attempt.locked_until IS NULL AND attempt.failures + 1 >= ${limit}::integer THEN $4
                          ELSE attempt.locked_until END
    RETURNING failures, locked_until`;
}

/** The address first: a locked address does not touch the account, so that it cannot lock other people out. */
const COUNT_ATTEMPT = `
  WITH address AS (${countOne('$5', '$6', 'WHERE assert_tenant($1::text)')}),
  account AS (${countOne('$7', '$8', 'FROM address WHERE address.failures <= $6::integer')})
  SELECT (SELECT failures FROM address) AS address, (SELECT failures FROM account) AS account`;

const COUNT_CODE = countOne('$5', '$6', 'WHERE assert_tenant($1::text)');
