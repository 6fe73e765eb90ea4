import { instantText } from '../../kernel/clock.js';
import type { Element } from './element.js';

/** dateTime of FHIR R4 (2.24.0.1): a year, a month, a day, or an instant to the second with its zone. */
const DATE_TIME =
  /^(\d{4})(?:-(\d{2})(?:-(\d{2})(T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d))?)?)?$/;
const EARLIEST_YEAR = 1850;

interface Moment {
  readonly text: string;
  readonly year: string;
  readonly month: string | undefined;
  readonly day: string | undefined;
  readonly hasTime: boolean;
}

/** The date part of a date or dateTime, as exact as it is there: `1949`, `1949-12` or `1949-12-31`. */
export function dateOf(element: Element, name: string): string | null {
  const moment = momentOf(element, name);
  if (moment === null) return null;
  return [moment.year, moment.month, moment.day].filter((part) => part !== undefined).join('-');
}

/**
 * A dateTime as an instant. One without a time of day becomes noon in UTC of its (first) day, which is within that calendar
 * day in all but the easternmost zones.
 */
export function instantOf(element: Element, name: string): string | null {
  const moment = momentOf(element, name);
  if (moment === null) return null;
  if (moment.hasTime) return moment.text;
  return `${moment.year}-${moment.month ?? '01'}-${moment.day ?? '01'}T12:00:00Z`;
}

/** The end of a Period, whose last day is part of it as a whole (FHIR R4, 2.24.0.11). Null when it is vaguer than a day. */
export function endOf(element: Element, name: string): string | null {
  const moment = momentOf(element, name);
  if (moment === null || moment.day === undefined) return null;
  return moment.hasTime ? moment.text : `${moment.text}T23:59:59Z`;
}

function momentOf(element: Element, name: string): Moment | null {
  const text = element.text(name);
  if (text === null) return null;
  const match = DATE_TIME.exec(text);
  const [, year = '', month, day, time] = match ?? [];
  if (match === null || Number(year) < EARLIEST_YEAR || !exists(year, month ?? '01', day ?? '01')) {
    throw element.refuse(name, 'is not a date or date and time of FHIR');
  }
  return { text, year, month, day, hasTime: time !== undefined };
}

function exists(year: string, month: string, day: string): boolean {
  const parsed = Date.parse(`${year}-${month}-${day}T00:00:00Z`);
  return !Number.isNaN(parsed) && instantText(parsed).startsWith(`${year}-${month}-${day}T`);
}
