import type { AttributeDeclaration, DataGroup, MaskName } from '../kernel/attribute.js';
import type { Compiled, Grant } from './compile.js';
import { ActorAttribute, factsOf, type ActorAttributeName, type ConditionNode } from './condition.js';
import { ConsentPlan } from './consent.js';
import type { Aliases, FieldView, Finding, PolicyAction, Visibility, Volume } from './decision.js';
import { findingOf } from './finding.js';
import { all, Conditions, evaluate, formulaOf, isAlways, NEVER, unlessForbidden, type Formula } from './formula.js';
import { joinObligations, type Obligation } from './obligation.js';
import { SHOWING, WRITING, type RuleSetting } from './rule.js';
import { locateFact, SqlCompiler, type Template } from './sql.js';
import { maskStrength } from './vocabulary.js';

/** More conditions than this in one decision are refused at load: states are worked out for all their combinations. */
export const CONDITION_LIMIT = 16;

interface FieldPlan {
  readonly attribute: AttributeDeclaration;
  readonly visible: Formula;
  readonly clear: Formula;
  /** Masks of the permits that show the field, weakest first, with the condition of each (null: always). */
  readonly masks: readonly { readonly mask: MaskName; readonly condition: number | null }[];
}

const HIDDEN: FieldView = { state: 'HIDDEN', mask: null };
const CLEAR: FieldView = { state: 'CLEAR', mask: null };

/**
 * What one role may do to rows of one type for one purpose, with everything about the actor and the row left open.
 * Shared by all actors of the role; immutable but for its memories, which hold no personal values.
 */
export class Plan {
  readonly conditions = new Conditions();
  readonly allowed: boolean;
  readonly usesSubject: boolean;
  readonly ruleIds: readonly string[];
  readonly row: Formula;
  readonly writable: ReadonlySet<string>;
  readonly lookup: Finding | null;
  readonly obligations: readonly Obligation[];
  /** Fields that some permit shows, whatever the row. */
  readonly shown: ReadonlySet<string>;
  readonly perUserPerHour: number | null;
  readonly volume: Volume | null;
  /** Null where no consent clause takes part: it then costs nothing. */
  readonly consent: ConsentPlan | null;
  readonly consents: readonly string[];
  /** The facts that have to be supplied to judge a row in memory. */
  readonly factNames: readonly string[];
  /** Attributes that the actor must have, or the decision is refused. */
  readonly actorAttributes: readonly ActorAttribute[];
  private readonly fields: ReadonlyMap<string, FieldPlan>;
  private readonly visibilities = new Map<number, Visibility>();
  private readonly templates = new Map<string, Template>();
  private readonly clearness = new Map<string, 'always' | 'sometimes' | 'never'>();

  constructor(
    private readonly compiled: Compiled,
    readonly setting: RuleSetting,
    readonly action: PolicyAction,
  ) {
    const { noun } = setting;
    const grants = compiled.grants.filter(({ permit }) => permit.type === noun.type && permit.actions.has(action));
    const permits = grants.map(({ permit }) => permit);
    this.allowed = permits.length > 0;
    this.row = formulaOf(compiled.ability, this.conditions, action, noun.type);
    this.fields = SHOWING.includes(action) ? this.fieldPlans(grants) : new Map();
    this.writable = this.allowed ? this.writableFields() : new Set();
    this.lookup = findingOf(permits, action);
    this.obligations = joinObligations(permits.flatMap((one) => one.obligations));
    this.shown = new Set(SHOWING.includes(action) ? permits.flatMap((one) => [...one.shows.keys()]) : []);
    this.perUserPerHour = fewest(permits.flatMap((one) => one.limits?.perUserPerHour ?? []));
    this.volume = compiled.volume;
    const guardrails = compiled.guardrails.filter((one) => {
      return one.fields.has(noun.type) && (one.actions.has(action) || one.actions.has(`${action}:clear`));
    });
    const { lifted } = compiled;
    const consented = lifted !== null && grants.some((grant) => grant.consented);
    this.consent = consented ? new ConsentPlan(compiled, lifted, action, noun.type) : null;
    this.ruleIds = [...permits, ...(this.allowed ? guardrails : [])].map((one) => one.id);
    const nodes = this.conditions.list.map((one) => one.node);
    this.factNames = [...new Set(['tenant', ...nodes.flatMap(factsOf), ...(this.consent?.factNames ?? [])])];
    const scopes = this.factNames.flatMap((name) => locateFact(noun, setting.parent, name)?.scope ?? []);
    this.consents = [...new Set(scopes)].sort();
    this.usesSubject = this.factNames.some((name) => name.startsWith('subject.'));
    const attributes = new Set(['tenant' as const, ...nodes.flatMap((node) => this.attributesOf(node))]);
    this.actorAttributes = [...attributes].map((name) => new ActorAttribute(name));
    const asksWhen =
      guardrails.some((one) => one.lift !== null) ||
      this.factNames.some((name) => locateFact(noun, setting.parent, name)?.fact.source === 'today');
    if (action === 'aggregate' && this.allowed && (attributes.size > 1 || asksWhen)) {
      throw new RangeError(
        'What is counted must be the same for everybody of a role: no condition may ask who counts, or when.',
      );
    }
    if (this.conditions.list.length > CONDITION_LIMIT) {
      throw new RangeError(`More than ${CONDITION_LIMIT} conditions meet in one decision.`);
    }
  }

