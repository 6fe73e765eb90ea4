import type { Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { Bundle } from './bundle.js';
import { compile, type Compiled } from './compile.js';
import { POLICY_ACTIONS, type PolicyAction } from './decision.js';
import { PolicyError } from './error.js';
import { Plan } from './plan.js';
import { settingOf } from './rule.js';

/** The plans of one role for one purpose; for no role at all, plans that permit nothing. Each is made when it is first asked for. */
export class AudiencePlans {
  private compiled: Compiled | null = null;
  private readonly plans = new Map<string, Plan>();

  constructor(
    private readonly bundle: Bundle,
    private readonly registry: AttributeRegistry,
    private readonly role: Role | null,
    private readonly purpose: string,
  ) {}

  /** Undefined for an action that does not exist. Throws UNCLASSIFIED_FIELD for an undeclared type. */
  plan(type: string, action: PolicyAction): Plan | undefined {
    const key = `${type} ${action}`;
    const known = this.plans.get(key);
    if (known !== undefined || !POLICY_ACTIONS.includes(action)) return known;
    const made = this.make(type, action);
    this.plans.set(key, made);
    return made;
  }

  /** All of them. */
  all(): Plan[] {
    return this.registry
      .all()
      .flatMap(({ type }) => POLICY_ACTIONS.map((action) => this.plan(type, action)))
      .filter((plan) => plan !== undefined);
  }

  private make(type: string, action: PolicyAction): Plan {
    const { bundle, registry } = this;
    const noun = registry.noun(type);
    this.compiled ??= compile(bundle, registry, this.role, this.purpose);
    try {
      return new Plan(this.compiled, settingOf(noun, registry, bundle.classes, bundle.vocabulary), action);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new PolicyError([{ file: bundle.name, line: 1, message: `${type}: ${error.message}` }]);
    }
  }
}
