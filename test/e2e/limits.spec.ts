import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getIntrospectionQuery } from 'graphql';
import { codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

let system: TestSystem;
let token: string;
beforeAll(async () => {
  system = await testSystem();
  token = await system.token('front_desk');
});
afterAll(() => system.close());

const repeat = (count: number, part: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => part(index)).join(' ');
const limited = async (document: string) => {
  const answer = await system.ask('front_desk', document);
  return { codes: [...new Set(answer.errors.map((one) => one.extensions.code))], data: answer.data };
};
const raw = async (body: string, headers: Record<string, string> = {}) => {
  const response = await fetch(system.endpoint, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'x-purpose-of-use': 'PATADMIN',
      'content-type': 'application/json',
      ...headers,
    },
    body,
  });
  const text = await response.text();
  return { status: response.status, text, type: response.headers.get('content-type') ?? '' };
};
const nested = (inside: string) =>
  `{ patients(first: 1) { edges { node { visits(first: 1) { edges { node { ${inside} } } } } } } }`;

const page = (...lists: string[]) =>
  `{ patients(first: 50) { edges { node { ${lists.map((list) => `${list} { edges { node { ${'id version '.repeat(4)} } } }`).join(' ')} } } } }`;

/** Each limit with a document that just keeps it and one that just does not. */
const LIMITS: Record<string, readonly [keeps: string, breaks: string]> = {
  'depth 8': [nested('practitioner { name }'), nested('practitioner { fieldAccess { field } }')],
  'depth 8 in fragments': [
    `${nested('...f')} fragment f on Visit { practitioner { ...g } } fragment g on Practitioner { name }`,
    `${nested('...f')} fragment f on Visit { practitioner { ...g } } fragment g on Practitioner { fieldAccess { field } }`,
  ],
  '15 aliases': [
    `{ me { ${repeat(15, (index) => `a${index}: id`)} } }`,
    `{ me { ${repeat(16, (index) => `a${index}: id`)} } }`,
  ],
  '5 directives': [
    `{ me { ${repeat(5, () => 'id @include(if: true)')} } }`,
    `{ me { ${repeat(6, () => 'id @include(if: true)')} } }`,
  ],
  cost: [page('visits(first: 50)'), `${page('visits(first: 50)', 'diagnoses(first: 50)')}`],
  'cost in fragments': [
    `{ me { ${repeat(3, () => '...f')} } } fragment f on Me { id role }`,
    `{ me { ...f } } fragment f on Me { ${repeat(100, () => '...g')} } fragment g on Me { ${repeat(100, () => '...h')} }
     fragment h on Me { ${repeat(30, () => 'id')} }`,
  ],
  'one name for few fields': [`{ me { ${repeat(300, () => 'id')} } }`, `{ me { ${repeat(1900, () => 'id')} } }`],
};

describe('a document', () => {
  it.each(Object.entries(LIMITS))('within %s is answered, beyond it is not', async (_, [keeps, breaks]) => {
    expect((await limited(keeps)).codes).toEqual([]);
    const refused = await limited(breaks);
    expect(refused.codes).toEqual(['QUERY_COST_EXCEEDED']);
    expect(Object.values(refused.data).filter((value) => value !== null)).toEqual([]);
  });

  it('has at most 2000 tokens', async () => {
    const operations = (count: number) =>
      raw(JSON.stringify({ query: repeat(count, (index) => `query q${index} { me { role } }`), operationName: 'q7' }));
    expect((await operations(250)).text).toContain('front_desk');
    const refused = await operations(251);
    expect(refused.text).toContain('QUERY_COST_EXCEEDED');
    expect(refused.text).not.toContain('front_desk');
  });

  it('reads 5000 records at most, however the lists are multiplied', async () => {
    const { owner } = system.database;
    await owner.query(
      `INSERT INTO patient (id, version, status, created_at, tenant_id, subject_reference)
       SELECT gen_random_uuid(), 1, 'active', now(), 'T-CN', md5(n::text) FROM generate_series(1, 43) n`,
    );
    await owner.query(
      `INSERT INTO visit (id, version, status, start_at, tenant_id, patient_id)
       SELECT gen_random_uuid(), 1, 'planned', now(), 'T-CN', p.id FROM patient p, generate_series(1, 50) WHERE tenant_id = 'T-CN'`,
    );
    const list = (alias: string, first: number) =>
      `${alias}: patients(first: 50) { edges { node { id visits(first: ${first}) { edges { node { id } } } } } }`;
    expect((await limited(`{ ${list('a', 49)} ${list('b', 48)} }`)).codes).toEqual([]);
    const refused = await limited(`{ ${list('a', 50)} ${list('b', 49)} ${list('c', 48)} }`);
    expect(refused.codes).toEqual(['QUERY_COST_EXCEEDED']);
  });

  it('may ask for the schema while the system is on trial', async () => {
    const answer = await system.send(getIntrospectionQuery());
    expect(codeOf(answer)).toBe('none');
    expect(answer.data['__schema'].types.map((type: Loose) => type['name'])).toContain('Patient');
  });
});

