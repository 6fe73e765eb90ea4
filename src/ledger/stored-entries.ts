import { hash } from 'node:crypto';
import type { Database } from '../persistence/database.js';
import type { Access } from './record.js';

/** A sequenced entry as it is in the ledger. */
export interface LedgerEntry {
  readonly index: number;
  /** The record, parsed from its canonical bytes. Of its members only the accesses were looked at. */
  readonly record: ParsedRecord;
  /** The canonical bytes themselves. */
  readonly bytes: Buffer;
  /** SHA-256 of the record and of the entry (the leaf), hexadecimal. */
  readonly recordHash: string;
  readonly leaf: string;
}

export interface ParsedRecord {
  readonly accesses: readonly Access[];
  readonly [member: string]: unknown;
}

/** Where records of months that were dropped from the database are read: place i of bundle `index` is entry 256·index + i. */
export interface ArchivedRecords {
  records(log: string, index: number, width: number): Promise<readonly { readonly record: Buffer | null }[]>;
}

/** A condition on `entry`, the row with the bytes of a record, over parameters from `$5` on. */
export interface RecordCondition {
  /** Names the text: equal names have equal texts. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** What one page may cost: counted down by whoever reads for it. */
export interface Budget {
  /** Bundles of the archive: a file each. */
  bundles: number;
}

interface Row {
  readonly idx: string;
  readonly leaf: Buffer;
  readonly record: Buffer | null;
}

interface Stored {
  readonly index: number;
  readonly leaf: Buffer;
  readonly bytes: Buffer;
}

const BUNDLE = 256;
const FROM =
  'FROM ledger_leaf AS leaf LEFT JOIN ledger_entry AS entry ' +
  'ON entry.id = leaf.entry_id AND entry.recorded_at = leaf.recorded_at WHERE leaf.log = $1';
const SELECT = `SELECT leaf.idx, leaf.leaf, entry.record ${FROM}`;

/**
 * Entries by their index: from the database, and from the archive where their month was dropped. An entry that is in
 * neither, or whose bytes are no record any more, is left out: whoever must know verifies.
 */
export class StoredEntries {
  constructor(
    private readonly database: Database,
    private readonly archive: ArchivedRecords | null,
  ) {}

  /** The entries of these indexes, in their order. */
  async at(log: string, indexes: readonly number[], budget: Budget): Promise<LedgerEntry[]> {
    const rows = await this.database.query<Row>(null, {
      name: 'ledger_entries_at',
      text: `${SELECT} AND leaf.idx = ANY ($2::bigint[])`,
      values: [log, indexes],
    });
    const stored = new Map((await this.complete(log, rows, budget)).map((row) => [row.index, row]));
    return indexes.flatMap((index) => {
      const row = stored.get(index);
      return (row && toEntry(row)) ?? [];
    });
  }

  /** The entries from `low` to before `high`, the oldest first. */
  async between(log: string, low: number, high: number, budget: Budget): Promise<LedgerEntry[]> {
    return (await this.rowsBetween(log, low, high, budget)).flatMap((row) => toEntry(row) ?? []);
  }

  /** What their records say, and nothing more. */
  async recordsBetween(
    log: string,
    low: number,
    high: number,
    budget: Budget,
  ): Promise<{ readonly index: number; readonly record: ParsedRecord }[]> {
    const rows = await this.rowsBetween(log, low, high, budget);
    return rows.flatMap(({ index, bytes }) => {
      const record = parsed(bytes);
      return record === null ? [] : [{ index, record }];
    });
  }

  /**
   * Looks through the entries from `low` to before `high`, the newest first, and stops after `limit` rows that the
   * condition lets through or whose record only the archive has. `reached` is the lowest index that was looked at,
   * `unread` counts those whose record neither has.
   */
  async scan(
    log: string,
    range: { readonly low: number; readonly high: number },
    condition: RecordCondition,
    limit: number,
    budget: Budget,
  ): Promise<{ entries: LedgerEntry[]; reached: number; unread: number }> {
    const rows = await this.database.query<Row>(null, {
      name: `ledger_scan_${condition.name}`,
      text:
        `${SELECT} AND leaf.idx >= $2 AND leaf.idx < $3 AND (entry.record IS NULL OR (${condition.text})) ` +
        `ORDER BY leaf.idx DESC LIMIT $4`,
      values: [log, range.low, range.high, limit, ...condition.values],
    });
    const last = rows.length < limit ? undefined : rows.at(-1);
    const found = await this.complete(log, rows, budget);
    return {
      entries: found.flatMap((row) => toEntry(row) ?? []),
      unread: rows.length - found.length,
      reached: last === undefined ? range.low : Number(last.idx),
    };
  }

  /** The entry with this number of a writer that is still in the database; `index` null while it is not sequenced. */
  async numbered(
    log: string,
    writer: string,
    number: number,
  ): Promise<{ index: number | null; leaf: Buffer | null; bytes: Buffer } | null> {
    const [row] = await this.database.query<{ idx: string | null; leaf: Buffer | null; record: Buffer }>(null, {
      name: 'ledger_entry_numbered',
      text:
        'SELECT leaf.idx, leaf.leaf, entry.record FROM ledger_entry AS entry ' +
        'LEFT JOIN ledger_leaf AS leaf ON leaf.entry_id = entry.id AND leaf.recorded_at = entry.recorded_at ' +
        'WHERE entry.log = $1 AND entry.writer = $2 AND entry.number = $3',
      values: [log, writer, number],
    });
    if (row === undefined) return null;
    return { index: row.idx === null ? null : Number(row.idx), leaf: row.leaf, bytes: row.record };
  }

  private async rowsBetween(log: string, low: number, high: number, budget: Budget): Promise<Stored[]> {
    const rows = await this.database.query<Row>(null, {
      name: 'ledger_entries_between',
      text: `${SELECT} AND leaf.idx >= $2 AND leaf.idx < $3 ORDER BY leaf.idx`,
      values: [log, low, high],
    });
    return this.complete(log, rows, budget);
  }

  /** Fills in what is not in the database any more; a bundle of neighbours is read once. */
  private async complete(log: string, rows: readonly Row[], budget: Budget): Promise<Stored[]> {
    const bundles = new Map<number, readonly { readonly record: Buffer | null }[]>();
    const found: Stored[] = [];
    for (const row of rows) {
      const index = Number(row.idx);
      const bundle = Math.floor(index / BUNDLE);
      if (row.record === null && this.archive !== null && !bundles.has(bundle)) {
        budget.bundles -= 1;
        bundles.set(bundle, await this.archive.records(log, bundle, BUNDLE));
      }
      const bytes = row.record ?? bundles.get(bundle)?.[index % BUNDLE]?.record ?? null;
      if (bytes !== null) found.push({ index, leaf: row.leaf, bytes });
    }
    return found;
  }
}

/** Null where the bytes are no record. */
function toEntry({ index, leaf, bytes }: Stored): LedgerEntry | null {
  const record = parsed(bytes);
  if (record === null) return null;
  return { index, record, bytes, recordHash: hash('sha256', bytes, 'hex'), leaf: leaf.toString('hex') };
}

function parsed(bytes: Buffer): ParsedRecord | null {
  try {
    const record = JSON.parse(bytes.toString()) as ParsedRecord | null;
    const whole = record?.accesses.every(
      ({ fields, subjects }) => typeof fields === 'object' && Array.isArray(subjects),
    );
    return record != null && whole === true ? record : null;
  } catch {
    return null;
  }
}