  /** Field states for a row with these bits; the same object every time. */
  visibility(bits: number): Visibility {
    const known = this.visibilities.get(bits);
    if (known !== undefined) return known;
    const made = this.describe(bits);
    this.visibilities.set(bits, made);
    return made;
  }

  /** Whether the field is in clear on the rows that the action reaches: over all combinations of conditions. */
  clearFor(field: string): 'always' | 'sometimes' | 'never' {
    const known = this.clearness.get(field);
    if (known !== undefined) return known;
    const clear = this.queryable(field);
    const reached = this.reachedBits();
    const inClear = reached.filter((bits) => evaluate(clear, bits)).length;
    const answer = inClear === 0 ? 'never' : inClear === reached.length ? 'always' : 'sometimes';
    if (this.setting.noun.attributes.has(field)) this.clearness.set(field, answer);
    return answer;
  }

  rowTemplate(aliases: Aliases): Template {
    return this.template(`row ${aliases.self} ${aliases.subject}`, () => this.within(this.row, this.compiler(aliases)));
  }

  clearTemplate(field: string, aliases: Aliases): Template {
    const make = () => this.within(this.queryable(field), this.compiler(aliases));
    return this.setting.noun.attributes.has(field)
      ? this.template(`clear ${field} ${aliases.self} ${aliases.subject}`, make)
      : ['FALSE'];
  }

  /** SQL of one of the two questions about consent; FALSE where no clause takes part. */
  consentTemplate(question: 'butFor' | 'denied', aliases: Aliases): Template {
    const { consent } = this;
    if (consent === null) return ['FALSE'];
    return this.template(`${question} ${aliases.self} ${aliases.subject}`, () =>
      this.within(consent[question], this.compiler(aliases), consent.conditions),
    );
  }

  bitsTemplate(aliases: Aliases): Template {
    return this.template(`bits ${aliases.self} ${aliases.subject}`, () => {
      if (this.fields.size === 0 || this.conditions.list.length === 0) return ['0'];
      const compiler = this.compiler(aliases);
      // What holds on every row that is reached is not asked twice: the row predicate stands in the same statement.
      const known = this.reachedBits().reduce((common, bits) => common & bits, (1 << this.conditions.list.length) - 1);
      const terms = this.conditions.list.flatMap(({ node }, bit): Template => {
        if ((known & (1 << bit)) !== 0) return [];
        return [' + CASE WHEN ', ...compiler.node(node), ` THEN ${1 << bit} ELSE 0 END`];
      });
      return terms.length === 0 ? [String(known)] : [`(${known}`, ...terms, ')'];
    });
  }

  /** Every pattern of conditions that a row may have which the action reaches. */
  private reachedBits(): number[] {
    const patterns = Array.from({ length: 1 << this.conditions.list.length }, (_, bits) => bits);
    return patterns.filter((bits) => evaluate(this.row, bits));
  }

  /** SQL of the tenant and a formula. Conditions are facts about rows; the tenant stands before all of them. */
  within(formula: Formula, compiler: SqlCompiler, conditions = this.conditions): Template {
    const tenant = compiler.node({ operator: 'eq', field: 'tenant', value: new ActorAttribute('tenant') });
    if (isAlways(formula)) return ['(', ...tenant, ')'];
    return ['(', ...tenant, ' AND ', ...compiler.formula(formula, conditions), ')'];
  }

  compiler(aliases: Aliases, known: Readonly<Record<string, unknown>> = {}): SqlCompiler {
    const { noun, parent } = this.setting;
    return new SqlCompiler((name) => {
      const found = locateFact(noun, parent, name);
      if (found === null) throw new Error(`${noun.type} has no fact ${name}.`);
      return { fact: found.fact, alias: aliases[found.of], scope: found.scope };
    }, known);
  }

  private template(key: string, make: () => Template): Template {
    const known = this.templates.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.templates.set(key, made);
    return made;
  }

  private queryable(field: string): Formula {
    return this.setting.classes.get(field)?.unqueryable === true ? NEVER : (this.fields.get(field)?.clear ?? NEVER);
  }

