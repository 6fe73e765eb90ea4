import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PoolClient } from 'pg';
import { ROLES } from '../../src/kernel/actor.js';
import type { FactDeclaration, NounDeclaration } from '../../src/kernel/attribute.js';
import { newId } from '../../src/kernel/identifier.js';
import {
  actorOf,
  CASE_EMERGENCIES,
  CASE_PATIENTS,
  CASE_TEAM,
  CASE_TENANT,
  judge,
  loadCases,
  stateDifferences,
  statesIn,
  type PolicyCase,
} from '../../src/policy/cases.js';
import { POLICY_ACTIONS, type Facts } from '../../src/policy/decision.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import { PolicySource } from '../../src/policy/source.js';
import { SHOWING } from '../../src/policy/rule.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { registry } from './nouns.js';

const NOW = new Date('2026-11-21T04:00:00Z');
const SQL_TYPES = { text: 'text', integer: 'integer', boolean: 'boolean', uuid: 'uuid' } as const;
const source = PolicySource.directory('policies');
const engine = PolicyEngine.load(source, registry);
const cases = loadCases(source, registry, engine);

/** In SQL every purpose that is not the role's own is the same question. */
const distinct = [
  ...new Map(
    cases.map((one) => {
      const purpose = engine.purposesOf(one.role).includes(one.purpose) ? one.purpose : '';
      return [
        [one.type, one.role, purpose, one.action, one.rows.size, JSON.stringify(one.environment)].join(' '),
        one,
      ] as const;
    }),
  ).values(),
];

let database: TestDatabase;
let client: PoolClient;
/** Ids of the rows of a noun's case file, by the row's name. */
const ids = new Map<string, Map<string, string>>();

/** Columns of a fact table: every noun and its subject in a table of its own, with what the policy may ask and nothing else. */
function columnsOf(noun: NounDeclaration): string[] {
  const typeOf = (fact: Exclude<FactDeclaration, { source: 'today' }>) => {
    if (fact.source === 'column') return SQL_TYPES[fact.kind];
    if (fact.source === 'granted') return 'text';
    if (fact.source === 'age') return 'integer';
    return fact.source === 'overlap' ? 'uuid[]' : fact.source === 'consent' ? 'jsonb' : 'uuid';
  };
  const { subject } = noun;
  const columns = new Map([['id', 'uuid PRIMARY KEY']]);
  if (typeof subject === 'object') columns.set(subject.foreignKey, 'uuid NOT NULL');
  for (const fact of noun.facts) {
    if (fact.source === 'today' || columns.has(fact.column)) continue;
    columns.set(fact.column, `${typeOf(fact)} NOT NULL`);
  }
  for (const fact of noun.facts)
    if (fact.source === 'granted' && fact.visit !== undefined && !columns.has(fact.visit))
      columns.set(fact.visit, 'uuid');
  return [...columns].map(([name, type]) => `${name} ${type}`);
}

/** Patients for whom the actor may speak, or to whom he has an open emergency access: one for each row that asks for one. */
const listed = { patientIds: [...CASE_PATIENTS], emergencyPatientIds: [...CASE_EMERGENCIES] };
/** What rows that are granted say of themselves: the actor has all of it. */
const grants: string[] = [];

/** Consents as they are stored. What is not there is NONE; now and then it is there and over. */
function storedConsents(name: string, facts: Facts): Record<string, unknown> {
  const scoped = Object.entries(facts).filter(([key]) => key.startsWith(`${name}.`));
  return Object.fromEntries(
    scoped.flatMap(([key, state], index) => {
      const scope = key.slice(name.length + 1);
      if (state !== 'NONE') return [[scope, { decision: state, until: index % 2 === 0 ? null : hoursFromNow(1) }]];
      return index % 3 === 0
        ? []
        : [[scope, { decision: index % 3 === 1 ? 'PERMIT' : 'DENY', until: hoursFromNow(0) }]];
    }),
  );
}

const hoursFromNow = (hours: number) => new Date(NOW.getTime() + hours * 3_600_000).toISOString();

