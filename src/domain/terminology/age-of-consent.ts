import { instantText, midnightIn } from '../../kernel/clock.js';

/**
 * The age from which a person decides alone about data on health, by country of the tenant (ISO 3166-1), in years. Below
 * it a guardian decides, and at it guardianship over the record ends.
 */
const AGES: Readonly<Record<string, number>> = {
  AT: 14, // Datenschutzgesetz § 4(4), GDPR 8(1)
  BE: 13, // law of 30 July 2018, article 7, GDPR 8(1)
  CN: 14, // PIPL 31
  DE: 16, // GDPR 8(1)
  ES: 14, // Ley Orgánica 3/2018, article 7, GDPR 8(1)
  FR: 15, // loi n° 78-17, article 45, GDPR 8(1)
  GB: 13, // Data Protection Act 2018, section 9
  IT: 14, // Codice privacy, article 2-quinquies, GDPR 8(1)
  SE: 13, // law 2018:218, chapter 2 section 4, GDPR 8(1)
  US: 18, // age of majority of most States; 45 CFR 164.502(g)(3)
};
/** GDPR 8(1), where the country has not chosen a lower one. */
const STANDARD_AGE = 16;

/**
 * The instant from which a person decides alone: midnight of the birthday, in the tenant's time zone. Of a date of birth
 * without its day or month the latest possible is taken; who was born on 29 February has the birthday on 1 March in other
 * years. Null where the date of birth is not known: such a person counts as a minor.
 *
 * @param birthDate `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
 */
export function ageOfConsentAt(birthDate: string | null, country: string, timeZone: string): Date | null {
  if (birthDate === null) return null;
  const [year = 0, month, day] = birthDate.split('-').map(Number);
  const then = year + (AGES[country] ?? STANDARD_AGE);
  // Day 0 of the following month is the last day of this one.
  const birthday = day === undefined ? Date.UTC(then, month ?? 12, 0) : Date.UTC(then, (month ?? 12) - 1, day);
  return midnightIn(timeZone, instantText(birthday).slice(0, 10));
}
