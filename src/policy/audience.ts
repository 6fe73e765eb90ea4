import type { Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { Bundle } from './bundle.js';
import { compile, environmentsOf, type Compiled } from './compile.js';
import { POLICY_ACTIONS, type PolicyAction } from './decision.js';
import type { Environment, EnvironmentCondition } from './environment.js';
import { PolicyError } from './error.js';
import { Plan } from './plan.js';
import { settingOf } from './rule.js';

/** What is compiled for one state of the conditions on the request. */
interface Compilation {
  compiled: Compiled | null;
  readonly plans: Map<string, Plan>;
}

/**
 * The plans of one role for one purpose; for no role at all, plans that permit nothing. Each is made when it is first asked
 * for. Rules that depend on the time or the network take part where their condition holds: there are as many sets of plans
 * as sets of such rules that were met, which is one where no rule does.
 */
export class AudiencePlans {
  private readonly conditions: ReadonlyMap<string, EnvironmentCondition>;
  /** By the ids of the rules whose condition holds. */
  private readonly compilations = new Map<string, Compilation>();

  constructor(
    private readonly bundle: Bundle,
    private readonly registry: AttributeRegistry,
    private readonly role: Role | null,
    private readonly purpose: string,
  ) {
    this.conditions = role === null ? new Map() : environmentsOf(bundle, role, purpose);
  }

  /** Undefined for an action that does not exist. Throws UNCLASSIFIED_FIELD for an undeclared type. */
  plan(type: string, action: PolicyAction, environment?: Environment): Plan | undefined {
    return this.planOf(type, action, this.conditions.size === 0 ? [] : this.holding(environment));
  }

  /** All of them: those where no condition on the request holds, and those where every one does. */
  all(): Plan[] {
    const states = this.conditions.size === 0 ? [[]] : [[], [...this.conditions.keys()]];
    return states.flatMap((holding) =>
      this.registry
        .all()
        .flatMap(({ type }) => POLICY_ACTIONS.map((action) => this.planOf(type, action, holding)))
        .filter((plan) => plan !== undefined),
    );
  }

  private holding(environment: Environment | undefined): string[] {
    return [...this.conditions].filter(([, condition]) => condition.holds(environment)).map(([id]) => id);
  }

  private planOf(type: string, action: PolicyAction, holding: readonly string[]): Plan | undefined {
    const state = holding.join(' ');
    const compilation = this.compilations.get(state) ?? { compiled: null, plans: new Map<string, Plan>() };
    this.compilations.set(state, compilation);
    const key = `${type} ${action}`;
    const known = compilation.plans.get(key);
    if (known !== undefined || !POLICY_ACTIONS.includes(action)) return known;
    const made = this.make(compilation, type, action, holding);
    compilation.plans.set(key, made);
    return made;
  }

  private make(compilation: Compilation, type: string, action: PolicyAction, holding: readonly string[]): Plan {
    const { bundle, registry } = this;
    const noun = registry.noun(type);
    compilation.compiled ??= compile(bundle, registry, this.role, this.purpose, new Set(holding));
    try {
      return new Plan(
        compilation.compiled,
        settingOf(noun, registry, bundle.classes, bundle.vocabulary, bundle.indexes.get(noun.type)),
        action,
      );
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new PolicyError([{ file: bundle.name, line: 1, message: `${type}: ${error.message}` }]);
    }
  }
}
