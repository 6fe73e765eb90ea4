import { Failure } from '../kernel/failure.js';
import type { Queryable } from '../persistence/statement.js';
import { isPast } from './month.js';

/** How long the entries of a log are kept; months are whole calendar months after the one of the entry. */
export interface Retention {
  /** In the database or the archive. */
  readonly months: number;
  /** The same for transfer events: records of the kinds DISCLOSE and EXPORT. */
  readonly transferMonths: number;
  /** In the database. */
  readonly hotMonths: number;
  /** Legal hold: nothing of the log is dropped or pruned. */
  readonly hold: boolean;
}

/** Cybersecurity Law of the PRC, article 23(3): network logs for six months at least. Nobody can go below. */
export const SHORTEST_MONTHS = 6;
/** 28 CFR 202.1101: records of covered transactions for ten years at least. */
export const SHORTEST_TRANSFER_MONTHS = 120;
/** Above this it is a slip of the keyboard. */
const LONGEST_MONTHS = 1_200;

/** 45 CFR 164.316(b)(2)(i): documentation for six years; what is asked for every day is of the last one. */
export const STANDARD_RETENTION: Retention = {
  months: 72,
  transferMonths: SHORTEST_TRANSFER_MONTHS,
  hotMonths: 12,
  hold: false,
};

const TRANSFERS: ReadonlySet<string> = new Set(['DISCLOSE', 'EXPORT']);

/** What an archived entry says that decides how long it is kept. */
export interface KeptRecord {
  readonly kind: string;
  /** RFC 3339, UTC. */
  readonly time: string;
}

/** Whether the retention of a record has ended. One whose time or kind cannot be told is kept. */
export function hasExpired({ kind, time }: KeptRecord, retention: Retention, now: Date): boolean {
  const { months, transferMonths } = retention;
  return isPast(time, now, TRANSFERS.has(kind) ? Math.max(months, transferMonths) : months);
}

/**
 * A retention with some of its values changed. Throws RETENTION_MINIMUM below a floor, BAD_USER_INPUT for a number that
 * cannot be meant or for entries that would be due for deletion before they are archived.
 */
export function changedRetention(from: Retention, change: Partial<Retention>): Retention {
  const retention = { ...from, ...change };
  const { months, transferMonths, hotMonths } = retention;
  if (months < SHORTEST_MONTHS) throw tooShort('Entries of the ledger', SHORTEST_MONTHS);
  if (transferMonths < SHORTEST_TRANSFER_MONTHS) throw tooShort('Transfer events', SHORTEST_TRANSFER_MONTHS);
  for (const value of [months, transferMonths, hotMonths]) {
    if (!Number.isInteger(value) || value < 1 || value > LONGEST_MONTHS) {
      throw new Failure('BAD_USER_INPUT', `A retention is 1 to ${LONGEST_MONTHS} whole months.`, 'Check the number.');
    }
  }
  if (hotMonths > months) {
    throw new Failure(
      'BAD_USER_INPUT',
      `Entries would stay in the database for ${hotMonths} months, and be kept for ${months}.`,
      'Give a hot period that is not longer than the retention.',
    );
  }
  return retention;
}

function tooShort(what: string, months: number): Failure {
  return new Failure('RETENTION_MINIMUM', `${what} are kept for ${months} months at least.`, 'Give a longer period.');
}

interface Row {
  readonly months: number;
  readonly transfer_months: number;
  readonly hot_months: number;
  readonly hold: boolean;
}

/** The retention of a log; the standard where nothing was set. For a role that may read the ledger's tables. */
export async function readRetention(session: Queryable, log: string): Promise<Retention> {
  const [row] = await session.query<Row>({
    text: 'SELECT months, transfer_months, hot_months, hold FROM ledger_retention WHERE log = $1',
    values: [log],
  });
  if (row === undefined) return STANDARD_RETENTION;
  return { months: row.months, transferMonths: row.transfer_months, hotMonths: row.hot_months, hold: row.hold };
}

/** The shortest time that any log stays in the database: nothing younger is due. */
export async function shortestHotMonths(session: Queryable): Promise<number> {
  const [row] = await session.query<{ months: number }>({
    text: 'SELECT least(min(hot_months), $1::integer) AS months FROM ledger_retention',
    values: [STANDARD_RETENTION.hotMonths],
  });
  return row?.months ?? STANDARD_RETENTION.hotMonths;
}

/** Sets the retention of a log, as the database owner. To be recorded in the log before. */
export async function storeRetention(owner: Queryable, log: string, retention: Retention, now: Date): Promise<void> {
  const { months, transferMonths, hotMonths, hold } = retention;
  await owner.query({
    text:
      'INSERT INTO ledger_retention (log, months, transfer_months, hot_months, hold, changed_at) ' +
      'VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (log) DO UPDATE SET months = excluded.months, ' +
      'transfer_months = excluded.transfer_months, hot_months = excluded.hot_months, hold = excluded.hold, ' +
      'changed_at = excluded.changed_at',
    values: [log, months, transferMonths, hotMonths, hold, now],
  });
}
