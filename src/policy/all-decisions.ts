import type { Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { Bundle } from './bundle.js';
import { actorOf } from './cases.js';
import { compile, environmentsOf } from './compile.js';
import type { Decision, PolicyAction } from './decision.js';
import type { PolicyEngine } from './engine.js';
import { Plan } from './plan.js';
import { PlannedDecision } from './planned-decision.js';
import { settingOf } from './rule.js';

/** More rules of one role and purpose that depend on time or network are not proven in every combination. */
const LARGEST_CONDITION_COUNT = 6;

/**
 * The decisions of an engine whatever the time and the network are: one for every set of rules whose condition on the request
 * may hold together. Sets that no clock could bring about are among them: what is proven of all holds for the real ones.
 */
export class AllDecisions {
  constructor(
    private readonly bundle: Bundle,
    private readonly registry: AttributeRegistry,
    private readonly engine: Pick<PolicyEngine, 'decide'>,
  ) {}

  /** For the actor of the cases. Throws RangeError where there are too many sets of rules. */
  of(role: Role, purpose: string, action: PolicyAction, type: string): Decision[] {
    const { bundle, registry } = this;
    const actor = actorOf(role);
    const conditions = [...environmentsOf(bundle, role, purpose).keys()];
    if (conditions.length === 0) return [this.engine.decide(actor, purpose, action, type)];
    if (conditions.length > LARGEST_CONDITION_COUNT) {
      throw new RangeError(`${role} for ${purpose}: too many rules depend on the time or the network.`);
    }
    const setting = settingOf(
      registry.noun(type),
      registry,
      bundle.classes,
      bundle.vocabulary,
      bundle.indexes.get(type),
    );
    return Array.from({ length: 1 << conditions.length }, (_, bits) => {
      const holding = new Set(conditions.filter((_id, index) => (bits & (1 << index)) !== 0));
      const compiled = compile(bundle, registry, role, purpose, holding);
      return new PlannedDecision(new Plan(compiled, setting, action), actor, purpose);
    });
  }
}
