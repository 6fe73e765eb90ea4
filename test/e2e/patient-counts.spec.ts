import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { settle } from '../support/population.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const COUNT =
  'query($by: [PatientDimension!]!) { patientCounts(by: $by) { k total suppressedCells cells { count values { dimension value } } } }';
const AGREED = { HMARKT: 'PERMIT' } as const;
const YEAR = new Date().getFullYear();
const CHILD = YEAR - 18;

let system: TestSystem;

beforeAll(async () => {
  system = await testSystem();
  const shanghai = { region: '上海市', gender: 'female', birthYear: 1985, consents: AGREED };
  await settle(system, 40, shanghai);
  await settle(system, 25, { ...shanghai, gender: 'male' });
  await settle(system, 7, { ...shanghai, region: '海南省' });
  await settle(system, 15, { ...shanghai, region: '浙江省', birthYear: 1931 });
  // Nobody of these is counted for marketing: not asked, against it, in the year of coming of age, of no known age, no longer in care.
  await settle(system, 30, { ...shanghai, consents: {} });
  await settle(system, 30, { ...shanghai, consents: { HMARKT: 'DENY', CAREMGT: 'PERMIT' } });
  await settle(system, 30, { ...shanghai, birthYear: CHILD });
  await settle(system, 30, { ...shanghai, birthYear: null });
  await settle(system, 30, { ...shanghai, status: 'inactive' });
}, 60_000);
afterAll(() => system.close());

async function count(by: readonly string[], role: Role = 'marketer'): Promise<Answer> {
  return system.ask(role, COUNT, { variables: { by } });
}

/** Published numbers by the values of their cells: `上海市 female`. */
function shown({ data, errors }: Answer): Record<string, number> {
  expect(errors).toEqual([]);
  const cells = data['patientCounts'].cells as { count: number | null; values: { value: string | null }[] }[];
  return Object.fromEntries(
    cells.flatMap(({ count: people, values }) =>
      people === null ? [] : [[values.map(({ value }) => value).join(' '), people]],
    ),
  );
}

