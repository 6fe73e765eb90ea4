import { COMPARTMENT_DEPARTMENTS, COMPARTMENT_RANGES, ICD_10_CHAPTERS, type CompartmentLabel } from './icd-10.js';

/** What a diagnosis falls under; UNMAPPED where nobody can tell, which is kept from all but the treating team. */
export type Compartment = 'NONE' | CompartmentLabel | 'UNMAPPED';

/** `ICD-10`, `icd10`, the FHIR system URLs and national editions (`-cm`, `-cn`, `-gm`, `-am` …), never ICD-10-PCS. */
const ICD_10_SYSTEM = /^(?:https?:\/\/(?:[a-z0-9-]+\.)+[a-z]+\/(?:[a-z0-9.-]+\/)*)?icd-?10(?:-(?!pcs)[a-z]{2,3})?$/u;
/**
 * A category, a subcategory with or without its point, national digits (`E11.900x001`), a dagger or an asterisk. The
 * third place holds a letter only in ICD-10-CM (`C7A`, `Z3A`).
 */
const CODE = /^([A-Z]\d[0-9AB])(?:\.?([0-9A-Z]{1,9}))?[*+†]?$/u;

/** The special compartment of a code. Codes of other systems, malformed codes and unassigned ones are UNMAPPED. */
export function compartmentOf(codeSystem: string, code: string): Compartment {
  if (!ICD_10_SYSTEM.test(codeSystem.normalize('NFKC').trim().toLowerCase())) return 'UNMAPPED';
  const parts = partsOf(code);
  if (parts === null || chapterTitle(parts.category) === null) return 'UNMAPPED';
  return labelOf(parts);
}

/**
 * The label of what falls under two: a compartment before UNMAPPED, and that before NONE. Of two compartments the first, for
 * none is stricter than another.
 */
export function stricterLabel(one: Compartment, other: Compartment): Compartment {
  if (one === 'NONE') return other;
  return one === 'UNMAPPED' && other !== 'NONE' ? other : one;
}

/** Title of the ICD-10 chapter of a code; null for a code of a compartment and for what is no code of ICD-10. */
export function icdChapterOf(code: string): string | null {
  const parts = partsOf(code);
  return parts === null || labelOf(parts) !== 'NONE' ? null : chapterTitle(parts.category);
}

/** The compartment that a visit to a department tells by itself: names in English and Chinese. */
export function compartmentOfDepartment(text: string): 'NONE' | CompartmentLabel {
  const words = ` ${text
    .normalize('NFKD')
    .replace(/[\p{M}\p{Cf}]+/gu, '')
    .toLowerCase()
    .replace(/[\s\p{P}\p{S}]+/gu, ' ')} `;
  // Both as they stand and without gaps: `H.I.V.` and `H I V` are an abbreviation, and `感 染 科` is a word.
  const texts = [words, words.replace(SPELT, abbreviationsIn), words.replace(GAP, '')];
  const found = COMPARTMENT_DEPARTMENTS.find(([, names]) =>
    names.some((name) => texts.some((one) => one.includes(/^[a-z]/u.test(name) ? ` ${name}` : name))),
  );
  return found?.[0] ?? 'NONE';
}

/** Letters that stand alone, one after the other. */
const SPELT = /(?<= )[a-z](?: [a-z])+(?= )/gu;
/** The longest abbreviation among the names of departments. */
const LONGEST_ABBREVIATION = 4;

/** Every word that some of them in a row could be: nobody can tell where one abbreviation ends and the next begins. */
function abbreviationsIn(letters: string): string {
  const spelt = letters.replaceAll(' ', '');
  const words = Array.from(spelt, (_, start) =>
    Array.from({ length: LONGEST_ABBREVIATION }, (__, more) => spelt.slice(start, start + more + 1)),
  );
  return words.flat().join(' ');
}

/** Between Chinese characters. */
const GAP = /(?<=\p{Script=Han}) (?=\p{Script=Han})/gu;

interface CodeParts {
  readonly category: string;
  /** Category and what follows, without the point. */
  readonly whole: string;
}

function partsOf(code: string): CodeParts | null {
  const match = CODE.exec(code.normalize('NFKC').trim().toUpperCase());
  const category = match?.[1];
  return category === undefined ? null : { category, whole: category + (match?.[2] ?? '') };
}

/** Categories compare as text: digits come before letters, in the code as in ICD-10-CM's order (`Z39` before `Z3A`). */
function labelOf({ category, whole }: CodeParts): 'NONE' | CompartmentLabel {
  const range = COMPARTMENT_RANGES.find(([first, last]) =>
    first.length > category.length ? whole.startsWith(first) : first <= category && category <= last,
  );
  return range?.[2] ?? 'NONE';
}

function chapterTitle(category: string): string | null {
  const chapter = ICD_10_CHAPTERS.find(([first, last]) => first <= category && category <= last);
  return chapter === undefined ? null : `${chapter[2]} (chapter)`;
}
