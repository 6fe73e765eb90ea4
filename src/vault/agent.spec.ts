import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { MemoryVaultStore, TEST_USE } from '../../test/support/memory-vault.js';
import { ManualClock } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import { AgentClient } from './agent-client.js';
import { AgentKeys } from './agent-keys.js';
import { UnwrapLog } from './agent-log.js';
import { UnwrapLogReader, type UnwrapLine } from './agent-log-reader.js';
import { frame } from './agent-protocol.js';
import { AgentRootKey, AgentSubjectKeys } from './agent-provider.js';
import { UnwrapRate } from './agent-rate.js';
import { AgentServer } from './agent-server.js';
import { FileRootKeyProvider } from './root-key.js';
import { tenantKeyContext } from './tenant-key-table.js';
import { Vault } from './vault.js';

const TOKEN = 'a token of the test';
const ANNA = 'a'.repeat(32);

let directory: string;
let socket: string;
let clock: ManualClock;
let log: UnwrapLog;
let server: AgentServer;
let client: AgentClient;
let refused: string[];

async function startAgent(rate = 1_000): Promise<void> {
  log = await UnwrapLog.open(join(directory, 'log'));
  const root = await FileRootKeyProvider.open(directory, log.end.n > 0);
  const keys = new AgentKeys({ root, log, rate: new UnwrapRate(clock, rate, rate), clock });
  const options = { keys, log, logDirectory: join(directory, 'log'), token: TOKEN, rootId: root.id };
  server = await AgentServer.listen(socket, { ...options, refused: (code) => refused.push(code) });
}

async function stopAgent(): Promise<void> {
  await server.close();
  await log.close();
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'custodia-agent-'));
  socket = join(directory, 's');
  clock = new ManualClock(Date.parse('2026-11-21T00:00:00Z'));
  refused = [];
  await startAgent();
  client = new AgentClient(socket, () => Promise.resolve(TOKEN));
});
afterEach(async () => {
  client.close();
  await stopAgent().catch(() => undefined);
  rmSync(directory, { recursive: true, force: true });
});

async function vaultOn(store: MemoryVaultStore): Promise<Vault> {
  const vault = new Vault(new AgentRootKey(client, await client.rootId()), store, {
    subjectKeys: (wrapsOf) => new AgentSubjectKeys(client, wrapsOf),
  });
  await vault.load();
  return vault;
}

async function patient(store: MemoryVaultStore, vault: Vault, reference = ANNA): Promise<string> {
  await vault.createTenantKey('T-CN');
  const id = newId();
  store.subjects.push(await vault.createSubjectKey('T-CN', id, reference));
  return id;
}

const lines = async () =>
  (await new UnwrapLogReader(join(directory, 'log')).after(0)).map((one) => JSON.parse(one) as UnwrapLine);
const address = (subjectId: string) => ({ tenant: 'T-CN', type: 'Patient', rowId: subjectId, version: 1, subjectId });

