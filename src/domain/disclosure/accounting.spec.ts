import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { entriesOf, sameName, type AccountedDisclosure } from './accounting.js';
import { DisclosureCategory, exclusionOf, maySummarise } from './disclosure-category.js';

const CATEGORIES = Object.values(DisclosureCategory);
const AGENCIES = [
  'County Sheriff',
  'COUNTY  SHERIFF.',
  'Ｃｏｕｎｔｙ Sheriff',
  'State Health Department',
  '疾病预防控制中心',
];

const disclosures = fc
  .array(
    fc.record({
      recipientName: fc.constantFrom(...AGENCIES),
      recipientAddress: fc.constantFrom(null, '1 Main Street'),
      purpose: fc.constantFrom('Report of a notifiable disease', 'Order 17 of the court'),
      category: fc.constantFrom(...CATEGORIES.filter((one) => exclusionOf(one) === null)),
      disclosedBy: fc.constantFrom(null, 'Mailing Service'),
      description: fc.constantFrom('Name, laboratory result', 'Whole record'),
    }),
    { maxLength: 30 },
  )
  .map((list): AccountedDisclosure[] =>
    list.map((one, index) => ({ ...one, id: `d${index}`, disclosedAt: new Date(index * 1_000).toISOString() })),
  );

describe('the legal ground', () => {
  it('is accountable unless one of the eight clauses excludes it', () => {
    const excluded = CATEGORIES.filter((one) => exclusionOf(one) !== null);
    expect(excluded.sort()).toEqual(
      [
        'AUTHORISED',
        'CUSTODY',
        'DIRECTORY',
        'INCIDENTAL',
        'LIMITED_DATA_SET',
        'NATIONAL_SECURITY',
        'OPERATIONS',
        'PAYMENT',
        'TO_INDIVIDUAL',
        'TREATMENT',
      ].sort(),
    );
    expect(new Set(excluded.map(exclusionOf)).size).toBe(8);
  });

  it('lets nothing be summarised that nobody was permitted to disclose', () => {
    expect(maySummarise(DisclosureCategory.MISDIRECTED)).toBe(false);
    expect(maySummarise(DisclosureCategory.PUBLIC_HEALTH)).toBe(true);
  });
});

describe('the entries of an accounting', () => {
  it('count every disclosure once, the first in full, the last by its date', () => {
    fc.assert(
      fc.property(disclosures, (list) => {
        const entries = entriesOf(list, []);
        const counted = entries.reduce((sum, one) => sum + (one.times?.count ?? 1), 0);
        expect(counted).toBe(list.length);
        for (const { times, ...entry } of entries) {
          expect(list).toContainEqual(entry);
          if (times === null) continue;
          expect(times.first).toBe(entry.disclosedAt);
          expect(times.last > times.first).toBe(true);
          expect(list.filter((one) => one.disclosedAt === times.last)).toMatchObject([
            { category: entry.category, disclosedBy: entry.disclosedBy, purpose: entry.purpose },
          ]);
        }
        const order = entries.map((one) => one.disclosedAt);
        expect(order).toEqual([...order].sort());
      }),
    );
  });

  it('never join two grounds, recipients or purposes, nor what was misdirected', () => {
    fc.assert(
      fc.property(disclosures, (list) => {
        const entries = entriesOf(list, []);
        const misdirected = (all: readonly AccountedDisclosure[]) =>
          all.filter((one) => one.category === DisclosureCategory.MISDIRECTED).length;
        expect(misdirected(entries)).toBe(misdirected(list));
        const kinds = (all: readonly AccountedDisclosure[]) =>
          new Set(all.map((one) => [one.category, one.purpose, sameName(one.recipientName)].join('|')));
        expect(kinds(entries)).toEqual(kinds(list));
      }),
    );
  });

  it('are with a suspension what they are without the disclosures to that agency', () => {
    fc.assert(
      fc.property(disclosures, fc.constantFrom(...AGENCIES), (list, agency) => {
        const others = list.filter((one) => sameName(one.recipientName) !== sameName(agency));
        expect(entriesOf(list, [agency])).toEqual(entriesOf(others, []));
      }),
    );
  });

  it('know an agency by its name, however it is spelled', () => {
    expect(new Set(AGENCIES.map(sameName)).size).toBe(3);
  });
});
