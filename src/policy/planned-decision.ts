import { isOfKind, kindOf, type ActorAttributes } from './condition.js';
import type { Aliases, Bind, Decision, Facts, PolicyAction, PolicyContext, Visibility } from './decision.js';
import { evaluate } from './formula.js';
import { SubjectRow } from './matcher.js';
import type { Plan } from './plan.js';
import { SHOWING } from './rule.js';
import { locateFact, render, type Template } from './sql.js';

/** A plan with the actor filled in. It keeps the actor's id, tenant, care teams and patients, nothing of a session. */
export class PlannedDecision implements Decision {
  constructor(
    private readonly plan: Plan,
    private readonly actor: ActorAttributes,
    readonly purpose: string,
  ) {
    for (const attribute of plan.actorAttributes) attribute.of(actor);
  }

  get allowed(): boolean {
    return this.plan.allowed;
  }
  get type(): string {
    return this.plan.setting.noun.type;
  }
  get action(): PolicyAction {
    return this.plan.action;
  }
  get ruleIds(): readonly string[] {
    return this.plan.ruleIds;
  }
  get shape(): Decision['shape'] {
    return this.plan;
  }
  get usesSubject(): boolean {
    return this.plan.usesSubject;
  }
  get lookup(): Decision['lookup'] {
    return this.plan.lookup;
  }
  get obligations(): Decision['obligations'] {
    return this.plan.obligations;
  }
  get shown(): ReadonlySet<string> {
    return this.plan.shown;
  }
  get perUserPerHour(): number | null {
    return this.plan.perUserPerHour;
  }
  get volume(): Decision['volume'] {
    return this.plan.volume;
  }
  get usesConsent(): boolean {
    return this.plan.consent !== null;
  }
  get consents(): readonly string[] {
    return this.plan.consents;
  }

  rowPredicate(aliases: Aliases, bind: Bind, context: PolicyContext): string {
    return this.render(this.plan.rowTemplate(aliases), bind, context);
  }

  butForConsentPredicate(aliases: Aliases, bind: Bind, context: PolicyContext): string {
    return this.render(this.plan.consentTemplate('butFor', aliases), bind, context);
  }

  consentDeniedPredicate(aliases: Aliases, bind: Bind, context: PolicyContext): string {
    return this.render(this.plan.consentTemplate('denied', aliases), bind, context);
  }

  insertPredicate(facts: Facts, subject: string, bind: Bind, context: PolicyContext): string {
    const known = this.checked(facts, (name) => !name.startsWith('subject.'));
    const compiler = this.plan.compiler({ self: subject, subject }, known);
    return this.render(this.plan.within(this.plan.row, compiler), bind, context);
  }

  visibilityBits(aliases: Aliases, bind: Bind, context: PolicyContext): string {
    return this.render(this.plan.bitsTemplate(aliases), bind, context);
  }

  visibility(bits: number): Visibility {
    return this.plan.visibility(bits);
  }

  clearPredicate(field: string, aliases: Aliases, bind: Bind, context: PolicyContext): string {
    return this.render(this.plan.clearTemplate(field, aliases), bind, context);
  }

  clearFor(field: string): 'always' | 'sometimes' | 'never' {
    return this.plan.clearFor(field);
  }

  matches(facts: Facts): boolean {
    const { tenant } = this.checked(facts);
    return tenant === this.actor.tenant && evaluate(this.plan.row, this.holding(facts));
  }

  bitsOf(facts: Facts): number {
    return SHOWING.includes(this.plan.action) ? this.holding(facts) : 0;
  }

  keptBack(facts: Facts): 'DENIED' | 'MISSING' | null {
    return this.plan.consent?.judge(this.type, this.checked(facts), this.actor) ?? null;
  }

  writableFields(): ReadonlySet<string> {
    return this.plan.writable;
  }

  private render(template: Template, bind: Bind, context: PolicyContext): string {
    return render(template, { bind, actor: this.actor, context });
  }

  private holding(facts: Facts): number {
    const row = new SubjectRow(this.type, this.checked(facts), this.actor);
    return this.plan.conditions.list.reduce((bits, one, bit) => (one.matches(row) ? bits | (1 << bit) : bits), 0);
  }

  /** Refuses a fact that a condition reads and that is missing, null or of another kind: it would decide by accident. */
  private checked(facts: Facts, wanted: (name: string) => boolean = () => true): Facts {
    const { noun, parent } = this.plan.setting;
    for (const name of this.plan.factNames) {
      const fact = locateFact(noun, parent, name)?.fact;
      const kind = fact === undefined ? 'text' : kindOf(fact);
      if (wanted(name) && (!Object.hasOwn(facts, name) || !isOfKind(facts[name], kind))) {
        throw new Error(`The fact ${noun.type}.${name} was not supplied as ${kind}.`);
      }
    }
    return facts;
  }
}
