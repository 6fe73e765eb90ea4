import type { DataGroup, MaskName } from '../kernel/attribute.js';
import { yearUnlessAged } from './mask-age.js';
import { firstGrapheme, maskName } from './mask-name.js';
import { maskIdentifier, maskPhone, maskRecordNumber } from './mask-number.js';
import { regionOf } from './mask-region.js';

export { ageBand, birthYearOf } from './mask-age.js';
export { regionOf };

/** What a mask may depend on beside the value. */
export interface MaskFacts {
  readonly now: Date;
  /** The subject's birth date: for anybody older than 89, no date shows its year. */
  readonly birthDate?: string | null;
  /** ISO 3166-1 code of the country that national spellings are read by. */
  readonly country?: string;
}

export type MaskValue = string | number | null;

/** What a text shows before anybody has scanned it for personal data. */
const WITHHELD = '[withheld]';

/** No field is longer; a longer value is not looked at. */
const LONGEST_VALUE = 8192;
/** RFC 5321, 4.5.3.1.3, without the angle brackets. */
const LONGEST_EMAIL = 254;
const EMAIL = /^([\p{L}\p{N}][^\s@"]*)@((?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+\p{L}{2,63})$/u;

/**
 * What a caller sees of a value under a mask. Total: whatever does not look like the kind of value that the mask is for
 * becomes null, and nothing throws. The number of stars never depends on the length of the value.
 */
export function applyMask(name: MaskName, value: MaskValue, facts: MaskFacts): MaskValue {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  if (typeof value === 'string' && value.length > LONGEST_VALUE) return null;
  try {
    return masked(name, value, facts);
  } catch {
    return null;
  }
}

function masked(name: MaskName, value: string | number, facts: MaskFacts): MaskValue {
  switch (name) {
    case 'M_NAME':
      return maskName(String(value));
    case 'M_PHONE':
      return maskPhone(String(value), facts.country);
    case 'M_EMAIL':
      return maskEmail(String(value));
    case 'M_ADDR':
      return regionOf(String(value), facts.country);
    case 'M_DOB':
      return maskDate(value, facts);
    case 'M_ID4':
      return maskIdentifier(String(value));
    case 'M_MRN4':
      return maskRecordNumber(String(value));
    case 'M_TEXT':
      return WITHHELD;
    case 'M_SAME':
      return value;
    default:
      return null;
  }
}

const RANKS: Readonly<Record<MaskName, number>> = {
  M_SAME: 0,
  M_NAME: 1,
  M_PHONE: 1,
  M_EMAIL: 1,
  M_ADDR: 1,
  M_DOB: 1,
  M_ID4: 1,
  M_MRN4: 1,
  M_TEXT: 2,
  M_DX: 3,
  M_NULL: 3,
};

/**
 * Strength of a mask, 0 the weakest. Different masks of rank 1 do not compare, for each knows only its own kind of value:
 * a policy may replace a field's default by the same mask or by one of a higher rank.
 */
export function maskRank(name: MaskName): number {
  return RANKS[name];
}

const SHAPES = [
  /^\S{1,4}\*{2,3}(?: \S{1,4}\*{3})?$/u,
  /^\d{3}\*{4}\d{4}$/u,
  /^\*+[0-9A-Z]{3,4}$/iu,
  /^\S{1,4}\*{3}@\S+$/u,
  /^\[withheld\]$/iu,
] as const;

/** Groups whose fields are prose or codes, where a star may be meant: `G63.2*` is a code of ICD-10. */
const STARRED_GROUPS: ReadonlySet<DataGroup> = new Set(['clinical', 'compartment', 'notes', 'feedback', 'marketing']);

/**
 * True for what a mask could have written: such a value in an input would destroy the value behind it when a form is
 * saved back. In prose and codes the whole value must have the shape of a mask; elsewhere any star tells. Years, States
 * and provinces are legitimate values and are not recognised: only a comparison with the stored value can tell those.
 */
export function looksMasked(value: string, group?: DataGroup): boolean {
  const text = value
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .trim();
  if (SHAPES.some((shape) => shape.test(text))) return true;
  return (group === undefined || !STARRED_GROUPS.has(group)) && text.includes('*');
}

/** `zhangsan@example.com` → `z***@example.com`. */
function maskEmail(value: string): string | null {
  if (value.length > LONGEST_EMAIL) return null;
  const match = EMAIL.exec(value.normalize('NFC').trim());
  return match === null ? null : `${firstGrapheme(match[1] ?? '')}***@${match[2]}`;
}

/** `1949-12-31` → `1949`, a FHIR partial date; a year that is a number stays one. Null above the age of 89. */
function maskDate(value: string | number, facts: MaskFacts): MaskValue {
  const text = String(value);
  const year = yearUnlessAged(text, facts.birthDate ?? text, facts.now);
  return year === null || typeof value === 'number' ? year : String(year);
}
