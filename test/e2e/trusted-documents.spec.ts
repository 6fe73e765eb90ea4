import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { main } from '../../src/cli/documents.js';
import { documentId, manifestOf, readManifest, type TrustedDocument } from '../../src/config/trusted-documents.js';
import type { RunningApi } from '../../src/main.js';
import { PRODUCTION, secondServer } from '../support/second-server.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const FILES: Readonly<Record<string, string>> = {
  'patients.graphql': `
    query ListPatients($first: Int!) { patients(first: $first) { edges { node { ...Line } } } }
    query Myself { me { role } }`,
  'parts/line.graphql':
    'fragment Line on Patient { id name ...Access }  fragment Access on Patient { fieldAccess { field state } }',
  'session.graphql': 'mutation SignIn($input: SignInInput!) { signIn(input: $input) { accessToken } }',
};

let directory: string;
let list: string;
let said: string;
beforeAll(() => {
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => Boolean((said += String(text))));
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => Boolean((said += String(text))));
});
beforeEach(() => {
  said = '';
});
afterAll(() => void jest.restoreAllMocks());

function newDirectory(files: Readonly<Record<string, string>> = FILES): string {
  const made = mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'documents-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(made, name)), { recursive: true });
    writeFileSync(path.join(made, name), content);
  }
  return made;
}

describe('the command that makes the list', () => {
  beforeAll(() => {
    directory = newDirectory();
    list = path.join(directory, 'list.json');
  });

  it('lists each operation with its fragments by the hash of its text, and the same files make the same bytes', async () => {
    expect([await main(['build', directory, '--out', list]), said]).toEqual([
      0,
      expect.stringMatching(/3 documents\n$/),
    ]);
    const documents = readManifest(list);
    expect(documents.map(({ name, type }) => `${type} ${name}`)).toEqual([
      'query ListPatients',
      'query Myself',
      'mutation SignIn',
    ]);
    for (const { id, body } of documents) expect(id).toBe(documentId(body));
    expect(documents[0]?.body.match(/^(query|fragment) \w+/gm)).toEqual([
      'query ListPatients',
      'fragment Access',
      'fragment Line',
    ]);
    const moved = newDirectory({ 'a.graphql': Object.values(FILES).toReversed().join('\n') });
    expect(await main(['build', moved, '--out', path.join(moved, 'list.json')])).toBe(0);
    expect(readFileSync(path.join(moved, 'list.json'), 'utf8')).toBe(readFileSync(list, 'utf8'));
  });

  it('finds a stale list', async () => {
    expect(await main(['check', directory, '--out', list])).toBe(0);
    const changed = newDirectory({ ...FILES, 'more.graphql': 'query More { me { id } }' });
    cpSync(list, path.join(changed, 'list.json'));
    said = '';
    expect([await main(['check', changed, '--out', path.join(changed, 'list.json')]), said]).toEqual([
      1,
      expect.stringMatching(/stale/),
    ]);
    expect(await main(['check', directory, '--out', path.join(directory, 'none.json')])).toBe(1);
  });

  it.each([
    [
      'a field that is not in the schema',
      'query A { patients { edges { node { shoeSize } } } }',
      /wrong\.graphql:1:\d+ Cannot query field "shoeSize"/,
    ],
    ['a document that does not parse', 'query A {', /wrong\.graphql:1:\d+ Syntax Error/],
    ['an operation without a name', '{ me { id } }', /wrong\.graphql:1:1 An operation needs a name/],
    ['two operations of one name', 'query Myself { me { id } }', /wrong\.graphql:1:1 There are two of Myself/],
    ['a fragment that nobody has', 'query A { me { ...Nobody } }', /wrong\.graphql:1:\d+ Unknown fragment/],
  ])('says where %s is', async (_, content, sentence) => {
    const wrong = newDirectory({ ...FILES, 'wrong.graphql': content });
    expect([await main(['build', wrong, '--out', path.join(wrong, 'list.json')]), said]).toEqual([
      1,
      expect.stringMatching(sentence),
    ]);
  });

  it('is called wrongly with 2', async () => {
    for (const words of [
      [],
      ['build'],
      ['make', directory],
      ['build', path.join(directory, 'nowhere')],
      ['build', directory, 'x'],
    ]) {
      expect([words, await main(words)]).toEqual([words, 2]);
    }
    expect(await main(['build', newDirectory({ 'notes.txt': 'none' })])).toBe(1);
  });
});

describe('a list', () => {
  it.each([
    ['that is missing', null],
    ['that is no JSON', '{'],
    ['of another format', '{"format":"other","version":1,"operations":[]}'],
    [
      'whose id is not its document’s',
      '{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"00","name":"A","type":"query","body":"query A { me { id } }"}]}',
    ],
  ])('%s is refused by its variable’s name', (_, content) => {
    const file = path.join(newDirectory({}), 'list.json');
    if (content !== null) writeFileSync(file, content);
    expect(() => readManifest(file)).toThrow(/^CUSTODIA_TRUSTED_DOCUMENTS .*npm run documents/);
  });
});

