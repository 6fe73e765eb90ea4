import type { Database } from '../persistence/database.js';
import { conditionOf, matches, type LedgerFilter } from './entry-filter.js';
import { SPAN, writerReference, type ReferenceRole } from './references.js';
import {
  StoredEntries,
  type ArchivedRecords,
  type Budget,
  type LedgerEntry,
  type ParsedRecord,
} from './stored-entries.js';
import { TimeRange } from './time-range.js';

export type { LedgerEntry } from './stored-entries.js';

/** Entries of a search, newest first, and how far it went. */
export interface EntryPage {
  readonly entries: readonly LedgerEntry[];
  /** Where to go on: only entries with a lower index are older. Null when no older one can match. */
  readonly before: number | null;
  /** How many entries could not be looked at: their records are in an archive that is not at hand. */
  readonly unread: number;
}

/** An entry that a receipt is about; `index` and `leaf` null while it has no place in the log yet. */
export interface ReceiptedEntry {
  readonly index: number | null;
  readonly bytes: Buffer;
}

/** Entries that one page looks through. */
const LONGEST_SEARCH = 131_072;
const WINDOW = 8_192;
/** Entries that one page takes from the index of references, and rows of the index that one statement reads. */
const MOST_LOOKED_UP = 4_096;
const REFERENCE_ROWS = 64;
/** Bundles of the archive that one page reads. */
const MOST_BUNDLES = 64;
const LEAST_LIMIT = 64;

interface Search {
  readonly log: string;
  readonly filter: LedgerFilter;
  /** Nothing below can match. */
  readonly low: number;
  readonly count: number;
  readonly found: LedgerEntry[];
  readonly budget: Budget & { scanned: number; lookedUp: number };
  unread: number;
}

/**
 * Reads the ledger as it stands in the database and its archive, for people who look something up. Proves nothing:
 * whoever must be sure verifies. The database is the auditor role's.
 */
export class LedgerReader {
  private readonly stored: StoredEntries;
  private readonly times: TimeRange;

  constructor(
    private readonly auditor: Database,
    /** Resolves when what was committed before the call is sequenced; rejects with AUDIT_UNAVAILABLE. */
    private readonly drain: () => Promise<void> = () => Promise.resolve(),
    archive: ArchivedRecords | null = null,
  ) {
    this.stored = new StoredEntries(auditor, archive);
    this.times = new TimeRange(auditor);
  }

  /** The newest entries, the newest last. */
  async tail(log: string, count: number): Promise<LedgerEntry[]> {
    const { size } = await this.extent(log);
    return this.stored.between(log, Math.max(0, size - count), size, { bundles: Infinity });
  }

  /** Null when there is no such entry. */
  async entry(log: string, index: number): Promise<LedgerEntry | null> {
    const [entry] = await this.stored.at(log, [index], { bundles: 1 });
    return entry ?? null;
  }

  /** What the records from `low` to before `high` say, the oldest first; without those that neither database nor archive has. */
  async records(log: string, low: number, high: number): Promise<ParsedRecord[]> {
    const found = await this.stored.recordsBetween(log, low, high, { bundles: Infinity });
    return found.map(({ record }) => record);
  }

  /** An index below which no entry is of `instant` (RFC 3339) or later. */
  async indexFrom(log: string, instant: string): Promise<number> {
    return this.times.from(log, await this.size(log), instant);
  }

  /** The index after the newest entry. */
  async size(log: string): Promise<number> {
    return (await this.extent(log)).size;
  }

  /** The same, once everything that was committed before the call has an index. */
  async end(log: string): Promise<number> {
    await this.drain();
    return this.size(log);
  }

  /**
   * The entries below an index that match, `count` at most, newest first. Looks through a bounded number of them: a page
   * may be short, or empty, before the search is over. A subject or an actor is found through the index of references,
   * and above its end, which follows the log at a distance, in the records themselves.
   */
  async entries(log: string, filter: LedgerFilter, before: number, count: number): Promise<EntryPage> {
    const { size, indexed } = await this.extent(log);
    const top = Math.min(before, size);
    const [low, high] = await Promise.all([
      filter.from == null ? 0 : this.times.from(log, top, filter.from),
      filter.to == null ? top : this.times.before(log, top, filter.to),
    ]);
    const budget = { bundles: MOST_BUNDLES, scanned: LONGEST_SEARCH, lookedUp: MOST_LOOKED_UP };
    const search: Search = { log, filter, low, count, found: [], budget, unread: 0 };
    const sought = soughtReference(filter);
    const floor = sought === null ? low : Math.max(low, Math.min(indexed, high));
    let reached = await this.scanDown(search, high, floor);
    if (sought !== null && reached <= floor) reached = await this.lookUp(search, sought, reached);
    return { entries: search.found, before: reached <= low ? null : reached, unread: search.unread };
  }

