import { Failure } from '../../kernel/failure.js';
import { readInstant } from '../../operation/input.js';

/** A mistake in one field of an input. Never names the value. */
export function refuse(field: string, problem: string, nextStep: string): Failure {
  return new Failure('BAD_USER_INPUT', `${field} ${problem}.`, nextStep, { extensions: { field } });
}

/** Refuses texts without content: the law demands the element, and a blank is none. */
export function demandTexts(type: string, values: Readonly<Record<string, string>>): void {
  for (const [field, text] of Object.entries(values)) {
    if (text.trim() === '') throw refuse(`${type}.${field}`, 'is empty', 'Send a text: the accounting must show it.');
  }
}

/** An instant with a zone, in UTC. */
export function instantOf(field: string, text: string): string {
  const instant = readInstant(text);
  if (instant !== null) return instant;
  throw refuse(field, 'is not an instant with a zone', 'Send RFC 3339, such as 2026-01-31T08:00:00-05:00.');
}

/** An instant that is not still to come. */
export function pastInstantOf(field: string, text: string, now: Date): string {
  const instant = instantOf(field, text);
  if (instant <= now.toISOString()) return instant;
  throw refuse(field, 'is in the future', 'Record what has happened.');
}
