/** A longer word is compared with none: each comparison takes the product of both lengths. */
const LONGEST_WORD = 100;
/** More known words than this are not listed in a message. */
const LONGEST_LIST = 25;

/**
 * What a message says after a wrong word: the known word that is nearly it, else all of them where they are few. Begins
 * with a space; empty where there is nothing to say.
 */
export function insteadOf(word: string, known: Iterable<string>): string {
  const words = [...known];
  const near = nearest(word, words);
  if (near !== null) return ` Did you mean "${near}"?`;
  return words.length === 0 || words.length > LONGEST_LIST ? '' : ` Known: ${words.join(', ')}.`;
}

/** The one that takes the fewest changes of a letter, of a third of the letters at most; case is none. */
function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const one of known) {
    if (Math.abs(one.length - word.length) >= least || word.length > LONGEST_WORD) continue;
    const changes = distance(word.toLowerCase(), one.toLowerCase());
    if (changes < least) [best, least] = [one, changes];
  }
  return best;
}

/** Letters that are added, left out, replaced, or swapped with their neighbour (optimal string alignment). */
function distance(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, index) => index)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Infinity;
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    rows.push(current);
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1] ? 0 : 1;
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current.push(
        Math.min(
          at(row - 1, column - 1) + same,
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          swapped ? at(row - 2, column - 2) + 1 : Infinity,
        ),
      );
    }
  }
  return at(from.length, to.length);
}
