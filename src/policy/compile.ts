import type { Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { Bundle } from './bundle.js';
import { asSubject, type Where } from './condition.js';
import type { Guardrail } from './guardrail.js';
import { buildAbility, type CaslRule, type PolicyAbility } from './matcher.js';
import type { Permit } from './rule.js';

/** A permit with the whole condition on its rows: what it inherits and its own; null is every row. */
export interface Grant {
  readonly permit: Permit;
  readonly where: Where | null;
}

/** The rules that apply to one role for one purpose, and CASL's ability made of them. */
export interface Compiled {
  readonly grants: readonly Grant[];
  readonly guardrails: readonly Guardrail[];
  readonly ability: PolicyAbility;
}

/**
 * Compiles the rules for a role and one of its purposes; for no role at all, nothing is permitted. Permits come first and
 * guardrails last, because CASL lets the last rule win: no permit can lift a guardrail.
 */
export function compile(bundle: Bundle, registry: AttributeRegistry, role: Role | null, purpose: string): Compiled {
  if (role === null) return { grants: [], guardrails: [], ability: buildAbility([]) };
  const permits = bundle.permits.filter((permit) => permit.roles.has(role) && permit.purposes.has(purpose));
  const guardrails = bundle.guardrails.filter((guardrail) => guardrail.appliesTo(role, purpose));
  const grants = permits.map((permit): Grant => {
    return { permit, where: conjunction([inheritedFrom(permit, permits, guardrails, registry), permit.where]) };
  });
  const rules = [...grants.flatMap(permitRules), ...guardrails.flatMap(guardrailRules)];
  return { grants, guardrails, ability: buildAbility(rules) };
}

/** One permit as CASL rules. `read:clear` always comes with `read`: what is clear is visible. */
function permitRules({ permit, where }: Grant): CaslRule[] {
  const conditions = where === null ? {} : { conditions: where as never };
  const rule = (action: string, fields?: readonly string[]): CaslRule => ({
    action,
    subject: permit.type,
    ...(fields === undefined ? {} : { fields: [...fields] }),
    ...conditions,
  });
  return [...permit.actions].flatMap((action) => {
    if (action === 'lookup') return [rule(action)];
    if (action !== 'read') return [rule(action, [...permit.writes])];
    const clear = [...permit.shows].filter(([, shown]) => shown.clear).map(([field]) => field);
    const read = rule('read', [...permit.shows.keys()]);
    return clear.length === 0 ? [read] : [read, rule('read:clear', clear)];
  });
}

/** One guardrail as CASL rules. Forbidding `read` forbids `read:clear`; `*` is every action. */
function guardrailRules(guardrail: Guardrail): CaslRule[] {
  const actions = new Set(guardrail.actions);
  if (actions.delete('*'))
    for (const action of ['read', 'create', 'update', 'deactivate', 'lookup']) actions.add(action);
  if (actions.has('read')) actions.add('read:clear');
  return [...guardrail.fields].map(([type, fields]) => ({
    action: [...actions],
    subject: type,
    inverted: true,
    ...(fields === null ? {} : { fields: [...fields] }),
    ...(guardrail.where === null ? {} : { conditions: guardrail.where as never }),
  }));
}

/** The rows of the parent that the same role reads for the same purpose, as a condition on the child; null is all. */
function inheritedFrom(
  permit: Permit,
  permits: readonly Permit[],
  guardrails: readonly Guardrail[],
  registry: AttributeRegistry,
): Where | null {
  const { subject } = registry.noun(permit.type);
  if (!permit.inherits || typeof subject !== 'object') return null;
  const readers = permits.filter((one) => one.type === subject.parent && one.actions.has('read'));
  const forbids = guardrails.filter(
    (one) => one.fields.get(subject.parent) === null && (one.actions.has('read') || one.actions.has('*')),
  );
  const everywhere = readers.some((reader) => reader.where === null);
  const permitted = everywhere ? null : { $or: readers.map((reader) => asSubject(reader.where as Where)) };
  const forbidden = forbids.map((one) => (one.where === null ? { $and: [] } : asSubject(one.where)));
  return conjunction([permitted, forbidden.length === 0 ? null : { $nor: forbidden }]);
}

function conjunction(members: readonly (Where | null)[]): Where | null {
  const present = members.filter((member) => member !== null);
  if (present.length === 0) return null;
  return present.length === 1 ? (present[0] as Where) : { $and: present };
}
