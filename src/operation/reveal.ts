import { DATA_GROUPS, registry, type NounDeclaration } from '../kernel/attribute.js';
import { Failure, notFound } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';
import { defineOperation, type OperationDefinition } from './operation.js';
import { Reader, type SingleRow } from './reader.js';
import type { Scope } from './scope.js';
import { selectFields } from './selection.js';
import { Reading } from './view.js';

export interface RevealArguments {
  readonly type: string;
  readonly id: string;
  /** Data group. */
  readonly fieldSet: string;
  readonly challengeId?: string | null;
}

/** One record, one data group, in clear. */
export interface Revealed {
  readonly id: string;
  readonly type: string;
  readonly fields: readonly { readonly field: string; readonly value: string | null }[];
}

const declared = defineOperation<RevealArguments, Revealed>({
  name: 'reveal',
  kind: 'READ',
  action: 'reveal',
  type: 'Patient',
  mode: 'read',
  alone: true,
  handler: reveal,
});

/** The operation for records of a type. Of a type that there is not it is the one for patients, whose handler refuses it. */
export function revealOf(type: string): OperationDefinition<RevealArguments, Revealed> {
  return nounOf(type) === null ? declared : { ...declared, type };
}

/**
 * What the policy's decision `reveal` shows in clear of one data group, of a row that the caller reads anyway. Counted
 * before the row is looked up, so that a try costs as much as a hit; a row that is missing, foreign or hidden, and one of
 * which nothing may be revealed, are the same to the caller.
 */
async function reveal(scope: Scope, { type, id, fieldSet }: RevealArguments): Promise<Revealed> {
  const noun = nounOf(type);
  if (noun === null || !(DATA_GROUPS as readonly string[]).includes(fieldSet)) {
    throw new Failure(
      'BAD_USER_INPUT',
      'There is no such type or field set.',
      'Name a type and one of its data groups.',
    );
  }
  const decision = scope.obliged('reveal', type);
  const fields = [...decision.shown].filter((field) => noun.attributes.get(field)?.group === fieldSet);
  if (fields.length === 0 || decision.perUserPerHour === null) {
    throw new Failure('FORBIDDEN', `You may not reveal this of ${type}.`, 'Ask the security team for the right.');
  }
  scope.reading(type);
  await scope.services.limits.take(scope.actor, 'reveal', { perHour: decision.perUserPerHour }, scope.now);
  const reading = new Reading(noun, decision.shape, selectFields(...fields));
  const row = isId(id) ? await readable(scope, reading, id) : null;
  const states = row === null ? {} : reading.patternOf(row).selected;
  const clear = fields.filter((field) => states[field] === 'CLEAR');
  if (row === null || clear.length === 0) throw notFound();
  const [view] = await scope.open(reading, [row]);
  if (row.subject_reference !== null && row.subject_id !== null) {
    scope.document.know(row.subject_reference, row.subject_id);
  }
  scope.alone.rules.push(...[...decision.ruleIds].sort());
  scope.alone.consents.push(...decision.consents);
  scope.alone.accesses.push({
    type,
    rows: 1,
    fields: Object.fromEntries(clear.map((field) => [field, 'CLEAR'] as const)),
    subjects: row.subject_reference === null ? [] : [row.subject_reference],
  });
  return { id: row.id, type, fields: clear.map((field) => ({ field, value: textOf(view?.[field]) })) };
}

/** The row where both decisions reach it: to be revealed, and to be read. Both are asked whatever the other says. */
async function readable(scope: Scope, reading: Reading, id: string): Promise<SingleRow | null> {
  const { services, actor } = scope;
  const { type } = reading.noun;
  const ask = (action: 'reveal' | 'read') => {
    const decision = scope.decide(action, type);
    return new Reader(services.database, actor.tenant, reading, decision, scope.context()).one(id);
  };
  const [revealed, read] = await Promise.all([ask('reveal'), ask('read')]);
  if (revealed === null) return null;
  if (read?.visible !== true) throw notFound('NO_CARE_RELATIONSHIP');
  if (!revealed.visible) throw notFound('FORBIDDEN');
  return revealed;
}

function nounOf(type: string): NounDeclaration | null {
  return registry.all().find((noun) => noun.type === type) ?? null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}
