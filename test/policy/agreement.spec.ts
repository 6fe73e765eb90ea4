import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createMongoAbility, type AbilityTuple, type MongoAbility } from '@casl/ability';
import fc from 'fast-check';
import type { PoolClient } from 'pg';
import type { NounDeclaration } from '../../src/kernel/attribute.js';
import { dayIn } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import type { Facts } from '../../src/policy/decision.js';
import { Conditions, evaluate, formulaOf } from '../../src/policy/formula.js';
import { buildAbility, SubjectRow, type CaslRule } from '../../src/policy/matcher.js';
import { locateFact, render, SqlCompiler } from '../../src/policy/sql.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { ACTOR, FACTS, FIELDS, NOW, randomPolicy, randomRow, SCOPES, type RandomRow } from './random-policy.js';

const ROWS = 30;
const POLICIES = 10_000;
const BATCH = 50;
const SEED = 20261121;
const QUESTIONS: readonly (string | undefined)[] = [undefined, ...FIELDS];

const THING = { type: 'Thing', facts: FACTS } as unknown as NounDeclaration;

let database: TestDatabase;
let client: PoolClient;
const rows: { id: string; facts: Facts }[] = [];

/** In-memory facts of a random row, worked out independently of the SQL. */
function factsOf(row: RandomRow): Facts {
  const day = dayIn(ACTOR.timeZone, NOW);
  const { teams, children, consents, ...columns } = row;
  const stateOf = (scope: string) => {
    const entry = consents[scope];
    if (entry === undefined || (entry.until !== null && new Date(entry.until) <= NOW)) return 'NONE';
    return entry.decision === 'PERMIT' ? 'PERMIT' : 'DENY';
  };
  return {
    ...columns,
    ...Object.fromEntries(SCOPES.map((scope) => [`consent.${scope}`, stateOf(scope)])),
    isListed: row.owner !== null && ACTOR.patientIds.includes(row.owner),
    isOpen: row.owner !== null && ACTOR.emergencyPatientIds.includes(row.owner),
    isGranted:
      row.owner !== null &&
      row.label !== null &&
      [`${row.owner}:${row.label}`, `${row.owner}:${row.label}:${row.owner}`].some((grant) =>
        ACTOR.compartmentGrants.includes(grant),
      ),
    inTeam: (teams ?? []).some((team) => ACTOR.careTeamIds.includes(team)),
    comesToday: children.some((hours) => {
      if (hours % 2 !== 0) return false;
      const start = NOW.getTime() + hours * 3_600_000;
      return start >= day.start.getTime() && start < day.end.getTime();
    }),
  };
}

beforeAll(async () => {
  database = await testDatabase();
  client = await database.owner.connect();
  await client.query(`
    CREATE TEMPORARY TABLE thing (id uuid PRIMARY KEY, label text COLLATE "und-x-icu", note text, score integer, flag boolean, owner uuid, teams uuid[], consents jsonb NOT NULL);
    CREATE TEMPORARY TABLE child (parent_id uuid NOT NULL, start_at timestamptz NOT NULL, label text NOT NULL);`);
  for (const row of fc.sample(randomRow, { numRuns: ROWS, seed: SEED })) {
    const id = newId();
    await client.query('INSERT INTO thing VALUES ($1, $2, $3, $4, $5, $6, $7, $8)', [
      id,
      row.label,
      row.note,
      row.score,
      row.flag,
      row.owner,
      row.teams,
      row.consents,
    ]);
    for (const hours of row.children) {
      const start = new Date(NOW.getTime() + hours * 3_600_000);
      await client.query('INSERT INTO child VALUES ($1, $2, $3)', [id, start, hours % 2 === 0 ? 'open' : 'withheld']);
    }
    rows.push({ id, facts: factsOf(row) });
  }
});

afterAll(async () => {
  client?.release();
  await database?.close();
});

