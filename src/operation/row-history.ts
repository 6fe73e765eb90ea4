import { registry, type NounDeclaration } from '../kernel/attribute.js';
import type { Access } from '../ledger/record.js';
import type { Database } from '../persistence/database.js';
import { aliasesOf, fromClause } from './noun-table.js';

/** What the ledger says of a record, as far as it is about rows that were written. */
export interface WritingRecord {
  readonly kind: string;
  readonly outcome: string;
  readonly accesses: readonly Access[];
}

/** Rows of one type that are not as often changed as the ledger says. */
export interface RowDifference {
  readonly type: string;
  /** Whose they are, by the name in the ledger; empty for nobody's, null for those of several persons together. */
  readonly subject: string | null;
  /** Versions of the stored rows, added up. */
  readonly stored: number;
  /** How often the ledger says that such a row was written. */
  readonly written: number;
}

type Counts = Map<string, number>;
/** Rows by type and then by subject. */
export type VersionsByType = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** These name fields and write none of a noun's rows. */
const OTHERS: ReadonlySet<string> = new Set(['KEY', 'ERASE', 'ARCHIVE', 'POLICY']);

/**
 * How often rows were written, by the ledger. Every creation and every change is one more version of one row, so that the
 * versions of all rows of a person add up to what the ledger counts: a row that somebody took back to an older version,
 * with everything that is bound to it, is short of it, as one that was deleted is. The ledger is outside of what a database
 * administrator can change unseen, and so is this sum.
 */
export class WrittenRows {
  private readonly single = new Map<string, Counts>();
  private readonly several = new Map<string, { subjects: Set<string>; rows: number }>();
  private readonly erased = new Set<string>();

  /** The records of a log, each once, in any order. */
  take({ kind, outcome, accesses }: WritingRecord): void {
    if (outcome !== 'success') return;
    if (kind === 'ERASE') for (const { subjects } of accesses) for (const subject of subjects) this.erased.add(subject);
    if (OTHERS.has(kind)) return;
    for (const access of accesses) {
      const noun = registry.all().find(({ type }) => type === access.type);
      if (noun !== undefined && Object.values(access.fields).includes('WRITTEN')) this.count(noun, access);
    }
  }

  /** Where the stored rows and the ledger do not agree. Who was erased has no rows to compare. */
  differences(stored: VersionsByType): RowDifference[] {
    const types = new Set([...stored.keys(), ...this.single.keys(), ...this.several.keys()]);
    return [...types].flatMap((type) => this.ofType(type, stored.get(type) ?? new Map()));
  }

  private ofType(type: string, stored: ReadonlyMap<string, number>): RowDifference[] {
    const single = this.single.get(type) ?? new Map<string, number>();
    const several = this.several.get(type);
    const differences: RowDifference[] = [];
    const together = { stored: 0, written: several?.rows ?? 0 };
    let erasedTogether = false;
    for (const subject of new Set([...stored.keys(), ...single.keys(), ...(several?.subjects ?? [])])) {
      const one = { stored: stored.get(subject) ?? 0, written: single.get(subject) ?? 0 };
      if (several?.subjects.has(subject) === true) {
        together.stored += one.stored;
        together.written += one.written;
        erasedTogether ||= this.erased.has(subject);
      } else if (one.stored !== one.written && !this.erased.has(subject)) differences.push({ type, subject, ...one });
    }
    if (together.stored !== together.written && !erasedTogether) {
      differences.push({ type, subject: null, ...together });
    }
    return differences;
  }

  private count({ type, subject }: NounDeclaration, { rows, subjects }: Access): void {
    const counts: Counts = this.single.get(type) ?? new Map<string, number>();
    this.single.set(type, counts);
    const add = (name: string, more: number) => counts.set(name, (counts.get(name) ?? 0) + more);
    const [only = '', ...others] = subjects;
    if (others.length === 0) add(only, rows);
    else if (subject === 'self' && rows === subjects.length) for (const one of subjects) add(one, 1);
    else {
      const known = this.several.get(type) ?? { subjects: new Set<string>(), rows: 0 };
      for (const one of subjects) known.subjects.add(one);
      this.several.set(type, { subjects: known.subjects, rows: known.rows + rows });
    }
  }
}

/** The versions of all rows of a tenant, added up by type and subject. */
export async function storedVersions(database: Database, tenant: string): Promise<VersionsByType> {
  const byType = new Map<string, Map<string, number>>();
  for (const noun of registry.all()) {
    const reference = noun.subject === 'none' ? `''` : `${aliasesOf(noun).subject}.subject_reference`;
    const version = noun.attributes.has('version') ? 's.version' : '1';
    const rows = await database.query<{ subject: string; versions: string }>(tenant, {
      text:
        `SELECT ${reference} AS subject, sum(${version}) AS versions FROM ${fromClause(noun)} ` +
        'WHERE assert_tenant($1) AND s.tenant_id = $1 GROUP BY 1',
      values: [tenant],
    });
    byType.set(noun.type, new Map(rows.map(({ subject, versions }) => [subject, Number(versions)])));
  }
  return byType;
}
