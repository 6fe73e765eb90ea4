import { dayIn, midnightIn } from '../../kernel/clock.js';
import { instantOf, refuse } from './statement.js';

export type AccountingMode = 'HIPAA' | 'PART2';

/** Instants in UTC (RFC 3339), both included. */
export interface AccountingPeriod {
  readonly from: string;
  readonly to: string;
}

/** How far back the right reaches: 45 CFR 164.528(a)(1) and 42 CFR 2.25(a). */
const YEARS: Readonly<Record<AccountingMode, number>> = { HIPAA: 6, PART2: 3 };

/**
 * The period of an accounting that is asked for now: what was asked for, cut to what the law gives; all of that where
 * nothing was asked for. Years end with a calendar day of the tenant. Throws BAD_USER_INPUT for a period that is none or
 * lies outside as a whole.
 */
export function accountingPeriod(
  mode: AccountingMode,
  asked: { readonly from?: string | null; readonly to?: string | null },
  now: Date,
  timeZone: string,
): AccountingPeriod {
  const earliest = yearsBefore(YEARS[mode], now, timeZone).toISOString();
  const latest = now.toISOString();
  const from = asked.from == null ? earliest : instantOf('from', asked.from);
  const to = asked.to == null ? latest : instantOf('to', asked.to);
  if (from > to) throw refuse('from', 'is after "to"', 'Exchange the two, or leave one out.');
  if (from > latest) throw refuse('from', 'is in the future', 'Ask for a period that has begun.');
  if (to < earliest) {
    const nextStep = `Ask for a period after ${earliest}, or leave both out.`;
    throw refuse('to', `lies before the ${YEARS[mode]} years that an accounting covers`, nextStep);
  }
  return { from: from < earliest ? earliest : from, to: to > latest ? latest : to };
}

/**
 * Since when an accounting that was given makes the next one subject to a fee: the first in any 12 months is free
 * (45 CFR 164.528(c)(2)), so that on the same day a year later it is free again.
 */
export function feePeriodStart(now: Date, timeZone: string): Date {
  return dayIn(timeZone, yearsBefore(1, now, timeZone)).end;
}

/** The beginning of the tenant's day so many years ago; 28 February where there was no 29th. */
function yearsBefore(years: number, now: Date, timeZone: string): Date {
  const today = new Intl.DateTimeFormat('en-CA', { timeZone }).format(now);
  const [year = '', month = '', day = ''] = today.split('-');
  const before = String(Number(year) - years).padStart(4, '0');
  return midnightIn(timeZone, `${before}-${month}-${month === '02' && day === '29' ? '28' : day}`);
}
