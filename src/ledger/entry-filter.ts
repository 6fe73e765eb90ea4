import type { LedgerEntry, ParsedRecord, RecordCondition } from './stored-entries.js';

/** What entries are searched by. Everything that is given must hold. */
export interface LedgerFilter {
  /** Reference of 32 hexadecimal digits that the record names as a subject, and of its actor. */
  readonly subject?: string | null;
  readonly actor?: string | null;
  readonly purpose?: string | null;
  /** Name of one root field or command; a record of several names them all. */
  readonly operation?: string | null;
  readonly outcome?: string | null;
  readonly kind?: string | null;
  /** What all records of one document have in common. */
  readonly decision?: string | null;
  /** RFC 3339 in UTC with milliseconds, as records have it: from the first to before the second. */
  readonly from?: string | null;
  readonly to?: string | null;
}

/** A canonical record ends with its time, its version and its writer, which are of fixed length. */
const AFTER_TIME = `","v":1,"writer":"0123456789abcdef"}`.length;
const TIME = 24;
const TIME_IN_RECORD = `substring(entry.record FROM length(entry.record) - ${AFTER_TIME + TIME - 1} FOR ${TIME})`;

/**
 * A condition for PostgreSQL that every matching record meets, and few others: it looks for bytes, because a record is
 * its bytes. What it lets through is still to be asked with {@link matches}.
 */
export function conditionOf(filter: LedgerFilter): RecordCondition {
  const parts: string[] = [];
  const values: Buffer[] = [];
  let name = '';
  const add = (letter: string, part: (place: string) => string, sought: string | null | undefined) => {
    if (sought == null) return;
    name += letter;
    values.push(Buffer.from(sought));
    parts.push(part(`$${values.length + 4}::bytea`));
  };
  const member = (key: string, value: string | null | undefined) =>
    value == null ? null : `${JSON.stringify(key)}:${JSON.stringify(value)}`;
  const contains = (place: string) => `position(${place} IN entry.record) > 0`;
  add('s', contains, filter.subject == null ? null : JSON.stringify(filter.subject));
  add('a', contains, member('actor', filter.actor));
  add('p', contains, member('purpose', filter.purpose));
  add('o', contains, filter.operation == null ? null : JSON.stringify(filter.operation).slice(1, -1));
  add('r', contains, member('outcome', filter.outcome));
  add('k', contains, member('kind', filter.kind));
  add('d', contains, member('decision', filter.decision));
  add('f', (place) => `${TIME_IN_RECORD} >= ${place}`, filter.from);
  add('t', (place) => `${TIME_IN_RECORD} < ${place}`, filter.to);
  return { name: name === '' ? 'all' : name, text: parts.length === 0 ? 'TRUE' : parts.join(' AND '), values };
}

/** Whether an entry is one of those that are searched. */
export function matches({ record }: LedgerEntry, filter: LedgerFilter): boolean {
  const equal = (key: 'actor' | 'purpose' | 'outcome' | 'kind' | 'decision') =>
    filter[key] == null || record[key] === filter[key];
  const time = String(record['time']);
  return (
    equal('actor') &&
    equal('purpose') &&
    equal('outcome') &&
    equal('kind') &&
    equal('decision') &&
    (filter.from == null || time >= filter.from) &&
    (filter.to == null || time < filter.to) &&
    (filter.operation == null || String(record['operation']).split(' ').includes(filter.operation)) &&
    (filter.subject == null || subjectsOf(record).has(filter.subject))
  );
}

/** Every reference that a record names as a subject. */
export function subjectsOf({ accesses }: ParsedRecord): Set<string> {
  return new Set(accesses.flatMap(({ subjects }) => subjects));
}
