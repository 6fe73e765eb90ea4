import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Failure } from '../../kernel/failure.js';
import { accountingPeriod, feePeriodStart, type AccountingMode } from './accounting-period.js';

const NOW = new Date('2026-11-21T04:00:00.000Z');
const period = (mode: AccountingMode, from?: string | null, to?: string | null, zone = 'America/New_York', now = NOW) =>
  accountingPeriod(mode, { from, to }, now, zone);

describe('the period of an accounting', () => {
  it('is all that the law gives where nothing is asked for: six or three years, from the beginning of the day there', () => {
    expect(period('HIPAA')).toEqual({ from: '2020-11-20T05:00:00.000Z', to: NOW.toISOString() });
    expect(period('PART2')).toEqual({ from: '2023-11-20T05:00:00.000Z', to: NOW.toISOString() });
    expect(period('HIPAA', null, null, 'Asia/Shanghai').from).toBe('2020-11-20T16:00:00.000Z');
  });

  it('is cut to that, and never longer', () => {
    expect(period('HIPAA', '1990-01-01T00:00:00Z', '2090-01-01T00:00:00Z')).toEqual(period('HIPAA'));
    expect(period('PART2', '2021-01-01T00:00:00Z')).toEqual(period('PART2'));
  });

  it('understands offsets: one instant in several spellings is one period', () => {
    const spellings = ['2026-01-31T08:00:00Z', '2026-01-31T03:00:00-05:00', '2026-01-31T16:00:00+08:00'];
    const periods = spellings.map((from) => period('HIPAA', from));
    expect(new Set(periods.map((one) => one.from))).toEqual(new Set(['2026-01-31T08:00:00.000Z']));
  });

  it.each([
    ['without a zone', '2026-01-31T08:00:00', null],
    ['of a day alone', '2026-01-31', null],
    ['of a day that does not exist', null, '2026-02-30T08:00:00Z'],
    ['that ends before it begins', '2026-02-01T00:00:00Z', '2026-01-01T00:00:00Z'],
    ['that begins in the future', '2027-02-01T00:00:00Z', null],
    ['that ended before all that the law gives', null, '2019-01-01T00:00:00Z'],
    ['of nothing', '', null],
  ])('%s is the caller’s mistake', (_what, from, to) => {
    const code = () => {
      try {
        return period('HIPAA', from, to);
      } catch (error) {
        return (error as Failure).code;
      }
    };
    expect(code()).toBe('BAD_USER_INPUT');
  });

  it('begins on 28 February six years before a 29 February', () => {
    const leap = new Date('2028-02-29T12:00:00Z');
    expect(period('HIPAA', null, null, 'UTC', leap).from).toBe('2022-02-28T00:00:00.000Z');
  });

  it('lies within the law and within what was asked for, whatever is asked when', () => {
    const instant = fc.date({ min: new Date('2000-01-01'), max: new Date('2060-01-01'), noInvalidDate: true });
    const modes = fc.constantFrom<AccountingMode>('HIPAA', 'PART2');
    fc.assert(
      fc.property(instant, instant, instant, modes, (now, one, two, mode) => {
        const [from, to] = [one, two].sort((left, right) => left.getTime() - right.getTime()) as [Date, Date];
        let given;
        try {
          given = period(mode, from.toISOString(), to.toISOString(), 'Europe/Berlin', now);
        } catch {
          const years = (now.getTime() - to.getTime()) / (365.25 * 86_400_000);
          return from > now || years > (mode === 'HIPAA' ? 5.99 : 2.99);
        }
        const [begin, end] = [Date.parse(given.from), Date.parse(given.to)];
        const longest = (mode === 'HIPAA' ? 6 : 3) * 366 * 86_400_000;
        return (
          begin >= from.getTime() && end <= to.getTime() && end <= now.getTime() && now.getTime() - begin < longest
        );
      }),
    );
  });
});

describe('the first accounting in 12 months', () => {
  it('is free again on the same day a year later, and not the day before', () => {
    const given = new Date('2026-11-21T20:00:00Z');
    const free = (later: string) => feePeriodStart(new Date(later), 'America/New_York') > given;
    expect(free('2027-11-20T20:00:00Z')).toBe(false);
    expect(free('2027-11-21T06:00:00Z')).toBe(true);
  });
});
