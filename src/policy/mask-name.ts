/** Scripts written without spaces, where the first character of a name is shown and no second word exists. */
const CJK = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Script=Yi}]/u;
const LETTER = /\p{L}/u;
const SPACE = /\s+/u;
/** A longer cluster would carry hidden marks or a whole ligature of text: then only its first code point is shown. */
const CLUSTER_CODE_POINTS = 4;
/** Enough of a word to hold its first cluster. */
const WORD_START = 24;
/** A letter that nothing can join to what follows: the usual case, without the segmenter's 3 µs. */
const PLAIN = /^[A-Za-z\u4e00-\u9fff](?=[ -~\u4e00-\u9fff]|$)/u;
const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });

/**
 * `王小明` → `王**`, `John Smith` → `J*** S***`, `买买提·艾力` → `买**`. A name in a CJK script shows its first character,
 * whatever follows. Any other shows the first letter of its first and of its last word: at most two, so that four
 * names or two cannot be told apart. Null where there is no letter.
 */
export function maskName(name: string): string | null {
  const words = name.normalize('NFC').trim().split(SPACE);
  const initials: string[] = [];
  for (const word of words) {
    const at = word.search(LETTER);
    if (at < 0) continue;
    const initial = firstGrapheme(word.slice(at, at + WORD_START));
    if (initials.length === 0 && CJK.test(initial)) return `${initial}**`;
    initials[Math.min(initials.length, 1)] = initial;
  }
  return initials.length === 0 ? null : initials.map((initial) => `${initial}***`).join(' ');
}

/** The first character as a reader sees it: a surrogate pair or a letter with its marks counts as one. */
export function firstGrapheme(text: string): string {
  if (PLAIN.test(text)) return text.charAt(0);
  const grapheme = graphemes.segment(text).containing(0)?.segment ?? '';
  const codePoints = [...grapheme];
  return codePoints.length > CLUSTER_CODE_POINTS ? (codePoints[0] ?? '') : grapheme;
}
