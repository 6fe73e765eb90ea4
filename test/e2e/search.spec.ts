import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { DEMO_ROLES } from '../../src/demo/people.js';
import { codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const SEARCH =
  'query($input: PatientSearchInput!, $first: Int) { searchPatients(input: $input, first: $first) { id name phone } }';
const CREATE = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
const UPDATE =
  'mutation($id: ID!, $v: Int!, $i: UpdatePatientInput!) { updatePatient(id: $id, version: $v, input: $i) { id } }';

const clock = new ManualClock(Date.now());
let system: TestSystem;
beforeAll(async () => {
  system = await testSystem({ clock });
});
afterAll(() => system.close());
beforeEach(() => system.database.owner.query('DELETE FROM rate_limit'));

const search = (input: object, role: Role = 'front_desk', rest: { tenant?: string; first?: number } = {}) =>
  system.ask(role, SEARCH, { tenant: rest.tenant, variables: { input, first: rest.first ?? null } });
const names = async (...asked: Parameters<typeof search>) =>
  ((await search(...asked)).data['searchPatients'] as Loose[] | null)?.map((one) => one['name'] as string) ?? null;
const register = async (input: object, tenant?: string) =>
  String((await system.ask('front_desk', CREATE, { tenant, variables: { input } })).data['createPatient'].id);
const patient = (key: string) => system.demo.patients['T-CN']?.[key] ?? '';

describe('a search by name', () => {
  it('finds by characters, pinyin, initials and family name', async () => {
    for (const name of ['王小明', '小明', '王', '明', 'wangxiaoming', 'Wáng Xiǎo Míng', 'wxm', 'WANG', '王 小明'])
      expect([name, await names({ name })]).toEqual([name, ['王小明']]);
    for (const name of ['欧阳', '娜娜', 'ouyang', 'ouyang nana', 'oynn'])
      expect([name, await names({ name })]).toEqual([name, ['欧阳娜娜']]);
    for (const name of ['王明', 'xiaoming', 'wm', '小小']) expect([name, await names({ name })]).toEqual([name, []]);
  });

  it('finds by the beginning of each word, whatever case and diacritics', async () => {
    await register({ name: "Zoë O'Brien-Müller" }, 'T-EU');
    for (const name of ['zoe', "o'br", 'OBRIEN', 'mul', 'müller zoë', 'obrienmu'])
      expect([name, await names({ name }, 'front_desk', { tenant: 'T-EU' })]).toEqual([name, ["Zoë O'Brien-Müller"]]);
    expect(await names({ name: 'smi' }, 'front_desk', { tenant: 'T-US' })).toEqual(['John Smith']);
    expect(await names({ name: 'mith' }, 'front_desk', { tenant: 'T-US' })).toEqual([]);
    expect(await names({ name: 'smith' })).toEqual([]);
  });

  it('shows as much as a read would: clinicians their own patients, contact masked', async () => {
    const { data } = await search({ name: 'wxm' }, 'physician');
    expect(data['searchPatients']).toEqual([{ id: patient('PT1'), name: '王小明', phone: '138****5678' }]);
    expect(await names({ name: '欧阳' }, 'physician')).toEqual([]);
    expect(await names({ name: '欧阳' }, 'nurse')).toEqual([]);
  });

  it('follows the name', async () => {
    const id = await register({ name: '钱多多' });
    expect(await names({ name: 'qdd' })).toEqual(['钱多多']);
    await system.ask('front_desk', UPDATE, { variables: { id, v: 1, i: { name: '孙多多' } } });
    expect([await names({ name: 'qdd' }), await names({ name: 'sdd' })]).toEqual([[], ['孙多多']]);
    await system.ask('front_desk', UPDATE, { variables: { id, v: 2, i: { phone: '13677770000' } } });
    expect(await names({ name: 'sun duoduo' })).toEqual(['孙多多']);
  });

  it('gives the newest of many, at most as many as are asked for, and neither count nor cursor', async () => {
    for (let index = 0; index < 5; index++) await register({ name: `冯${'甲乙丙丁戊'[index]}` });
    expect(await names({ name: '冯' }, 'front_desk', { first: 2 })).toEqual(['冯戊', '冯丁']);
    expect((await names({ name: 'feng' }))?.length).toBe(5);
  });
});

describe('a search by the end of a phone', () => {
  it('finds where the phone is in clear, which is on the day of a visit', async () => {
    await register({ name: '卫兰', phone: '13611119753' });
    expect(await names({ phoneSuffix: '0001' })).toEqual(['李思雨']);
    expect(await names({ phoneSuffix: '０００４', name: 'oynn' })).toEqual(['欧阳娜娜']);
    expect(await names({ phoneSuffix: '0004', name: '李' })).toEqual([]);
    // Whoever sees names must not learn phones by adding their ends to the name.
    for (const input of [{ phoneSuffix: '9753' }, { phoneSuffix: '9753', name: '卫兰' }])
      expect([input, await names(input)]).toEqual([input, []]);
  });
});

describe('the right to search', () => {
  it('is one of its own, by field', async () => {
    for (const role of DEMO_ROLES) {
      const answer = await search({ name: '王小明' }, role);
      const may = role === 'front_desk' || role === 'physician' || role === 'nurse';
      expect([role, codeOf(answer)]).toEqual([role, may ? 'none' : 'FORBIDDEN']);
    }
    expect(codeOf(await search({ phoneSuffix: '5678' }, 'physician'))).toBe('FORBIDDEN');
    expect(codeOf(await search({ name: '王', phoneSuffix: '5678' }, 'nurse'))).toBe('FORBIDDEN');
  });

  it('needs one of two criteria, in a form that can be searched', async () => {
    for (const input of [
      ...[
        {},
        { name: null },
        { name: '' },
        { name: 'w' },
        { name: '%' },
        { name: 'ab\u0000c' },
        { name: 'x'.repeat(61) },
      ],
      ...[{ phoneSuffix: '567' }, { phoneSuffix: '13812345678' }, { phoneSuffix: '56 8' }],
    ])
      expect([input, codeOf(await search(input))]).toEqual([input, 'BAD_USER_INPUT']);
    for (const first of [0, 51, -1])
      expect(codeOf(await search({ name: '王' }, 'front_desk', { first }))).toBe('BAD_USER_INPUT');
  });

  it('is limited by the hour, by account', async () => {
    await system.ask('front_desk', SEARCH, { variables: { input: { name: '不在' } } });
    await system.database.owner.query(
      `UPDATE rate_limit SET uses = 119 WHERE action = 'search:Patient' AND seconds = 3600`,
    );
    expect(codeOf(await search({ name: '不在' }))).toBe('none');
    const limited = await search({ name: '王小明' });
    expect([codeOf(limited), limited.data['searchPatients'] ?? null]).toEqual(['RATE_LIMITED', null]);
    expect(limited.errors[0]?.extensions).toMatchObject({ limit: 120, period: 'hour' });
    expect(codeOf(await search({ name: '王小明' }, 'nurse'))).toBe('none');
  });
});

describe('what a search leaves', () => {
  it('is a record that names everybody who was shown, and whose keys were used', async () => {
    await search({ name: 'wxm' });
    const record = (await recordsOf(system, 'T-CN')).findLast((one) => one['operation'] === 'searchPatients');
    const { rows } = await system.database.owner.query<{ subject_reference: string }>(
      'SELECT subject_reference FROM patient WHERE id = $1',
      [patient('PT1')],
    );
    expect(record).toMatchObject({ kind: 'SEARCH', outcome: 'success', purpose: 'PATADMIN' });
    expect(record?.['accesses']).toEqual([
      expect.objectContaining({ type: 'Patient', rows: 1, subjects: [rows[0]?.subject_reference] }),
    ]);
  });

  it('shows nobody who only shares tokens', async () => {
    const id = await register({ name: '蒋二' });
    await system.database.owner.query(
      'UPDATE search_token SET tokens = (SELECT tokens FROM search_token WHERE subject_id = $1) WHERE subject_id = $2',
      [patient('PT1'), id],
    );
    expect([await names({ name: '王小明' }), await names({ name: '蒋二' })]).toEqual([['王小明'], []]);
  });
});

describe('the tokens', () => {
  const tokensOf = async (id: string): Promise<number[]> => {
    const { rows } = await system.database.owner.query<{ tokens: number[] }>(
      'SELECT tokens FROM search_token WHERE subject_id = $1',
      [id],
    );
    return rows[0]?.tokens ?? [];
  };

  it('of equal names are equal in one tenant and unrelated in two', async () => {
    const name = '诸葛孔明';
    const [one, twin, other] = [await register({ name }), await register({ name }), await register({ name }, 'T-EU')];
    const [mine, same, foreign] = [await tokensOf(one), await tokensOf(twin), await tokensOf(other)];
    expect([same, mine.length, foreign.length]).toEqual([mine, 10, 10]);
    expect(foreign.filter((token) => mine.includes(token)).length).toBeLessThan(3);
  });

  it('are in order, so that none tells what it is of, and the row names their key', async () => {
    const { rows } = await system.database.owner.query<{ tokens: number[]; index_key: number; left: unknown }>(
      'SELECT t.tokens, p.index_key, p.search_tokens AS left FROM search_token t JOIN patient p ON p.id = t.subject_id',
    );
    expect(rows.length).toBeGreaterThan(20);
    for (const { tokens, index_key, left } of rows)
      expect([tokens, index_key, left]).toEqual([tokens.toSorted((x, y) => x - y), 1, null]);
  });

  it('cannot be read by the application, and are found in the tenant of its connection alone', async () => {
    const { app } = system.database;
    await expect(app.query('T-CN', { text: 'SELECT tokens FROM search_token', values: [] })).rejects.toThrow(/42501/);
    const wanted = [`{${(await tokensOf(patient('PT1'))).join(',')}}`];
    const ask = (tenant: string) =>
      app.query(tenant, { text: 'SELECT search_subjects($1::text[]) AS id', values: [wanted] });
    expect([await ask('T-CN'), await ask('T-US')]).toEqual([expect.arrayContaining([{ id: patient('PT1') }]), []]);
  });

  it('go with the values that they are of', async () => {
    const id = await register({ name: '沈三', phone: '13655554321' });
    const before = await tokensOf(id);
    await system.ask('front_desk', UPDATE, { variables: { id, v: 1, i: { phone: null } } });
    expect([before.length, (await tokensOf(id)).length]).toEqual([7, 6]);
    await system.database.owner.query('UPDATE patient SET search_tokens = NULL WHERE id = $1', [id]);
    expect(await tokensOf(id)).toEqual([]);
  });
});
