import { ROLES, type Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { actorOf } from './cases.js';
import { POLICY_ACTIONS, type Decision, type PolicyAction } from './decision.js';
import type { PolicyEngine } from './engine.js';
import { sameGrants, sameRow } from './mutant.js';
import { planOf, rowClasses } from './row-classes.js';

/** A question that two sets of policies answer differently, for some row or for all. */
export interface ChangedQuestion {
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
  /** False where only what does not depend on the row is different. */
  readonly rowsDiffer: boolean;
  /** What does not depend on the row, in words: `may write phone`, `no longer needs stepUp`. */
  readonly grants: readonly string[];
  /** Attributes of the account, besides role and tenant, that either answer depends on. */
  readonly attributes: readonly string[];
}

/**
 * The questions that two engines answer differently: over all roles, purposes, actions, types and classes of rows. What is
 * not named here changes for nobody, whatever the data are. Time and network are those of a request that states neither.
 * @param roles whose questions are compared; each takes a part of a second
 */
export function changedQuestions(
  before: PolicyEngine,
  after: PolicyEngine,
  registry: AttributeRegistry,
  roles: readonly Role[] = ROLES,
): ChangedQuestion[] {
  return roles.flatMap((role) => {
    const actor = actorOf(role);
    const purposes = [...new Set([...before.purposesOf(role), ...after.purposesOf(role)])];
    return purposes.flatMap((purpose) =>
      registry.all().flatMap(({ type }) =>
        POLICY_ACTIONS.flatMap((action) => {
          const decisions = [before, after].map((engine) => engine.decide(actor, purpose, action, type));
          const [old, made] = decisions as [Decision, Decision];
          if (!old.allowed && !made.allowed) return [];
          const rowsDiffer = old.allowed !== made.allowed || differOnRows(old, made, actor);
          if (!rowsDiffer && sameGrants(old, made)) return [];
          const names = decisions.flatMap((one) => planOf(one).actorAttributes.map(({ attribute }) => attribute));
          const attributes = [...new Set(names)].filter((name) => name !== 'tenant').sort();
          return [{ role, purpose, action, type, rowsDiffer, grants: grantChanges(old, made), attributes }];
        }),
      ),
    );
  });
}

/** More combinations than can be looked at count as a difference: the data will tell. */
function differOnRows(old: Decision, made: Decision, actor: ReturnType<typeof actorOf>): boolean {
  try {
    return rowClasses([old, made], actor).some((facts) => !sameRow(old, made, facts));
  } catch (error) {
    if (error instanceof RangeError) return true;
    throw error;
  }
}

function grantChanges(old: Decision, made: Decision): string[] {
  const written = changes(old.writableFields(), made.writableFields());
  const found = changes(old.lookup?.fields ?? new Set(), made.lookup?.fields ?? new Set());
  const finds = made.action === 'search' ? 'search' : 'look up';
  const obliged = changes(
    new Set(old.allowed ? old.obligations.map((one) => JSON.stringify(one)) : []),
    new Set(made.allowed ? made.obligations.map((one) => JSON.stringify(one)) : []),
  );
  const plain = (one: string) => one.replaceAll(/["{}]/g, '').replace('type:', '');
  return [
    ...written.gained.map((field) => `may write ${field}`),
    ...written.lost.map((field) => `may no longer write ${field}`),
    ...found.gained.map((field) => `may ${finds} by ${field}`),
    ...found.lost.map((field) => `may no longer ${finds} by ${field}`),
    ...(made.allowed ? obliged.gained.map((one) => `must give ${plain(one)}`) : []),
    ...(old.allowed && made.allowed ? obliged.lost.map((one) => `need no longer give ${plain(one)}`) : []),
    ...(old.allowed && made.allowed ? limitChanges(old, made) : []),
  ];
}

function limitChanges(old: Decision, made: Decision): string[] {
  const limitsOf = ({
    action,
    lookup,
    perUserPerHour,
    volume,
  }: Decision): Record<string, number | null | undefined> => ({
    'lookups a minute': lookup?.perMinute,
    'searches an hour': lookup?.perHour,
    [`${action === 'search' ? 'searches' : 'lookups'} a day`]: lookup?.perDay,
    'times an hour': perUserPerHour,
    'patients an hour': volume?.patientsPerHour,
    'patients a day': volume?.patientsPerDay,
  });
  const before = limitsOf(old);
  const after = limitsOf(made);
  return Object.keys(after)
    .filter((name) => before[name] !== after[name])
    .map(
      (name) =>
        `have ${String(after[name] ?? 'any number of')} ${name} instead of ${String(before[name] ?? 'any number')}`,
    );
}

function changes(old: ReadonlySet<string>, made: ReadonlySet<string>): { gained: string[]; lost: string[] } {
  return { gained: [...made].filter((one) => !old.has(one)), lost: [...old].filter((one) => !made.has(one)) };
}
