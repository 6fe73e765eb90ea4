import { instantText } from '../../kernel/clock.js';
import { Failure } from '../../kernel/failure.js';
import { readInstant } from '../../operation/input.js';

export interface Period {
  /** RFC 3339 with a zone. */
  readonly start: string;
  readonly end: string;
}

/** How long before its start a patient is reminded of an appointment. */
const REMINDER_MILLISECONDS = 24 * 3_600_000;

/** Start and end in UTC. BAD_USER_INPUT unless both have a zone, the start is to come and the end is after it. */
export function readPeriod({ start, end }: Period, now: Date): Period {
  const period = { start: instant('start', start), end: instant('end', end) };
  if (Date.parse(period.start) <= now.getTime()) throw bad('Appointment.start lies in the future.');
  if (Date.parse(period.end) <= Date.parse(period.start)) throw bad('Appointment.end is after its start.');
  return period;
}

/** When the reminder of an appointment is due, whatever the time is now. */
export function reminderTime(start: string): string {
  return instantText(Date.parse(start) - REMINDER_MILLISECONDS);
}

/** The reminder that belongs to a start: none where its time has passed already. */
export function reminderFor(start: string, now: Date): { reminderAt: string | null; reminderStatus: string | null } {
  const reminderAt = reminderTime(start);
  if (Date.parse(reminderAt) < now.getTime()) return NO_REMINDER;
  return { reminderAt, reminderStatus: 'due' };
}

export const NO_REMINDER = { reminderAt: null, reminderStatus: null } as const;

function instant(field: 'start' | 'end', text: string): string {
  const read = readInstant(text.trim());
  if (read === null) throw bad(`Appointment.${field} is not an instant with a zone.`);
  return read;
}

function bad(sentence: string): Failure {
  return new Failure('BAD_USER_INPUT', sentence, 'Send RFC 3339 with a zone, such as 2026-01-31T08:00:00Z.');
}
