import { pinyin } from 'pinyin-pro';

/** A Chinese part of a name, in letters: each null where a character has no reading. */
export interface Reading {
  /** All syllables without a space: `wangxiaoming`. */
  readonly full: string;
  /** The first letter of each syllable: `wxm`. */
  readonly initials: string;
  /** The syllables of the family name: `wang`, `ouyang`. */
  readonly surname: string;
}

/** A name or a part of one, in the one spelling in which names are compared. */
export interface NameForm {
  /** Consecutive Chinese characters. */
  readonly runs: readonly (readonly string[])[];
  /** Words of other scripts, without case, diacritics, hyphens and apostrophes; of `Anne-Marie` both halves and the whole. */
  readonly words: readonly string[];
  /** All that is not Chinese, without anything between. */
  readonly letters: string;
}

const BETWEEN_HAN = /(?<=\p{Script=Han})[\s\p{P}]+(?=\p{Script=Han})/gu;
const MARKS = /\p{M}/gu;
/** What joins the halves of a word: apostrophes, hyphens and the dots of transliterated names. */
const JOINTS = /['’‘ʼ`´\-‐‑‒–·・•]/u;
const SEPARATORS = /[^\p{L}\p{N}'’‘ʼ`´\-‐‑‒–·・•]+/u;
/** Letters that are no letter with a mark, as they are written where they are not on the keyboard. */
const LETTERS: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ı: 'i',
  ŋ: 'n',
  ς: 'σ',
};
const SPECIAL = new RegExp(`[${Object.keys(LETTERS).join('')}]`, 'gu');
/** Family names of two characters. */
const COMPOUND = new Set(
  (
    '欧阳 歐陽 太史 端木 上官 司马 司馬 东方 東方 独孤 獨孤 南宫 南宮 万俟 闻人 聞人 夏侯 诸葛 諸葛 尉迟 尉遲 公羊 赫连 赫連 ' +
    '澹台 澹臺 皇甫 宗政 濮阳 濮陽 公冶 太叔 申屠 公孙 公孫 慕容 仲孙 仲孫 钟离 鍾離 长孙 長孫 宇文 司徒 鲜于 鮮于 司空 闾丘 閭丘 ' +
    '子车 子車 亓官 司寇 巫马 巫馬 公西 颛孙 顓孫 壤驷 壤駟 公良 漆雕 乐正 樂正 宰父 谷梁 穀梁 拓跋 夹谷 夾谷 轩辕 軒轅 令狐 ' +
    '段干 百里 呼延 东郭 東郭 南门 南門 羊舌 微生 公户 公戶 梁丘 左丘 东门 東門 西门 西門 第五 叱干 耶律 完颜 完顏'
  ).split(' '),
);

/** Full-width letters, composed and decomposed ones, capitals and diacritics are one and the same. */
export function nameForm(name: string): NameForm {
  const text = folded(name).replace(BETWEEN_HAN, '');
  const runs = [...text.matchAll(/\p{Script=Han}+/gu)].map(([run]) => [...run]);
  const words = new Set<string>();
  const others = text.replaceAll(/\p{Script=Han}+/gu, ' ');
  for (const word of others.split(SEPARATORS)) {
    const halves = word.split(JOINTS).filter((half) => half !== '');
    for (const half of halves) words.add(half);
    if (halves.length > 1) words.add(halves.join(''));
  }
  return { runs, words: [...words], letters: others.replaceAll(/[^\p{L}\p{N}]+/gu, '') };
}

/** How a run of Chinese characters is read when it is a name: the family name comes first, by its own reading. */
export function readingOf(run: readonly string[]): Reading | null {
  const syllables = pinyin(run.join(''), { toneType: 'none', type: 'array', surname: 'head' }).map(spelling);
  if (syllables.length !== run.length || !syllables.every((one) => /^[a-z]+$/u.test(one))) return null;
  const length = run.length > 2 && COMPOUND.has(run.slice(0, 2).join('')) ? 2 : 1;
  return {
    full: spelling(syllables.join('')),
    initials: syllables.map((one) => one.charAt(0)).join(''),
    surname: spelling(syllables.slice(0, length).join('')),
  };
}

/** One spelling of ü, which is typed as ü, v, yu and u. */
export function spelling(letters: string): string {
  return folded(letters).replaceAll(/([ln])(?:v|yu)/gu, '$1u');
}

function folded(text: string): string {
  const plain = text.normalize('NFKC').toLowerCase().normalize('NFKD').replaceAll(MARKS, '');
  return plain.replaceAll(SPECIAL, (letter) => LETTERS[letter] ?? letter).normalize('NFC');
}
