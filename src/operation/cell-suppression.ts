/*
 * Numbers about groups of people that tell nothing of fewer than k of them, however they are put together.
 *
 * People are put into the finest groups once, by all dimensions that a decision allows: the partition. The size of each of
 * its cells is rounded down to a multiple of k; a cell of fewer than k is none. Only then are numbers made: every cell,
 * margin and total that can be asked for is a sum of rounded cells. What somebody knows who has asked for everything is the
 * rounded cells at most, and of a cell that is rounded to r he knows that it holds r to r + k - 1 people: not fewer
 * possibilities than that, whichever tables he adds and subtracts. People who are left out of a cell are left out of every
 * margin, so that a total minus the others is what is published already. There is no complementary cell to choose, and so
 * nothing to be learned from the choice.
 *
 * - An empty cell and one of fewer than k are the same: null. Which cells are listed depends on the calendar and on closed
 *   tables of values, never on the people.
 * - Numbers are too small by the remainders: they say "at least so many". That is the price.
 * - Time, other roles, other policies: two counts of a cell that differ, differ by multiples of k. Whoever sees a number
 *   change knows that its cell went over a multiple of k between the two, by any number of people; that one person alone
 *   made the difference he knows only who knows that nobody else came or went. Counts are a day apart at least
 *   (count-snapshot.store.ts), so that no change can be laid to one event. No filter, no account and no hour changes who
 *   is counted (src/policy/permit.ts), so that nobody can choose the people who make a difference.
 * - Collusion: roles of different predicates (consent to marketing, consent to research) see different people in the same
 *   cells. Together they know how many more agreed to one than to the other, within k - 1 in each direction for every cell.
 *   Whoever reads rows, and so knows an exact number of people, learns the sum of all remainders by it: where that is small,
 *   how few are missing altogether, not in which of the cells they are.
 */

/** People in one group: a value for each dimension, null where it is not known or none of the listed ones. */
export interface GroupSize {
  readonly values: readonly (string | null)[];
  readonly count: number;
}
export interface Dimension {
  readonly name: string;
  /** Every value that a cell can have, in the order in which they are listed. */
  readonly values: readonly (string | null)[];
}

export interface CountCell {
  readonly values: readonly { readonly dimension: string; readonly value: string | null }[];
  /** At least so many people, a multiple of k. Null: fewer than k, or nobody, in every finest group of the cell. */
  readonly count: number | null;
}
export interface CountTable {
  readonly cells: readonly CountCell[];
  readonly total: number | null;
  readonly suppressedCells: number;
}

/** The partition as it may be known: sizes are multiples of k, and what is smaller than k is gone. */
export function roundedDown(partition: readonly GroupSize[], k: number): GroupSize[] {
  return partition
    .map(({ values, count }) => ({ values, count: count - (count % k) }))
    .filter(({ count }) => count > 0);
}

/**
 * The table of a rounded partition by some of its dimensions: one cell for each combination of their values.
 * @param by positions in `dimensions`
 */
export function tableOf(
  rounded: readonly GroupSize[],
  dimensions: readonly Dimension[],
  by: readonly number[],
): CountTable {
  const sums = new Map<string, number>();
  for (const { values, count } of rounded) {
    const key = JSON.stringify(by.map((position) => values[position] ?? null));
    sums.set(key, (sums.get(key) ?? 0) + count);
  }
  const asked = by.map((position) => dimensions[position] as Dimension);
  const cells =
    by.length === 0
      ? []
      : combinations(asked.map(({ values }) => values)).map((values): CountCell => ({
          values: asked.map(({ name }, index) => ({ dimension: name, value: values[index] ?? null })),
          count: sums.get(JSON.stringify(values)) ?? null,
        }));
  const total = rounded.reduce((sum, { count }) => sum + count, 0);
  return {
    cells,
    total: total === 0 ? null : total,
    suppressedCells: cells.filter(({ count }) => count === null).length,
  };
}

function combinations(lists: readonly (readonly (string | null)[])[]): (string | null)[][] {
  return lists.reduce<(string | null)[][]>(
    (before, list) => before.flatMap((values) => list.map((value) => [...values, value])),
    [[]],
  );
}
