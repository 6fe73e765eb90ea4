import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { roundedDown, tableOf, type CountTable, type Dimension, type GroupSize } from './cell-suppression.js';

/** The tables that can be asked for: by nothing, by one dimension, by two. */
function askable(dimensions: number): number[][] {
  const positions = Array.from({ length: dimensions }, (_, index) => index);
  const pairs = positions.flatMap((one) => positions.filter((other) => other > one).map((other) => [one, other]));
  return [[], ...positions.map((one) => [one]), ...pairs];
}

function dimensionsOf(sizes: readonly number[]): Dimension[] {
  return sizes.map((size, position) => ({
    name: `d${position}`,
    values: Array.from({ length: size }, (_, index) => (index === 0 ? null : `v${index}`)),
  }));
}

/** The finest cells of some dimensions, in one order; empty ones too. */
function finest(dimensions: readonly Dimension[]): (string | null)[][] {
  return dimensions.reduce<(string | null)[][]>(
    (before, { values }) => before.flatMap((head) => values.map((value) => [...head, value])),
    [[]],
  );
}

/** What a caller hears who asks for everything. */
function published(dimensions: readonly Dimension[], counts: readonly number[], k: number): CountTable[] {
  const people: GroupSize[] = finest(dimensions).map((values, index) => ({ values, count: counts[index] ?? 0 }));
  const rounded = roundedDown(
    people.filter(({ count }) => count > 0),
    k,
  );
  return askable(dimensions.length).map((by) => tableOf(rounded, dimensions, by));
}

/** Every published number with the finest cells that it is about. */
function numbers(dimensions: readonly Dimension[], tables: readonly CountTable[]) {
  const cells = finest(dimensions);
  const names = dimensions.map(({ name }) => name);
  return tables.flatMap((table) => [
    { count: table.total, members: cells.map((_, index) => index) },
    ...table.cells.map(({ values, count }) => ({
      count,
      members: cells.flatMap((cell, index) =>
        values.every(({ dimension, value }) => cell[names.indexOf(dimension)] === value) ? [index] : [],
      ),
    })),
  ]);
}

/**
 * Bounds of every finest cell for somebody who knows the rules, k and every published number: that a number r over m cells
 * stands for r to r + m(k - 1) people. Narrowed until nothing moves.
 */
function attacked(dimensions: readonly Dimension[], tables: readonly CountTable[], k: number) {
  const bounds = finest(dimensions).map(() => ({ low: 0, high: Infinity }));
  for (let moved = true; moved;) {
    moved = false;
    for (const { count, members } of numbers(dimensions, tables)) {
      const [least, most] = [count ?? 0, (count ?? 0) + members.length * (k - 1)];
      for (const member of members) {
        const others = members.filter((one) => one !== member).map((one) => bounds[one] as (typeof bounds)[0]);
        const low = least - others.reduce((sum, one) => sum + one.high, 0);
        const high = most - others.reduce((sum, one) => sum + one.low, 0);
        const own = bounds[member] as (typeof bounds)[0];
        if (low > own.low) [own.low, moved] = [low, true];
        if (high < own.high) [own.high, moved] = [high, true];
      }
    }
  }
  return bounds;
}

const count = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 60 }), fc.constant(0));
const world = fc
  .tuple(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }), fc.integer({ min: 11, max: 20 }))
  .chain(([sizes, k]) => {
    const cells = sizes.reduce((product, size) => product * size, 1);
    return fc.record({
      dimensions: fc.constant(dimensionsOf(sizes)),
      k: fc.constant(k),
      counts: fc.array(count, { minLength: cells, maxLength: cells }),
    });
  });

describe('numbers about groups', () => {
  it('leave, of all people that there could be, k possibilities of every cell and of every union of cells', () => {
    const [k, most] = [3, 5];
    const dimensions = dimensionsOf([2, 2]);
    const worlds = Array.from({ length: (most + 1) ** 4 }, (_, index) =>
      [0, 1, 2, 3].map((cell) => Math.floor(index / (most + 1) ** cell) % (most + 1)),
    );
    const alike = Map.groupBy(worlds, (counts) => JSON.stringify(published(dimensions, counts, k)));
    expect(alike.size).toBe(2 ** 4);
    for (const possible of alike.values()) {
      for (let union = 1; union < 16; union++) {
        const sums = possible.map((counts) =>
          counts.reduce((sum, size, cell) => sum + ((union & (1 << cell)) === 0 ? 0 : size), 0),
        );
        expect(Math.max(...sums) - Math.min(...sums)).toBeGreaterThanOrEqual(k - 1);
      }
    }
  });

  it('pin no cell to fewer than k possibilities, over all tables that can be asked for', () => {
    fc.assert(
      fc.property(world, ({ dimensions, k, counts }) => {
        const bounds = attacked(dimensions, published(dimensions, counts, k), k);
        bounds.forEach(({ low, high }, cell) => {
          const size = counts[cell] ?? 0;
          // The attacker is not fooling himself: what he knows is true.
          expect(low <= size && size <= high).toBe(true);
          expect(high - low).toBeGreaterThanOrEqual(k - 1);
          if (size < k) expect(low).toBe(0);
        });
      }),
    );
  });

  it('are about k people or more, and a total minus the others is nothing that was left out', () => {
    fc.assert(
      fc.property(world, ({ dimensions, k, counts }) => {
        const tables = published(dimensions, counts, k);
        const known = numbers(dimensions, tables);
        for (const { count: size, members } of known) {
          expect(size === null || (size >= k && size % k === 0)).toBe(true);
          const people = members.reduce((sum, cell) => sum + (counts[cell] ?? 0), 0);
          expect(size ?? 0).toBeLessThanOrEqual(people);
        }
        for (const { cells, total, suppressedCells } of tables) {
          if (cells.length > 0) expect(cells.reduce((sum, one) => sum + (one.count ?? 0), 0)).toBe(total ?? 0);
          expect(suppressedCells).toBe(cells.filter((one) => one.count === null).length);
        }
        // Margins that are asked for alone are the sums of the cells that are asked for together.
        for (const margin of known) {
          const parts = known.filter(
            ({ members }) =>
              members.length < margin.members.length && members.every((one) => margin.members.includes(one)),
          );
          for (const { count: part } of parts) expect(part ?? 0).toBeLessThanOrEqual(margin.count ?? 0);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('list the same cells whoever is counted, and move by k or not at all when one person comes', () => {
    fc.assert(
      fc.property(world, fc.nat(), ({ dimensions, k, counts }, chosen) => {
        const cell = chosen % counts.length;
        const more = counts.with(cell, (counts[cell] ?? 0) + 1);
        const [before, after] = [counts, more].map((one) => numbers(dimensions, published(dimensions, one, k)));
        expect(after?.map(({ members }) => members)).toEqual(before?.map(({ members }) => members));
        const moves = new Set(before?.map((one, index) => (after?.[index]?.count ?? 0) - (one.count ?? 0)));
        expect([...moves].filter((move) => move !== 0 && move !== k)).toEqual([]);
        expect(moves.has(k)).toBe((more[cell] ?? 0) % k === 0);
      }),
    );
  });
});
