import { ROLES, type Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import { AllDecisions } from './all-decisions.js';
import { loadBundle, type Bundle } from './bundle.js';
import { actorOf, CASE_TENANT, loadCases, statesIn, type PolicyCase } from './cases.js';
import { POLICY_ACTIONS, type Decision, type Facts, type PolicyAction } from './decision.js';
import { PolicyEngine } from './engine.js';
import { compileCondition, SubjectRow, type CompiledCondition } from './matcher.js';
import { leavesOf, rowClasses, type Leaf } from './row-classes.js';
import { SHOWING } from './rule.js';
import type { PolicySource } from './source.js';

/** One thing that a case may reach: a rule, a comparison being true or false, a state of a field. */
export interface Coverage {
  /** In words, such as `patient-export: consent.PATRQT in PERMIT, NONE is false`. */
  readonly name: string;
  readonly covered: boolean;
}

/**
 * What the cases of a source reach of its policies: every rule on some row; every comparison of a rule true on one row and
 * false on another; every state that a role can see a field in, for every purpose and action.
 */
export function coverageOf(source: PolicySource, registry: AttributeRegistry): Coverage[] {
  const bundle = loadBundle(source, registry);
  const engine = PolicyEngine.of(bundle, registry);
  const meter = new CoverageMeter(bundle);
  const decisions = new AllDecisions(bundle, registry, engine);
  const cases = Map.groupBy(loadCases(source, registry, engine), keyOf);
  for (const { type } of registry.all()) {
    for (const role of ROLES) {
      for (const purpose of engine.purposesOf(role)) {
        for (const action of POLICY_ACTIONS) {
          const question = { role, purpose, action, type };
          const possible = decisions.of(role, purpose, action, type).filter((one) => one.allowed);
          if (possible.length > 0)
            meter.question(question, possible, asked(engine, question, cases.get(keyOf(question)) ?? []));
        }
      }
    }
  }
  return meter.result();
}

/** What the cases ask: a decision for each environment that they name, with the rows of their files. */
function asked(engine: PolicyEngine, { role, purpose, action, type }: Question, cases: readonly PolicyCase[]): Asked[] {
  const byEnvironment = Map.groupBy(cases, (one) => JSON.stringify(one.environment));
  return [...byEnvironment.values()].map((alike) => {
    const decision = engine.decide(actorOf(role), purpose, action, type, alike[0]?.environment);
    const rows = [...new Set(alike.map((one) => one.rows))].flatMap((set) => [...set.values()]);
    return { decision, rows: rows.filter((facts) => facts['tenant'] === CASE_TENANT) };
  });
}

function keyOf({ role, purpose, action, type }: Question): string {
  return `${type} ${role} ${purpose} ${action}`;
}

/** A decision with the rows that cases ask it about. */
interface Asked {
  readonly decision: Decision;
  readonly rows: readonly Facts[];
}

interface Question {
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
}

interface RuleConditions {
  readonly wheres: readonly CompiledCondition[];
  /** Each comparison alone, by its name. */
  readonly leaves: readonly { readonly name: string; readonly condition: CompiledCondition }[];
}

class CoverageMeter {
  private readonly found = new Map<string, boolean>();
  private readonly conditions: ReadonlyMap<string, RuleConditions>;

  constructor(bundle: Bundle) {
    const parts = [
      ...bundle.permits.map((one) => [one.id, [one.where, one.consent?.kept ?? null]] as const),
      ...bundle.guardrails.map((one) => [one.id, [one.where]] as const),
    ];
    this.conditions = new Map(
      parts.map(([id, all]) => {
        const wheres = all.filter((where) => where !== null).map(compileCondition);
        const leaves = wheres
          .flatMap(({ node }) => leavesOf(node))
          .map((leaf) => ({
            name: `${id}: ${textOf(leaf)}`,
            condition: compileCondition({ [leaf.fact]: { [`$${leaf.operator}`]: leaf.value } }),
          }));
        this.found.set(`${id}: is reached`, false);
        for (const { name } of leaves) this.found.set(`${name} is true`, false).set(`${name} is false`, false);
        return [id, { wheres, leaves }];
      }),
    );
  }

  question(question: Question, possible: readonly Decision[], cases: readonly Asked[]): void {
    for (const { decision, rows } of cases) for (const id of decision.ruleIds) this.rule(id, question, rows);
    if (SHOWING.includes(question.action)) this.states(question, possible, cases);
  }

  result(): Coverage[] {
    return [...this.found].map(([name, covered]) => ({ name, covered }));
  }

  private rule(id: string, { role, type }: Question, rows: readonly Facts[]): void {
    const { wheres = [], leaves = [] } = this.conditions.get(id) ?? {};
    const actor = actorOf(role);
    for (const facts of rows) {
      const row = new SubjectRow(type, facts, actor);
      for (const { name, condition } of leaves) this.found.set(`${name} is ${condition.matches(row)}`, true);
      if (wheres.every((where) => where.matches(row))) this.found.set(`${id}: is reached`, true);
    }
  }

  private states(
    { role, purpose, action, type }: Question,
    possible: readonly Decision[],
    cases: readonly Asked[],
  ): void {
    const seen = new Set(cases.flatMap(({ decision, rows }) => rows.flatMap((facts) => statesOf(decision, facts))));
    const all = possible.flatMap((decision) => {
      return rowClasses([decision], actorOf(role)).flatMap((facts) => statesOf(decision, facts));
    });
    for (const state of new Set(all))
      this.found.set(`${role} for ${purpose}, ${action} ${type}.${state}`, seen.has(state));
  }
}

/** `phone is MASKED M_PHONE` for every field of a row that is reached. */
function statesOf(decision: Decision, facts: Facts): string[] {
  if (!decision.allowed || !decision.matches(facts)) return [];
  return [...statesIn(decision.visibility(decision.bitsOf(facts)))].map(([field, state]) => `${field} is ${state}`);
}

function textOf({ fact, operator, value }: Leaf): string {
  return `${fact} ${operator} ${Array.isArray(value) ? value.join(', ') : typeof value === 'object' ? JSON.stringify(value) : String(value)}`;
}
