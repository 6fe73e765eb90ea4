import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { serverAudits } from 'graphql-http';
import type { RunningApi } from '../../src/main.js';
import { codeOf } from '../support/outcome.js';
import { secondServer } from '../support/second-server.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const NEWER = 'application/graphql-response+json';
const LIST = '{ patients(first: 2) { edges { node { id name phone } } } }';

let system: TestSystem;
let hurried: RunningApi;
let token: string;
beforeAll(async () => {
  system = await testSystem();
  token = await system.token('front_desk');
  const limits = { head: 400, request: 600, answer: 2_500, silence: 10_000 };
  hurried = await secondServer(system, {}, limits);
});
afterAll(async () => {
  await hurried.close();
  await system.close();
});

const post = (body: string, headers: Record<string, string> = {}, endpoint = system.endpoint) =>
  fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'x-purpose-of-use': 'PATADMIN',
      ...headers,
    },
    body,
  });
const ask = async (query: string, accept: string, more: Record<string, string> = {}) => {
  const response = await post(JSON.stringify({ query }), { accept, ...more });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Loose };
};
const expectProblem = async (response: Response, status: number, code: string) => {
  const text = await response.text();
  expect([response.status, response.headers.get('content-type')]).toEqual([status, expect.stringMatching(/json/)]);
  const { errors, data } = JSON.parse(text) as Loose;
  expect(data).toBeUndefined();
  expect(errors).toHaveLength(1);
  expect(errors[0].extensions).toEqual({ code, nextStep: expect.stringMatching(/./) });
  expect(text).not.toMatch(/node_modules|\.ts:|at \w+ \(|FST_ERR|stack|Did you mean/);
};

describe('GraphQL over HTTP', () => {
  it('passes every audit of the specification’s own suite: MUST, SHOULD and MAY', async () => {
    const fetchFn = (url: string, init: RequestInit = {}) =>
      fetch(url, {
        ...init,
        headers: { ...(init.headers as Record<string, string>), 'apollo-require-preflight': '1' },
      });
    const failed: string[] = [];
    const audits = serverAudits({ url: system.endpoint, fetchFn });
    expect(audits.length).toBeGreaterThan(50);
    for (const audit of audits) {
      const result = await audit.fn();
      if (result.status !== 'ok') failed.push(`${audit.id} ${audit.name}: ${result.reason}`);
    }
    expect(failed).toEqual([]);
  });

  it('misses only the bare GETs that a forger could send, where no header forces a preflight', async () => {
    const missed: string[] = [];
    for (const audit of serverAudits({ url: system.endpoint })) {
      const result = await audit.fn();
      if (result.status !== 'ok') missed.push(`${result.status} ${audit.name}`);
    }
    expect(missed.filter((one) => !/^notice MAY .*GET/.test(one))).toEqual([]);
  });

  it.each([
    ['a document that does not parse', '{', 'GRAPHQL_PARSE_FAILED'],
    ['a document that does not fit the schema', '{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    ['a document beyond a limit', `{ me { ${'id @include(if: true) '.repeat(6)} } }`, 'QUERY_COST_EXCEEDED'],
    ['a variable that does not fit', 'query($v: Int!) { patients(first: $v) { totalCount } }', 'BAD_USER_INPUT'],
  ])('answers %s with 400 in the newer media type and 200 in the older one', async (_, query, code) => {
    for (const [accept, status] of [
      [NEWER, 400],
      ['application/json', 200],
      ['*/*', 200],
    ] as const) {
      const answer = await ask(query, accept);
      expect([accept, answer.status, answer.body['data']]).toEqual([accept, status, undefined]);
      expect(answer.headers.get('content-type')).toContain(accept === NEWER ? NEWER : 'application/json');
      expect([...new Set(answer.body['errors'].map((one: Loose) => one['extensions'].code))]).toEqual([code]);
    }
  });

  it('answers a partial result with 200 in the newer media type, whatever is missing', async () => {
    const partial = '{ patient(id: "00000000-0000-4000-8000-000000000000") { id } }';
    for (const accept of [NEWER, 'application/json']) {
      const answer = await ask(partial, accept);
      expect([answer.status, answer.body['data']]).toEqual([200, { patient: null }]);
    }
    const nobody = { authorization: 'Bearer nobody' };
    expect((await ask('{ patient(id: "x") { id } }', NEWER, nobody)).status).toBe(200);
    const whole = await ask('{ me { id } }', NEWER, nobody);
    expect([whole.status, whole.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect((await ask('{ me { id } }', 'application/json', nobody)).status).toBe(401);
  });
});

describe('what is no GraphQL request', () => {
  const query = JSON.stringify({ query: LIST });

  it.each([
    ['a body that is not JSON', () => post('{"query": '), 400, 'BAD_REQUEST'],
    ['an empty body', () => post(''), 400, 'BAD_REQUEST'],
    ['a body that is no object', () => post('[]'), 400, 'BAD_REQUEST'],
    ['a poisoned prototype', () => post('{"query":"{ me { id } }","__proto__":{"a":1}}'), 400, 'BAD_REQUEST'],
    ['another method', () => fetch(system.endpoint, { method: 'PUT', body: query }), 405, 'METHOD_NOT_ALLOWED'],
    ['a media type nobody offers', () => post(query, { accept: 'text/html' }), 406, 'NOT_ACCEPTABLE'],
    ['a body beyond a mebibyte', () => post(`"${'x'.repeat(1_100_000)}"`), 413, 'REQUEST_TOO_LARGE'],
    [
      'a form',
      () => post('query=x', { 'content-type': 'application/x-www-form-urlencoded' }),
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['plain text', () => post(query, { 'content-type': 'text/plain' }), 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['a file', () => post(query, { 'content-type': 'multipart/form-data; boundary=x' }), 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'another encoding',
      () => post(query, { 'content-type': 'application/json; charset=utf-16' }),
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
  ])('is answered as GraphQL answers: %s', async (_, send, status, code) => {
    await expectProblem(await send(), status, code);
  });

  it('says which methods there are, and has no head without a body', async () => {
    expect((await fetch(system.endpoint, { method: 'DELETE' })).headers.get('allow')).toBe('GET, POST');
    expect((await fetch(system.endpoint, { method: 'HEAD' })).status).toBe(405);
  });

  it('runs nothing when nobody could read the answer', async () => {
    const made = async () =>
      (await recordsOf(system, 'T-CN')).filter(({ operation }) => operation === 'createPatient').length;
    const before = await made();
    const create = { query: 'mutation { createPatient(input: { name: "Never Made" }) { id } }' };
    await expectProblem(await post(JSON.stringify(create), { accept: 'image/png' }), 406, 'NOT_ACCEPTABLE');
    expect(await made()).toBe(before);
  });

  it('is told without a suggestion or an inside', async () => {
    for (const query of [
      '{ patientz { id } }',
      '{ patients { edges { node { nam } } } }',
      'query($f: PatientFilte) { me { id } }',
    ]) {
      const { body } = await ask(query, NEWER);
      expect(JSON.stringify(body)).not.toMatch(/Did you mean|patients"|stack|node_modules/);
    }
  });
});

describe('a subscription that graphql-js chokes on', () => {
  const CANARY = 'Zhang San 13812345678';
  const condition = (more: string) => `subscription($v: Boolean!) { ${more} } # ${CANARY}`;

  it.each([
    ['a condition of a variable', condition('appointmentChanged(patientId: "x") @include(if: $v) { id }')],
    ['a condition of nothing', condition('appointmentChanged(patientId: "x") @skip { id }')],
    ['a condition of no truth', condition('appointmentChanged(patientId: "x") @skip(if: 7) { id }')],
    [
      'a condition in a fragment',
      `subscription { ...F } fragment F on Subscription { ... @include(if: $v) { appointmentChanged(patientId: "${CANARY}") { id } } ...F }`,
    ],
  ])('is refused, recorded, and quoted nowhere: %s', async (_, query) => {
    const said: unknown[][] = [];
    const spies = (['log', 'info', 'warn', 'error'] as const).map((one) =>
      jest.spyOn(console, one).mockImplementation((...words: unknown[]) => void said.push(words)),
    );
    const denied = async () => (await recordsOf(system, 'T-CN')).filter(({ operation }) => operation === '(document)');
    // Twice: the second time the document is known.
    for (const accept of [NEWER, 'application/json']) {
      const before = (await denied()).length;
      const { status, body, headers } = await ask(query, accept);
      expect([status, body['data']]).toEqual([accept === NEWER ? 400 : 200, undefined]);
      expect(body['errors'].map((one: Loose) => one['extensions'].code)).toEqual(['GRAPHQL_VALIDATION_FAILED']);
      expect(headers.get('x-request-id')).toMatch(/./);
      expect((await denied()).slice(before)).toEqual([
        expect.objectContaining({ code: 'GRAPHQL_VALIDATION_FAILED', outcome: 'denied' }),
      ]);
    }
    for (const spy of spies) spy.mockRestore();
    expect(said).toEqual([]);
    expect(system.logged()).not.toContain(CANARY);
  });

  it('hinders no query that comes in the same document', async () => {
    const both = 'query A { me { role } } subscription B { appointmentChanged(patientId: "x") { id } }';
    const response = await post(JSON.stringify({ query: both, operationName: 'A' }));
    expect(((await response.json()) as Loose)['data']).toEqual({ me: { role: 'front_desk' } });
  });

  it('is, like variables that do not fit, no failure of the system in its log', async () => {
    const failures = () =>
      system
        .logged()
        .split('\n')
        .filter((line) => line.includes('"level":"error"')).length;
    const before = failures();
    const variables = { id: { not: CANARY } };
    const response = await post(JSON.stringify({ query: 'query($id: ID!) { patient(id: $id) { id } }', variables }));
    expect(((await response.json()) as Loose)['errors'][0].extensions.code).toBe('BAD_USER_INPUT');
    expect(failures()).toBe(before);
  });
});

describe('a forged request of another site', () => {
  it('is refused in every shape that a browser sends without asking first', async () => {
    const url = `${system.endpoint}?query=${encodeURIComponent('{ __typename }')}`;
    await expectProblem(await fetch(url), 400, 'BAD_REQUEST');
    await expectProblem(await fetch(url, { headers: { 'content-type': 'text/plain' } }), 400, 'BAD_REQUEST');
    expect((await fetch(url, { headers: { 'apollo-require-preflight': '1' } })).status).toBe(200);
  });
});

describe('one request too many', () => {
  it('is 429 with the seconds to the next window', async () => {
    const lookup = '{ patientLookup(input: { phone: "13400000000" }) { id } }';
    let last = await system.ask('front_desk', lookup);
    for (let tries = 0; tries < 8 && codeOf(last) !== 'RATE_LIMITED'; tries += 1) {
      last = await system.ask('front_desk', lookup);
    }
    expect([last.status, codeOf(last)]).toEqual([429, 'RATE_LIMITED']);
    const wait = Number(last.headers.get('retry-after'));
    expect(wait).toBe(last.errors[0]?.extensions['retryAfterSeconds']);
    expect(wait >= 1 && wait <= 60).toBe(true);
  });
});

describe('the cost of a document', () => {
  it('is shown outside production, kept and exceeded', async () => {
    const cost = async (query: string) => (await ask(query, NEWER)).body['extensions']?.cost;
    const small = await cost('{ patients(first: 1) { edges { node { id } } } }');
    const larger = await cost('{ patients(first: 50) { edges { node { id } } } }');
    expect(small).toEqual({ document: expect.any(Number), limit: 500_000 });
    expect(larger.document).toBe(50 * small.document);
    const page = (inner: string) => `{ patients(first: 50) { edges { node { ${inner} } } } }`;
    const visits = 'visits(first: 50) { edges { node { id id id id id id id id id id id id } } }';
    const { body } = await ask(page(`${visits} diagnoses(first: 50) { edges { node { id id id id } } }`), NEWER);
    expect(body['errors'][0].extensions.code).toBe('QUERY_COST_EXCEEDED');
    expect(body['extensions'].cost.document).toBeGreaterThan(500_000);
  });
});

describe('a request that takes too long', () => {
  const raw = (text: string, endpoint: string) =>
    new Promise<string>((resolve) => {
      const socket = net.connect(Number(new URL(endpoint).port), '127.0.0.1', () => socket.write(text));
      let got = '';
      socket.on('data', (chunk) => (got += chunk.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(got));
    });

  it('to send is given up, in its head and in its body', async () => {
    for (const text of [
      'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-',
      'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
    ]) {
      const started = performance.now();
      const answer = await raw(text, hurried.endpoint);
      expect(performance.now() - started).toBeLessThan(5_000);
      expect(answer).toMatch(/^HTTP\/1\.1 408[\s\S]*"code":"REQUEST_TIMEOUT"/);
    }
    expect(await raw('NONSENSE\r\n\r\n', hurried.endpoint)).toMatch(/^HTTP\/1\.1 400[\s\S]*"code":"BAD_REQUEST"/);
  });

  it('to answer is answered without data, and what it read is recorded all the same', async () => {
    const { owner } = system.database;
    const lists = async () =>
      (await recordsOf(system, 'T-CN')).filter(({ operation }) => operation === 'patients').length;
    const before = await lists();
    await owner.query('BEGIN');
    await owner.query('LOCK TABLE patient IN ACCESS EXCLUSIVE MODE');
    const asked = post(JSON.stringify({ query: LIST }), { accept: NEWER }, hurried.endpoint);
    const answer = await asked;
    await owner.query('COMMIT');
    await expectProblem(answer, 503, 'REQUEST_TIMEOUT');
    for (let waited = 0; (await lists()) === before && waited < 100; waited += 1) await pause(50);
    expect(await lists()).toBe(before + 1);
    expect((await post(JSON.stringify({ query: LIST }), {}, hurried.endpoint)).status).toBe(200);
  });
});