  private fieldPlans(grants: readonly Grant[]): Map<string, FieldPlan> {
    const { noun } = this.setting;
    return new Map(
      [...noun.attributes.values()].map((attribute) => {
        const masks = grants.flatMap((grant) => this.maskOf(grant, attribute.field));
        masks.sort((left, right) => maskStrength(left.mask) - maskStrength(right.mask));
        return [
          attribute.field,
          {
            attribute,
            visible: this.asOpenAsSources(attribute, (field) => this.ask(this.action, field)),
            clear: this.asOpenAsSources(attribute, (field) =>
              all([this.ask(this.action, field), this.ask(`${this.action}:clear`, field)]),
            ),
            masks,
          },
        ];
      }),
    );
  }

  private ask(action: string, field: string): Formula {
    return formulaOf(this.compiled.ability, this.conditions, action, this.setting.noun.type, field);
  }

  /**
   * A field is never shown more openly than the fields it is derived from, except where its mask is M_SAME: that class
   * says that the field itself is the coarser facet which may stand where its source may not. People are counted by a facet
   * that stands for itself, unless a guardrail forbids its source.
   */
  private asOpenAsSources(attribute: AttributeDeclaration, ask: (field: string) => Formula): Formula {
    const own = ask(attribute.field);
    const { noun, classes } = this.setting;
    if (classes.get(attribute.field)?.mask === 'M_SAME') return own;
    const sources = attribute.derivedFrom.flatMap((source) => noun.attributes.get(source) ?? []);
    if (this.action === 'aggregate') {
      const { ability } = this.compiled;
      return all([own, ...sources.map(({ field }) => unlessForbidden(ability, this.conditions, noun.type, field))]);
    }
    return all([own, ...sources.map((source) => this.asOpenAsSources(source, ask))]);
  }

  private maskOf({ permit, where }: Grant, field: string): { mask: MaskName; condition: number | null }[] {
    const shown = permit.shows.get(field);
    if (shown === undefined) return [];
    return [{ mask: shown.mask, condition: where === null ? null : this.conditions.numberOf(where) }];
  }

  private describe(bits: number): Visibility {
    const fields = new Map([...this.setting.noun.attributes.keys()].map((field) => [field, this.view(field, bits)]));
    const open = new Set<DataGroup>();
    for (const { attribute } of this.fields.values()) {
      const { state, mask } = fields.get(attribute.field) ?? HIDDEN;
      if (state === 'HIDDEN' || mask === 'M_NULL') continue;
      for (const group of this.sealedGroups(attribute)) open.add(group);
    }
    return { fields, openGroups: [...open] };
  }

  /** The sealed groups that have to be opened to show a field: its own, or those that it is computed from. */
  private sealedGroups(attribute: AttributeDeclaration): DataGroup[] {
    if (attribute.sealed) return [attribute.group];
    if (attribute.column !== null) return [];
    return attribute.derivedFrom.flatMap((source) => {
      const declared = this.setting.noun.attributes.get(source);
      return declared === undefined ? [] : this.sealedGroups(declared);
    });
  }

  private view(field: string, bits: number): FieldView {
    const plan = this.fields.get(field);
    if (plan === undefined || !evaluate(plan.visible, bits)) return HIDDEN;
    if (evaluate(plan.clear, bits)) return CLEAR;
    const weakest = plan.masks.find(({ condition }) => condition === null || (bits & (1 << condition)) !== 0);
    return { state: 'MASKED', mask: weakest?.mask ?? 'M_NULL' };
  }

  /** A guardrail on fields takes them out of every write, whatever its condition: what may be written does not depend on the row. */
  private writableFields(): Set<string> {
    const { noun } = this.setting;
    const permitted = [...noun.attributes.keys()].filter((field) => {
      const rules = this.compiled.ability.rulesFor(this.action, noun.type, field);
      return rules.some((rule) => !rule.inverted) && !rules.some((rule) => rule.inverted && rule.fields !== undefined);
    });
    return new Set(WRITING.includes(this.action) ? permitted : []);
  }

  private attributesOf(node: ConditionNode): ActorAttributeName[] {
    if (node.field === undefined) return (node.value as ConditionNode[]).flatMap((child) => this.attributesOf(child));
    if (node.value instanceof ActorAttribute) return [node.value.attribute];
    const { noun, parent } = this.setting;
    const fact = locateFact(noun, parent, node.field)?.fact;
    return fact !== undefined && 'actorAttribute' in fact ? [fact.actorAttribute] : [];
  }
}

/** Joining must not add up to more uses. */
function fewest(limits: readonly number[]): number | null {
  return limits.length === 0 ? null : Math.min(...limits);
}
