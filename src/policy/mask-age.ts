/** Above this age a year of birth identifies: 45 CFR 164.514(b)(2)(i)(C). */
const OLDEST_SHOWN = 89;
const BAND_YEARS = 5;
/** The first time zone to reach a birthday is 14 hours ahead of UTC: nobody is shown who is 90 anywhere. */
const EARLIEST_ZONE_MILLISECONDS = 14 * 3_600_000;
const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
/** A FHIR date (R4, 2.24.0.1), full or partial, or the date part of an instant. */
const DATE = /^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T.*)?)?)?$/u;

interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** Year of a FHIR date (`1949-12-31`, `1949-12`, `1949`), null for anything else. */
export function birthYearOf(birthDate: string): number | null {
  return parse(birthDate)?.year ?? null;
}

/** Five-year band (`35–39`, with an en dash), `90+` above 89, null for what is no date or lies ahead. */
export function ageBand(birthDate: string, now: Date): string | null {
  const age = ageAt(birthDate, now);
  if (age === null) return null;
  if (age > OLDEST_SHOWN) return `${OLDEST_SHOWN + 1}+`;
  const first = age - (age % BAND_YEARS);
  return `${first}–${first + BAND_YEARS - 1}`;
}

/** The year of a date of somebody born on `birthDate`, unless that person is older than 89: then null. */
export function yearUnlessAged(date: string, birthDate: string, now: Date): number | null {
  const ages = [ageAt(date, now), ageAt(birthDate, now)];
  if (ages.some((age) => age === null || age > OLDEST_SHOWN)) return null;
  return birthYearOf(date);
}

/** Completed years; a partial date counts as its first day, so that doubt makes older. Null when unknown or not yet born. */
function ageAt(birthDate: string, now: Date): number | null {
  const birth = parse(birthDate);
  if (birth === null) return null;
  const latest = now.getTime() + EARLIEST_ZONE_MILLISECONDS;
  const days = Math.floor(latest / 86_400_000);
  const yearsBetween = now.getUTCFullYear() + 1 - birth.year;
  for (let age = yearsBetween; age >= yearsBetween - 2 && age >= 0; age -= 1) {
    if (Date.UTC(birth.year + age, birth.month - 1, birth.day) / 86_400_000 <= days) return age;
  }
  return null;
}

function parse(text: string): CivilDate | null {
  const match = DATE.exec(text);
  if (match === null) return null;
  const [year, month, day] = [Number(match[1]), Number(match[2] ?? 1), Number(match[3] ?? 1)];
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 && !leap ? 28 : (MONTH_DAYS[month - 1] ?? 0);
  return year >= 1000 && day >= 1 && day <= days ? { year, month, day } : null;
}
