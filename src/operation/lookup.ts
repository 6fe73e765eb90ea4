import { registry } from '../kernel/attribute.js';
import { Failure, notFound } from '../kernel/failure.js';
import { sealedColumn } from '../persistence/attribute.js';
import type { Finding } from '../policy/decision.js';
import type { Limit } from './limit.store.js';
import type { Scope } from './scope.js';
import type { View } from './view.js';

/** Rows that share an index: a few by chance, more where many have one number. With so many, a lookup answers none. */
const LARGEST_MATCH = 200;

/**
 * Exact lookup by a sealed field: equality of the blind index, then of the opened value. `matches` compares the opened
 * value with the one asked for. More than one match is answered like none: a lookup never enumerates.
 */
export async function lookupRow(
  scope: Scope,
  type: string,
  field: string,
  normalised: string,
  matches: (opened: string) => boolean,
): Promise<View> {
  const { actor, services, now } = scope;
  const attribute = registry.attribute(type, field);
  const decision = scope.obliged('lookup', type);
  const permission = decision.lookup;
  if (attribute.blindIndex === null || permission === null || !permission.fields.has(field)) {
    throw new Failure('FORBIDDEN', `You may not look up by ${type}.${field}.`, 'Ask the security team for the right.');
  }
  await services.limits.take(actor, `lookup:${type}`, limitOf(permission), now);
  const indexes = services.vault.blindIndexes(actor.tenant, `${type}.${field}`, normalised);
  const reading = scope.reading(type);
  const reader = scope.reader(reading, [sealedColumn(attribute.group)]);
  const candidates = await reader.byIndex(decision, attribute.blindIndex, indexes, LARGEST_MATCH);
  await scope.loadKeys(candidates);
  const found = candidates.filter((row) => {
    const opened = scope.openSealed(type, row, attribute.group)[field];
    return typeof opened === 'string' && matches(opened);
  });
  const [row, ...others] = found;
  const ambiguous = others.length > 0 || candidates.length === LARGEST_MATCH;
  if (row === undefined || ambiguous) throw notFound(ambiguous ? 'AMBIGUOUS' : undefined);
  const [view] = await scope.show(reading, [row]);
  if (view === undefined) throw notFound();
  return view;
}

/** The windows of a permission to find rows. */
export function limitOf({ perMinute, perHour, perDay }: Finding): Limit {
  return { ...(perMinute !== undefined && { perMinute }), ...(perHour !== undefined && { perHour }), perDay };
}
