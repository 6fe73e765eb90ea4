import type { Database } from '../persistence/database.js';

/** A sequenced entry as it is in the ledger. */
export interface LedgerEntry {
  readonly index: number;
  /** The record, parsed from its canonical bytes. */
  readonly record: Readonly<Record<string, unknown>>;
  /** SHA-256 of the record and of the entry (the leaf), hexadecimal. */
  readonly recordHash: string;
  readonly leaf: string;
}

/** Entries that name a subject, newest first, and how far the search went. */
export interface SubjectPage {
  readonly entries: readonly LedgerEntry[];
  /** Where to go on: only entries with a lower index are older. Null when the beginning of the log was reached. */
  readonly before: number | null;
}

interface Row {
  readonly idx: string;
  readonly record: Buffer;
  readonly record_hash: Buffer;
  readonly leaf: Buffer;
}

const SELECT =
  'SELECT leaf.idx, entry.record, entry.record_hash, leaf.leaf ' +
  'FROM ledger_leaf AS leaf JOIN ledger_entry AS entry ON entry.id = leaf.entry_id AND entry.recorded_at = leaf.recorded_at';

/** Entries that one statement looks through, and all statements of one page. */
const WINDOW = 8_192;
const LONGEST_SEARCH = 262_144;

/**
 * Reads the ledger as it stands in the database, for people who look something up. Proves nothing: whoever must be
 * sure verifies an export. The database is the auditor role's.
 */
export class LedgerReader {
  constructor(
    private readonly auditor: Database,
    /** Resolves when what was committed before the call is sequenced; rejects with AUDIT_UNAVAILABLE. */
    private readonly drain: () => Promise<void> = () => Promise.resolve(),
  ) {}

  /** The newest entries, the newest last. */
  async tail(log: string, count: number): Promise<LedgerEntry[]> {
    const rows = await this.auditor.query<Row>(null, {
      name: 'ledger_tail',
      text: `${SELECT} WHERE leaf.log = $1 ORDER BY leaf.idx DESC LIMIT $2`,
      values: [log, count],
    });
    return rows.reverse().map(toEntry);
  }

  /** Null when there is no such entry. */
  async entry(log: string, index: number): Promise<LedgerEntry | null> {
    const [row] = await this.auditor.query<Row>(null, {
      name: 'ledger_entry_at',
      text: `${SELECT} WHERE leaf.log = $1 AND leaf.idx = $2`,
      values: [log, index],
    });
    return row === undefined ? null : toEntry(row);
  }

  /** The index after the newest entry, once everything that was committed before the call has one. */
  async end(log: string): Promise<number> {
    await this.drain();
    const [head] = await this.auditor.query<{ size: string }>(null, {
      name: 'ledger_size',
      text: 'SELECT size FROM ledger_head WHERE log = $1',
      values: [log],
    });
    return Number(head?.size ?? 0);
  }

  /**
   * The entries below an index that name a subject, `count` at most. Searches the records themselves, in bounded
   * statements: an index of subjects would cost every write. A page may be short, or empty, before the search is over.
   *
   * @param subject reference of 32 hexadecimal digits.
   */
  async naming(log: string, subject: string, before: number, count: number): Promise<SubjectPage> {
    const entries: LedgerEntry[] = [];
    const lowest = Math.max(0, before - LONGEST_SEARCH);
    let high = before;
    while (high > lowest) {
      const low = Math.max(lowest, high - WINDOW);
      const rows = await this.auditor.query<Row>(null, {
        name: 'ledger_naming',
        text:
          `${SELECT} WHERE leaf.log = $1 AND leaf.idx >= $2 AND leaf.idx < $3 ` +
          `AND position($4::bytea IN entry.record) > 0 ORDER BY leaf.idx DESC LIMIT $5`,
        values: [log, low, high, Buffer.from(JSON.stringify(subject)), count - entries.length],
      });
      entries.push(...rows.map(toEntry));
      if (entries.length === count) return { entries, before: entries.at(-1)?.index ?? high };
      high = low;
    }
    return { entries, before: high === 0 ? null : high };
  }
}

function toEntry(row: Row): LedgerEntry {
  return {
    index: Number(row.idx),
    record: JSON.parse(row.record.toString()) as Record<string, unknown>,
    recordHash: row.record_hash.toString('hex'),
    leaf: row.leaf.toString('hex'),
  };
}
