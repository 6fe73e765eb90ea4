import { LRUCache } from 'lru-cache';
import { ROLES, type Actor, type Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { AudiencePlans } from './audience.js';
import { loadBundle, type Bundle } from './bundle.js';
import type { Decision, PolicyAction } from './decision.js';
import type { Environment } from './environment.js';
import type { Plan } from './plan.js';
import { PlannedDecision } from './planned-decision.js';
import { PolicyError } from './error.js';
import { proofProblems } from './proof.js';
import type { PolicySource } from './source.js';
import type { EmergencyLimits, FieldClass, OperationGrant } from './vocabulary.js';

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
  /** What bounds an access in an emergency. */
  readonly emergencyAccess: EmergencyLimits;
  /** The indexes that are written, by type and field. */
  readonly indexes: Bundle['indexes'];
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
    /** What the files say, for whoever explains a decision. */
    readonly bundle: Bundle,
    private readonly registry: AttributeRegistry,
  ) {
    this.version = bundle.version;
    this.hash = bundle.hash;
    this.files = bundle.files;
    this.ruleIds = [...bundle.permits, ...bundle.guardrails].map((rule) => rule.id);
    this.operations = bundle.operations;
    this.emergencyAccess = bundle.vocabulary.emergencyAccess;
    this.indexes = bundle.indexes;
    const plansOf = (role: Role) =>
      new Map(this.purposesOf(role).map((purpose) => [purpose, new AudiencePlans(bundle, registry, role, purpose)]));
    this.audiences = new Map(ROLES.map((role) => [role, plansOf(role)]));
    this.denials = new AudiencePlans(bundle, registry, null, '');
  }

  /**
   * Reads, checks, compiles and proves the policies of a source. Throws PolicyError with everything that is wrong. `lazy`: compiles
   * what is asked for when it is asked for, for whoever asks little; what cannot be compiled is then found out late.
   */
  static load(source: PolicySource, registry: AttributeRegistry, { lazy = false } = {}): PolicyEngine {
    const bundle = loadBundle(source, registry);
    const engine = new PolicyEngine(bundle, registry);
    if (lazy) return engine;
    engine.plans();
    const problems = proofProblems(source, bundle, registry, engine);
    if (problems.length > 0) throw new PolicyError(problems);
    return engine;
  }

  /** An engine of a bundle that was read and checked before: it compiles what is asked for when it is asked for. */
  static of(bundle: Bundle, registry: AttributeRegistry): PolicyEngine {
    return new PolicyEngine(bundle, registry);
  }

  /**
   * What the policy says. A purpose that is not the role's own gives a decision that allows nothing. Without an environment
   * every window of time is closed and every network foreign. Throws UNCLASSIFIED_FIELD for an undeclared type and FORBIDDEN
   * where a rule needs an attribute that the actor lacks.
   */
  decide(actor: Actor, purpose: string, action: PolicyAction, type: string, environment?: Environment): Decision {
    const plan = this.audiences.get(actor.role)?.get(purpose)?.plan(type, action, environment);
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
    const { id, tenant, careTeamIds, patientIds, emergencyPatientIds, compartmentGrants } = actor;
    const attributes = { id, tenant, careTeamIds, patientIds, emergencyPatientIds, compartmentGrants };
    const made = new PlannedDecision(plan, attributes, purpose);
    ofActor.set(plan, made);
    return made;
  }

  private decisionsOf(actor: Actor): Map<Plan, PlannedDecision> {
    const lists = [actor.careTeamIds, actor.patientIds, actor.emergencyPatientIds, actor.compartmentGrants];
    const key = `${actor.id} ${lists.map((list) => list.join(' ')).join(' / ')} / ${actor.tenant}`;
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
    return [...new Set(this.plans().flatMap((plan) => plan.consents))].sort();
  }
}
