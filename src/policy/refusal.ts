import type { Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { Bundle } from './bundle.js';
import { environmentsOf } from './compile.js';
import type { Where } from './condition.js';
import type { PolicyAction } from './decision.js';
import type { Permit } from './rule.js';

/** What a permit asks for that a request had not, or may have had not; or that a guardrail forbids. */
export type LackKind =
  'role' | 'purpose' | 'action' | 'time' | 'network' | 'inherit' | 'condition' | 'consent' | 'obligation' | 'forbidden';

/** Names alone: of roles, purposes, actions, types, facts and obligations. No value, and nothing of a patient. */
export interface Lack {
  readonly kind: LackKind;
  readonly names: readonly string[];
}
export interface LackingRule {
  readonly id: string;
  readonly lacks: readonly Lack[];
}

/** A refusal, as its record tells it. */
export interface RefusedQuestion {
  readonly role: Role;
  readonly purpose: string | null;
  readonly action: PolicyAction;
  readonly type: string;
  readonly now: Date;
  readonly code: string;
  /** Whether a reason was given. */
  readonly reason: boolean;
}

/**
 * The permits that would have allowed what was refused, and what each of them asks for; the nearest first. Where a permit
 * took part, the row decided: its facts are not kept, so that all is told that the permit asks of it, and every guardrail
 * that may forbid it. Where no permit has the action, those of the role's other actions are told.
 */
export function lackingRules(bundle: Bundle, registry: AttributeRegistry, asked: RefusedQuestion): LackingRule[] {
  const { role, action, type } = asked;
  const ofType = bundle.permits.filter((permit) => permit.type === type);
  const able = ofType.filter((permit) => permit.actions.has(action));
  const others = ofType.filter((permit) => permit.roles.has(role) && audienceLacks(permit, asked).length === 0);
  if (able.length === 0) {
    return others.map(({ id, actions }) => ({ id, lacks: [{ kind: 'action', names: [...actions] }] }));
  }
  const found = able.map((permit) => ({ permit, lacks: audienceLacks(permit, asked) }));
  found.sort((left, right) => left.lacks.length - right.lacks.length);
  const took = found.some(({ lacks }) => lacks.length === 0);
  return [
    ...found.map(({ permit, lacks }) => ({
      id: permit.id,
      lacks: lacks.length > 0 ? lacks : rowLacks(bundle, registry, permit, asked),
    })),
    ...(took && !NARROW.has(asked.code) ? forbidding(bundle, asked) : []),
  ];
}

/** Ids of the rules about these types that ask from which address a request came, for one role and purpose. */
export function networkRules(bundle: Bundle, role: Role, purpose: string, types: ReadonlySet<string>): string[] {
  const conditions = environmentsOf(bundle, role, purpose);
  return [
    ...bundle.permits.filter(({ type }) => types.has(type)),
    ...bundle.guardrails.filter(({ fields }) => [...fields.keys()].some((type) => types.has(type))),
  ].flatMap(({ id }) => (conditions.get(id)?.asksNetwork === true ? [id] : []));
}

/** Whether a rule for the role and the purpose asks when a request came. */
export function asksTime(bundle: Bundle, role: Role, purpose: string): boolean {
  return [...environmentsOf(bundle, role, purpose).values()].some((condition) => condition.asksTime);
}

/** Refusals that say what was missing: nothing else is told of the permits that took part. */
const NARROW = new Set(['CONSENT_REQUIRED', 'CONSENT_WITHDRAWN', 'GUARDIAN_CONSENT_REQUIRED', 'STEP_UP_REQUIRED']);

function audienceLacks({ roles, purposes, when }: Permit, { role, purpose, now }: RefusedQuestion): Lack[] {
  const lacks: Lack[] = [];
  if (!roles.has(role)) lacks.push({ kind: 'role', names: [...roles] });
  if (purpose === null || !purposes.has(purpose)) lacks.push({ kind: 'purpose', names: [...purposes] });
  if (when !== null && !when.opens(now)) lacks.push({ kind: 'time', names: [] });
  if (when?.asksNetwork === true) lacks.push({ kind: 'network', names: [] });
  return lacks;
}

function rowLacks(bundle: Bundle, registry: AttributeRegistry, permit: Permit, asked: RefusedQuestion): Lack[] {
  const { code, reason } = asked;
  const parents = parentsOf(bundle, registry, permit, asked);
  const scopes = [permit, ...parents.permits].flatMap(({ consent }) => (consent === null ? [] : scopeOf(consent.kept)));
  const consent: Lack[] = scopes.length === 0 ? [] : [{ kind: 'consent', names: [...new Set(scopes)] }];
  const due = permit.obligations.filter(({ type }) =>
    type === 'stepUp' ? code === 'STEP_UP_REQUIRED' : type === 'reason' ? !reason : type !== 'audit',
  );
  const obligations: Lack[] = due.length === 0 ? [] : [{ kind: 'obligation', names: due.map(({ type }) => type) }];
  if (code === 'STEP_UP_REQUIRED') return obligations;
  if (NARROW.has(code)) return consent;
  const inherited = parents.permits.flatMap(({ where }) => factsIn(where).map((fact) => `subject.${fact}`));
  const facts = [...new Set([...factsIn(permit.where), ...inherited])];
  return [
    ...(parents.type === null ? [] : [{ kind: 'inherit', names: [parents.type] } as const]),
    ...(facts.length === 0 ? [] : [{ kind: 'condition', names: facts } as const]),
    ...consent,
    ...obligations,
  ];
}

/** Where a permit reaches only rows whose parent the role reads: the parent, and the permits by which it does. */
function parentsOf(bundle: Bundle, registry: AttributeRegistry, permit: Permit, { role, purpose }: RefusedQuestion) {
  const { subject } = registry.noun(permit.type);
  const type = permit.inherits && typeof subject === 'object' ? subject.parent : null;
  const permits = bundle.permits.filter(
    (one) => one.type === type && one.actions.has('read') && one.roles.has(role) && one.purposes.has(purpose ?? ''),
  );
  return { type, permits };
}

function forbidding(bundle: Bundle, { role, purpose, action, type }: RefusedQuestion): LackingRule[] {
  const applying = bundle.guardrails.filter((one) => {
    return one.fields.get(type) === null && one.actions.has(action) && one.appliesTo(role, purpose ?? '');
  });
  return applying.map(({ id, where }) => ({ id, lacks: [{ kind: 'forbidden', names: factsIn(where) }] }));
}

/** Names of the facts of a condition. */
function factsIn(where: Where | null): string[] {
  return Object.entries(where ?? {}).flatMap(([key, value]) =>
    key.startsWith('$') ? (value as Where[]).flatMap(factsIn) : [key],
  );
}

const scopeOf = (kept: Where): string[] => factsIn(kept).map((name) => name.slice(name.lastIndexOf('.') + 1));
