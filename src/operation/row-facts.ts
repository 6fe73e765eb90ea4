import type { Actor } from '../kernel/actor.js';
import { dayIn, yearEverywhere } from '../kernel/clock.js';
import { registry, type FactDeclaration, type NounDeclaration } from '../kernel/attribute.js';
import type { Aliases, Bind, PolicyContext } from '../policy/decision.js';

export type Facts = Record<string, unknown>;

/**
 * SELECT expressions of the facts of a noun and of its parent. The policy's SQL says the same in its own predicates. A
 * consent is one fact for each of `scopes`, the purposes that policies ask for.
 */
export function factColumns(
  noun: NounDeclaration,
  aliases: Aliases,
  actor: Actor,
  bind: Bind,
  context: PolicyContext,
  scopes: readonly string[],
): string {
  const named = factNames(noun).flatMap(({ name, fact, ofParent }) => {
    const alias = ofParent ? aliases.subject : aliases.self;
    if (fact.source !== 'consent') return `${expression(fact, alias, actor, bind, context)} AS "fact_${name}"`;
    return scopes.map(
      (scope) => `${consentState(`${alias}.${fact.column}`, scope, bind, context)} AS "fact_${name}.${scope}"`,
    );
  });
  return named.join(', ');
}

/** The facts of a fetched row, by the names that policies use: a parent's facts are `subject.<name>`. */
export function readFacts(noun: NounDeclaration, row: Readonly<Record<string, unknown>>): Facts {
  const facts: Facts = {};
  for (const { name, fact } of factNames(noun)) {
    if (fact.source !== 'consent') facts[name] = row[`fact_${name}`];
    else for (const scoped of consentsIn(row, name)) facts[scoped] = row[`fact_${scoped}`];
  }
  return facts;
}

function consentsIn(row: Readonly<Record<string, unknown>>, name: string): string[] {
  const columns = Object.keys(row).filter((column) => column.startsWith(`fact_${name}.`));
  return columns.map((column) => column.slice('fact_'.length));
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

/** The facts of a row that does not exist yet. It has no children, so nothing of it is today, and nobody was asked for consent. */
export function newFacts(
  noun: NounDeclaration,
  columns: Readonly<Record<string, unknown>>,
  actor: Actor,
  scopes: readonly string[],
  now: Date,
): Facts {
  const facts: Facts = {};
  for (const fact of noun.facts) {
    if (fact.source === 'today') facts[fact.name] = false;
    else if (fact.source === 'age') facts[fact.name] = isOfAge(columns[fact.column], fact.years, now);
    else if (fact.source === 'consent') for (const scope of scopes) facts[`${fact.name}.${scope}`] = 'NONE';
    else if (fact.source === 'column') facts[fact.name] = columns[fact.column];
    else if (fact.source === 'granted') facts[fact.name] = meets(grantsOf(fact, columns), actor[fact.actorAttribute]);
    else facts[fact.name] = meets(columns[fact.column], actor[fact.actorAttribute]);
  }
  return facts;
}

/** Whether so many years have surely passed since a year. Not where there is none. */
export function isOfAge(year: unknown, years: number, now: Date): boolean {
  return typeof year === 'number' && year < yearEverywhere(now) - years;
}

/** The grants of which each opens the row. */
function grantsOf(fact: FactDeclaration & { source: 'granted' }, columns: Readonly<Record<string, unknown>>): string[] {
  const pair = `${columns[fact.patient]}:${columns[fact.column]}`;
  const visit = fact.visit === undefined ? null : (columns[fact.visit] ?? null);
  return visit === null ? [pair] : [pair, `${pair}:${visit}`];
}

function meets(value: unknown, list: readonly string[]): boolean {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values.some((one) => typeof one === 'string' && list.includes(one));
}

/** What the patient decided for a purpose. An entry of which the time is over is NONE; a living one that is not PERMIT is DENY. */
function consentState(column: string, scope: string, bind: Bind, context: PolicyContext): string {
  const entry = `${column} -> ${bind(scope)}::text`;
  const over = `COALESCE((${entry} ->> 'until') <= ${bind(context.now.toISOString())}::text COLLATE "C", FALSE)`;
  const decision = `${entry} ->> 'decision'`;
  return `CASE WHEN (${decision}) IS NULL OR ${over} THEN 'NONE' WHEN (${decision}) = 'PERMIT' THEN 'PERMIT' ELSE 'DENY' END`;
}

type SimpleFact = Exclude<FactDeclaration, { source: 'consent' }>;

function expression(fact: SimpleFact, alias: string, actor: Actor, bind: Bind, context: PolicyContext): string {
  if (fact.source === 'column') return `${alias}.${fact.column}`;
  if (fact.source === 'overlap') return `(${alias}.${fact.column} && ${bind(actor[fact.actorAttribute])}::uuid[])`;
  if (fact.source === 'listed') return `(${alias}.${fact.column} = ANY(${bind(actor[fact.actorAttribute])}::uuid[]))`;
  if (fact.source === 'granted') {
    const pair = `${alias}.${fact.patient}::text || ':' || ${alias}.${fact.column}`;
    const list = `${bind(actor[fact.actorAttribute])}::text[]`;
    if (fact.visit === undefined) return `(${pair} = ANY(${list}))`;
    return `(${pair} = ANY(${list}) OR coalesce(${pair} || ':' || ${alias}.${fact.visit}::text = ANY(${list}), FALSE))`;
  }
  if (fact.source === 'age') {
    return `COALESCE(${alias}.${fact.column} < ${bind(yearEverywhere(context.now) - fact.years)}::integer, FALSE)`;
  }
  const { start, end } = dayIn(context.timeZone, context.now);
  return (
    `EXISTS (SELECT 1 FROM ${fact.table} f WHERE f.${fact.foreignKey} = ${alias}.id ` +
    `AND f.${fact.only.column} = ${bind(fact.only.equals)}::text ` +
    `AND f.${fact.column} >= ${bind(start)}::timestamptz AND f.${fact.column} < ${bind(end)}::timestamptz)`
  );
}
