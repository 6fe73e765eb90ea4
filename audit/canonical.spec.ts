import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalize } from './canonical.mjs';
import { itWithVectors, vectors } from './vectors.js';

describe('canonical JSON', () => {
  itWithVectors('writes the vectors of RFC 8785', () => {
    const inputs = vectors.list('jcs-rfc8785/input', '.json');
    expect(inputs).toHaveLength(6);
    for (const input of inputs) {
      const expected = vectors.text(input.replace('input', 'output'));
      expect(canonicalize(JSON.parse(vectors.text(input)))).toBe(expected);
      const hex = vectors.text(input.replace('input', 'outhex').replace('.json', '.txt')).replaceAll(/\s/g, '');
      expect(Buffer.from(canonicalize(JSON.parse(vectors.text(input)))).toString('hex')).toBe(hex);
    }
  });

  it('keeps the value and does not depend on the order of members', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 8 });
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), fc.dictionary(text, fc.integer()), (value, members) => {
        const canonical = canonicalize(value);
        expect(canonicalize(JSON.parse(canonical))).toBe(canonical);
        expect(JSON.parse(canonical)).toEqual(JSON.parse(JSON.stringify(value)));
        const reversed = Object.fromEntries(Object.entries(members).reverse());
        expect(canonicalize(reversed)).toBe(canonicalize(members));
      }),
      { numRuns: 500 },
    );
  });

  it('sorts by UTF-16 code units, not by code points', () => {
    expect(canonicalize({ '\ufb33': 1, '\u{1f600}': 2, b: 3, a: 4 })).toBe('{"a":4,"b":3,"\u{1f600}":2,"\ufb33":1}');
  });

  it.each([
    ['NaN', NaN],
    ['an infinite number', Infinity],
    ['a lone surrogate', '\ud800'],
    ['a lone surrogate in a name', { '\udc00': 1 }],
    ['undefined', { a: undefined }],
    ['a hole', [, 1]], // eslint-disable-line no-sparse-arrays
    ['bigint', 1n],
    ['a function', () => 1],
    ['a symbol', Symbol('a')],
    ['a date', new Date(0)],
    ['a map', new Map()],
    ['bytes', Buffer.of(1)],
  ])('refuses %s', (_, value) => {
    expect(() => canonicalize(value)).toThrow(TypeError);
  });
});
