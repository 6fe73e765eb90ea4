import { ROLES, type Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { AllDecisions } from './all-decisions.js';
import { loadBundle, type Bundle } from './bundle.js';
import { actorOf, judge, loadCases, statesIn, type PolicyCase } from './cases.js';
import { POLICY_ACTIONS, type Decision, type Facts, type PolicyAction } from './decision.js';
import { PolicyEngine } from './engine.js';
import { PolicyError } from './error.js';
import { readGuardrail, type Guardrail, type GuardrailDocument } from './guardrail.js';
import { mutationsOf, type RawRule } from './mutant-operators.js';
import { rowClasses } from './row-classes.js';
import { readPermit } from './permit.js';
import { settingOf, SHOWING, type Permit, type RuleDocument } from './rule.js';
import type { PolicySource } from './source.js';

/**
 * What became of one mutant. NOTICED: a case fails. SURVIVED: all cases hold although some row would be treated otherwise.
 * EQUIVALENT: no row can tell it from the original, so that no case could. REFUSED: it does not load, and so is no mutant.
 */
export type Outcome = 'NOTICED' | 'SURVIVED' | 'EQUIVALENT' | 'REFUSED';
export interface MutantResult {
  readonly rule: string;
  readonly mutation: string;
  readonly outcome: Outcome;
}

/** A question that a changed rule can answer otherwise. */
interface Question {
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
}

/** The audience, the types and the actions of one rule, before and after. */
interface Reach {
  readonly types: ReadonlySet<string>;
  readonly actions: ReadonlySet<string>;
  meets(role: Role, purpose: string): boolean;
}

/**
 * Changes the policies of a source in every way that the operators know, one rule at a time, and asks the cases whether they
 * notice. Only questions that the changed rule takes part in are asked: decisions of others are made of other rules.
 * @param only id of the one rule to change, or which ones; all where there is none
 */
export function* mutants(
  source: PolicySource,
  registry: AttributeRegistry,
  only?: string | ((id: string) => boolean),
): Generator<MutantResult> {
  const bundle = loadBundle(source, registry);
  const engine = PolicyEngine.of(bundle, registry);
  const bench = new MutationBench(bundle, registry, engine, loadCases(source, registry, engine));
  for (const document of source.policies()) {
    const { kind, rules, guardrails } = document.value as { kind: string; rules: RawRule[]; guardrails: RawRule[] };
    const isMeant = ({ id }: RawRule) => (typeof only === 'function' ? only(String(id)) : (only ?? id) === id);
    if (kind === 'Policy') for (const rule of rules.filter(isMeant)) yield* bench.permit(rule);
    if (kind === 'Guardrails') for (const rule of guardrails.filter(isMeant)) yield* bench.guardrail(rule);
  }
}

class MutationBench {
  private readonly cases: ReadonlyMap<string, readonly PolicyCase[]>;
  private readonly decisions: AllDecisions;

  constructor(
    private readonly bundle: Bundle,
    private readonly registry: AttributeRegistry,
    private readonly engine: PolicyEngine,
    cases: readonly PolicyCase[],
  ) {
    // What is permitted has more to lose than what is refused: it is asked first.
    const ordered = cases.toSorted((left, right) => Number(left.expected === null) - Number(right.expected === null));
    this.cases = Map.groupBy(ordered, keyOf);
    this.decisions = new AllDecisions(bundle, registry, engine);
  }

  *permit(raw: RawRule): Generator<MutantResult> {
    const { bundle, registry } = this;
    const index = bundle.permits.findIndex((one) => one.id === raw['id']);
    const original = bundle.permits[index] as Permit;
    const setting = settingOf(
      registry.noun(original.type),
      registry,
      bundle.classes,
      bundle.vocabulary,
      bundle.indexes.get(original.type),
    );
    for (const { name, rule } of mutationsOf(raw, { ...bundle, registry, type: original.type })) {
      const made =
        rule === null ? null : accepted((refuse) => readPermit(rule as never as RuleDocument, [], setting, refuse));
      const permits = made === null ? bundle.permits.toSpliced(index, 1) : made && bundle.permits.with(index, made);
      const both = [original, made].filter((one) => one !== null && one !== undefined);
      yield this.result(original.id, name, permits && { ...bundle, permits }, {
        types: new Set([original.type]),
        actions: new Set(both.flatMap((one) => [...one.actions])),
        meets: touched(raw, rule, both, (one, role, purpose) => one.roles.has(role) && one.purposes.has(purpose)),
      });
    }
  }

  *guardrail(raw: RawRule): Generator<MutantResult> {
    const { bundle, registry } = this;
    const index = bundle.guardrails.findIndex((one) => one.id === raw['id']);
    const original = bundle.guardrails[index] as Guardrail;
    for (const { name, rule } of mutationsOf(raw, { ...bundle, registry, type: null })) {
      const made =
        rule === null
          ? null
          : accepted((refuse) =>
              readGuardrail(rule as never as GuardrailDocument, [], registry, bundle.vocabulary, refuse),
            );
      const guardrails =
        made === null ? bundle.guardrails.toSpliced(index, 1) : made && bundle.guardrails.with(index, made);
      const both = [original, made].filter((one) => one !== null && one !== undefined);
      yield this.result(original.id, name, guardrails && { ...bundle, guardrails }, {
        types: new Set(both.flatMap((one) => [...one.fields.keys()])),
        actions: new Set(both.flatMap((one) => [...one.actions].map((action) => action.replace(':clear', '')))),
        meets: touched(raw, rule, both, (one, role, purpose) => one.appliesTo(role, purpose)),
      });
    }
  }

  private result(rule: string, mutation: string, changed: Bundle | undefined, reach: Reach): MutantResult {
    return { rule, mutation, outcome: changed === undefined ? 'REFUSED' : this.outcome(changed, reach) };
  }

  private outcome(changed: Bundle, reach: Reach): Outcome {
    const mutated = PolicyEngine.of(changed, this.registry);
    // Where something is permitted a case tells soonest.
    const isRefused = (one: Question) => this.cases.get(keyOf(one))?.[0]?.expected === null;
    const questions = [...this.questions(reach)].sort(
      (left, right) => Number(isRefused(left)) - Number(isRefused(right)),
    );
    try {
      for (const question of questions) {
        const asked = this.cases.get(keyOf(question)) ?? [];
        if (asked.some((one) => judge(one, mutated).length > 0)) return 'NOTICED';
      }
      return questions.every((question) => this.isSame(question, changed, mutated)) ? 'EQUIVALENT' : 'SURVIVED';
    } catch (error) {
      if (error instanceof PolicyError) return 'REFUSED';
      throw error;
    }
  }

  /** Those of the rule's own types first. What reads a parent bounds what inherits from it, for every action. */
  private *questions({ types, actions, meets }: Reach): Generator<Question> {
    const children = actions.has('read') ? this.descendants(types) : new Set<string>();
    for (const [group, asked] of [
      [types, POLICY_ACTIONS.filter((action) => actions.has(action))],
      [children, POLICY_ACTIONS],
    ] as const) {
      for (const type of group) {
        for (const role of ROLES) {
          for (const purpose of this.engine.purposesOf(role)) {
            if (meets(role, purpose)) for (const action of asked) yield { role, purpose, action, type };
          }
        }
      }
    }
  }

  private descendants(types: ReadonlySet<string>): Set<string> {
    const found = this.registry
      .all()
      .filter(({ type, subject }) => typeof subject === 'object' && types.has(subject.parent) && !types.has(type))
      .map(({ type }) => type);
    return found.length === 0 ? new Set() : new Set([...found, ...this.descendants(new Set(found))]);
  }

  /** Over every state of the clock and the network. Where rules depend on them otherwise than before, it is not the same. */
  private isSame({ role, purpose, action, type }: Question, changed: Bundle, mutated: PolicyEngine): boolean {
    const before = this.decisions.of(role, purpose, action, type);
    const after = new AllDecisions(changed, this.registry, mutated).of(role, purpose, action, type);
    if (before.length !== after.length) return false;
    return before.every((one, index) => {
      const other = after[index] as Decision;
      const rows = () => rowClasses([one, other], actorOf(role));
      return sameGrants(one, other) && rows().every((facts) => sameRow(one, other, facts));
    });
  }
}

/** Who the change is about: where nothing but the audience of a rule changes, those who came or went. */
function touched<Rule>(
  raw: RawRule,
  changed: RawRule | null,
  both: readonly Rule[],
  has: (rule: Rule, role: Role, purpose: string) => boolean,
): Reach['meets'] {
  const rest = (rule: RawRule) => JSON.stringify({ ...rule, roles: null, purposes: null });
  const audienceAlone = changed !== null && both.length === 2 && rest(changed) === rest(raw);
  return (role, purpose) => {
    const count = both.filter((one) => has(one, role, purpose)).length;
    return audienceAlone ? count === 1 : count > 0;
  };
}

function keyOf({ type, role, purpose, action }: Question): string {
  return `${type} ${role} ${purpose} ${action}`;
}

/** What does not depend on the row. */
export function sameGrants(left: Decision, right: Decision): boolean {
  return left.allowed === right.allowed && grantsOf(left) === grantsOf(right);
}

function grantsOf(decision: Decision): string {
  const { lookup, obligations, perUserPerHour, volume } = decision;
  const fields = lookup === null ? null : { ...lookup, fields: [...lookup.fields].sort() };
  return JSON.stringify([[...decision.writableFields()].sort(), fields, obligations, perUserPerHour, volume]);
}

/** Whether two decisions treat a row alike: reached or not, kept back or not, every field in the same state. */
export function sameRow(left: Decision, right: Decision, facts: Facts): boolean {
  const [one, other] = [left, right].map((decision) => decision.allowed && decision.matches(facts));
  if (one !== other || left.keptBack(facts) !== right.keptBack(facts)) return false;
  if (one !== true || !SHOWING.includes(left.action)) return true;
  const [before, after] = [left, right].map((decision) => statesIn(decision.visibility(decision.bitsOf(facts))));
  return [...(before as Map<string, string>)].every(([field, state]) => after?.get(field) === state);
}

/** What a reader makes of a rule; undefined where it refuses anything. */
function accepted<Rule>(read: (refuse: (at: unknown, message: string) => void) => Rule): Rule | undefined {
  let refused = false;
  const made = read(() => {
    refused = true;
  });
  return refused ? undefined : made;
}
