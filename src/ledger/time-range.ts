import type { Database } from '../persistence/database.js';

/**
 * How much older than an entry before it an entry may be: processes have clocks of their own, and what is committed later
 * may have been recorded earlier. A time filter may miss an entry that is further out of order than this; a list without
 * one shows it. Closed numbers (VOID) lie in time where their record would have been, and are left out of account.
 */
export const CLOCK_TOLERANCE = 5 * 60_000;
/** Neighbours that one probe looks at, so that a single odd time does not lead astray. */
const NEIGHBOURS = 64;

/** The indexes between which all entries of a time lie. */
export class TimeRange {
  constructor(private readonly database: Database) {}

  /** An index below which no entry is of `instant` (RFC 3339) or later. */
  from(log: string, size: number, instant: string): Promise<number> {
    const earliest = new Date(Date.parse(instant) - CLOCK_TOLERANCE);
    return this.search('ledger_time_from', log, size, 'max(recorded_at) >= $3', earliest);
  }

  /** An index from which on no entry is before `instant`. */
  before(log: string, size: number, instant: string): Promise<number> {
    const latest = new Date(Date.parse(instant) + CLOCK_TOLERANCE);
    return this.search('ledger_time_before', log, size, 'min(recorded_at) > $3', latest);
  }

  /**
   * A place before and after which the answer differs, by halving as in a sorted list, in one statement. Going right is
   * right when all neighbours are too old even with the tolerance, and going left when all are too new: so times out of
   * order within it do no harm.
   */
  private async search(name: string, log: string, size: number, reached: string, limit: Date): Promise<number> {
    const [found] = await this.database.query<{ low: string }>(null, {
      name,
      text:
        'WITH RECURSIVE probe (low, high) AS (SELECT 0::bigint, $2::bigint UNION ALL ' +
        'SELECT CASE WHEN reached THEN low ELSE middle + 1 END, CASE WHEN reached THEN middle ELSE high END FROM probe, ' +
        'LATERAL (SELECT (low + high) / 2 AS middle) AS place, ' +
        `LATERAL (SELECT coalesce(${reached}, true) AS reached FROM ledger_leaf ` +
        `WHERE log = $1 AND idx >= middle AND idx < middle + ${NEIGHBOURS}) AS times WHERE low < high) ` +
        'SELECT low FROM probe WHERE low = high',
      values: [log, size, limit],
    });
    return Number(found?.low ?? 0);
  }
}
