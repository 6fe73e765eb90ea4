import { Failure, notFound } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';
import type { LedgerEntry, LedgerReader } from '../ledger/reader.js';

const MINUTE = 60_000;
/** Records of a document are made while it runs, mostly at its end; a job may run for long. Minutes before and after its id. */
const SPANS = [
  [1, 5],
  [0, 60],
] as const;
/** Pages of a search, each of which looks through a bounded part of the log. */
const MOST_PAGES = 8;
/** Records of one document that are told. */
const MOST_RECORDS = 100;

/**
 * The entries of a decision, the oldest first. The ledger has no index of them: the id, a UUID of version 7 (RFC 9562), says
 * when its document began, and the minutes around that are searched. NOT_FOUND for an id that no record of this log has;
 * where records of that time cannot be read, it names the archive that they are in.
 */
export async function entriesOfDecision(reader: LedgerReader, log: string, decision: string): Promise<LedgerEntry[]> {
  const began = beginOf(decision);
  if (began === null) throw notFound();
  const end = await reader.end(log);
  const budget = { pages: MOST_PAGES, unread: 0 };
  for (const [before, after] of SPANS) {
    const span = { from: instant(began - before * MINUTE), to: instant(began + after * MINUTE) };
    const found = await search(reader, log, { decision, ...span }, end, budget);
    if (found.length > 0) return found.reverse();
  }
  if (budget.unread === 0) throw notFound();
  const month = instant(began).slice(0, 7);
  throw new Failure(
    'NOT_FOUND',
    `The entries of that time are in the archive of ${month}, which is not at hand.`,
    `Put the archive of ${month} in its place, and ask again.`,
  );
}

async function search(
  reader: LedgerReader,
  log: string,
  filter: { readonly decision: string; readonly from: string; readonly to: string },
  end: number,
  budget: { pages: number; unread: number },
): Promise<LedgerEntry[]> {
  const found: LedgerEntry[] = [];
  for (let before: number | null = end; before !== null && found.length < MOST_RECORDS && budget.pages > 0;) {
    const page = await reader.entries(log, filter, before, MOST_RECORDS - found.length);
    found.push(...page.entries);
    budget.pages -= 1;
    budget.unread += page.unread;
    ({ before } = page);
  }
  return found;
}

/** The milliseconds in an id of version 7 whose moment RFC 3339 can say; null for any other text. */
function beginOf(id: string): number | null {
  const began = isId(id) && id[14] === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : NaN;
  return began >= MINUTE && began < LAST_MOMENT ? began : null;
}

/** Milliseconds of the last hour of the year 9999, which four digits can say. */
const LAST_MOMENT = Date.UTC(9999, 11, 31, 22);

const instant = (milliseconds: number): string => new Date(milliseconds).toISOString();
