/** The only source of the time of day. Tests inject a {@link ManualClock}; nothing else calls `new Date()`. */
export abstract class Clock {
  /** Milliseconds since the Unix epoch, UTC. */
  abstract milliseconds(): number;

  now(): Date {
    return new Date(this.milliseconds());
  }
}

export class SystemClock extends Clock {
  milliseconds(): number {
    return Date.now();
  }
}

/** A clock that stands still until it is told to move. */
export class ManualClock extends Clock {
  constructor(private current: number) {
    super();
  }

  milliseconds(): number {
    return this.current;
  }

  advance(milliseconds: number): void {
    this.current += milliseconds;
  }
}

/** RFC 3339 in UTC with milliseconds, of milliseconds since the Unix epoch. */
export function instantText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** Offset of the last time zone to which a new day comes. */
const WESTERNMOST = 12 * 3_600_000;

/** The calendar year that has begun everywhere on earth. */
export function yearEverywhere(instant: Date): number {
  return new Date(instant.getTime() - WESTERNMOST).getUTCFullYear();
}

/** The half-open interval of the calendar day that contains `instant` in an IANA time zone. */
export function dayIn(timeZone: string, instant: Date): { start: Date; end: Date } {
  const date = new Intl.DateTimeFormat('en-CA', { timeZone }).format(instant);
  const start = midnightIn(timeZone, date);
  const nextNoon = new Date(start.getTime() + 36 * 3_600_000);
  const end = midnightIn(timeZone, new Intl.DateTimeFormat('en-CA', { timeZone }).format(nextNoon));
  return { start, end };
}

/** Midnight of a calendar date (`YYYY-MM-DD`) in a time zone; on a day without midnight, the first instant after it. */
export function midnightIn(timeZone: string, date: string): Date {
  const wanted = Date.parse(`${date}T00:00:00Z`);
  const guess = wanted - offsetAt(timeZone, new Date(wanted));
  return new Date(wanted - offsetAt(timeZone, new Date(guess)));
}

function offsetAt(timeZone: string, instant: Date): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(instant);
  const part = (type: string) => Number(parts.find((candidate) => candidate.type === type)?.value);
  const local = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  return local - Math.floor(instant.getTime() / 1000) * 1000;
}
