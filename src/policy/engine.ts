import { LRUCache } from 'lru-cache';
import { ROLES, type Actor, type Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { AudiencePlans } from './audience.js';
import { loadBundle, type Bundle } from './bundle.js';
import type { Decision, PolicyAction } from './decision.js';
import type { Plan } from './plan.js';
import { PlannedDecision } from './planned-decision.js';
import type { PolicySource } from './source.js';
import { locateFact } from './sql.js';
import type { FieldClass, OperationGrant } from './vocabulary.js';

const ACTOR_LIMIT = 10_000;

/**
 * The policies in force. Rules are compiled once per role and purpose, when they are loaded; a decision adds the actor.
 * Decisions are kept per actor attributes: whoever changes care teams or patients gets new ones with the next request.
 */
export class PolicyEngine {
  readonly version: string;
  /** SHA-256 (hexadecimal) over the canonical content of the policy files. */
  readonly hash: string;
  /** How many policy files were read. */
  readonly files: number;
  /** Ids of all permits and guardrails. */
  readonly ruleIds: readonly string[];
  /** The closed list of operations with what each asks the policy. */
  readonly operations: ReadonlyMap<string, OperationGrant>;
  /** By role and purpose. */
  private readonly audiences: ReadonlyMap<Role, ReadonlyMap<string, AudiencePlans>>;
  /** For a purpose that is not the role's own. */
  private readonly denials: AudiencePlans;
  private scopes: readonly string[] | null = null;
  /** Decisions of recent actors, by all that a decision knows of an actor. */
  private readonly decisions = new LRUCache<string, Map<Plan, PlannedDecision>>({ max: ACTOR_LIMIT });
  /** The same by the actor object of a request, which asks several times. */
  private readonly requests = new WeakMap<Actor, Map<Plan, PlannedDecision>>();

  private constructor(
    private readonly bundle: Bundle,
    private readonly registry: AttributeRegistry,
  ) {
    this.version = bundle.version;
    this.hash = bundle.hash;
    this.files = bundle.files;
    this.ruleIds = [...bundle.permits, ...bundle.guardrails].map((rule) => rule.id);
    this.operations = bundle.operations;
    const plansOf = (role: Role) =>
      new Map(this.purposesOf(role).map((purpose) => [purpose, new AudiencePlans(bundle, registry, role, purpose)]));
    this.audiences = new Map(ROLES.map((role) => [role, plansOf(role)]));
    this.denials = new AudiencePlans(bundle, registry, null, '');
  }

  /**
   * Reads, checks and compiles the policies of a source. Throws PolicyError with everything that is wrong. `lazy`: compiles
   * what is asked for when it is asked for, for whoever asks little; what cannot be compiled is then found out late.
   */
  static load(source: PolicySource, registry: AttributeRegistry, { lazy = false } = {}): PolicyEngine {
    const engine = new PolicyEngine(loadBundle(source, registry), registry);
    if (!lazy) engine.plans();
    return engine;
  }

  /**
   * What the policy says. A purpose that is not the role's own gives a decision that allows nothing. Throws
   * UNCLASSIFIED_FIELD for an undeclared type and FORBIDDEN where a rule needs an attribute that the actor lacks.
   */
  decide(actor: Actor, purpose: string, action: PolicyAction, type: string): Decision {
    const plan = this.audiences.get(actor.role)?.get(purpose)?.plan(type, action);
    if (plan !== undefined) return this.decisionOf(actor, plan, purpose);
    const denied = this.denials.plan(type, action);
    // Never kept: the purpose is whatever the caller sent.
    if (denied !== undefined) return new PlannedDecision(denied, actor, purpose);
    throw new TypeError(`There is no policy action ${action} for ${actor.role}.`);
  }

  /** Purposes for which some rule asks a patient's consent: a row that is judged in memory says its state for each. */
  get consentScopes(): readonly string[] {
    return (this.scopes ??= this.askedScopes());
  }

  purposesOf(role: Role): readonly string[] {
    return this.bundle.vocabulary.purposesOf.get(role) ?? [];
  }

  knowsPurpose(purpose: string): boolean {
    return this.bundle.vocabulary.purposes.has(purpose);
  }

  /** The class of a field that is in force: the declared one, tightened by the classification file. */
  classOf(type: string, field: string): FieldClass {
    this.registry.attribute(type, field);
    return this.bundle.classes.get(type)?.get(field) as FieldClass;
  }

  private decisionOf(actor: Actor, plan: Plan, purpose: string): Decision {
    const ofActor = this.requests.get(actor) ?? this.decisionsOf(actor);
    const known = ofActor.get(plan);
    if (known !== undefined) return known;
    const { id, tenant, careTeamIds, patientIds } = actor;
    const made = new PlannedDecision(plan, { id, tenant, careTeamIds, patientIds }, purpose);
    ofActor.set(plan, made);
    return made;
  }

  private decisionsOf(actor: Actor): Map<Plan, PlannedDecision> {
    const key = `${actor.id} ${actor.careTeamIds.join(' ')} / ${actor.patientIds.join(' ')} / ${actor.tenant}`;
    const known = this.decisions.get(key) ?? new Map<Plan, PlannedDecision>();
    this.decisions.set(key, known);
    this.requests.set(actor, known);
    return known;
  }

  private plans(): Plan[] {
    const audiences = [...this.audiences.values()].flatMap((byPurpose) => [...byPurpose.values()]);
    return [...audiences, this.denials].flatMap((audience) => audience.all());
  }

  private askedScopes(): string[] {
    const scopes = this.plans().flatMap((plan) => {
      const { noun, parent } = plan.setting;
      return plan.factNames.flatMap((name) => locateFact(noun, parent, name)?.scope ?? []);
    });
    return [...new Set(scopes)].sort();
  }
}