describe('a server with a list', () => {
  let system: TestSystem;
  let production: RunningApi;
  let trial: RunningApi;
  let token: string;
  beforeAll(async () => {
    system = await testSystem();
    token = await system.token('front_desk');
    production = await secondServer(system, { ...PRODUCTION, CUSTODIA_TRUSTED_DOCUMENTS: list });
    trial = await secondServer(system, { CUSTODIA_TRUSTED_DOCUMENTS: list });
  });
  afterAll(async () => {
    await production.close();
    await trial.close();
    await system.close();
  });

  const listed = (name: string) => readManifest(list).find((one) => one.name === name) as TrustedDocument;
  async function ask(api: RunningApi, body: Record<string, unknown>, accept = 'application/graphql-response+json') {
    const response = await fetch(api.endpoint, {
      method: 'POST',
      headers: {
        accept,
        'content-type': 'application/json',
        authorization: `Bearer ${token}`,
        'x-purpose-of-use': 'PATADMIN',
      },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    const { data, errors, extensions } = JSON.parse(text) as Loose;
    return { status: response.status, text, data, code: errors?.[0].extensions.code ?? 'none', extensions };
  }
  const hashed = (id: string) => ({ extensions: { persistedQuery: { version: 1, sha256Hash: id } } });
  const variables = { first: 2 };

  it('runs what is listed, by its text, its id, both, and by GET', async () => {
    const { id, body } = listed('ListPatients');
    for (const request of [
      { query: body },
      { documentId: id },
      hashed(id),
      { query: body, documentId: id },
      { query: body, ...hashed(id) },
    ]) {
      for (const api of [production, trial]) {
        const answer = await ask(api, { ...request, variables });
        expect([answer.status, answer.code, answer.data.patients.edges.length]).toEqual([200, 'none', 2]);
      }
    }
    const search = `documentId=${listed('Myself').id}`;
    const headers = { authorization: `Bearer ${token}`, 'x-purpose-of-use': 'PATADMIN' };
    const got = (await (await fetch(`${production.endpoint}?${search}`, { headers })).json()) as Loose;
    expect(got['data']).toEqual({ me: { role: 'front_desk' } });
  });

  it('in production refuses everything else before it is even parsed, and records it', async () => {
    const { id, body } = listed('Myself');
    const requests: Record<string, unknown>[] = [
      { query: '{ me { role } }' },
      { query: `${body} ` },
      { query: `${body}\n# a comment` },
      { query: 'query Myself { me { nothing }' },
      { query: '{ __schema { types { name } } }' },
      { query: '{ me { role } }', documentId: id },
      { query: body, documentId: listed('ListPatients').id },
      { documentId: '0'.repeat(64) },
      hashed('0'.repeat(64)),
      { query: '{ me { role } }', operationName: 'Myself', ...hashed(id) },
    ];
    const denied = async () => (await recordsOf(system, 'T-CN')).filter(({ operation }) => operation === '(document)');
    for (const request of requests) {
      const before = await denied();
      const answer = await ask(production, request);
      expect([request, answer.status, answer.code, answer.data]).toEqual([
        request,
        403,
        'DOCUMENT_NOT_TRUSTED',
        undefined,
      ]);
      expect(answer.text).not.toMatch(/nothing|front_desk|Cannot query/);
      const records = (await denied()).slice(before.length);
      expect(records).toEqual([expect.objectContaining({ outcome: 'denied', code: 'DOCUMENT_NOT_TRUSTED' })]);
    }
    expect((await ask(production, { query: '{ me { role } }' }, 'application/json')).status).toBe(403);
    expect((await ask(production, { variables })).status).toBe(400);
  });

  it('outside production runs other documents too, but no unknown id and no id that is another’s', async () => {
    expect((await ask(trial, { query: '{ me { tenant } }' })).data).toEqual({ me: { tenant: 'T-CN' } });
    expect((await ask(trial, { documentId: '0'.repeat(64) })).code).toBe('DOCUMENT_NOT_TRUSTED');
    expect((await ask(trial, { query: '{ me { tenant } }', documentId: listed('Myself').id })).code).toBe(
      'DOCUMENT_NOT_TRUSTED',
    );
  });

  it('shows no cost, no schema and no GraphiQL in production', async () => {
    const answer = await ask(production, { documentId: listed('Myself').id });
    expect(answer.extensions.cost).toBeUndefined();
    expect((await ask(trial, { documentId: listed('Myself').id })).extensions.cost).toBeDefined();
    const { origin } = new URL(production.endpoint);
    for (const name of ['/graphiql', '/graphiql/page.js']) expect((await fetch(`${origin}${name}`)).status).toBe(404);
  });

  it('marks the cookie Secure in production', async () => {
    const user = system.demo.users.find((one) => one.role === 'front_desk' && one.tenant === 'T-CN');
    const input = { tenant: 'T-CN', email: user?.email, password: user?.password };
    const response = await fetch(production.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ documentId: listed('SignIn').id, variables: { input } }),
    });
    expect(response.headers.get('set-cookie')).toMatch(/; Secure/);
  });

  it('does not start when a document no longer fits the schema or the limits', async () => {
    for (const body of [
      'query Stale { me { shoeSize } }',
      'query Stale {',
      `query Stale { me { ${'id @include(if: true) '.repeat(6)} } }`,
    ]) {
      const file = path.join(newDirectory({}), 'list.json');
      writeFileSync(file, manifestOf([{ id: documentId(body), name: 'Stale', type: 'query', body }]));
      await expect(secondServer(system, { CUSTODIA_TRUSTED_DOCUMENTS: file })).rejects.toThrow(
        /do not fit the schema or its limits: Stale\./,
      );
    }
  });
});
