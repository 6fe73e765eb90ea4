import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { ledgerOptions, readDraft, tamper, testLedger } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { Cosigner } from '../../audit/cosigner.mjs';
import { parseCheckpoint, splitNote, verifyNote, vkey } from '../../audit/note.mjs';
import { parsePolicy, satisfies } from '../../audit/policy.mjs';
import { witnessServer } from '../../audit/witness.mjs';
import { WitnessState } from '../../audit/witness-state.mjs';
import { CheckpointConflict, FileCheckpointStore } from './checkpoint-store.js';
import { assertDurability } from './durability.js';
import { fileLedgerKeys } from './keys.js';
import { Ledger } from './ledger.js';

let database: TestDatabase;

beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.close());

/** A ledger with `count` reads, settled and closed. */
async function filled(count: number): Promise<void> {
  const ledger = await testLedger(database);
  await Promise.all(Array.from({ length: count }, () => ledger.writer.append(readDraft())));
  await ledger.settle(10_000);
  await ledger.close();
}

describe('the checkpoint', () => {
  it('covers everything committed before settle, signed by the key that is published beside it', async () => {
    await filled(9);
    const directory = path.join(database.directory, 'checkpoints', 'T-CN');
    const note = readFileSync(path.join(directory, 'checkpoint'), 'utf8');
    const vkey = readFileSync(path.join(directory, 'log.vkey'), 'utf8').trim();
    const checkpoint = parseCheckpoint(verifyNote(note, [vkey]).text);
    expect(checkpoint).toMatchObject({ origin: 'custodia.local/T-CN', size: 10 });
    expect(readFileSync(path.join(directory, 'history', '10'), 'utf8')).toBe(note);
  });

  it('goes on from the stored one after a restart, with and without the remembered range', async () => {
    await filled(3);
    const { store } = ledgerOptions(database);
    await store.writeRange('T-CN', Buffer.alloc(32));
    await filled(300);
    await filled(0);
    expect((await store.read('T-CN'))?.split('\n')[1]).toBe('306');
  });
});

describe('a database that does not extend the stored checkpoint', () => {
  const cases: [string, string[], RegExp][] = [
    [
      'truncated, head and all',
      [
        'DELETE FROM ledger_leaf WHERE idx >= 5',
        'UPDATE ledger_head SET size = 5, last_leaf = (SELECT leaf FROM ledger_leaf WHERE idx = 4)',
      ],
      /^ledger rollback detected: the stored checkpoint of log T-CN covers 21 entries, the database has 5\.$/,
    ],
    ['emptied', ['DELETE FROM ledger_head'], /^ledger rollback detected: .* covers 21 entries, the database has 0\.$/],
    [
      'with another head of the same size',
      ['UPDATE ledger_head SET compact_range = set_byte(compact_range, 3, 1 + get_byte(compact_range, 3) % 255)'],
      /^Log T-CN does not extend the 21 entries that were signed\.$/,
    ],
  ];
  it.each(cases)('%s: the ledger refuses to open', async (_, statements, message) => {
    await filled(20);
    await tamper(database, ...statements);
    await expect(Ledger.open(ledgerOptions(database))).rejects.toThrow(message);
  });

  it('rewritten below the checkpoint, without the remembered range: refuses', async () => {
    await filled(20);
    await tamper(database, 'UPDATE ledger_leaf SET leaf = sha256(leaf) WHERE idx = 3');
    await ledgerOptions(database).store.writeRange('T-CN', Buffer.alloc(0));
    await expect(Ledger.open(ledgerOptions(database))).rejects.toThrow('do not have the root that was signed');
  });

  it('signed with another key: refuses', async () => {
    await filled(2);
    const keys = fileLedgerKeys(path.join(database.directory, 'other-keys'));
    await expect(Ledger.open({ ...ledgerOptions(database), keys })).rejects.toMatchObject({ kind: 'signature' });
  });
});

