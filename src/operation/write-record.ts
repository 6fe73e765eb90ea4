import type { Access } from '../ledger/record.js';
import type { Decision } from '../policy/decision.js';
import type { RowChange } from './detail-text.js';

/** What a record says of the rules behind it. */
export type Grounds = Pick<Decision, 'ruleIds' | 'consents'>;

/**
 * What the record of a unit says: rows and fields that it wrote, of whom and under which rules. Beside it the old and new
 * values in clear, which go into the sealed details and nowhere else.
 */
export class WriteRecord {
  readonly rules = new Set<string>();
  readonly consents = new Set<string>();
  readonly changes: RowChange[] = [];
  private readonly written = new Map<string, { rows: number; fields: Set<string>; subjects: Set<string> }>();
  private readonly others: Access[] = [];

  /** Notes one row. `reference` is empty where it is nobody's. */
  note(change: RowChange, fields: readonly string[], reference: string, grounds: Grounds): void {
    const { type } = change;
    const noted = this.written.get(type) ?? { rows: 0, fields: new Set<string>(), subjects: new Set<string>() };
    noted.rows += 1;
    for (const field of fields) noted.fields.add(field);
    if (reference !== '') noted.subjects.add(reference);
    this.written.set(type, noted);
    this.changes.push(change);
    this.decided(grounds);
  }

  /** Notes what a unit does to something else than rows of nouns. */
  noteOther(access: Access, grounds: Grounds): void {
    this.others.push(access);
    this.decided(grounds);
  }

  private decided({ ruleIds, consents }: Grounds): void {
    for (const rule of ruleIds) this.rules.add(rule);
    for (const scope of consents) this.consents.add(scope);
  }

  accesses(): Access[] {
    const written = [...this.written].map(([type, { rows, fields, subjects }]) => ({
      type,
      rows,
      fields: Object.fromEntries([...fields].sort().map((field) => [field, 'WRITTEN' as const])),
      subjects: [...subjects],
    }));
    return [...written, ...this.others];
  }
}
