const MONTH = /^(\d{4})-(0[1-9]|1[0-2])(?:-|$)/;

/**
 * Counts calendar months, UTC: the difference of two is how many months lie between them.
 *
 * @param text a month (`2026-01`) or a time that begins with one (RFC 3339, UTC); NaN for anything else
 */
export function monthNumber(text: string): number {
  const [, year, month] = MONTH.exec(text) ?? [];
  return Number(year) * 12 + Number(month) - 1;
}

/**
 * Whether a month is over and this many whole months have passed since its end. Whole months, because a month is what is
 * archived and dropped: something is kept up to a month longer than it must be, never shorter.
 */
export function isPast(month: string, now: Date, months: number): boolean {
  return monthNumber(now.toISOString()) > monthNumber(month) + months;
}
