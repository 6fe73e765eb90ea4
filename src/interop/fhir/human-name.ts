import type { Element } from './element.js';

/** Names are written without a space where every letter of them is of these scripts. */
const CJK = /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}〇·・ー]+$/u;
/** Best first. A name of another use (old, maiden, nickname, temp, anonymous) is taken only when there is no better. */
const USES: readonly (string | null)[] = ['official', 'usual', null];

/**
 * The name of a person on one line, of the names that FHIR gives: the text as it stands, else family and given name in the
 * order of their script. Prefixes (`Dr.`) are no part of a name.
 */
export function nameOf(names: readonly Element[]): string | null {
  const ranked = names
    .map((name) => ({ text: lineOf(name), rank: rankOf(name) }))
    .filter((one) => one.text !== '')
    .sort((a, b) => a.rank - b.rank);
  return ranked[0]?.text ?? null;
}

function rankOf(name: Element): number {
  const index = USES.indexOf(name.text('use'));
  return index === -1 ? USES.length : index;
}

function lineOf(name: Element): string {
  const text = name.line('text');
  if (text !== null) return withoutPrefixes(text, name.texts('prefix'));
  const family = name.line('family') ?? '';
  const given = name.texts('given');
  const whole = [family, ...given].join('');
  if (CJK.test(whole)) return whole;
  return [...given, family].filter((part) => part !== '').join(' ');
}

function withoutPrefixes(text: string, prefixes: readonly string[]): string {
  const prefix = prefixes.find((one) => text.startsWith(`${one} `));
  return prefix === undefined ? text : withoutPrefixes(text.slice(prefix.length + 1).trim(), prefixes);
}
