import type { Finding, PolicyAction } from './decision.js';
import type { Permit } from './rule.js';

/** Fields of all lookups or searches joined, with the smallest of their limits: joining must not add up to more tries. */
export function findingOf(permits: readonly Permit[], action: PolicyAction): Finding | null {
  const least = (limits: readonly number[]) => Math.min(...limits);
  const lookups = action === 'lookup' ? permits.flatMap((permit) => permit.lookup ?? []) : [];
  const searches = action === 'search' ? permits.flatMap((permit) => permit.search ?? []) : [];
  if (lookups.length > 0) {
    return {
      fields: new Set(lookups.flatMap((one) => one.exact)),
      perMinute: least(lookups.map((one) => one.perMinute)),
      perDay: least(lookups.map((one) => one.perDay)),
    };
  }
  if (searches.length === 0) return null;
  return {
    fields: new Set(searches.flatMap((one) => one.by)),
    perHour: least(searches.map((one) => one.perHour)),
    perDay: least(searches.map((one) => one.perDay)),
  };
}
