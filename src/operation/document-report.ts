import type { RecordKind } from '../ledger/record.js';
import type { AnyOperation } from './operation.js';
import type { Pattern } from './view.js';

/** What was masked and hidden: schema coordinates, each once. */
export interface DocumentReport {
  readonly masked: { readonly path: string; readonly fn: string }[];
  readonly hidden: { readonly path: string }[];
  /** Whether a governed type was read. */
  readonly any: boolean;
}

/** What patterns of rows show, and fields that were hidden as a whole. */
export function reportOf(patterns: Iterable<Pattern>, hiddenFields: ReadonlySet<string>): DocumentReport {
  const masked = new Map<string, { path: string; fn: string }>();
  const hidden = new Map([...hiddenFields].map((path) => [path, { path }]));
  let any = false;
  for (const pattern of patterns) {
    any = true;
    for (const { field, mask } of pattern.masked) {
      const path = `${pattern.type}.${field}`;
      masked.set(path, { path, fn: mask ?? 'M_NULL' });
    }
    for (const { field } of pattern.hidden)
      hidden.set(`${pattern.type}.${field}`, { path: `${pattern.type}.${field}` });
  }
  // In the order of their names: which of two aliases was answered first is nobody's business.
  return { masked: sorted(masked), hidden: sorted(hidden), any };
}

/** A document that searches is recorded as a search, even when it also reads by id. */
export function widestKind(operations: readonly AnyOperation[]): RecordKind {
  const kinds = new Set(operations.map((operation) => operation.kind));
  for (const kind of ['EXPORT', 'DISCLOSE', 'LEDGER_READ', 'LOOKUP', 'SEARCH'] as const)
    if (kinds.has(kind)) return kind;
  return 'READ';
}

function sorted<Item extends { path: string }>(byPath: ReadonlyMap<string, Item>): Item[] {
  return [...byPath.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}
