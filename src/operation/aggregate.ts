import { createHash } from 'node:crypto';
import { registry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { SMALLEST_GROUP } from '../policy/obligation.js';
import type { Decision } from '../policy/decision.js';
import { roundedDown, tableOf, type CountTable, type GroupSize } from './cell-suppression.js';
import { COUNTABLE, dimensionOf, valueExpression, type Countable, type CountSetting } from './count-dimensions.js';
import { CountSnapshots, LIFETIME, type CountSnapshot } from './count-snapshot.store.js';
import { notFilterable } from './criteria.js';
import { aliasesOf, fromClause, unlessErased } from './noun-table.js';
import { Parameters } from './parameters.js';
import type { Scope } from './scope.js';

export interface CountArguments {
  readonly by: readonly Countable[];
}
export interface Counts extends CountTable {
  readonly k: number;
}

const TYPE = 'Patient';
const MOST_DIMENSIONS = 2;

/**
 * How many people there are, by at most two dimensions that the decision `aggregate` shows in clear. There is no filter: who
 * is counted is the policy's alone. All tables that a caller can ask for are sums of one partition (cell-suppression.ts),
 * which is taken once a day.
 */
export async function countPatients(scope: Scope, { by }: CountArguments): Promise<Counts> {
  const decided = scope.decide('aggregate', TYPE);
  const k = Math.max(SMALLEST_GROUP, ...decided.obligations.map((one) => (one.type === 'kAnonymity' ? one.k : 0)));
  const decision = scope.obliged('aggregate', TYPE, k);
  const family = COUNTABLE.filter((field) => decision.clearFor(field) !== 'never');
  const asked = positions(by, family);
  if (decision.perUserPerHour === null) throw new Error('A rule for aggregate has no limit.');
  const { limits, database } = scope.services;
  await limits.take(scope.actor, `aggregate:${TYPE}`, { perHour: decision.perUserPerHour }, scope.now);
  const snapshots = new CountSnapshots(database);
  const key = digest([scope.actor.role, scope.purpose]);
  const rules = rulesOf(scope, decision, family, k);
  const { tenant, country } = scope.actor;
  const standing =
    (await snapshots.find(tenant, key, scope.now)) ??
    (await snapshots.keep(tenant, key, { ...(await count(scope, decision, family, k)), rules }));
  if (standing.rules !== rules) throw otherRules(standing.takenAt, scope.now);
  const setting = { year: standing.takenAt.getUTCFullYear(), country };
  const dimensions = family.map((field) => dimensionOf(field, setting));
  const table = tableOf(standing.groups, dimensions, asked);
  const fields = Object.fromEntries(by.map((field) => [field, 'CLEAR' as const]));
  scope.document.note({ type: TYPE, rows: table.total ?? 0, fields, subjects: [] });
  return { k, ...table };
}

/** Where the asked dimensions stand in the family. */
function positions(by: readonly Countable[], family: readonly Countable[]): number[] {
  if (by.length > MOST_DIMENSIONS || new Set(by).size < by.length) {
    throw new Failure(
      'BAD_USER_INPUT',
      `People are counted by ${MOST_DIMENSIONS} different dimensions at most.`,
      'Leave dimensions out.',
    );
  }
  return by.map((field) => {
    const position = family.indexOf(field);
    if (position < 0) throw notFilterable(TYPE, field);
    return position;
  });
}

/**
 * What the rules say, whatever they are called: two counts under rules that say the same are the same count. Nothing of the
 * account is in it, and not the day.
 */
function rulesOf({ actor }: Scope, decision: Decision, family: readonly Countable[], k: number): string {
  const aliases = aliasesOf(registry.noun(TYPE));
  const parameters = new Parameters();
  const { bind } = parameters;
  const context = { now: new Date(0), timeZone: actor.timeZone };
  const predicates = [
    decision.rowPredicate(aliases, bind, context),
    ...family.map((field) => decision.clearPredicate(field, aliases, bind, context)),
  ];
  const { values } = parameters.statement(predicates.join(' '));
  return digest([predicates, values, family, k, actor.country]);
}

function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** A change of the rules must not let anybody see two counts on one day: their difference would tell of single persons. */
function otherRules(takenAt: Date, now: Date): Failure {
  const until = takenAt.getTime() + LIFETIME;
  return new Failure(
    'RATE_LIMITED',
    'The rules of this count have changed since it was taken.',
    'Ask again when a day has passed.',
    { extensions: { retryAfterSeconds: Math.max(1, Math.ceil((until - now.getTime()) / 1_000)) } },
  );
}

/** Counts people by all dimensions of the family at once. A row of which one of them is not in clear does not count. */
async function count(
  scope: Scope,
  decision: Decision,
  family: readonly Countable[],
  k: number,
): Promise<Omit<CountSnapshot, 'rules'>> {
  const { actor, services, now } = scope;
  const noun = registry.noun(TYPE);
  const aliases = aliasesOf(noun);
  const parameters = new Parameters();
  const { bind } = parameters;
  const setting: CountSetting = { year: now.getUTCFullYear(), country: actor.country };
  const values = family.map((field) => valueExpression(field, aliases.self, setting, bind));
  const tenant = bind(actor.tenant);
  const conditions = [
    `assert_tenant(${tenant}) AND s.tenant_id = ${tenant}`,
    decision.rowPredicate(aliases, bind, scope.context()) + unlessErased(noun),
    ...family.map((field) => decision.clearPredicate(field, aliases, bind, scope.context())),
  ];
  const groups = await services.database.query<GroupSize>(
    actor.tenant,
    parameters.statement(
      `SELECT ARRAY[${values.join(', ')}]::text[] AS "values", count(*)::integer AS "count" ` +
        `FROM ${fromClause(noun)} WHERE ${conditions.join(' AND ')} GROUP BY 1`,
    ),
  );
  return { takenAt: now, groups: roundedDown(groups, k) };
}
