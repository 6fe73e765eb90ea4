import { LRUCache } from 'lru-cache';
import { ROLES, type Actor, type Role } from '../kernel/actor.js';
import type { AttributeRegistry, NounDeclaration } from '../kernel/attribute.js';
import { loadBundle, type Bundle } from './bundle.js';
import { compile, type Compiled } from './compile.js';
import { POLICY_ACTIONS, type Decision, type PolicyAction } from './decision.js';
import { PolicyError } from './error.js';
import { Plan } from './plan.js';
import { PlannedDecision } from './planned-decision.js';
import { settingOf, type RuleSetting } from './rule.js';
import { locateFact } from './sql.js';
import type { FieldClass, OperationGrant } from './vocabulary.js';

const ACTOR_LIMIT = 10_000;

type PlansByType = ReadonlyMap<string, ReadonlyMap<PolicyAction, Plan>>;

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
  /** Purposes for which some rule asks a patient's consent: a row that is judged in memory says its state for each. */
  readonly consentScopes: readonly string[];
  /** The closed list of operations with what each asks the policy. */
  readonly operations: ReadonlyMap<string, OperationGrant>;
  /** Plans by role, purpose, type and action. */
  private readonly plans = new Map<Role, Map<string, PlansByType>>();
  /** Plans for a purpose that is not the role's own: they permit nothing. */
  private readonly denials: PlansByType;
  /** Decisions of recent actors, by all that a decision knows of an actor. */
  private readonly decisions = new LRUCache<string, Map<Plan, PlannedDecision>>({ max: ACTOR_LIMIT });
  /** The same by the actor object of a request, which asks several times. */
  private readonly requests = new WeakMap<Actor, Map<Plan, PlannedDecision>>();

  private constructor(
    private readonly bundle: Bundle,
    private readonly registry: AttributeRegistry,
    directory: string,
  ) {
    this.version = bundle.version;
    this.hash = bundle.hash;
    this.files = bundle.files;
    this.ruleIds = [...bundle.permits, ...bundle.guardrails].map((rule) => rule.id);
    this.operations = bundle.operations;
    for (const role of ROLES) {
      const purposes = this.purposesOf(role);
      this.plans.set(role, new Map(purposes.map((purpose) => [purpose, this.plansFor(role, purpose, directory)])));
    }
    this.denials = this.plansFor(null, '', directory);
    this.consentScopes = this.askedScopes();
  }

  /** Reads, checks and compiles the policies of a directory. Throws PolicyError with everything that is wrong. */
  static load(directory: string, registry: AttributeRegistry): PolicyEngine {
    return new PolicyEngine(loadBundle(directory, registry), registry, directory);
  }

  /**
   * What the policy says. A purpose that is not the role's own gives a decision that allows nothing. Throws
   * UNCLASSIFIED_FIELD for an undeclared type and FORBIDDEN where a rule needs an attribute that the actor lacks.
   */
  decide(actor: Actor, purpose: string, action: PolicyAction, type: string): Decision {
    const plan = this.plans.get(actor.role)?.get(purpose)?.get(type)?.get(action);
    if (plan !== undefined) return this.decisionOf(actor, plan, purpose);
    const denied = this.denials.get(type)?.get(action);
    // Never kept: the purpose is whatever the caller sent.
    if (denied !== undefined) return new PlannedDecision(denied, actor, purpose);
    this.registry.noun(type);
    throw new TypeError(`There is no policy action ${action} for ${actor.role}.`);
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

  private askedScopes(): string[] {
    const plans = [...this.plans.values()].flatMap((byPurpose) =>
      [...byPurpose.values()].flatMap((byType) => [...byType.values()].flatMap((byAction) => [...byAction.values()])),
    );
    const scopes = plans.flatMap((plan) => {
      const { noun, parent } = plan.setting;
      return plan.factNames.flatMap((name) => locateFact(noun, parent, name)?.scope ?? []);
    });
    return [...new Set(scopes)].sort();
  }

  private plansFor(role: Role | null, purpose: string, directory: string): PlansByType {
    const compiled = compile(this.bundle, this.registry, role, purpose);
    const ofNoun = (noun: NounDeclaration): Map<PolicyAction, Plan> => {
      const setting = settingOf(noun, this.registry, this.bundle.classes, this.bundle.vocabulary);
      return new Map(POLICY_ACTIONS.map((action) => [action, planOrRefuse(compiled, setting, action, directory)]));
    };
    return new Map(this.registry.all().map((noun) => [noun.type, ofNoun(noun)]));
  }
}

function planOrRefuse(compiled: Compiled, setting: RuleSetting, action: PolicyAction, directory: string): Plan {
  try {
    return new Plan(compiled, setting, action);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PolicyError([{ file: directory, line: 1, message: `${setting.noun.type}: ${error.message}` }]);
  }
}
