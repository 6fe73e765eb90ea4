import type { AttributeDeclaration } from '../kernel/attribute.js';
import { instantText } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';
import { looksMasked } from '../policy/mask.js';

const INSTANT = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(?:Z|[+-]\d{2}:\d{2})$/i;
const FOUR_DIGIT_YEAR = /^(?!0000)\d{4}-/;
const DATE = /^\d{4}(-\d{2}(-\d{2})?)?$/;

export function maskedValue(type: string, field: string): Failure {
  return new Failure(
    'BAD_USER_INPUT',
    `${type}.${field} looks like a masked value.`,
    'Leave the field out to keep what is stored.',
    { extensions: { field: `${type}.${field}` } },
  );
}

function refuse(type: string, field: string, problem: string, nextStep: string): never {
  throw new Failure('BAD_USER_INPUT', `${type}.${field} ${problem}.`, nextStep, {
    extensions: { field: `${type}.${field}` },
  });
}

/**
 * Checks one value that a caller wants to write. A value in the shape of a mask is refused: a form that was filled from a
 * masked answer and saved back must not destroy what it could not see. Never names the value.
 */
export function checkInput(type: string, attribute: AttributeDeclaration, value: unknown): unknown {
  const { field, kind, maximum } = attribute;
  if (value === null) return null;
  if (kind === 'year' || kind === 'count') {
    return Number.isInteger(value) ? value : refuse(type, field, 'is a whole number', 'Send an integer.');
  }
  if (typeof value !== 'string') return refuse(type, field, 'is a text', 'Send a string.');
  const text = value.normalize('NFC').trim();
  if (text === '') return null;
  if (hasControlCharacter(text)) return refuse(type, field, 'holds a control character', 'Send plain text.');
  if ([...text].length > maximum) return refuse(type, field, `is longer than ${maximum} characters`, 'Shorten it.');
  if (attribute.mask !== 'M_SAME' && looksMasked(text, attribute.group)) {
    throw maskedValue(type, field);
  }
  if (kind === 'date') return checkDate(type, field, text);
  if (kind === 'instant') return checkInstant(type, field, text);
  if (kind === 'id' && !isId(text)) return refuse(type, field, 'is an id', 'Send an id that this system gave out.');
  return text;
}

/** A calendar date of FHIR: a year, a month or a day that exists. */
function checkDate(type: string, field: string, text: string): string {
  if (!DATE.test(text)) return refuse(type, field, 'is not a date', 'Send YYYY, YYYY-MM or YYYY-MM-DD.');
  const [year = '', month = '01', day = '01'] = text.split('-');
  const parsed = Date.parse(`${year}-${month}-${day}T00:00:00Z`);
  const exists = !Number.isNaN(parsed) && instantText(parsed).startsWith(`${year}-${month}-${day}T`);
  return exists && Number(year) >= 1850 ? text : refuse(type, field, 'is not a date', 'Send a day that exists.');
}

function checkInstant(type: string, field: string, text: string): string {
  const instant = readInstant(text);
  if (instant !== null) return instant;
  return refuse(type, field, 'is not an instant with a zone', 'Send RFC 3339, such as 2026-01-31T08:00:00Z.');
}

/**
 * An RFC 3339 date-time with its zone, in UTC; null when it has another form, its day does not exist, or it lies outside
 * the years 0001 to 9999 in UTC: PostgreSQL has no year 0, and texts of five digits sort before those of four.
 */
export function readInstant(text: string): string | null {
  const [, day, time] = INSTANT.exec(text) ?? [];
  const local = Date.parse(`${day}T${time}Z`);
  if (Number.isNaN(local) || !instantText(local).startsWith(`${day}T`)) return null;
  const instant = Date.parse(text.toUpperCase());
  if (Number.isNaN(instant)) return null;
  const utc = instantText(instant);
  return FOUR_DIGIT_YEAR.test(utc) ? utc : null;
}

export function hasControlCharacter(text: string): boolean {
  return /[\p{Cc}--[\n\r\t]]/v.test(text);
}
