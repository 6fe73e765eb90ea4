import type { Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { Bundle } from './bundle.js';
import { asSubject, conjunction, type Where } from './condition.js';
import type { Volume } from './decision.js';
import type { EnvironmentCondition } from './environment.js';
import type { Guardrail } from './guardrail.js';
import { buildAbility, type CaslRule, type PolicyAbility } from './matcher.js';
import { SHOWING, WRITING, type Permit } from './rule.js';

/** A permit with the whole condition on its rows: what it inherits and its own; null is every row. */
export interface Grant {
  readonly permit: Permit;
  readonly where: Where | null;
  /** True where a consent clause bounds it, its own or one of the parent's. */
  readonly consented: boolean;
}

/** The rules that apply to one role for one purpose, and CASL's ability made of them. */
export interface Compiled {
  readonly grants: readonly Grant[];
  readonly guardrails: readonly Guardrail[];
  readonly ability: PolicyAbility;
  /** What would be reached without consent clauses, and what of it a denial keeps back; null where there is no clause. */
  readonly lifted: { readonly ability: PolicyAbility; readonly denied: PolicyAbility } | null;
  /** Null for machines. */
  readonly volume: Volume | null;
}

const NO_RULES: ReadonlySet<string> = new Set();
const NOTHING: Volume = { patientsPerHour: 0, patientsPerDay: 0 };

/**
 * Compiles the rules for a role and one of its purposes; for no role at all, nothing is permitted. Permits come first and
 * guardrails last, because CASL lets the last rule win: no permit can lift a guardrail.
 * @param holding ids of the rules whose condition on the request holds; without it, none does
 */
export function compile(
  bundle: Bundle,
  registry: AttributeRegistry,
  role: Role | null,
  purpose: string,
  holding = NO_RULES,
): Compiled {
  if (role === null) return { grants: [], guardrails: [], ability: buildAbility([]), lifted: null, volume: NOTHING };
  const permits = bundle.permits.filter(
    (permit) => audienceHas(permit, role, purpose) && (permit.when === null || holding.has(permit.id)),
  );
  const guardrails = bundle.guardrails.filter((guardrail) => guardrail.appliesTo(role, purpose, holding));
  const rows = new PermittedRows(permits, guardrails, registry);
  const forbids = guardrails.flatMap(guardrailRules);
  const ability = (regard: Regard, among: readonly Permit[]) =>
    buildAbility([...among.flatMap((permit) => permitRules(permit, rows.of(permit, regard))), ...forbids]);
  const grants = permits.map((permit): Grant => {
    return { permit, where: rows.of(permit, 'kept'), consented: rows.consented(permit) };
  });
  const consented = permits.filter((permit) => rows.consented(permit));
  const lifted =
    consented.length === 0 ? null : { ability: ability('lifted', permits), denied: ability('denied', consented) };
  const volume = bundle.vocabulary.volumeOf.get(role) ?? null;
  return { grants, guardrails, ability: ability('kept', permits), lifted, volume };
}

/** The conditions on the request that the rules for a role and a purpose depend on, by the id of the rule. */
export function environmentsOf(bundle: Bundle, role: Role, purpose: string): Map<string, EnvironmentCondition> {
  const conditions = new Map<string, EnvironmentCondition>();
  for (const permit of bundle.permits) {
    if (permit.when !== null && audienceHas(permit, role, purpose)) conditions.set(permit.id, permit.when);
  }
  for (const { id, lift, appliesTo } of bundle.guardrails) {
    if (lift !== null && appliesTo(role, purpose) && !appliesTo(role, purpose, new Set([id]))) conditions.set(id, lift);
  }
  return conditions;
}

function audienceHas(permit: Permit, role: Role, purpose: string): boolean {
  return permit.roles.has(role) && permit.purposes.has(purpose);
}

/** One permit as CASL rules. `<action>:clear` always comes with the action: what is clear is visible. */
function permitRules(permit: Permit, where: Where | null): CaslRule[] {
  const conditions = where === null ? {} : { conditions: where as never };
  const rule = (action: string, fields?: readonly string[]): CaslRule => ({
    action,
    subject: permit.type,
    ...(fields === undefined ? {} : { fields: [...fields] }),
    ...conditions,
  });
  return [...permit.actions].flatMap((action) => {
    if (WRITING.includes(action)) return [rule(action, [...permit.writes])];
    if (!SHOWING.includes(action)) return [rule(action)];
    const clear = [...permit.shows].filter(([, shown]) => shown.clear).map(([field]) => field);
    const shown = rule(action, [...permit.shows.keys()]);
    return clear.length === 0 ? [shown] : [shown, rule(`${action}:clear`, clear)];
  });
}

function guardrailRules(guardrail: Guardrail): CaslRule[] {
  return [...guardrail.fields].map(([type, fields]) => ({
    action: [...guardrail.actions],
    subject: type,
    inverted: true,
    ...(fields === null ? {} : { fields: [...fields] }),
    ...(guardrail.where === null ? {} : { conditions: guardrail.where as never }),
  }));
}

/** The rows of a permit as they are; with consent clauses lifted; or those that a clause keeps back because of a denial. */
type Regard = 'kept' | 'lifted' | 'denied';

class PermittedRows {
  constructor(
    private readonly permits: readonly Permit[],
    private readonly guardrails: readonly Guardrail[],
    private readonly registry: AttributeRegistry,
  ) {}

  /** The condition on the rows of a permit: what it inherits and its own; null is every row. */
  of(permit: Permit, regard: Regard): Where | null {
    if (regard === 'kept')
      return conjunction([this.inherited(permit, 'kept'), permit.where, permit.consent?.kept ?? null]);
    const parents = this.inherited(permit, 'lifted');
    if (regard === 'lifted') return conjunction([parents, permit.where]);
    const denied = permit.consent?.denied ?? null;
    return {
      $or: [
        ...(denied === null ? [] : [conjunction([parents, permit.where, denied])]),
        ...(this.readers(permit).some((reader) => this.consented(reader))
          ? [conjunction([this.inherited(permit, 'denied'), permit.where])]
          : []),
      ],
    };
  }

  consented(permit: Permit): boolean {
    return permit.consent !== null || this.readers(permit).some((reader) => this.consented(reader));
  }

  /** The permits by which the same role reads the parent for the same purpose. */
  private readers(permit: Permit): readonly Permit[] {
    const parent = this.parentOf(permit);
    return this.permits.filter((one) => one.type === parent && one.actions.has('read'));
  }

  private parentOf(permit: Permit): string | null {
    const { subject } = this.registry.noun(permit.type);
    return permit.inherits && typeof subject === 'object' ? subject.parent : null;
  }

  /** The rows of the parent that are read, as a condition on the child; null is all. */
  private inherited(permit: Permit, regard: Regard): Where | null {
    const parent = this.parentOf(permit);
    if (parent === null) return null;
    const read = this.readers(permit).map((reader) => this.of(reader, regard));
    const permitted = read.includes(null) ? null : { $or: read.map((where) => asSubject(where as Where)) };
    const forbids = this.guardrails.filter((one) => one.fields.get(parent) === null && one.actions.has('read'));
    const forbidden = forbids.map((one) => (one.where === null ? { $and: [] } : asSubject(one.where)));
    return conjunction([permitted, forbidden.length === 0 ? null : { $nor: forbidden }]);
  }
}
