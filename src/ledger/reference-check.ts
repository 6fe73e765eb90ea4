import type { Database } from '../persistence/database.js';
import { referencesIn, SPAN } from './references.js';
import { type ArchivedRecords, StoredEntries } from './stored-entries.js';

const SLICE = 256;

/**
 * The first entry of a log that the index of references hides: it names somebody, lies below `ledger_indexed`, and the index
 * does not lead to it. Null: none. The index is no evidence, but whoever searches for a person sees nothing else below its
 * end, so that a wrong one would keep an access out of every report. What it has too much does no harm: what it leads to
 * is compared with the search. Reads every indexed record once.
 */
export async function hiddenByIndex(
  database: Database,
  archive: ArchivedRecords,
  log: string,
): Promise<{ readonly index: number } | null> {
  const stored = new StoredEntries(database, archive);
  const [extent] = await database.query<{ indexed: string }>(null, {
    text: 'SELECT size AS indexed FROM ledger_indexed WHERE log = $1',
    values: [log],
  });
  const indexed = Number(extent?.indexed ?? 0);
  const [end] = await database.query<{ size: string }>(null, {
    text: 'SELECT size FROM ledger_head WHERE log = $1',
    values: [log],
  });
  // Whatever comes next would be hidden.
  const size = Number(end?.size ?? 0);
  for (let first = 0; first < Math.min(indexed, size); first += SPAN) {
    const named = new Map<string, number[]>();
    const last = Math.min(first + SPAN, indexed, size);
    for (let low = first; low < last; low += SLICE) {
      const records = await stored.recordsBetween(log, low, Math.min(low + SLICE, last), { bundles: Infinity });
      for (const { index, record } of records) {
        for (const key of referencesIn(record)) {
          const offsets = named.get(key);
          if (offsets === undefined) named.set(key, [index - first]);
          else offsets.push(index - first);
        }
      }
    }
    const hidden = await firstHidden(database, log, first, [...named]);
    if (hidden !== null) return { index: hidden };
  }
  return indexed > size ? { index: size } : null;
}

async function firstHidden(
  database: Database,
  log: string,
  first: number,
  named: readonly (readonly [string, readonly number[]])[],
): Promise<number | null> {
  const [row] = await database.query<{ hidden: number | null }>(null, {
    name: 'ledger_hidden_by_index',
    text:
      'SELECT min(place) AS hidden FROM unnest($3::text[], $4::text[], $5::text[]) AS named (role, reference, places) ' +
      'LEFT JOIN ledger_reference AS indexed ON indexed.log = $1 AND indexed.role = named.role::"char" ' +
      'AND indexed.reference = named.reference::uuid AND indexed.first = $2 ' +
      "CROSS JOIN LATERAL unnest(places::smallint[]) AS place WHERE place <> ALL (coalesce(offsets, '{}'))",
    values: [
      log,
      first,
      named.map(([key]) => key.slice(-1)),
      named.map(([key]) => key.slice(0, -1)),
      named.map(([, offsets]) => `{${offsets.join()}}`),
    ],
  });
  return row?.hidden == null ? null : first + row.hidden;
}
