import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { GAP_GRACE_MILLISECONDS, WriterNumbers } from './writers.mjs';

describe('numbers of a writer', () => {
  it('in any order: what is missing below the highest is a gap, and nothing else is', () => {
    const order = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(order, order, (mine, other) => {
        const numbers = new WriterNumbers();
        const all = [...mine.map((number) => ['a', number] as const), ...other.map((number) => ['b', number] as const)];
        all.forEach(([writer, number], index) => expect(numbers.of(writer).take(number, index, 0)).toBe(true));
        for (const [writer, number] of all) expect(numbers.of(writer).take(number, 0, 0)).toBe(false);
        const missing = (taken: number[]) =>
          Array.from({ length: Math.max(...taken) }, (_, at) => at + 1).filter((number) => !taken.includes(number));
        for (const [writer, taken] of [
          ['a', mine],
          ['b', other],
        ] as const) {
          const found = numbers
            .openGaps()
            .filter((gap) => gap.writer === writer)
            .flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, at) => from + at));
          expect(found.sort((a, b) => a - b)).toEqual(missing(taken));
        }
      }),
    );
  });

  it('a gap settles when the same writer goes on for longer than an operation can take', () => {
    const numbers = new WriterNumbers();
    const settled = () => numbers.openGaps().map((gap) => gap.settled);
    numbers.of('a').take(2, 0, 1_000);
    numbers.of('b').take(1, 1, 9e9);
    expect(settled()).toEqual([false]);
    numbers.of('a').take(3, 2, 1_000 + GAP_GRACE_MILLISECONDS);
    expect(settled()).toEqual([false]);
    numbers.of('a').take(4, 3, 1_001 + GAP_GRACE_MILLISECONDS);
    expect(settled()).toEqual([true]);
    numbers.of('a').take(1, 4, 1_000);
    expect(settled()).toEqual([]);
  });
});