describe('numbers of people', () => {
  it('are given of groups of 11 and more, in multiples of 11, and of nobody who did not agree', async () => {
    expect(shown(await count(['REGION']))).toEqual({ 上海市: 55, 浙江省: 11 });
    expect(shown(await count(['GENDER', 'REGION']))).toEqual({
      'female 上海市': 33,
      'male 上海市': 22,
      'female 浙江省': 11,
    });
    const births = shown(await count(['BIRTH_YEAR']));
    expect(Object.values(births)).toEqual([11, 55]);
    expect(Object.keys(births)[0]).toMatch(/ or earlier$/);
    expect(Object.keys(births)[1]).toBe('1980-1989');
  });

  it('tell nothing of seven people, and no total minus the others does', async () => {
    const answer = await count(['REGION']);
    const { cells, total, k, suppressedCells } = answer.data['patientCounts'];
    const seven = cells.find(({ values }: Loose) => values[0].value === '海南省');
    const nobody = cells.find(({ values }: Loose) => values[0].value === '西藏自治区');
    expect([seven.count, nobody.count, k]).toEqual([null, null, 11]);
    expect(total - Object.values(shown(answer)).reduce((sum, people) => sum + people, 0)).toBe(0);
    expect([cells.length, suppressedCells]).toEqual([35, 33]);
    for (const by of [[], ['GENDER'], ['BIRTH_YEAR'], ['GENDER', 'BIRTH_YEAR'], ['REGION', 'BIRTH_YEAR']]) {
      expect((await count(by)).data['patientCounts'].total).toBe(total);
    }
  });

  it('stand for a day, whoever comes meanwhile and however many ask at once', async () => {
    const before = await count(['REGION']);
    await settle(system, 4, { region: '海南省', gender: 'female', birthYear: 1985, consents: AGREED });
    const again = await Promise.all([count(['REGION']), count(['REGION']), count(['GENDER'])]);
    expect(again[0]?.text.replace(/"extensions".*/, '')).toBe(before.text.replace(/"extensions".*/, ''));
    expect(shown(again[2] as Answer)).toEqual({ female: 44, male: 22 });
    const { rows } = await system.database.owner.query<{ groups: { count: number }[] }>(
      'SELECT groups FROM aggregate_snapshot',
    );
    // What is kept is no more exact than what is published.
    expect(rows.flatMap(({ groups }) => groups).filter((group) => group.count % 11 !== 0)).toEqual([]);

    await system.database.owner.query(`UPDATE aggregate_snapshot SET taken_at = taken_at - interval '25 hours'`);
    const [first, ...others] = await Promise.all([count(['REGION']), count(['REGION']), count(['REGION'])]);
    expect(shown(first as Answer)).toEqual({ 上海市: 55, 浙江省: 11, 海南省: 11 });
    for (const other of others) expect(shown(other)).toEqual(shown(first as Answer));
  });

  it('are not taken again for other rules before the day is over', async () => {
    const { owner } = system.database;
    const { rows } = await owner.query<{ family: string; rules: string }>(
      'SELECT family, rules FROM aggregate_snapshot',
    );
    const [{ family = '', rules = '' } = {}, ...others] = rows;
    // One count for a role and a purpose, whatever the version of the policies and the names of the rules.
    expect([others, family]).toEqual([[], createHash('sha256').update('["marketer","HMARKT"]').digest('hex')]);
    await owner.query(`UPDATE aggregate_snapshot SET rules = repeat('0', 64)`);
    const refused = await count(['REGION']);
    expect(refused.errors.map(({ extensions }: Loose) => extensions.code)).toEqual(['RATE_LIMITED']);
    expect(refused.errors[0]?.['extensions'].retryAfterSeconds).toBeGreaterThan(86_000);
    await owner.query(`UPDATE aggregate_snapshot SET taken_at = taken_at - interval '25 hours'`);
    expect((await count(['REGION'])).errors).toEqual([]);
    expect((await owner.query('SELECT rules FROM aggregate_snapshot')).rows).toEqual([{ rules }]);
  });

  it('are another family for research, which has its own consent', async () => {
    expect(shown(await count(['STATUS'], 'researcher'))).toEqual({});
    await settle(system, 12, { region: '上海市', gender: 'other', birthYear: 2015, consents: { HRESCH: 'PERMIT' } });
    expect((await count(['REGION'], 'researcher')).data['patientCounts'].total).toBeNull();
    await system.database.owner.query('DELETE FROM aggregate_snapshot');
    expect(shown(await count(['STATUS', 'GENDER'], 'researcher'))).toEqual({ 'active other': 11 });
    expect(shown(await count(['GENDER']))).toEqual({ female: 55, male: 22 });
  });

  it('are a search in the ledger, with the fields and no person', async () => {
    const known = (await recordsOf(system, 'T-CN')).length;
    await count(['REGION', 'GENDER']);
    const [record, ...more] = (await recordsOf(system, 'T-CN')).slice(known);
    expect(more).toEqual([]);
    expect(record).toMatchObject({
      operation: 'patientCounts',
      kind: 'SEARCH',
      outcome: 'success',
      role: 'marketer',
      purpose: 'HMARKT',
      rules: ['patient-counts-for-marketing'],
      accesses: [{ type: 'Patient', rows: 77, fields: { region: 'CLEAR', gender: 'CLEAR' }, subjects: [] }],
    });
  });

  it.each<[string, string[], string]>([
    ['what the rules do not show', ['STATUS'], 'FIELD_NOT_FILTERABLE'],
    ['what the rules do not show, beside what they do', ['REGION', 'STATUS'], 'FIELD_NOT_FILTERABLE'],
    ['three dimensions', ['REGION', 'GENDER', 'BIRTH_YEAR'], 'BAD_USER_INPUT'],
    ['one dimension twice', ['REGION', 'REGION'], 'BAD_USER_INPUT'],
  ])('are not given by %s', async (_what, by, code) => {
    expect((await count(by)).errors.map(({ extensions }) => extensions.code)).toEqual([code]);
  });

  it('are all that a marketer is given, and nobody else is given them', async () => {
    const others: Role[] = ['physician', 'nurse', 'front_desk', 'billing', 'department_head', 'auditor', 'patient'];
    for (const role of others) {
      expect([role, (await count(['REGION'], role)).errors[0]?.extensions.code]).toEqual([role, 'FORBIDDEN']);
    }
    for (const document of [
      '{ patients { totalCount } }',
      '{ patients(filter: { region: { eq: "海南省" } }) { totalCount } }',
      `{ patient(id: "${system.demo.patients['T-CN']?.['PT1']}") { region } }`,
    ]) {
      const { errors } = await system.ask('marketer', document);
      expect(['FORBIDDEN', 'NOT_FOUND']).toContain(errors[0]?.extensions.code);
    }
  });

  it('are given sixty times an hour', async () => {
    await system.database.owner.query('DELETE FROM rate_limit');
    for (let use = 0; use < 60; use += 10) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => count([])));
      expect(answers.flatMap(({ errors }) => errors)).toEqual([]);
    }
    expect((await count([])).errors[0]?.extensions.code).toBe('RATE_LIMITED');
  });
});
