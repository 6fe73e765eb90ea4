import { CN_PROVINCES, COUNTRIES, US_STATES } from '../policy/mask-regions.js';
import type { Bind } from '../policy/decision.js';
import type { Dimension } from './cell-suppression.js';

/** What people may be counted by, in the order of the partition: the field, and how its values become few. */
export const COUNTABLE = ['birthYear', 'gender', 'region', 'status'] as const;
export type Countable = (typeof COUNTABLE)[number];

const GENDERS = ['male', 'female', 'other'];
const STATUSES = ['active', 'inactive'];
/** From this age on, years are not told apart (45 CFR 164.514(b)(2)(i)(C)). */
const OLDEST = 90;
const BAND = 10;

/** What values depend on: the year in which people are counted, and where the organisation is (ISO 3166-1). */
export interface CountSetting {
  readonly year: number;
  readonly country: string;
}

/**
 * The values of a dimension: closed, whoever is counted. Bands of birth are decades of the calendar, which do not move
 * from year to year: bands of age would, and every birthday would be a difference between two counts.
 */
export function dimensionOf(field: Countable, setting: CountSetting): Dimension {
  return { name: field, values: [...valuesOf(field, setting), null] };
}

/** SQL of the value of a row of `alias`; NULL for what is not known or not listed. */
export function valueExpression(field: Countable, alias: string, setting: CountSetting, bind: Bind): string {
  if (field !== 'birthYear') {
    return `CASE WHEN ${alias}.${field} = ANY(${bind(valuesOf(field, setting))}::text[]) THEN ${alias}.${field} END`;
  }
  const { first } = decades(setting.year);
  const year = `${alias}.birth_year`;
  return (
    `CASE WHEN ${year} < ${bind(first)}::integer THEN ${bind(oldest(first))}::text ` +
    `WHEN ${year} <= ${bind(setting.year)}::integer THEN (${year} / ${BAND} * ${BAND})::text || '-' || (${year} / ${BAND} * ${BAND} + ${BAND - 1})::text END`
  );
}

function valuesOf(field: Countable, { year, country }: CountSetting): readonly string[] {
  if (field === 'gender') return GENDERS;
  if (field === 'status') return STATUSES;
  if (field === 'region') return regionsOf(country);
  const { first, last } = decades(year);
  const bands = Array.from({ length: (last - first) / BAND + 1 }, (_, index) => first + index * BAND);
  return [oldest(first), ...bands.map((band) => `${band}-${band + BAND - 1}`)];
}

/** The first decade in which nobody is of the oldest, and the running one. */
function decades(year: number): { first: number; last: number } {
  return { first: Math.floor((year - OLDEST) / BAND) * BAND + BAND, last: Math.floor(year / BAND) * BAND };
}

const oldest = (first: number): string => `${first - 1} or earlier`;

/** Provinces or States of the own country; elsewhere countries. What is not among them is one value, null. */
function regionsOf(country: string): readonly string[] {
  if (country === 'CN') return CN_PROVINCES.map(([name]) => name);
  if (country === 'US') return US_STATES.map(([code]) => code);
  return COUNTRIES.map(([, name]) => name);
}