describe('witnesses', () => {
  /** A witness of this ledger's log, the policy that names it, and its server, which does not listen yet. */
  function witness(database: TestDatabase) {
    const { name, privateKey } = ledgerOptions(database).keys.signer('T-CN');
    const state = path.join(database.directory, 'witness');
    mkdirSync(state, { recursive: true });
    const own = { name: 'witness.example.org', privateKey: generateKeyPairSync('ed25519').privateKey };
    const cosigner = new Cosigner({ ...own, logs: [vkey(name, privateKey)], state: new WitnessState(state) });
    const text = `log ${vkey(name, privateKey)}\nwitness w1 ${cosigner.vkey} http://127.0.0.1:`;
    return { server: witnessServer(cosigner), policyAt: (port: number) => parsePolicy(`${text}${port}\nquorum w1\n`) };
  }

  it('cosign what the ledger signs: what auditors are shown has the quorum of the policy', async () => {
    const { server, policyAt } = witness(database);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const policy = policyAt((server.address() as AddressInfo).port);
    const options = { ...ledgerOptions(database), witnesses: { policy, demanded: true } };
    for (const round of [1, 2]) {
      const ledger = await Ledger.open(options);
      await ledger.createLogs(['T-CN']);
      await Promise.all(Array.from({ length: 300 }, () => ledger.writer.append(readDraft())));
      await ledger.settle(10_000);
      const note = (await options.store.readPublished('T-CN'))!;
      expect(satisfies(policy, note)).toMatchObject({ ok: true, verified: [{ name: 'w1' }] });
      const { size } = parseCheckpoint(splitNote(note).text);
      expect(size).toBeGreaterThanOrEqual(300 * round);
      expect(await ledger.health()).toMatchObject({ problem: null, witnesses: [{ name: 'w1', problem: null }] });
      await ledger.close();
    }
    // Database and store are taken away together: the witness remembers.
    await tamper(database, 'DELETE FROM ledger_leaf', "UPDATE ledger_head SET size = 0, compact_range = ''");
    rmSync(path.join(database.directory, 'checkpoints'), { recursive: true });
    await expect(Ledger.open(options)).rejects.toThrow(
      /^ledger rollback detected: .* witness w1 holds .* database has 0\.$/,
    );
    server.close();
    server.closeAllConnections();
  });

  it('that are down stop nothing, and make the ledger unready only where the quorum is demanded', async () => {
    const { server, policyAt } = witness(database);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const policy = policyAt((server.address() as AddressInfo).port);
    await new Promise((resolve) => server.close(resolve));
    for (const demanded of [false, true]) {
      const ledger = await Ledger.open({ ...ledgerOptions(database), witnesses: { policy, demanded } });
      await ledger.createLogs(['T-CN']);
      await ledger.writer.append(readDraft());
      await ledger.settle(10_000);
      const problem = demanded ? 'The checkpoints of T-CN lack the cosignatures that the policy demands.' : null;
      expect(await ledger.health()).toMatchObject({
        problem,
        witnesses: [{ name: 'w1', time: null, problem: expect.stringMatching(/^Witness w1: It could not be reached/) }],
      });
      await ledger.close();
    }
  });
});

describe('FileCheckpointStore', () => {
  it('replaces only what was expected, and never signs two notes for one size', async () => {
    const store = new FileCheckpointStore(path.join(database.directory, 'store'));
    expect(await store.logs()).toEqual([]);
    const note = (size: number, root = 'root') => `origin\n${size}\n${root}\n`;
    await store.replace('T', null, note(1), 1);
    await expect(store.replace('T', null, note(2), 2)).rejects.toThrow(CheckpointConflict);
    await expect(store.replace('T', note(1), note(1, 'another'), 1)).rejects.toThrow(CheckpointConflict);
    expect(await store.read('T')).toBe(note(1));
    await store.replace('T', note(1), note(2), 2);
    expect([await store.read('T'), await store.logs()]).toEqual([note(2), ['T']]);
    expect(readdirSync(path.join(database.directory, 'store', 'T')).sort()).toEqual(['checkpoint', 'history']);
  });

  it('keeps the last checkpoint of every hour', async () => {
    const store = new FileCheckpointStore(path.join(database.directory, 'store'));
    const history = path.join(database.directory, 'store', 'T', 'history');
    let last: string | null = null;
    for (const size of [1, 2, 3, 4]) {
      const next = `origin\n${size}\nroot\n`;
      await store.replace('T', last, next, size);
      if (size === 2) utimesSync(path.join(history, '2'), 0, 0);
      last = next;
    }
    expect(readdirSync(history).sort()).toEqual(['2', '4']);
  });

  it('has no path for a log that is not named like one', async () => {
    const store = new FileCheckpointStore(path.join(database.directory, 'store'));
    await expect(store.replace('../T', null, 'one', 1)).rejects.toMatchObject({ name: 'Failure' });
  });
});

describe('keys', () => {
  it('are made once, for the owner only', () => {
    const directory = path.join(database.directory, 'keys');
    const first = fileLedgerKeys(directory);
    const second = fileLedgerKeys(directory);
    expect(second.macKey.equals(first.macKey)).toBe(true);
    expect(second.signer('T-CN').privateKey.equals(first.signer('T-CN').privateKey)).toBe(true);
    expect(first.signer('T-US').privateKey.equals(first.signer('T-CN').privateKey)).toBe(false);
    for (const name of readdirSync(directory)) expect(statSync(path.join(directory, name)).mode & 0o777).toBe(0o600);
  });
});

describe('assertDurability', () => {
  it('refuses a server that may lose what it committed', async () => {
    // The server of the tests runs without fsync.
    await expect(assertDurability(database.app)).rejects.toThrow('switch on fsync, full_page_writes');
    const safe = ['fsync', 'full_page_writes', 'synchronous_commit'].map((name) => ({ name, setting: 'on' }));
    const answering = (rows: unknown[]) => ({ query: async () => rows }) as unknown as TestDatabase['app'];
    await expect(assertDurability(answering(safe))).resolves.toBeUndefined();
    await expect(assertDurability(answering([]))).rejects.toThrow('may lose committed');
  });
});
