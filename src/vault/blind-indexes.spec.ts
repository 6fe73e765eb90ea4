import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { IndexKey, indexKeyIdOf, plannedBits } from './blind-indexes.js';
import { intoKey } from './derivation.js';

describe('the bits of an index', () => {
  it('leave at least two values to each of its outputs, and less than four', () => {
    fc.assert(
      fc.property(fc.integer({ min: 16, max: 2 ** 33 }), (values) => {
        const left = values / 2 ** plannedBits(values);
        expect(left).toBeGreaterThanOrEqual(2);
        expect(left).toBeLessThan(4);
      }),
    );
    expect([100_000, 1_000_000, 10_000_000].map(plannedBits)).toEqual([15, 18, 22]);
    expect(() => plannedBits(15)).toThrow(RangeError);
  });

  it('are all that an index tells beside its key', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 32 }),
        fc.integer({ min: 1, max: 65_535 }),
        fc.string(),
        (bits, keyId, text) => {
          const index = new IndexKey(keyId, bits, intoKey(randomBytes(32))).indexOf('Patient.phone', text);
          const bytes = Math.ceil(bits / 8);
          expect(index).toHaveLength(2 + bytes);
          expect(indexKeyIdOf(index)).toBe(keyId);
          expect((index.at(-1) ?? 0) & ((1 << (bytes * 8 - bits)) - 1)).toBe(0);
        },
      ),
    );
  });

  it('are used: many values have every index there is', () => {
    const key = new IndexKey(1, 6, intoKey(randomBytes(32)));
    const found = new Set(Array.from({ length: 2_000 }, (_, at) => key.indexOf('a', String(at)).toString('hex')));
    expect(found.size).toBe(64);
  });
});
