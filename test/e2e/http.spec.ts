import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const HEADERS = [
  'authorization',
  'content-type',
  'idempotency-key',
  'x-break-glass',
  'x-purpose-of-use',
  'x-reason',
  'x-request-id',
];

let system: TestSystem;
let origin: string;
beforeAll(async () => {
  system = await testSystem();
  origin = new URL(system.endpoint).origin;
});
afterAll(() => system.close());

describe('what an orchestrator and a monitor ask', () => {
  it('is answered without a session', async () => {
    const alive = await fetch(`${origin}/healthz`);
    expect([alive.status, await alive.json()]).toEqual([200, { status: 'alive' }]);
    const ready = await fetch(`${origin}/readyz`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ ready: true, ledger: { problem: null } });
  });

  it('is refused as not ready when the database is gone, and says no more than that', async () => {
    const { owner } = system.database;
    await owner.query('ALTER TABLE ledger_state RENAME TO ledger_state_gone').catch(() => undefined);
    await owner.query('ALTER TABLE ledger_log RENAME TO ledger_log_gone').catch(() => undefined);
    await owner.query('ALTER TABLE ledger_entry RENAME TO ledger_entry_gone');
    try {
      const response = await fetch(`${origin}/readyz`);
      expect(response.status).toBe(503);
      expect(await response.text()).not.toMatch(/ledger_entry|SELECT|password|custodia_/);
      expect((await fetch(`${origin}/healthz`)).status).toBe(200);
    } finally {
      await owner.query('ALTER TABLE IF EXISTS ledger_state_gone RENAME TO ledger_state');
      await owner.query('ALTER TABLE IF EXISTS ledger_log_gone RENAME TO ledger_log');
      await owner.query('ALTER TABLE ledger_entry_gone RENAME TO ledger_entry');
    }
  });

  it('names no person: figures count operations, never who or whom', async () => {
    const list = '{ patients(first: 50) { edges { node { id name phone nationalId } } } }';
    const { data } = await system.ask('front_desk', list, { headers: { 'x-request-id': 'trace-77' } });
    await system.ask('front_desk', 'query Canary5512 { patients { totalCount } }', { purpose: 'HMARKT' });
    const text = await (await fetch(`${origin}/metrics`)).text();
    expect(text).toMatch(/custodia_operation_seconds_count\{operation="patients",outcome="success"\} \d+/);
    const records = await recordsOf(system, 'T-CN');
    const persons: string[] = [
      ...system.demo.users.flatMap((user) => [user.id, user.email, user.password]),
      ...data['patients'].edges.flatMap((edge: Loose) => Object.values(edge['node']).filter((one) => one !== null)),
      ...records.flatMap((record) => [
        record['actor'],
        record['session'],
        ...record['accesses'].flatMap((one: Loose) => one['subjects']),
      ]),
      ...['13812345678', 'zhangsan', 'CANARY', 'Canary5512', 'trace-77', '127.0.0.1'],
    ].filter((one) => one !== null);
    expect(persons.filter((one) => text.includes(one))).toEqual([]);
    const ready = await (await fetch(`${origin}/readyz`)).text();
    expect(persons.filter((one) => one !== '127.0.0.1' && ready.includes(one))).toEqual([]);
  });
});

describe('a browser of another origin', () => {
  const preflight = (from: string, more: Record<string, string> = {}) =>
    fetch(system.endpoint, {
      method: 'OPTIONS',
      headers: {
        origin: from,
        'access-control-request-method': 'POST',
        'access-control-request-headers': HEADERS.join(', '),
        ...more,
      },
    });

  it.each(['http://localhost:5173', 'http://127.0.0.1:3000', 'https://localhost', 'http://[::1]:8080'])(
    'may call from %s with the headers of the contract',
    async (from) => {
      const answer = await preflight(from);
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe(from);
      const allowed = (answer.headers.get('access-control-allow-headers') ?? '').toLowerCase().split(/,\s*/);
      expect(allowed.sort()).toEqual([...HEADERS].sort());
      expect(answer.headers.get('access-control-allow-credentials')).toBe('true');
      const call = await fetch(system.endpoint, {
        method: 'POST',
        headers: { origin: from, 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ __typename }' }),
      });
      expect(call.headers.get('access-control-allow-origin')).toBe(from);
      expect(call.headers.get('access-control-expose-headers')?.toLowerCase()).toContain('x-request-id');
    },
  );

  it.each([
    'https://evil.example',
    'http://localhost.evil.example',
    'http://evil.example/localhost',
    'http://localhost:5173.evil.example',
    'null',
    'file://localhost',
    'http://127.0.0.1.evil.example',
  ])('is not let in from %s', async (from) => {
    for (const answer of [
      await preflight(from),
      await fetch(system.endpoint, { method: 'POST', headers: { origin: from } }),
    ]) {
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });
});

describe('every answer', () => {
  it('is not kept by anybody on the way', async () => {
    for (const document of ['{ patients { totalCount } }', '{ nothing }', '{']) {
      const answer = await system.ask('front_desk', document);
      expect([document, answer.headers.get('cache-control')]).toEqual([document, 'no-store']);
    }
  });

  it('for an unknown path or method says nothing about the inside', async () => {
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/.data/demo.json'],
      ['GET', '/graphql/../package.json'],
      ['PUT', '/graphql'],
      ['DELETE', '/metrics'],
    ]) {
      const answer = await fetch(`${origin}${path}`, { method });
      expect([method, path, answer.status >= 400 && answer.status < 500]).toEqual([method, path, true]);
      expect(await answer.text()).not.toMatch(/node_modules|\.ts:|at \w+ \(|stack/);
    }
  });
});