describe('a vault whose keys an agent holds', () => {
  test('opens what it sealed before, and the agent names whose key it gave out for what', async () => {
    const store = new MemoryVaultStore();
    const first = await vaultOn(store);
    const id = await patient(store, first);
    const sealed = first.seal(address(id), 'identity', { name: 'Anna' });
    const detail = first.sealDetail('T-CN', null, ['place'], 'text');
    const second = await vaultOn(store);
    await second.loadSubjectKeys('T-CN', [id], { ...TEST_USE, id: 'use-of-anna' });
    expect(second.open(address(id), 'identity', sealed)).toEqual({ name: 'Anna' });
    expect(second.openDetail('T-CN', null, ['place'], detail)).toBe('text');
    const [line] = (await lines()).filter(({ references }) => references.length > 0);
    expect(line).toMatchObject({ tenant: 'T-CN', use: 'use-of-anna', references: [ANNA] });
    expect((await lines()).filter(({ use }) => use === 'tenant-key:subject')).toEqual([]);
    const opened = await second.openRows(
      'T-CN',
      [{ address: address(id), parts: [{ group: 'identity', sealed }] }],
      TEST_USE,
    );
    expect(opened).toEqual([{ name: 'Anna' }]);
  });

  test('gets neither the root key nor a key that wraps subject keys, and cannot plant one', async () => {
    const store = new MemoryVaultStore();
    await patient(store, await vaultOn(store));
    const wraps = store.tenants.filter(({ purpose }) => purpose === 'subject');
    const own = tenantKeyContext({ tenantId: 'T-CN', purpose: 'subject', keyId: 1 });
    expect(wraps).not.toEqual([]);
    for (const row of wraps) {
      const wrapped = (row.wrapped ?? Buffer.alloc(0)).toString('base64');
      for (const context of [tenantKeyContext(row), `${tenantKeyContext(row)} `, 'anything']) {
        await expect(client.ask({ op: 'root.unwrap', context, wrapped })).rejects.toMatchObject({
          code: 'AUDIT_UNAVAILABLE',
        });
      }
    }
    const plain = randomBytes(32).toString('base64');
    await expect(client.ask({ op: 'root.wrap', context: own, plain })).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
    expect(new Set(refused)).toEqual(new Set(['FORBIDDEN']));
    expect((await lines()).filter(({ refused: why }) => why === 'FORBIDDEN').length).toBe(wraps.length * 3);
    const root = readFileSync(join(directory, 'root.key'));
    const said = JSON.stringify(await client.ask({ op: 'root.wrapNew', context: own }));
    expect(said).not.toContain(root.toString('base64'));
  });

  test('gives no key under another name, tenant or key', async () => {
    const store = new MemoryVaultStore();
    const vault = await vaultOn(store);
    await patient(store, vault);
    await vault.createTenantKey('T-US');
    const [row] = store.subjects;
    const wrapsOf = (tenant: string) =>
      store.tenants
        .filter((one) => one.tenantId === tenant && one.purpose === 'subject')
        .map(({ keyId, wrapped }) => ({ keyId, wrapped: wrapped?.toString('base64') ?? '' }));
    const key = {
      kind: 'subject key',
      subjectId: row?.subjectId ?? '',
      reference: ANNA,
      keyId: 1,
      wrapKeyId: 1,
    } as const;
    const wrapped = row?.wrapped?.toString('base64') ?? '';
    const asked = async (change: object, tenant = 'T-CN') => {
      const keys = [{ ...key, wrapped, ...change }];
      const { keys: given } = await client.ask({
        op: 'subject.unwrap',
        tenant,
        use: 'u',
        tenantKeys: wrapsOf(tenant),
        keys,
      });
      return (given as (string | null)[])[0];
    };
    expect(await asked({})).toHaveLength(44);
    expect(await asked({ reference: 'b'.repeat(32) })).toBeNull();
    expect(await asked({ subjectId: newId() })).toBeNull();
    expect(await asked({ keyId: 2 })).toBeNull();
    expect(await asked({ kind: 'detail key' })).toBeNull();
    expect(await asked({}, 'T-US')).toBeNull();
    const foreign = { op: 'subject.unwrap', tenant: 'T-CN', use: 'u', tenantKeys: wrapsOf('T-US'), keys: [] } as const;
    await expect(client.ask(foreign)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    for (const bad of [{ reference: 'Anna' }, { reference: null }, { kind: 'other' }, { wrapped: 7 }]) {
      await expect(asked(bad)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    }
  });

  test('has its rate: what is above it is refused, logged, and opens after a while', async () => {
    await stopAgent();
    await startAgent(10);
    const store = new MemoryVaultStore();
    const first = await vaultOn(store);
    const ids: string[] = [];
    for (let at = 0; at < 15; at += 1)
      ids.push(await patient(store, first, createHash('md5').update(`${at}`).digest('hex')));
    const second = await vaultOn(store);
    await second.loadSubjectKeys('T-CN', ids.slice(0, 10), TEST_USE);
    const [row] = store.subjects.slice(10);
    const late = second.loadSubjectKeys('T-CN', [row?.subjectId ?? ''], TEST_USE);
    await pause(20);
    clock.advance(1_000);
    await late;
    expect((await lines()).filter(({ refused: why }) => why === 'RATE_LIMITED')).toHaveLength(1);
    const many = Array.from({ length: 15 }, () => second.forget('T-CN', ids[0] ?? ''));
    expect(many).toHaveLength(15);
    const rate = new UnwrapRate(clock, 10, 20);
    expect([rate.take('A', 20), rate.take('A', 5), rate.take('B', 40), rate.take('B', 1)]).toEqual([0, 500, 0, 2_100]);
    clock.advance(500);
    expect(rate.take('A', 5)).toBe(0);
  });

  test('fails closed while the agent is away, and goes on when it is there again', async () => {
    const store = new MemoryVaultStore();
    const first = await vaultOn(store);
    const id = await patient(store, first);
    const second = await vaultOn(store);
    await stopAgent();
    await expect(second.loadSubjectKeys('T-CN', [id], TEST_USE)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(second.hasSubjectKey('T-CN', id)).toBe(false);
    expect(client.health).toBe('key agent unreachable');
    await startAgent();
    await second.loadSubjectKeys('T-CN', [id], TEST_USE);
    expect(second.hasSubjectKey('T-CN', id)).toBe(true);
    expect(client.health).toBeNull();
  });

  test('gives no key that is not in the log', async () => {
    const store = new MemoryVaultStore();
    const first = await vaultOn(store);
    const id = await patient(store, first);
    const second = await vaultOn(store);
    await log.close();
    await expect(second.loadSubjectKeys('T-CN', [id], TEST_USE)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(client.health).toBe('key agent cannot write its log');
    await server.close();
    await startAgent();
  });
});

describe('the socket of a key agent', () => {
  test('is for its user and group, is replaced after a crash and not while another answers', async () => {
    expect(statSync(socket).mode & 0o777).toBe(0o660);
    const first = log;
    await expect(startAgent()).rejects.toThrow(/Another key agent/);
    await log.close();
    log = first;
  });

  test('tells nothing to who does not show the token, or sends what is no request', async () => {
    const stranger = new AgentClient(socket, () => Promise.resolve('another token'));
    await expect(stranger.rootId()).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(refused).toContain('UNAUTHENTICATED');
    const answerTo = (bytes: Buffer) =>
      new Promise<string>((resolve) => {
        let said = '';
        const raw = connect(socket, () => raw.write(bytes));
        raw.on('data', (more: Buffer) => (said += more.toString()));
        raw.on('error', () => undefined);
        raw.on('close', () => resolve(said));
      });
    expect(await answerTo(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toBe('');
    expect(await answerTo(frame({ op: 'hello', version: 1, token: 'x'.repeat(2_000) }))).toBe('');
    expect(await answerTo(Buffer.from([0, 0, 0, 2, 0x7b, 0x22]))).toBe('');
    expect(await answerTo(frame({ id: 1, op: 'log', after: 0, token: TOKEN }))).toContain('UNAUTHENTICATED');
    expect(await answerTo(frame({ id: 1, op: 'hello', version: 2, token: TOKEN }))).toContain('BAD_REQUEST');
    await expect(client.ask({ op: 'steal' } as never)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(readdirSync(directory)).toContain('s');
  });
});
