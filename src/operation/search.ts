import { registry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { sealedColumn } from '../persistence/attribute.js';
import { limitOf } from './lookup.js';
import type { FetchedRow } from './reader.js';
import { searchToken } from './row-indexes.js';
import type { Scope } from './scope.js';
import type { View } from './view.js';

/** One thing that a search asks of a field. */
export interface SearchCriterion {
  readonly field: string;
  readonly kind: 'suffix' | 'tokens';
  /** A value that is meant has all parts of one of these. */
  readonly alternatives: readonly (readonly string[])[];
  /** Whether an opened value is meant: tokens stand for other values too. */
  readonly matches: (opened: string) => boolean;
}

export const LARGEST_SEARCH = 50;
/** Candidates that are opened at once, and how often: what tokens find by chance must not cost without end. */
const BATCH = 64;
const MOST_BATCHES = 8;

/**
 * Rows that meet all criteria, newest first, at most `first` of them: no count and no cursor. Only rows on which the caller sees
 * the searched fields in clear are looked at, so that a search tells nothing that a list would not. The values are opened
 * and compared; what only shares tokens is neither shown nor counted.
 */
export async function searchRows(
  scope: Scope,
  type: string,
  criteria: readonly SearchCriterion[],
  first: number,
): Promise<View[]> {
  const { actor, services, now } = scope;
  const decision = scope.obliged('search', type);
  const permission = decision.lookup;
  const reading = scope.reading(type);
  const read = scope.decide('read', type);
  for (const { field } of criteria) {
    if (permission?.fields.has(field) !== true || read.clearFor(field) === 'never') {
      throw new Failure('FORBIDDEN', `You may not search by ${type}.${field}.`, 'Ask the security team for the right.');
    }
  }
  if (permission === null || criteria.length === 0) throw new Error('A search has a criterion.');
  await services.limits.take(actor, `search:${type}`, limitOf(permission), now);
  const attributes = criteria.map(({ field }) => registry.attribute(type, field));
  const groups = [...new Set(attributes.map(({ group }) => group))];
  const reader = scope.reader(reading, groups.map(sealedColumn));
  const wanted = wantedTokens(scope, type, criteria);
  const fields = criteria.map(({ field }) => field);
  const found: FetchedRow[] = [];
  let before: string | null = null;
  for (let batch = 0; batch < MOST_BATCHES && found.length < first; batch += 1) {
    const candidates: FetchedRow[] = await reader.byTokens(decision, fields, wanted, before, BATCH);
    await scope.loadKeys(candidates);
    const meant = candidates.filter((row) => {
      const opened = Object.assign({}, ...groups.map((group) => scope.openSealed(type, row, group)));
      return criteria.every(({ field, matches }) => typeof opened[field] === 'string' && matches(opened[field]));
    });
    found.push(...meant.slice(0, first - found.length));
    before = String(candidates.at(-1)?.['id']);
    if (candidates.length < BATCH) break;
  }
  return scope.show(reading, found);
}

/** Every alternative of every criterion joined, under every key that tokens may have been made with: arrays as text. */
function wantedTokens({ services, actor }: Scope, type: string, criteria: readonly SearchCriterion[]): string[] {
  return services.vault.indexKeys(actor.tenant).flatMap((key) => {
    let joined: number[][] = [[]];
    for (const { field, kind, alternatives } of criteria) {
      const each = alternatives.map((parts) => parts.map((part) => searchToken(key, type, field, kind, part)));
      joined = joined.flatMap((before) => each.map((tokens) => [...before, ...tokens]));
    }
    return joined.map((tokens) => `{${[...new Set(tokens)].join(',')}}`);
  });
}
