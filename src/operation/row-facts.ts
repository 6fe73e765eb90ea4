import type { Actor } from '../kernel/actor.js';
import { dayIn } from '../kernel/clock.js';
import { registry, type FactDeclaration, type NounDeclaration } from '../kernel/attribute.js';
import type { Aliases, Bind, PolicyContext } from '../policy/decision.js';

export type Facts = Record<string, unknown>;

/** SELECT expressions of the facts of a noun and of its parent. The policy's SQL says the same in its own predicates. */
export function factColumns(
  noun: NounDeclaration,
  aliases: Aliases,
  actor: Actor,
  bind: Bind,
  context: PolicyContext,
): string {
  const named = factNames(noun).map(({ name, fact, ofParent }) => {
    const alias = ofParent ? aliases.subject : aliases.self;
    return `${expression(fact, alias, actor, bind, context)} AS "fact_${name}"`;
  });
  return named.join(', ');
}

/** The facts of a fetched row, by the names that policies use: a parent's facts are `subject.<name>`. */
export function readFacts(noun: NounDeclaration, row: Readonly<Record<string, unknown>>): Facts {
  return Object.fromEntries(factNames(noun).map(({ name }) => [name, row[`fact_${name}`]]));
}

/** The facts of a subject as the policies of its children name them. */
export function asParent(facts: Facts): Facts {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [`subject.${name}`, value]));
}

function factNames(noun: NounDeclaration): { name: string; fact: FactDeclaration; ofParent: boolean }[] {
  const own = noun.facts.map((fact) => ({ name: fact.name, fact, ofParent: false }));
  if (typeof noun.subject !== 'object') return own;
  const parent = registry.noun(noun.subject.parent);
  return [...own, ...parent.facts.map((fact) => ({ name: `subject.${fact.name}`, fact, ofParent: true }))];
}

/** The facts of a row that does not exist yet. A new row has no children, so nothing of it is today. */
export function newFacts(noun: NounDeclaration, columns: Readonly<Record<string, unknown>>, actor: Actor): Facts {
  return Object.fromEntries(
    noun.facts.map((fact) => {
      if (fact.source === 'today') return [fact.name, false];
      const value = columns[fact.column];
      if (fact.source === 'column') return [fact.name, value];
      return [fact.name, Array.isArray(value) && value.some((one) => actor[fact.actorAttribute].includes(String(one)))];
    }),
  );
}

function expression(fact: FactDeclaration, alias: string, actor: Actor, bind: Bind, context: PolicyContext): string {
  if (fact.source === 'column') return `${alias}.${fact.column}`;
  if (fact.source === 'overlap') return `(${alias}.${fact.column} && ${bind(actor[fact.actorAttribute])}::uuid[])`;
  const { start, end } = dayIn(context.timeZone, context.now);
  return (
    `EXISTS (SELECT 1 FROM ${fact.table} f WHERE f.${fact.foreignKey} = ${alias}.id ` +
    `AND f.${fact.only.column} = ${bind(fact.only.equals)}::text ` +
    `AND f.${fact.column} >= ${bind(start)}::timestamptz AND f.${fact.column} < ${bind(end)}::timestamptz)`
  );
}
