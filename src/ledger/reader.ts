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

interface Row {
  readonly idx: string;
  readonly record: Buffer;
  readonly record_hash: Buffer;
  readonly leaf: Buffer;
}

const SELECT =
  'SELECT leaf.idx, entry.record, entry.record_hash, leaf.leaf ' +
  'FROM ledger_leaf AS leaf JOIN ledger_entry AS entry ON entry.id = leaf.entry_id';

/**
 * Reads the ledger as it stands in the database, for people who look something up. Proves nothing: whoever must be
 * sure verifies an export. The database is the auditor role's.
 */
export class LedgerReader {
  constructor(private readonly auditor: Database) {}

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
}

function toEntry(row: Row): LedgerEntry {
  return {
    index: Number(row.idx),
    record: JSON.parse(row.record.toString()) as Record<string, unknown>,
    recordHash: row.record_hash.toString('hex'),
    leaf: row.leaf.toString('hex'),
  };
}
