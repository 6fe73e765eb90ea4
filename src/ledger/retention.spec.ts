import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ManualClock } from '../kernel/clock.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { isPast, monthNumber } from './month.js';
import {
  changedRetention,
  hasExpired,
  readRetention,
  shortestHotMonths,
  STANDARD_RETENTION,
  storeRetention,
} from './retention.js';

const at = (time: string) => new ManualClock(Date.parse(time)).now();

describe('a month', () => {
  it('is past when it is over and the months after it are over too', () => {
    expect(monthNumber('2026-03') - monthNumber('2025-12')).toBe(3);
    expect(monthNumber('2026-03-31T23:59:59.999Z')).toBe(monthNumber('2026-03'));
    for (const text of ['2026', '2026-13', '2026-00', 'March', '2026-031']) expect(monthNumber(text)).toBeNaN();
    expect(isPast('2026-01', at('2026-01-31T23:59:59.999Z'), 0)).toBe(false);
    expect(isPast('2026-01', at('2026-02-01T00:00:00.000Z'), 0)).toBe(true);
    expect(isPast('2026-01', at('2027-01-31T23:59:59.999Z'), 12)).toBe(false);
    expect(isPast('2026-01', at('2027-02-01T00:00:00.000Z'), 12)).toBe(true);
    expect(isPast('nonsense', at('2027-02-01T00:00:00.000Z'), 12)).toBe(false);
  });

  it('keeps everything at least as long as it says, and at most a month longer', () => {
    const instant = fc.date({ min: at('2020-01-01T00:00:00Z'), max: at('2040-01-01T00:00:00Z'), noInvalidDate: true });
    fc.assert(
      fc.property(instant, instant, fc.integer({ min: 1, max: 130 }), (made, now, months) => {
        const end = new Date(made);
        end.setUTCMonth(end.getUTCMonth() + months, 1);
        const later = new Date(made);
        later.setUTCMonth(later.getUTCMonth() + months + 2, 1);
        const past = isPast(made.toISOString(), now, months);
        if (now < end) expect(past).toBe(false);
        if (now >= later) expect(past).toBe(true);
      }),
    );
  });
});

describe('a retention', () => {
  it('never goes below a floor', () => {
    expect(changedRetention(STANDARD_RETENTION, { months: 6, hotMonths: 6 }).months).toBe(6);
    const minimum = expect.objectContaining({ code: 'RETENTION_MINIMUM' });
    for (const months of [5, 1, 0, -1]) {
      expect(() => changedRetention(STANDARD_RETENTION, { months })).toThrow(minimum as unknown as Error);
    }
    for (const transferMonths of [119, 72, 0]) {
      expect(() => changedRetention(STANDARD_RETENTION, { transferMonths })).toThrow(minimum as unknown as Error);
    }
    for (const change of [{ months: 7.5 }, { months: NaN }, { hotMonths: 0 }, { hotMonths: 73 }, { months: 11 }]) {
      expect(() => changedRetention(STANDARD_RETENTION, change)).toThrow(
        expect.objectContaining({ code: 'BAD_USER_INPUT' }) as unknown as Error,
      );
    }
  });

  it('is longer for disclosures and exports, and never shorter than for the rest', () => {
    const now = at('2036-03-01T00:00:00Z');
    const record = (kind: string, time: string) => ({ kind, time: `${time}-15T08:00:00.000Z` });
    expect(hasExpired(record('READ', '2030-02'), STANDARD_RETENTION, now)).toBe(true);
    expect(hasExpired(record('READ', '2030-03'), STANDARD_RETENTION, now)).toBe(false);
    for (const kind of ['DISCLOSE', 'EXPORT']) {
      expect(hasExpired(record(kind, '2026-03'), STANDARD_RETENTION, now)).toBe(false);
      expect(hasExpired(record(kind, '2026-02'), STANDARD_RETENTION, now)).toBe(true);
      expect(hasExpired(record(kind, '2026-02'), { ...STANDARD_RETENTION, months: 240 }, now)).toBe(false);
    }
    expect(hasExpired({ kind: 'READ', time: 'never' }, STANDARD_RETENTION, now)).toBe(false);
  });
});

describe('a stored retention', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.close());

  it('is the standard until it is set, for each log by itself', async () => {
    const auditor = {
      query: <Row>(statement: { text: string; values: readonly unknown[] }) =>
        database.auditor.query<Row>(null, statement),
    };
    const owner = {
      async query<Row>({ text, values }: { text: string; values: readonly unknown[] }) {
        return (await database.owner.query(text, [...values])).rows as Row[];
      },
    };
    expect(await readRetention(auditor, 'T-CN')).toEqual(STANDARD_RETENTION);
    expect(await shortestHotMonths(auditor)).toBe(12);
    const set = { months: 24, transferMonths: 240, hotMonths: 3, hold: true };
    await storeRetention(owner, 'T-CN', STANDARD_RETENTION, at('2026-01-01T00:00:00Z'));
    await storeRetention(owner, 'T-CN', set, at('2026-01-02T00:00:00Z'));
    expect(await readRetention(auditor, 'T-CN')).toEqual(set);
    expect(await readRetention(auditor, 'T-US')).toEqual(STANDARD_RETENTION);
    expect(await shortestHotMonths(auditor)).toBe(3);
  });

  it('cannot be written by a role of the running system', async () => {
    const values = ['system', 72, 120, 12, false, at('2026-01-01T00:00:00Z')];
    const text = 'INSERT INTO ledger_retention VALUES ($1, $2, $3, $4, $5, $6)';
    for (const role of [database.app, database.sequencer, database.auditor]) {
      await expect(role.query(null, { text, values })).rejects.toMatchObject({ kind: 'privilege' });
      await expect(role.query(null, { text: 'DROP TABLE ledger_entry_other', values: [] })).rejects.toMatchObject({
        kind: 'privilege',
      });
    }
  });
});
