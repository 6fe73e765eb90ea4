import { CN_PROVINCES, COUNTRIES, US_STATES } from './mask-regions.js';

const PROVINCE_OF = new Map(CN_PROVINCES.flatMap(([name, ...others]) => [name, ...others].map((s) => [s, name])));
const STATE_OF = new Map(US_STATES.flatMap(([code, name]) => [code, name.toUpperCase()].map((s) => [s, code])));
const COUNTRY_OF = new Map(
  COUNTRIES.flatMap(([code, name, ...others]) =>
    [code, name.toUpperCase(), ...others.map((s) => s.toUpperCase())].map((s) => [s, name]),
  ),
);

/**
 * A province at the start of an address. A short form must not be the start of something else: 北京西路 is a street in
 * many towns, 海南藏族自治州 lies in 青海省.
 */
const PROVINCE = new RegExp(
  `^(?:中国|中华人民共和国|中國)?\\s*(?:(${alternatives(CN_PROVINCES.flat().filter(isFullName))})|` +
    `(${alternatives(CN_PROVINCES.flat().filter((spelling) => !isFullName(spelling)))})` +
    '(?![东南西北中東]?[一二三四五]?[路街道巷里]|大[街道]|藏族))',
  'u',
);
const ZIP_AT_END = /[\s,]+\d{5}(?:-\d{4})?$/u;
const US_AT_END = /[\s,]+(?:US|USA|United States(?: of America)?)$/iu;
const STATE_AT_END = new RegExp(`(?:^|[\\s,])(${alternatives(US_STATES.map(([, name]) => name))}|[A-Z]{2})$`, 'iu');

/**
 * Province, municipality or State of an address, else its country, from closed tables: whatever the address is, nothing
 * of it but a name in a table comes out. Chinese addresses yield the full name (`北京市`), US ones the postal code
 * (`CA`), others the English name of a country that stands as the last part after a comma. Null where none is found.
 *
 * @param country ISO 3166-1 code of where the address is from, where known: keeps `DE` from being read as Delaware.
 */
export function regionOf(address: string, country?: string): string | null {
  const text = address.normalize('NFKC').trim();
  return provinceOf(text) ?? (country === undefined || country === 'US' ? stateOf(text) : null) ?? countryOf(text);
}

function provinceOf(text: string): string | null {
  const match = PROVINCE.exec(text);
  return PROVINCE_OF.get(match?.[1] ?? match?.[2] ?? '') ?? null;
}

/** The State stands at the end, before ZIP code and country. Without a ZIP code, its two letters must be capitals. */
function stateOf(text: string): string | null {
  const local = text.replace(US_AT_END, '');
  const withoutZip = local.replace(ZIP_AT_END, '');
  const spelling = STATE_AT_END.exec(withoutZip)?.[1];
  if (spelling === undefined) return null;
  const sure = withoutZip !== local || spelling.length > 2 || spelling === spelling.toUpperCase();
  return sure ? (STATE_OF.get(spelling.toUpperCase()) ?? null) : null;
}

function countryOf(text: string): string | null {
  const last = text.slice(text.lastIndexOf(',') + 1).trim();
  return COUNTRY_OF.get(last.toUpperCase()) ?? null;
}

function isFullName(spelling: string): boolean {
  return /[省市区區]$/u.test(spelling);
}

/** Longest first: `Virginia` must not win over `West Virginia`. */
function alternatives(names: readonly string[]): string {
  return [...names].sort((a, b) => b.length - a.length).join('|');
}
