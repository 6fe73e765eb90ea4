import { subjectsOf } from '../ledger/entry-filter.js';
import type { AccessState } from '../ledger/record.js';
import type { LedgerEntry } from '../ledger/stored-entries.js';
import type { AnyOperation } from './operation.js';
import type { Scope } from './scope.js';

/** One entry as auditors see it: patients and staff are references, which nothing outside of this system resolves. */
export interface LedgerEntryView {
  readonly index: number;
  /** Hexadecimal, as the two hashes are. */
  readonly leaf: string;
  readonly recordHash: string;
  /** The canonical JSON: exactly the bytes whose SHA-256 is `recordHash`. */
  readonly record: string;
  readonly writer: string;
  readonly number: number;
  readonly incarnation: number;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly request: string;
  readonly operation: string;
  readonly kind: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly actor: string | null;
  readonly role: string | null;
  readonly session: string | null;
  readonly purpose: string | null;
  readonly document: string | null;
  readonly policy: string | null;
  readonly rules: readonly string[];
  readonly reason: boolean;
  readonly accesses: readonly LedgerAccess[];
  /** What all records of one document have in common; null in records from before decisions were named. */
  readonly decision: string | null;
  readonly acr: string | null;
  readonly consents: readonly string[];
  readonly obligations: readonly string[];
}
export interface LedgerAccess {
  readonly type: string;
  readonly rows: number;
  readonly fields: readonly { readonly field: string; readonly state: AccessState }[];
  readonly subjects: readonly string[];
}

/** Subjects that one record of a reading names. Two thousand of them would be more than an entry holds. */
export const MOST_NAMED = 1_000;

/** Members that a record leaves away where they say nothing. */
const UNSAID = { decision: null, acr: null, consents: [], obligations: [] };

export function entryView(entry: LedgerEntry): LedgerEntryView {
  const { index, leaf, recordHash, bytes } = entry;
  const { accesses, ...members } = entry.record;
  return {
    ...UNSAID,
    ...(members as unknown as Omit<LedgerEntryView, 'accesses'>),
    index,
    leaf,
    recordHash,
    record: bytes.toString(),
    accesses: accesses.map(({ fields, ...access }) => {
      return { ...access, fields: Object.entries(fields).map(([field, state]) => ({ field, state })) };
    }),
  };
}

/** How many of these entries one record of their reading can name the subjects of: all, or those before too many; one at least. */
export function nameable(entries: readonly LedgerEntry[]): number {
  const named = new Set<string>();
  const end = entries.findIndex(({ record }) => {
    for (const subject of subjectsOf(record)) named.add(subject);
    return named.size > MOST_NAMED;
  });
  return end < 0 ? entries.length : Math.max(1, end);
}

/**
 * What the ledger says of its own reading: what was shown, and whom it was about, so that the report to each of them has
 * it. An entry that names more than a record can is recorded with as many records as it takes.
 */
export function noteReading(
  scope: Scope,
  operation: AnyOperation,
  shown: { readonly type: string; readonly fields: readonly string[]; readonly rows: number },
  subjects: Iterable<string>,
): void {
  const fields = Object.fromEntries(shown.fields.map((field) => [field, 'CLEAR' as const]));
  const access = { type: shown.type, rows: shown.rows, fields };
  const [first = [], ...rest] = chunksOf([...subjects]);
  scope.document.note({ ...access, subjects: first });
  for (const some of rest) {
    scope.document.record({
      ...scope.document.frame(),
      operation: operation.name,
      kind: operation.kind,
      outcome: 'success',
      code: null,
      accesses: [{ ...access, subjects: some }],
    });
  }
}

function chunksOf(subjects: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(subjects.length / MOST_NAMED) }, (_, chunk) =>
    subjects.slice(chunk * MOST_NAMED, (chunk + 1) * MOST_NAMED),
  );
}