describe('a document that checks secrets', () => {
  const signIn = (alias: string, password = 'guess') =>
    `${alias}: signIn(input: { tenant: "T-CN", email: "nobody@example.org", password: "${password}" }) { expiresAt }`;
  const refresh = 'refresh(refreshToken: "x") { expiresAt }';
  const attempts = async () => {
    const records = [...(await recordsOf(system, 'T-CN')), ...(await recordsOf(system, 'system'))];
    return records.filter(({ operation }) => ['signIn', 'refresh'].includes(operation)).length;
  };

  it.each([['one'], ['one beside fields that are none', `${signIn('a')} signOut`]])(
    'may check %s',
    async (_, fields = signIn('a')) => {
      expect((await limited(`mutation { ${fields} }`)).codes).not.toContain('QUERY_COST_EXCEEDED');
    },
  );

  it.each([
    ['two under aliases', `mutation { ${signIn('a')} ${signIn('b')} }`],
    ['two of different kinds', `mutation { ${signIn('a')} ${refresh} }`],
    ['one in a fragment', `mutation { ${signIn('a')} ...F } fragment F on Mutation { ${signIn('b')} }`],
    ['a fragment twice', `mutation { ...F ... on Mutation { ...F } } fragment F on Mutation { ${signIn('b')} }`],
    ['one that is skipped', `mutation { ${signIn('a')} ... @skip(if: true) { ${signIn('b')} } }`],
    [
      'one in another operation, where that has two',
      `mutation A { signOut } mutation B { ${signIn('a')} ${signIn('b')} }`,
    ],
  ])('may not check %s, and then checks none', async (_, document) => {
    const before = await attempts();
    const answer = await system.send(document, {});
    expect([...new Set(answer.errors.map((one) => one.extensions.code))]).toEqual(['QUERY_COST_EXCEEDED']);
    expect(Object.values(answer.data)).toEqual([]);
    expect(await attempts()).toBe(before);
  });

  it('is judged in no time, however the fragments are folded', async () => {
    const levels = Array.from(
      { length: 20 },
      (_, level) => `fragment f${level} on Mutation { ${`...f${level + 1} `.repeat(20)} }`,
    );
    const document = `mutation { ...f0 } ${levels.join(' ')} fragment f20 on Mutation { signOut }`;
    const started = performance.now();
    const { codes } = await limited(document);
    expect(codes).toEqual(['QUERY_COST_EXCEEDED']);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe('a request over HTTP', () => {
  const query = '{ me { role } }';

  it('holds one document', async () => {
    const single = JSON.stringify({ query });
    expect((await raw(single)).text).toContain('front_desk');
    const batch = await raw(`[${single},${single}]`);
    expect(batch.status).toBe(400);
    expect(batch.text).not.toContain('front_desk');
  });

  it('may be a GET for a query, never for a mutation', async () => {
    const get = (document: string) =>
      fetch(`${system.endpoint}?query=${encodeURIComponent(document)}`, {
        headers: { authorization: `Bearer ${token}`, 'x-purpose-of-use': 'PATADMIN' },
      });
    const answer = await get('{ patients(first: 1) { totalCount } }');
    expect(answer.status).toBe(200);
    expect(((await answer.json()) as Loose)['data'].patients.totalCount).toBeGreaterThan(0);
    const before = (await system.database.owner.query('SELECT count(*) FROM patient')).rows;
    const mutation = await get('mutation { createPatient(input: { name: "By GET" }) { id } }');
    expect(mutation.status).toBe(405);
    expect((await system.database.owner.query('SELECT count(*) FROM patient')).rows).toEqual(before);
  });

  it('is refused in the shapes that a browser sends across origins without asking', async () => {
    const body = JSON.stringify({ query });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      const answer = await raw(body, { 'content-type': type });
      expect([type, answer.status >= 400 && answer.status < 500]).toEqual([type, true]);
      expect(answer.text).not.toContain('front_desk');
    }
    const bare = await fetch(`${system.endpoint}?query=${encodeURIComponent('{ __typename }')}`);
    expect(bare.status).toBe(400);
  });

  it('holds at most one mebibyte', async () => {
    const padded = (bytes: number) => JSON.stringify({ query, variables: { x: 'x'.repeat(bytes) } });
    expect((await raw(padded(900_000))).status).toBe(200);
    const refused = await raw(padded(2_000_000));
    expect(refused.status).toBe(413);
    expect(refused.text.length).toBeLessThan(500);
  });

  it('is answered in the media type that it asks for', async () => {
    const accept = 'application/graphql-response+json';
    expect((await raw(JSON.stringify({ query }), { accept })).type).toContain(accept);
    expect((await raw(JSON.stringify({ query }), { accept: 'application/json' })).type).toContain('application/json');
  });
});