  /**
   * The entry that a writer recorded under a number, wherever its record is. Numbers of a writer are dense and rise with
   * the index, nearly: where only the archive has the record, the index of writers says in which spans it can be.
   */
  async receipted(log: string, writer: string, number: number): Promise<ReceiptedEntry | null> {
    const row = await this.stored.numbered(log, writer, number);
    if (row !== null) return row;
    const spans = await this.auditor.query<{ first: string; offsets: number[] }>(null, {
      name: 'ledger_writer_spans',
      text:
        'SELECT first, offsets FROM (SELECT first, offsets, sum(cardinality(offsets)) OVER (ORDER BY first) AS reached ' +
        `FROM ledger_reference WHERE log = $1 AND role = 'W' AND reference = $2::uuid) AS span ` +
        'WHERE reached > $3::bigint - $4::bigint AND reached - cardinality(offsets) < $3::bigint + $4::bigint ORDER BY first',
      values: [log, writerReference(writer), number, SPAN],
    });
    for (const { first, offsets } of spans) {
      const indexes = offsets.map((offset) => Number(first) + offset);
      const entries = await this.stored.at(log, indexes, { bundles: Infinity });
      const found = entries.find(({ record }) => record['writer'] === writer && record['number'] === number);
      if (found !== undefined) return found;
    }
    return null;
  }

  /** Searches records from `high` down to `low`; the index from which on all is searched. */
  private async scanDown(search: Search, high: number, low: number): Promise<number> {
    const { log, filter, count, found, budget } = search;
    const condition = conditionOf(filter);
    let reached = high;
    while (reached > low && found.length < count && budget.scanned > 0 && budget.bundles > 0) {
      const range = { low: Math.max(low, reached - Math.min(WINDOW, budget.scanned)), high: reached };
      const limit = Math.max(LEAST_LIMIT, count - found.length);
      const page = await this.stored.scan(log, range, condition, limit, budget);
      search.unread += page.unread;
      const full = take(search, page.entries);
      budget.scanned -= reached - page.reached;
      reached = full ?? page.reached;
    }
    return reached;
  }

  /** The same through the index of references. */
  private async lookUp(search: Search, [role, reference]: Sought, high: number): Promise<number> {
    const { log, filter, low, count, found, budget } = search;
    // Where nothing else is asked for, every place is a hit: no more are read than are shown.
    const alone = Object.values(filter).every((value) => value == null || value === reference);
    let reached = high;
    while (reached > low && found.length < count && budget.lookedUp > 0 && budget.bundles > 0) {
      const { indexes, lowest } = await this.placesOf(log, role, reference, low, reached);
      let at = 0;
      while (at < indexes.length && found.length < count && budget.bundles > 0) {
        const some = indexes.slice(at, at + (alone ? count - found.length : REFERENCE_ROWS));
        const full = take(search, await this.stored.at(log, some, budget));
        at += some.length;
        budget.lookedUp -= some.length;
        reached = full ?? some.at(-1) ?? reached;
      }
      if (at === indexes.length && found.length < count) reached = lowest;
    }
    return reached;
  }

  /** Indexes below `high` that the index has for a reference, descending; it was asked down to `lowest`. */
  private async placesOf(
    log: string,
    role: ReferenceRole,
    reference: string,
    low: number,
    high: number,
  ): Promise<{ indexes: number[]; lowest: number }> {
    const rows = await this.auditor.query<{ first: string; offsets: number[] }>(null, {
      name: 'ledger_places',
      text:
        'SELECT first, offsets FROM ledger_reference WHERE log = $1 AND role = $2::"char" AND reference = $3::uuid ' +
        'AND first > $4::bigint AND first < $5::bigint ORDER BY first DESC LIMIT $6',
      values: [log, role, reference, low - SPAN, high, REFERENCE_ROWS],
    });
    const indexes = rows
      .flatMap(({ first, offsets }) => offsets.map((offset) => Number(first) + offset).reverse())
      .filter((index) => index >= low && index < high);
    return { indexes, lowest: rows.length < REFERENCE_ROWS ? low : Math.max(low, Number(rows.at(-1)?.first)) };
  }

  private async extent(log: string): Promise<{ size: number; indexed: number }> {
    const [head] = await this.auditor.query<{ size: string; indexed: string }>(null, {
      name: 'ledger_extent',
      text:
        'SELECT head.size, coalesce(indexed.size, 0) AS indexed FROM ledger_head AS head ' +
        'LEFT JOIN ledger_indexed AS indexed USING (log) WHERE log = $1',
      values: [log],
    });
    return { size: Number(head?.size ?? 0), indexed: Number(head?.indexed ?? 0) };
  }
}

type Sought = readonly [ReferenceRole, string];

/** A patient is named less often than somebody of the staff acts. */
function soughtReference({ subject, actor }: LedgerFilter): Sought | null {
  if (subject != null) return ['S', subject];
  return actor == null ? null : ['A', actor];
}

/** Adds what matches; once the page is full, the index of its last entry, else null. */
function take({ filter, count, found }: Search, entries: readonly LedgerEntry[]): number | null {
  for (const entry of entries) {
    if (!matches(entry, filter)) continue;
    found.push(entry);
    if (found.length === count) return entry.index;
  }
  return null;
}
