import type { Access, RecordDraft } from '../ledger/record.js';

/** What a record calls keys that were opened, where it names their subjects for nothing else. */
export const UNWRAPPED = 'SubjectKey';
/** References of one record: an entry of the ledger holds them. */
const MOST_NAMED = 1_000;
const NO_FIELDS = Object.freeze({});

/** Whose keys a document had unwrapped, by their names in the ledger, and what of it no record says yet. */
export class UnwrappedSubjects {
  private readonly unnamed = new Set<string>();

  add(references: readonly string[]): void {
    for (const reference of references) this.unnamed.add(reference);
  }

  /** A record is made that has these accesses. Who is unwrapped once more after it is to be named once more. */
  name(accesses: readonly Access[]): void {
    if (this.unnamed.size === 0) return;
    for (const { subjects } of accesses) for (const subject of subjects) this.unnamed.delete(subject);
  }

  /** What is to be recorded now, each subject once. */
  take(): Access[] {
    const references = [...this.unnamed];
    this.unnamed.clear();
    const accesses: Access[] = [];
    for (let at = 0; at < references.length; at += MOST_NAMED) {
      const subjects = references.slice(at, at + MOST_NAMED);
      accesses.push({ type: UNWRAPPED, rows: subjects.length, fields: NO_FIELDS, subjects });
    }
    return accesses;
  }
}

/**
 * A record of its own, and no access in another one: a record that names one person alone is sealed under that person's
 * key, and an erasure takes the details of all records that name the person, so that nobody may be named in a record whose
 * details are not about him.
 */
export function unwrapRecord(
  frame: Omit<RecordDraft, 'operation' | 'kind' | 'outcome' | 'code' | 'accesses'>,
  access: Access,
): RecordDraft {
  const said = { policy: null, rules: [], consents: [], accesses: [access] } as const;
  return { ...frame, ...said, operation: 'keys.unwrap', kind: 'KEY', outcome: 'success', code: null };
}
