import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Database } from '../persistence/database.js';
import type { Statement } from '../persistence/statement.js';
import { LedgerReader } from './reader.js';

const SUBJECT = 'ab'.repeat(16);
const WINDOW = 8_192;
const LONGEST_SEARCH = 262_144;

/** A log that is named by the subject at these indexes, as the auditor's role sees it. */
function logOf(size: number, indexes: readonly number[]) {
  const windows: number[] = [];
  const query = (_tenant: string | null, { name, values }: Statement): Promise<unknown[]> => {
    if (name === 'ledger_size') return Promise.resolve([{ size: String(size) }]);
    const [, low = 0, high = 0, needle, limit = 0] = values as [string, number, number, Buffer, number];
    expect(needle.toString()).toBe(JSON.stringify(SUBJECT));
    windows.push(high - low);
    const found = indexes.filter((index) => index >= low && index < high).sort((left, right) => right - left);
    const row = (index: number) => ({
      idx: String(index),
      record: Buffer.from('{}'),
      record_hash: Buffer.alloc(32),
      leaf: Buffer.alloc(32),
    });
    return Promise.resolve(found.slice(0, limit).map(row));
  };
  return { reader: new LedgerReader({ query } as unknown as Database), windows };
}

describe('the search for a subject', () => {
  test('finds every entry once, newest first, however far apart, and no page looks through more than its bound', async () => {
    const size = 600_000;
    const indexes = fc.uniqueArray(fc.nat(size - 1), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(indexes, fc.integer({ min: 1, max: 11 }), async (named, count) => {
        const { reader, windows } = logOf(size, named);
        const found: number[] = [];
        let before: number | null = await reader.end('T');
        expect(before).toBe(size);
        while (before !== null) {
          windows.length = 0;
          const page = await reader.naming('T', SUBJECT, before, count);
          expect(page.entries.length).toBeLessThanOrEqual(count);
          expect(Math.max(...windows, 0)).toBeLessThanOrEqual(WINDOW);
          expect(windows.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(LONGEST_SEARCH);
          found.push(...page.entries.map((entry) => entry.index));
          before = page.before;
        }
        expect(found).toEqual([...named].sort((left, right) => right - left));
      }),
      { numRuns: 60 },
    );
  });

  test('of an empty log is over at once', async () => {
    const { reader, windows } = logOf(0, []);
    expect(await reader.naming('T', SUBJECT, await reader.end('T'), 5)).toEqual({ entries: [], before: null });
    expect(windows).toEqual([]);
  });

  test('waits until what was committed before is sequenced, and fails where it cannot be', async () => {
    const broken = new LedgerReader({ query: () => Promise.resolve([]) } as unknown as Database, () =>
      Promise.reject(new Error('not sequenced')),
    );
    await expect(broken.end('T')).rejects.toThrow('not sequenced');
  });
});
