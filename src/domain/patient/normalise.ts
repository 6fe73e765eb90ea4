import { type CountryCode, isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js/core';
import metadata from 'libphonenumber-js/min/metadata';

/** `手机：`, `Tel.` and the like before the number. */
const LABEL = /^[\p{L}\s.:]+/u;
/** Extensions in English, German and Chinese: the blind index knows only the line. */
const EXTENSION = /(?:转|轉|分机|分機|ext\.?|extension|x|dw)\s*\d+\s*$/iu;
const SEPARATORS = /[\s\-./()]/gu;
const GENERAL_NUMBER = /^[0-9A-Z]{4,20}$/u;
const CN_RESIDENT = /^\d{17}[\dX]$/u;
const CN_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2] as const;
const CN_CHECK_CHARACTERS = '10X98765432';
const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

/**
 * One spelling for one telephone number: E.164 (`+8613812345678`), null when its length is not possible in its country.
 * Full-width digits and Chinese labels are read; an extension is left out.
 *
 * @param defaultCountry ISO 3166-1 code of the country whose national spelling is meant when there is no country code.
 */
export function normalisePhone(value: string, defaultCountry: string): string | null {
  const text = value.normalize('NFKC').trim().replace(LABEL, '').replace(EXTENSION, '').trim();
  const international = text.startsWith('00') ? `+${text.slice(2)}` : text;
  const named = defaultCountry as CountryCode;
  const country = isSupportedCountry(named, metadata) ? named : undefined;
  const parsed = parsePhoneNumberFromString(international, { defaultCountry: country, extract: false }, metadata);
  return parsed?.isPossible() === true ? parsed.number : null;
}

/** The last four digits of a telephone number, by which people recognise one; null where {@link normalisePhone} has none. */
export function phoneSuffix(value: string, defaultCountry: string): string | null {
  return normalisePhone(value, defaultCountry)?.slice(-4) ?? null;
}

/**
 * One spelling for one national number: capitals and digits without separators (`11010519491231002X`, `999238054`).
 * A Chinese number of 18 must have a true check character (GB 11643-1999, ISO 7064 MOD 11-2) and a birth date that
 * exists; of other numbers only the length is known: 4 to 20 letters and digits, else null.
 */
export function normaliseNationalId(value: string): string | null {
  const text = value.normalize('NFKC').trim().toUpperCase().replace(SEPARATORS, '');
  if (!GENERAL_NUMBER.test(text)) return null;
  return CN_RESIDENT.test(text) && !isCnResident(text) ? null : text;
}

function isCnResident(text: string): boolean {
  const sum = CN_WEIGHTS.reduce((total, weight, index) => total + weight * Number(text[index]), 0);
  return CN_CHECK_CHARACTERS[sum % 11] === text[17] && isDate(text.slice(6, 14));
}

/** `YYYYMMDD` of the 19th to 21st century that exists in the calendar. */
function isDate(text: string): boolean {
  const [year, month, day] = [Number(text.slice(0, 4)), Number(text.slice(4, 6)), Number(text.slice(6, 8))];
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 && !leap ? 28 : (MONTH_DAYS[month - 1] ?? 0);
  return year >= 1850 && year < 2100 && day >= 1 && day <= days;
}