/** What PostgreSQL says for every policy, question (row, then each field) and row. */
async function askSql(policies: readonly CaslRule[][]): Promise<Map<string, (boolean | null)[]>> {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const compiler = new SqlCompiler((name) => {
    const located = locateFact(THING, null, name);
    if (located === null) throw new Error('A random policy named an unknown fact.');
    return { ...located, alias: 'thing' };
  });
  const late = { bind, actor: ACTOR, context: { now: NOW, timeZone: ACTOR.timeZone } };
  const expressions = policies.flatMap((rules) => {
    const ability = buildAbility(rules);
    const conditions = new Conditions();
    return QUESTIONS.map((field) => {
      const formula = formulaOf(ability, conditions, 'read', 'Thing', field);
      return render(compiler.formula(formula, conditions), late);
    });
  });
  const answer = await client.query<{ id: string; answers: (boolean | null)[] }>(
    `SELECT id, ARRAY[${expressions.join(', ')}] AS answers FROM thing`,
    values,
  );
  return new Map(answer.rows.map((row) => [row.id, row.answers]));
}

type Judge = (rules: CaslRule[]) => (facts: Facts, field: string | undefined) => boolean;

const strict: Judge = (rules) => {
  const ability = buildAbility(rules);
  return (facts, field) => ability.can('read', new SubjectRow('Thing', facts, ACTOR), field);
};

/** The way field states are worked out: conditions to bits once, then CASL's answer over the bits. */
const byBits: Judge = (rules) => {
  const ability = buildAbility(rules);
  const conditions = new Conditions();
  const formulas = new Map(QUESTIONS.map((field) => [field, formulaOf(ability, conditions, 'read', 'Thing', field)]));
  return (facts, field) => {
    const row = new SubjectRow('Thing', facts, ACTOR);
    const bits = conditions.list.reduce((sum, one, index) => (one.matches(row) ? sum | (1 << index) : sum), 0);
    return evaluate(formulas.get(field) as never, bits);
  };
};

const stock: Judge = (rules) => {
  const ability = createMongoAbility<MongoAbility<AbilityTuple>>(rules, { detectSubjectType: () => 'Thing' });
  return (facts, field) => ability.can('read', { ...facts }, field);
};

const seen = { true: 0, false: 0 };

async function differences(policies: readonly CaslRule[][], judge: Judge): Promise<string[]> {
  const answers = await askSql(policies);
  const found: string[] = [];
  policies.forEach((rules, number) => {
    const judged = judge(rules);
    for (const { id, facts } of rows) {
      QUESTIONS.forEach((field, question) => {
        const fromSql = answers.get(id)?.[number * QUESTIONS.length + question];
        seen[fromSql === true ? 'true' : 'false'] += 1;
        if (fromSql !== judged(facts, field)) {
          found.push(JSON.stringify({ rules, facts, field: field ?? 'row', sql: fromSql ?? null }));
        }
      });
    }
  });
  return found;
}

async function countDifferences(judge: Judge, options: { stock: boolean; policies: number }): Promise<string[]> {
  const policies = fc.sample(randomPolicy(options), { numRuns: options.policies, seed: SEED });
  const found: string[] = [];
  for (let start = 0; start < policies.length; start += BATCH) {
    found.push(...(await differences(policies.slice(start, start + BATCH), judge)));
  }
  return found;
}

describe('CASL in memory and SQL in PostgreSQL', () => {
  it('agree on every random policy, for the row and for every field, nulls included', async () => {
    const found = await countDifferences(strict, { stock: false, policies: POLICIES });
    expect(found.slice(0, 3)).toEqual([]);
    expect(found.length).toBe(0);
    // Neither answer is rare: agreement on a constant would show nothing.
    expect(seen.true / (seen.true + seen.false)).toBeGreaterThan(0.2);
    expect(seen.false / (seen.true + seen.false)).toBeGreaterThan(0.2);
  }, 240_000);

  it('agree when the conditions become bits first', async () => {
    const found = await countDifferences(byBits, { stock: false, policies: 1_000 });
    expect(found.slice(0, 3)).toEqual([]);
  });

  it('disagree with the stock matcher, so that this test can fail', async () => {
    const found = await countDifferences(stock, { stock: true, policies: 500 });
    const agreeing = await countDifferences(strict, { stock: true, policies: 500 });
    expect(found.length).toBeGreaterThan(0);
    expect(agreeing).toEqual([]);
  });
});
