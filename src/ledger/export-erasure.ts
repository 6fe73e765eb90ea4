import { splitDetails } from '../../audit/details.mjs';
import { TILE_WIDTH } from '../../audit/tiles.mjs';
import type { LogFiles } from './log-files.js';
import type { LogRow } from './log-rows.js';
import { LedgerReader } from './reader.js';
import type { ParsedRecord } from './stored-entries.js';

const ERASURE = Buffer.from('"kind":"ERASE"');
const PAGE = 1_000;

/**
 * Whose details were erased, as the entries tell that pass through an export. The database has deleted those details with
 * the record of the erasure; files that were written before it still hold them.
 */
export class Erasures {
  /** By subject: the index of the last record that says so. */
  private readonly last = new Map<string, number>();

  take(index: number, { entry }: LogRow): void {
    if (entry === null || !entry.includes(ERASURE)) return;
    const { kind, outcome, accesses } = JSON.parse(entry.subarray(32).toString()) as ParsedRecord;
    if (kind !== 'ERASE' || outcome !== 'success') return;
    for (const { subjects } of accesses) for (const subject of subjects) this.last.set(subject, index);
  }

  /**
   * By bundle, the places whose details must be gone: those of records that name such a person before the erasure. Records
   * of erasures keep theirs, as in the database: they tell who erased.
   */
  async places(files: LogFiles, log: string): Promise<Map<number, number[]>> {
    const reader = new LedgerReader(files.database, undefined, files);
    const places = new Map<number, number[]>();
    for (const [subject, erased] of this.last) {
      for (let before: number | null = erased; before !== null;) {
        const page = await reader.entries(log, { subject }, before, PAGE);
        for (const { index, record } of page.entries) {
          if (record['sealed'] === undefined || record['kind'] === 'ERASE') continue;
          const bundle = Math.floor(index / TILE_WIDTH);
          places.set(bundle, [...(places.get(bundle) ?? []), index % TILE_WIDTH]);
        }
        ({ before } = page);
      }
    }
    return places;
  }
}

/** The ciphertexts of a file of details without those at these places; null when none of them is there. */
export function withoutPlaces(details: Uint8Array, places: readonly number[]): (Uint8Array | null)[] | null {
  const ciphertexts = splitDetails(details, TILE_WIDTH);
  const there = places.filter((place) => ciphertexts[place] != null);
  if (there.length === 0) return null;
  for (const place of there) ciphertexts[place] = null;
  return ciphertexts;
}
