import { describe, expect, it } from '@jest/globals';
import { reminderText } from './appointment-reminder-text.js';

const START = '2026-11-22T17:30:00.000Z';

describe('the text of a reminder', () => {
  it('says when, in the time and the language of the tenant', () => {
    expect(reminderText(START, { country: 'CN', timeZone: 'Asia/Shanghai' })).toMatch(/2026年11月23日.*01:30/);
    expect(reminderText(START, { country: 'US', timeZone: 'America/New_York' })).toMatch(/22 November 2026.*12:30/);
    expect(reminderText(START, { country: 'DE', timeZone: 'Europe/Berlin' })).toMatch(/22 November 2026.*18:30/);
  });

  it('is the same for everybody who comes at that time', () => {
    const texts = ['CN', 'US', 'DE'].map((country) => reminderText(START, { country, timeZone: 'UTC' }));
    expect(texts[0]).toContain('预约');
    expect(new Set(texts).size).toBe(2);
  });
});
