import type { NounDeclaration } from '../kernel/attribute.js';
import type { Compiled } from './compile.js';
import { CONSENT_STATES, factsOf, type ActorAttributes, type Where } from './condition.js';
import type { Facts, PolicyAction } from './decision.js';
import type { DocumentPath } from './document.js';
import { all, Conditions, formulaOf, holds, isAlways, NEVER, type Formula } from './formula.js';
import { SubjectRow, type PolicyAbility } from './matcher.js';
import type { RuleSetting } from './rule.js';

type Effect = 'permit' | 'deny';

/** The clause of a rule: opt-out where what is missing is let through, opt-in where it is not. */
export interface ConsentDocument {
  readonly scope: string;
  readonly onMissing: Effect;
  readonly onDeny: Effect;
}

/** The consent clause of a permit, as conditions on the rows that it lets through and on those that a denial keeps back. */
export interface ConsentClause {
  readonly kept: Where;
  /** Null where a denial keeps nothing back. */
  readonly denied: Where | null;
}

/** Reads a clause. The consent asked for is the noun's own or its subject's; a clause that lets everything through is refused. */
export function readConsent(
  { scope, onMissing, onDeny }: ConsentDocument,
  { noun, parent, vocabulary }: RuleSetting,
  refuse: (at: DocumentPath, message: string) => void,
): ConsentClause | null {
  if (!vocabulary.purposes.has(scope)) refuse(['consent', 'scope'], `Unknown purpose "${scope}".`);
  if (onMissing === 'permit' && onDeny === 'permit') refuse(['consent'], 'This clause keeps nothing back.');
  const fact = consentFact(noun) ?? (parent === null ? null : consentFact(parent, 'subject.'));
  if (fact === null) {
    refuse(['consent'], `There is nobody whose consent ${noun.type} could need.`);
    return null;
  }
  const through = { PERMIT: 'permit', DENY: onDeny, NONE: onMissing } as const;
  const name = `${fact}.${scope}`;
  return {
    kept: { [name]: { $in: CONSENT_STATES.filter((state) => through[state] === 'permit') } },
    denied: onDeny === 'deny' ? { [name]: { $eq: 'DENY' } } : null,
  };
}

function consentFact(noun: NounDeclaration, prefix = ''): string | null {
  const fact = noun.facts.find((one) => one.source === 'consent');
  return fact === undefined ? null : `${prefix}${fact.name}`;
}

/** What the consent clauses of one decision keep back. Made only where a clause takes part. */
export class ConsentPlan {
  readonly conditions = new Conditions();
  /** Rows that are reached with all clauses lifted, and not with them. Guardrails hold on both sides. */
  readonly butFor: Formula;
  /** Of these rows: those that a permit would reach but for a denial. */
  readonly denied: Formula;
  /** The facts that have to be supplied to judge a row in memory. */
  readonly factNames: readonly string[];

  constructor(compiled: Compiled, lifted: NonNullable<Compiled['lifted']>, action: PolicyAction, type: string) {
    const ask = (ability: PolicyAbility) => formulaOf(ability, this.conditions, action, type);
    const kept = ask(compiled.ability);
    this.butFor = isAlways(kept) ? NEVER : all([ask(lifted.ability), { not: kept }]);
    this.denied = ask(lifted.denied);
    this.factNames = [...new Set(['tenant', ...this.conditions.list.flatMap((one) => factsOf(one.node))])];
  }

  /** Whether a row is kept back by consent alone, and why: in-memory twin of the two formulas. */
  judge(type: string, facts: Facts, actor: ActorAttributes): 'DENIED' | 'MISSING' | null {
    const row = new SubjectRow(type, facts, actor);
    const condition = (number: number) => this.conditions.list[number]?.matches(row) === true;
    if (facts['tenant'] !== actor.tenant || !holds(this.butFor, condition)) return null;
    return holds(this.denied, condition) ? 'DENIED' : 'MISSING';
  }
}
