import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { testSystem, type AskOptions, type Loose, type TestSystem } from '../support/system.js';

const LIST = `query($first: Int! = 20, $after: String, $filter: PatientFilter, $sort: [PatientSort!]) {
  patients(first: $first, after: $after, filter: $filter, sort: $sort) {
    totalCount
    edges { cursor node { id gender birthYear status createdAt } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

let system: TestSystem;
/** Every patient of the tenant as the front desk sees it, newest first. */
let all: Loose[];

const ask = (variables: Record<string, unknown>, options: AskOptions = {}) =>
  system.ask('front_desk', LIST, { ...options, variables });
const page = async (variables: Record<string, unknown>): Promise<Loose> => {
  const answer = await ask(variables);
  expect(answer.errors).toEqual([]);
  return answer.data['patients'] as Loose;
};

/** Follows the cursors from the first page to the last. */
async function walk(variables: Record<string, unknown>): Promise<Loose[]> {
  const found: Loose[] = [];
  for (let after: string | null = null; ;) {
    const { edges, pageInfo } = await page({ ...variables, after });
    expect(pageInfo).toMatchObject({
      hasPreviousPage: after !== null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    });
    found.push(...nodesOf({ edges }));
    expect(found.length).toBeLessThanOrEqual(all.length);
    if (!pageInfo.hasNextPage) return found;
    after = pageInfo.endCursor as string;
  }
}

beforeAll(async () => {
  system = await testSystem();
  const births = [undefined, '1950-01-01', '1950-06-30', '1988-08-08'];
  for (let index = 0; index < 16; index += 1) {
    const input = {
      name: `Walker ${index}`,
      gender: [null, 'male', 'female'][index % 3],
      birthDate: births[index % 4],
    };
    const made = await system.ask(
      'front_desk',
      'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }',
      {
        variables: { input },
      },
    );
    expect(made.errors).toEqual([]);
  }
  all = nodesOf((await ask({ first: 50 })).data['patients']);
  const { rows } = await system.database.owner.query("SELECT id FROM patient WHERE tenant_id = 'T-CN'");
  expect(all.map((one) => one['id']).sort()).toEqual(rows.map((row: Loose) => row['id']).sort());
  await system.ask('front_desk', 'mutation($id: ID!) { deactivatePatient(id: $id, version: 1) { id } }', {
    variables: { id: all[0]?.['id'] },
  });
  (all[0] as Loose)['status'] = 'inactive';
});
afterAll(() => system.close());

describe('pages', () => {
  it('hold 20 rows unless told, up to 50, and never more or less than nothing', async () => {
    expect(all).toHaveLength(23);
    const standard = await system.ask('front_desk', '{ patients { edges { node { id } } pageInfo { hasNextPage } } }');
    expect(idsOf(standard.data['patients'])).toEqual(all.slice(0, 20).map((one) => one['id']));
    expect(standard.data['patients'].pageInfo.hasNextPage).toBe(true);
    const unsaid = await system.ask('front_desk', '{ patients(first: null) { edges { node { id } } } }');
    expect(idsOf(unsaid.data['patients'])).toEqual(idsOf(standard.data['patients']));
    const none = await page({ first: 0 });
    expect(none).toMatchObject({ edges: [], totalCount: 23, pageInfo: { startCursor: null, endCursor: null } });
    for (const first of [51, 1_000_000, -1]) {
      const answer = await ask({ first });
      expect([first, codeOf(answer)]).toEqual([first, 'BAD_USER_INPUT']);
      expect(answer.data['patients'] ?? null).toBeNull();
    }
  });

  it.each([
    [undefined],
    [[{ field: 'GENDER', direction: 'ASC' }]],
    [[{ field: 'GENDER', direction: 'DESC' }]],
    [[{ field: 'BIRTH_YEAR', direction: 'ASC' }]],
    [[{ field: 'BIRTH_YEAR', direction: 'DESC' }]],
    [[{ field: 'STATUS', direction: 'ASC' }]],
    [
      [
        { field: 'GENDER', direction: 'DESC' },
        { field: 'BIRTH_YEAR', direction: 'ASC' },
        { field: 'CREATED_AT', direction: 'DESC' },
      ],
    ],
  ])('walked from first to last give every row once, in the order asked for: %j', async (sort) => {
    const keys = { GENDER: 'gender', BIRTH_YEAR: 'birthYear', STATUS: 'status', CREATED_AT: 'createdAt' };
    const found = await walk({ first: 4, sort });
    expect(found.map((one) => one['id']).sort()).toEqual(all.map((one) => one['id']).sort());
    const criteria = sort ?? [{ field: 'CREATED_AT', direction: 'DESC' }];
    for (let index = 1; index < found.length; index += 1) {
      for (const { field, direction } of criteria) {
        const key = keys[field as keyof typeof keys];
        const [before, after] = [found[index - 1]?.[key] ?? '', found[index]?.[key] ?? ''];
        if (before === after) continue;
        expect([before, after]).toEqual(
          [before, after].sort((one, other) => (one < other ? -1 : 1) * (direction === 'ASC' ? 1 : -1)),
        );
        break;
      }
    }
  });

  it('count at most to 1000, whatever the page holds', async () => {
    await system.database.owner.query(
      `INSERT INTO patient (id, version, status, created_at, tenant_id, subject_reference)
       SELECT gen_random_uuid(), 1, 'active', now(), 'T-EU', md5(n::text) FROM generate_series(1, $1::integer) n`,
      [992],
    );
    const counted = async () =>
      (await system.ask('front_desk', '{ patients(first: 0) { totalCount } }', { tenant: 'T-EU' })).data['patients'];
    expect(await counted()).toEqual({ totalCount: 999 });
    await system.database.owner.query(
      `INSERT INTO patient (id, version, status, created_at, tenant_id, subject_reference)
       SELECT gen_random_uuid(), 1, 'active', now(), 'T-EU', md5(n::text) FROM generate_series(1, 20) n`,
    );
    expect(await counted()).toEqual({ totalCount: 1000 });
  });
});

type Criterion = Record<string, unknown>;
type Tree = { [key: string]: unknown };

const number = fc.constantFrom(1949, 1950, 1988, 2000);
const text = fc.constantFrom('male', 'female', 'other');
const leaf: fc.Arbitrary<Tree> = fc.oneof(
  fc.record({ eq: text, in: fc.array(text, { maxLength: 3 }) }, { requiredKeys: [] }).map((gender) => ({ gender })),
  fc
    .record(
      { eq: number, in: fc.array(number, { maxLength: 3 }), lt: number, lte: number, gt: number, gte: number },
      { requiredKeys: [] },
    )
    .map((birthYear) => ({ birthYear })),
  fc.record({ eq: fc.constantFrom('active', 'inactive') }).map((status) => ({ status })),
  fc.constant({}),
);
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('tree'), { maxLength: 3 }).map((and) => ({ and })),
    fc.array(tie('tree'), { maxLength: 3 }).map((or) => ({ or })),
    tie('tree').map((not) => ({ not })),
    fc.tuple(leaf, tie('tree')).map(([one, not]) => ({ ...one, not })),
  ),
}));

/** What a filter means: a missing value fits no criterion, and so fits every negated one. */
function fits(filter: Tree, row: Loose): boolean {
  return Object.entries(filter).every(([key, value]) => {
    if (key === 'and') return (value as Tree[]).every((one) => fits(one, row));
    if (key === 'or') return (value as Tree[]).some((one) => fits(one, row));
    if (key === 'not') return !fits(value as Tree, row);
    const actual = row[key];
    const tests: Record<string, (operand: never) => boolean> = {
      eq: (operand) => actual === operand,
      in: (operands) => (operands as unknown[]).includes(actual),
      lt: (operand) => actual < operand,
      lte: (operand) => actual <= operand,
      gt: (operand) => actual > operand,
      gte: (operand) => actual >= operand,
    };
    return Object.entries(value as Criterion).every(
      ([name, operand]) => actual !== null && tests[name]?.(operand as never),
    );
  });
}

describe('filters', () => {
  it('select exactly the rows they describe, however they are joined, negated or empty', async () => {
    await fc.assert(
      fc.asyncProperty(tree, async (filter) => {
        const { edges, totalCount } = await page({ first: 50, filter });
        const expected = all.filter((row) => fits(filter, row)).map((row) => row['id']);
        expect(idsOf({ edges })).toEqual(expected);
        expect(totalCount).toBe(expected.length);
      }),
      { numRuns: 80 },
    );
  });

  it('compare instants by time, not by spelling, and refuse what is none', async () => {
    const middle = all[10]?.['createdAt'] as string;
    const zoned = `${new Date(Date.parse(middle) + 8 * 3_600_000).toISOString().slice(0, -1)}+08:00`;
    const { edges } = await page({ first: 50, filter: { createdAt: { gte: zoned } } });
    expect(idsOf({ edges })).toEqual(all.filter((one) => one['createdAt'] >= middle).map((one) => one['id']));
    for (const nonsense of ['yesterday', '1', '2026', 'infinity', '2026-02-30T00:00:00Z', '2026-01-01', '\u0000']) {
      expect([nonsense, codeOf(await ask({ filter: { createdAt: { lt: nonsense } } }))]).toEqual([
        nonsense,
        'BAD_USER_INPUT',
      ]);
    }
  });

  it('take a text as a text, and refuse one that no row can hold', async () => {
    expect((await page({ filter: { gender: { in: ["' OR TRUE --", '%', 'MALE'] } } })).totalCount).toBe(0);
    expect(codeOf(await ask({ filter: { gender: { eq: '\u0000' } } }))).toBe('BAD_USER_INPUT');
  });

  it('are bounded in size, however they are nested', async () => {
    const deep = (levels: number): Tree => (levels === 0 ? {} : { not: deep(levels - 1) });
    const wide = (count: number) => ({ or: Array.from({ length: count }, () => ({ gender: { eq: 'male' } })) });
    expect(codeOf(await ask({ filter: wide(20) }))).toBe('none');
    const sort = Array.from({ length: 500 }, () => ({ field: 'GENDER', direction: 'ASC' }));
    for (const variables of [
      { filter: wide(200) },
      { filter: { and: Array.from({ length: 5000 }, () => ({})) } },
      { filter: deep(300) },
      { filter: { gender: { in: Array.from({ length: 500 }, String) } } },
      { sort },
    ]) {
      expect(codeOf(await ask(variables))).toBe('QUERY_COST_EXCEEDED');
    }
  });
});
