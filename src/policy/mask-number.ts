/** Mainland mobile numbers: eleven digits from 13 to 19, with or without the country code. */
const CN_MOBILE_BARE = /^1[3-9]\d{9}$/u;
const CN_MOBILE_PREFIXED = /^(?:\+|00)?86(1[3-9]\d{9})$/u;
/** An extension or a remark after the number: its digits are not the number's. */
const REMARK = /(?<=\d)\s*(?:[\p{L};#/|].*|,.*)$/su;
/** At most 15 digits (ITU-T E.164, 6); below seven, the last four would be most of the number. */
const FEWEST_PHONE_DIGITS = 7;
const MOST_PHONE_DIGITS = 17;
const SHOWN = 4;
/** The last four are shown only where at least as many stay hidden. */
const SHORTEST_NUMBER = 2 * SHOWN;
const LEGACY_CN_ID = /^\d{15}$/u;

/**
 * Mainland mobile `138****5678`; all others show the last four behind seven stars (`*******0132`). A number with another
 * country's code is never taken for a mainland one, nor is a bare one where `country` is another.
 */
export function maskPhone(phone: string, country: string | undefined): string | null {
  // The usual spelling first: everything below costs more than a list of patients can spare.
  if ((country === undefined || country === 'CN') && CN_MOBILE_BARE.test(phone)) {
    return `${phone.slice(0, 3)}****${phone.slice(-SHOWN)}`;
  }
  const dialled = phone
    .normalize('NFKC')
    .replace(REMARK, '')
    .replace(/[^\d+]/gu, '');
  const digits = dialled.replaceAll('+', '');
  if (digits.length < FEWEST_PHONE_DIGITS || digits.length > MOST_PHONE_DIGITS) return null;
  const bare = (country === undefined || country === 'CN') && CN_MOBILE_BARE.test(dialled) ? dialled : undefined;
  const mobile = bare ?? CN_MOBILE_PREFIXED.exec(dialled)?.[1];
  if (mobile !== undefined) return `${mobile.slice(0, 3)}****${mobile.slice(-SHOWN)}`;
  return `*******${digits.slice(-SHOWN)}`;
}

/**
 * Number of a person or an insurance: `********002X`. A Chinese number of 15 digits ends in the last digit of the birth
 * date and three more: of it, three are shown, because no digit of a birth date may be.
 */
export function maskIdentifier(value: string): string | null {
  const characters = alphanumerics(value);
  if (characters.length < SHORTEST_NUMBER) return null;
  if (LEGACY_CN_ID.test(characters)) return `*********${characters.slice(1 - SHOWN)}`;
  return `********${characters.slice(-SHOWN)}`;
}

/** Medical record number: `****5678`. */
export function maskRecordNumber(value: string): string | null {
  const characters = alphanumerics(value);
  return characters.length < SHORTEST_NUMBER ? null : `****${characters.slice(-SHOWN)}`;
}

function alphanumerics(value: string): string {
  return value
    .normalize('NFKC')
    .toUpperCase()
    .replace(/[^0-9A-Z]/gu, '');
}