async function insertRow(noun: NounDeclaration, facts: Facts, parentId: string | null): Promise<string> {
  const values = new Map<string, unknown>([['id', newId()]]);
  if (typeof noun.subject === 'object') values.set(noun.subject.foreignKey, parentId);
  for (const fact of noun.facts) {
    const value = facts[fact.name];
    if (fact.source === 'column') values.set(fact.column, value ?? (fact.kind === 'text' ? 'x' : newId()));
    else if (fact.source === 'consent') values.set(fact.column, storedConsents(fact.name, facts));
    else if (fact.source === 'age')
      values.set(fact.column, NOW.getUTCFullYear() - fact.years - (value === true ? 1 : 0));
    else if (fact.source === 'listed') {
      if (value === true) values.set(fact.column, listed[fact.actorAttribute].pop());
      else if (!values.has(fact.column)) values.set(fact.column, newId());
    } else if (fact.source === 'granted') {
      if (value === true) grants.push(`${String(values.get(fact.patient))}:${String(values.get(fact.column))}`);
    } else if (fact.source === 'overlap') values.set(fact.column, value === true ? [newId(), CASE_TEAM] : [newId()]);
  }
  const id = String(values.get('id'));
  const names = [...values.keys()];
  await client.query(
    `INSERT INTO ${noun.table} (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    [...values.values()],
  );
  for (const fact of noun.facts) {
    if (fact.source !== 'today') continue;
    // Yesterday and tomorrow never count, an hour ago does.
    const hours = facts[fact.name] === true ? [-1, -30] : [-30, 30];
    for (const hour of hours) {
      const start = new Date(NOW.getTime() + hour * 3_600_000);
      await client.query(
        `INSERT INTO ${fact.table} (id, ${fact.foreignKey}, ${fact.column}, tenant_id, status, compartment) VALUES ($1, $2, $3, 'x', 'x', 'NONE')`,
        [newId(), id, start],
      );
    }
  }
  return id;
}

const subjectFacts = (facts: Facts): Facts => ({
  ...Object.fromEntries(
    Object.entries(facts)
      .filter(([name]) => name.startsWith('subject.'))
      .map(([name, value]) => [name.slice('subject.'.length), value]),
  ),
  tenant: facts['tenant'],
});

beforeAll(async () => {
  database = await testDatabase();
  client = await database.owner.connect();
  await client.query('CREATE SCHEMA facts; SET search_path TO facts');
  for (const noun of registry.all()) await client.query(`CREATE TABLE ${noun.table} (${columnsOf(noun).join(', ')})`);
  await client.query('ALTER TABLE visit ADD COLUMN start_at timestamptz');
  for (const noun of registry.all()) {
    const rows = cases.find((one) => one.type === noun.type)?.rows ?? new Map<string, Facts>();
    const inserted = new Map<string, string>();
    for (const [name, facts] of rows) {
      const parent = typeof noun.subject === 'object' ? registry.noun(noun.subject.parent) : null;
      const parentId = parent === null ? null : await insertRow(parent, subjectFacts(facts), null);
      inserted.set(name, await insertRow(noun, facts, parentId));
    }
    ids.set(noun.type, inserted);
  }
});

afterAll(async () => {
  client?.release(true);
  await database?.close();
});

/** The list filter and the field states as PostgreSQL sees them. */
async function differencesInSql(one: PolicyCase): Promise<string[]> {
  const actor = { ...actorOf(one.role), compartmentGrants: grants };
  const decision = engine.decide(actor, one.purpose, one.action, one.type, one.environment);
  const noun = registry.noun(one.type);
  const parent = typeof noun.subject === 'object' ? noun.subject : null;
  const aliases = { self: 's', subject: parent === null ? 's' : 'p' };
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const context = { now: NOW, timeZone: 'Asia/Shanghai' };
  const join = parent === null ? '' : `JOIN ${registry.noun(parent.parent).table} p ON p.id = s.${parent.foreignKey}`;
  const found = await client.query<{ id: string; reached: boolean; but: boolean; denied: boolean; bits: number }>(
    `SELECT s.id, ${decision.rowPredicate(aliases, bind, context)} AS reached,
       ${decision.butForConsentPredicate(aliases, bind, context)} AS but,
       ${decision.consentDeniedPredicate(aliases, bind, context)} AS denied,
       ${decision.visibilityBits(aliases, bind, context)} AS bits FROM ${noun.table} s ${join}`,
    values,
  );
  const byId = new Map(found.rows.map((row) => [row.id, row]));
  return [...one.rows.keys()].flatMap((name) => {
    const row = byId.get(ids.get(one.type)?.get(name) ?? '');
    const expected = one.expected?.rows.has(name) ?? false;
    if (row?.reached !== expected)
      return [`${one.place} (${one.role}, ${one.purpose}, ${one.action}): row ${name} is ${String(row?.reached)}`];
    const keptBack = row.but ? (row.denied ? 'DENIED' : 'MISSING') : undefined;
    if (keptBack !== one.expected?.keptBack.get(name)) return [`${one.place}: row ${name} is kept back: ${keptBack}`];
    if (!expected || !SHOWING.includes(one.action)) return [];
    return stateDifferences(name, one.expected?.states.get(name), statesIn(decision.visibility(row.bits)));
  });
}

describe('policy cases', () => {
  it('hold in memory: rows reached, field states, writable and lookup fields', () => {
    const failed = cases.flatMap((one) =>
      judge(one, engine).map(
        (difference) => `${one.place} (${one.role}, ${one.purpose}, ${one.action}): ${difference}`,
      ),
    );
    expect(failed).toEqual([]);
    expect(cases.length).toBeGreaterThan(1_000);
  });

  it('hold in PostgreSQL: the list filter and the field states of every row', async () => {
    const failed: string[] = [];
    for (const one of distinct) failed.push(...(await differencesInSql(one)));
    expect(failed).toEqual([]);
  }, 120_000);

  it('cover every noun, role, purpose of the role and action, refused ones too', () => {
    const key = (...parts: string[]) => parts.join(' ');
    const covered = new Set(cases.map((one) => key(one.type, one.role, one.purpose, one.action)));
    const wanted = registry
      .all()
      .flatMap((noun) =>
        ROLES.flatMap((role) =>
          engine
            .purposesOf(role)
            .flatMap((purpose) => POLICY_ACTIONS.map((action) => key(noun.type, role, purpose, action))),
        ),
      );
    expect(wanted.filter((one) => !covered.has(one))).toEqual([]);
  });

  it('use every rule', () => {
    const named = new Set(
      cases.flatMap(
        (one) => engine.decide(actorOf(one.role), one.purpose, one.action, one.type, one.environment).ruleIds,
      ),
    );
    expect(engine.ruleIds.filter((id) => !named.has(id))).toEqual([]);
  });

  it('never show a row of another tenant to anybody', () => {
    const foreign = cases.flatMap((one) => {
      const names = [...one.rows].filter(([, facts]) => facts['tenant'] !== CASE_TENANT).map(([name]) => name);
      return names.map((name) => ({ place: one.place, shown: one.expected?.rows.has(name) ?? false }));
    });
    expect(foreign.length).toBeGreaterThan(0);
    expect(foreign.filter((one) => one.shown)).toEqual([]);
  });
});
