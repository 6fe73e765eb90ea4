import { describe, expect, test } from '@jest/globals';
import { ageOfConsentAt } from './age-of-consent.js';

describe('the age from which a person decides alone', () => {
  test.each([
    ['2010-03-05', 'CN', 'Asia/Shanghai', '2024-03-04T16:00:00.000Z'],
    ['2010-03-05', 'DE', 'Europe/Berlin', '2026-03-04T23:00:00.000Z'],
    ['2010-07-05', 'DE', 'Europe/Berlin', '2026-07-04T22:00:00.000Z'],
    ['2010-03-05', 'US', 'America/New_York', '2028-03-05T05:00:00.000Z'],
    ['2010-03-05', 'GB', 'Europe/London', '2023-03-05T00:00:00.000Z'],
    ['2010-03-05', 'PL', 'Europe/Warsaw', '2026-03-04T23:00:00.000Z'],
    ['2012-02-29', 'CN', 'Asia/Shanghai', '2026-02-28T16:00:00.000Z'],
    ['2012-02-29', 'DE', 'UTC', '2028-02-29T00:00:00.000Z'],
    ['2010', 'CN', 'UTC', '2024-12-31T00:00:00.000Z'],
    ['2010-02', 'CN', 'UTC', '2024-02-29T00:00:00.000Z'],
  ])('of somebody born on %s in %s (%s) begins at %s', (birthDate, country, timeZone, expected) => {
    expect(ageOfConsentAt(birthDate, country, timeZone)?.toISOString()).toBe(expected);
  });

  test('is not known without a date of birth', () => {
    expect(ageOfConsentAt(null, 'CN', 'Asia/Shanghai')).toBeNull();
  });
});
