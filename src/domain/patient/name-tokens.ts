import { nameForm, readingOf, spelling, type NameForm } from './name-form.js';

/** A name has no more tokens than this: of a longer one the beginning is found. */
const MOST_TOKENS = 60;
/** Beginnings of a word that have a token, in letters. */
const BEGINNINGS = [2, 3, 4, 6] as const;
/** Of the tokens that a searched word's beginnings have, these are asked for: the longest say most. */
const ASKED_BEGINNINGS = 2;
const LONGEST_SURNAME = 8;
const LONGEST_INITIALS = 6;

/**
 * Every token of a name: its Chinese characters and pairs of neighbours, their reading in full, its initials and that of
 * the family name, and the beginnings of the words of other scripts. Equal parts of two names give equal tokens.
 */
export function nameTokens(name: string): readonly string[] {
  const { runs, words } = nameForm(name);
  const tokens = new Set<string>();
  for (const run of runs) {
    for (const token of characters(run)) tokens.add(token);
    const reading = readingOf(run);
    if (reading === null) continue;
    tokens.add(`full ${reading.full}`).add(`initials ${reading.initials}`).add(`surname ${reading.surname}`);
  }
  for (const word of words) for (const token of beginnings(word)) tokens.add(token);
  return [...tokens].slice(0, MOST_TOKENS);
}

/**
 * The tokens of names that may be the one that is searched, in alternatives: a name that matches has all tokens of one of
 * them. Letters may be the beginning of a word or, of a Chinese name, the whole reading, its initials or the family name.
 * Empty where nothing of the text can be searched for.
 */
export function wantedTokens(query: NameForm): readonly (readonly string[])[] {
  const common = query.runs.flatMap(characters);
  const words = query.words.flatMap((word) => beginnings(word).slice(-ASKED_BEGINNINGS));
  const alternatives: (readonly string[])[] = [];
  if (words.length > 0 || (query.words.length === 0 && common.length > 0)) alternatives.push([...common, ...words]);
  const letters = lettersOf(query);
  if (letters === null) return alternatives;
  alternatives.push([`surname ${letters}`]);
  if (letters.length <= LONGEST_INITIALS) alternatives.push([`initials ${letters}`]);
  // With the family name beside it, because one token alone is that of many other names too.
  for (let end = 1; end <= Math.min(LONGEST_SURNAME, letters.length); end += 1) {
    alternatives.push([`full ${letters}`, `surname ${letters.slice(0, end)}`]);
  }
  return alternatives;
}

/** Whether a name is one that the query means: what `wantedTokens` finds, without the coincidences. */
export function nameMatches(name: string, query: NameForm): boolean {
  const { runs, words } = nameForm(name);
  const texts = runs.map((run) => run.join(''));
  if (!query.runs.every((run) => texts.some((text) => text.includes(run.join(''))))) return false;
  if (query.words.every((word) => words.some((one) => one.startsWith(word)))) return true;
  const letters = lettersOf(query);
  return (
    letters !== null &&
    runs.some((run) => {
      const reading = readingOf(run);
      return reading !== null && [reading.full, reading.initials, reading.surname].includes(letters);
    })
  );
}

/** What may be typed of a Chinese name in letters, with or without spaces; null for anything else. */
function lettersOf({ runs, letters }: NameForm): string | null {
  return runs.length === 0 && /^[a-z]{1,60}$/u.test(letters) ? spelling(letters) : null;
}

function characters(run: readonly string[]): string[] {
  return run.flatMap((character, at) => {
    const next = run[at + 1];
    return next === undefined ? [`han ${character}`] : [`han ${character}`, `han ${character}${next}`];
  });
}

function beginnings(word: string): string[] {
  const letters = [...word];
  const lengths = BEGINNINGS.filter((length) => length <= letters.length);
  return lengths.map((length) => `word ${letters.slice(0, length).join('')}`);
}
