import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { ledgerOptions, readDraft, tamper, testLedger } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { encodeEntry, ZERO_LEAF } from '../../audit/entry.mjs';
import { CompactRange, leafHash, sha256 } from '../../audit/merkle.mjs';
import { ManualClock } from '../kernel/clock.js';
import { DatabaseFault } from '../persistence/sqlstate.js';
import type { Statement } from '../persistence/statement.js';
import { Chain } from './chain.js';
import { LagWatch } from './lag.js';
import { createLog } from './logs.js';
import { encodeRecord } from './record.js';
import { Sequencer } from './sequencer.js';
import { connectTo, LEADER_LOCK, NEVER_SILENT, type Session } from './session.js';
import { LedgerWriter } from './writer.js';

let database: TestDatabase;
let writer: LedgerWriter;

beforeEach(async () => {
  database = await testDatabase();
  const { keys, clock } = ledgerOptions(database);
  writer = new LedgerWriter({ database: database.app, clock, macKey: keys.macKey, incarnation: 1 });
  for (const log of ['T-CN', 'T-US']) await createLog(database.sequencer, writer, keys, 1, log);
});
afterEach(async () => {
  await writer.close();
  await database.close();
});

function sequencerWith(connect: () => Promise<Session>): Sequencer {
  const { keys, clock } = ledgerOptions(database);
  return new Sequencer({ connect, database: database.sequencer, clock, chain: new Chain(keys.macKey) });
}

const session = () => connectTo(database.urls.sequencer, 'sequencer test', NEVER_SILENT)();

/** Every committed entry once, indexes dense, chain and head as recomputed from the records. */
async function checkLedger(): Promise<number> {
  const { rows: entries } = await database.owner.query<{ count: string }>('SELECT count(*) FROM ledger_entry');
  const { rows } = await database.owner.query<{ log: string; idx: string; leaf: Buffer; record: Buffer }>(
    'SELECT l.log, l.idx, l.leaf, e.record FROM ledger_leaf l JOIN ledger_entry e ON e.id = l.entry_id ORDER BY l.log, l.idx',
  );
  const ends = new Map<string, { range: CompactRange; last: Buffer }>();
  for (const row of rows) {
    const end = ends.get(row.log) ?? { range: new CompactRange(), last: ZERO_LEAF };
    const leaf = leafHash(encodeEntry(end.last, row.record));
    if (Number(row.idx) !== end.range.size || !row.leaf.equals(leaf)) throw new Error(`Leaf ${row.idx} is wrong.`);
    end.last = leaf;
    end.range.append(end.last);
    ends.set(row.log, end);
  }
  const { rows: heads } = await database.owner.query<{
    log: string;
    size: string;
    last_leaf: Buffer;
    compact_range: Buffer;
  }>('SELECT * FROM ledger_head');
  for (const head of heads) {
    const end = ends.get(head.log) ?? { range: new CompactRange(), last: ZERO_LEAF };
    expect(Number(head.size)).toBe(end.range.size);
    expect(head.last_leaf).toEqual(end.last);
    expect(head.compact_range).toEqual(Buffer.concat(end.range.hashes));
  }
  expect(rows.length).toBe(Number(entries[0]?.count));
  await checkNodes();
  return rows.length;
}

/** The roots of full tiles, each computed from its leaves alone. */
async function checkNodes(): Promise<void> {
  const { rows: leaves } = await database.owner.query<{ log: string; leaf: Buffer }>(
    'SELECT log, leaf FROM ledger_leaf ORDER BY log, idx',
  );
  const expected = Object.entries(Object.groupBy(leaves, ({ log }) => log)).flatMap(([log, own = []]) =>
    Array.from({ length: Math.floor(own.length / 256) }, (_, tile) => {
      const range = new CompactRange();
      for (const { leaf } of own.slice(tile * 256, (tile + 1) * 256)) range.append(leaf);
      return { log, level: 1, idx: String(tile), hash: range.root() };
    }),
  );
  const { rows: nodes } = await database.owner.query('SELECT * FROM ledger_node ORDER BY log, level, idx');
  expect(nodes).toEqual(expected);
}

describe('the watermark', () => {
  it('loses no entry of transactions that commit in another order; reading after the last id loses some', async () => {
    const sequencer = sequencerWith(session);
    sequencer.start();
    const naive = { last: 0, seen: 0, over: false };
    const reader = (async () => {
      while (!naive.over) {
        const { rows } = await database.owner.query<{ id: string }>(
          'SELECT id FROM ledger_entry WHERE id > $1 ORDER BY id',
          [naive.last],
        );
        naive.seen += rows.length;
        naive.last = Number(rows.at(-1)?.id ?? naive.last);
      }
    })();
    const until = performance.now() + 2_000;
    const acknowledged: string[] = [];
    await Promise.all(
      Array.from({ length: 16 }, async (_, client) => {
        while (performance.now() < until) {
          const record = writer.prepare(readDraft(client % 2 === 0 ? 'T-CN' : 'T-US'));
          await database.app.transaction(null, async (transaction) => {
            const values: unknown[] = [];
            const text = writer.insertion(record, (value) => `$${values.push(value)}`);
            await transaction.query({ name: 'test_insert', text, values });
            await pause(Math.random() * 8);
          });
          acknowledged.push(record.hash.toString('hex'));
        }
      }),
    );
    await sequencer.drain(10_000);
    naive.over = true;
    await reader;
    const total = await checkLedger();
    expect(total).toBe(acknowledged.length + 2);
    const { rows } = await database.owner.query<{ hash: string }>(
      "SELECT encode(record_hash, 'hex') AS hash FROM ledger_entry JOIN ledger_leaf ON entry_id = id",
    );
    const sequenced = new Set(rows.map((row) => row.hash));
    expect(acknowledged.filter((hash) => !sequenced.has(hash))).toEqual([]);
    expect(naive.seen).toBeLessThan(total);
    await sequencer.stop();
  });

  it('is held back by a writing transaction, names its connection, and goes on when it ends', async () => {
    const blocker = await database.owner.connect();
    await blocker.query('BEGIN');
    const { rows } = await blocker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_current_xact_id()');
    const sequencer = sequencerWith(session);
    sequencer.start();
    await writer.append(readDraft());
    await expect(sequencer.drain(300)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    let time = 0;
    const lag = new LagWatch({ database: database.sequencer, limit: 15_000, monotonic: () => time });
    expect(await lag.look()).toMatchObject({ milliseconds: 0, blockedByPid: null });
    time += 10_000;
    expect(await lag.look()).toMatchObject({ milliseconds: 10_000, blockedByPid: rows[0]?.pid });
    await blocker.query('ROLLBACK');
    blocker.release();
    await sequencer.drain(5_000);
    await checkLedger();
    await sequencer.stop();
  });
});

describe('a failing statement', () => {
  const STATEMENTS = [
    'BEGIN',
    'ledger_sequence',
    'FROM ledger_entry',
    'FROM ledger_head AS',
    'FROM ledger_head WHERE',
    'JOIN ledger_writer',
    'INSERT INTO ledger_leaf',
    'COMMIT',
  ];
  const cases = STATEMENTS.flatMap((part) => [
    [part, 'failed'],
    [part, 'failed but happened'],
  ]);

  it.each(cases)('%s, %s: nothing is lost, nothing comes twice', async (part, flavour) => {
    await Promise.all(Array.from({ length: 400 }, (_, index) => writer.append(readDraft(index % 5 ? 'T-CN' : 'T-US'))));
    const chain = new Chain(ledgerOptions(database).keys.macKey);
    let connection = await session();
    let faults = 0;
    const broken: Session = {
      ...connection,
      async query<Row>(statement: Statement): Promise<Row[]> {
        if (faults === 0 && statement.text.includes(part as string)) {
          faults += 1;
          if (flavour === 'failed but happened') await connection.query(statement);
          await connection.close();
          throw new DatabaseFault('connection', null, null, 'lost');
        }
        return connection.query<Row>(statement);
      },
    };
    // Transactions of other tests in the same cluster hold the watermark back, too: a pass may find less than all.
    const lost = async () => {
      for (;;) await chain.pass(broken);
    };
    await expect(lost()).rejects.toThrow('lost');
    connection = await session();
    await writer.append(readDraft());
    const unsequenced = 'SELECT 1 FROM ledger_entry WHERE id NOT IN (SELECT entry_id FROM ledger_leaf)';
    do await chain.pass(connection);
    while ((await database.owner.query(unsequenced)).rows.length > 0);
    expect(faults).toBe(1);
    expect(await checkLedger()).toBe(403);
    await connection.close();
  });
});

describe('leadership', () => {
  it('passes to another process when the leader dies', async () => {
    const first = sequencerWith(session);
    first.start();
    await first.drain(5_000);
    const second = sequencerWith(session);
    second.start();
    await pause(300);
    expect([first.leader, second.leader]).toEqual([true, false]);
    await writer.append(readDraft());
    await first.stop();
    await writer.append(readDraft());
    await second.drain(5_000);
    expect(second.leader).toBe(true);
    expect(await checkLedger()).toBe(4);
    await second.stop();
  });

  it('is regained after the connection was ended by an administrator', async () => {
    const sequencer = sequencerWith(session);
    sequencer.start();
    await sequencer.drain(5_000);
    await database.owner.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sequencer test' AND datname = current_database()",
    );
    await writer.append(readDraft());
    await sequencer.drain(5_000);
    expect(await checkLedger()).toBe(3);
    await sequencer.stop();
  });
});

describe('two sequencers at once', () => {
  it('that both think they lead: every entry has one place, whoever of them comes first', async () => {
    const { keys } = ledgerOptions(database);
    const both = [new Chain(keys.macKey), new Chain(keys.macKey)];
    const sessions = await Promise.all([session(), session()]);
    const ending = new AbortController();
    let collisions = 0;
    const running = both.map(async (chain, index) => {
      while (!ending.signal.aborted) await chain.pass(sessions[index] as Session).catch(() => (collisions += 1));
    });
    for (let round = 0; round < 40; round++) {
      await Promise.all(
        Array.from({ length: 30 }, (_, index) => writer.append(readDraft(index % 3 ? 'T-CN' : 'T-US'))),
      );
    }
    ending.abort();
    await Promise.all(running);
    while ((await both[0]?.pass(sessions[0] as Session)) !== 0);
    expect(await checkLedger()).toBe(1_202);
    expect(collisions).toBeGreaterThan(0);
    await Promise.all(sessions.map((one) => one.close()));
  });
});

describe('a clock that steps back', () => {
  it('changes neither the order nor the lag', async () => {
    const { keys } = ledgerOptions(database);
    const clock = new ManualClock(Date.UTC(2026, 10, 22, 8));
    const late = new LedgerWriter({ database: database.app, clock, macKey: keys.macKey, incarnation: 1 });
    await late.register('T-CN');
    const numbers: number[] = [];
    for (let step = 0; step < 20; step++) {
      numbers.push((await late.append(readDraft())).number);
      clock.advance(-3_600_000);
    }
    const lag = new LagWatch({ database: database.sequencer, limit: 15_000 });
    expect((await lag.look()).milliseconds).toBeLessThan(1_000);
    const sequencer = sequencerWith(session);
    sequencer.start();
    await sequencer.drain(5_000);
    await checkLedger();
    const { rows } = await database.owner.query<{ number: string }>(
      'SELECT e.number FROM ledger_leaf l JOIN ledger_entry e ON e.id = l.entry_id AND e.recorded_at = l.recorded_at WHERE writer = $1 ORDER BY idx',
      [late.writer],
    );
    expect(rows.map((row) => Number(row.number))).toEqual([1, ...numbers]);
    expect((await lag.look()).milliseconds).toBe(0);
    await Promise.all([sequencer.stop(), late.close()]);
  });
});

describe('the session of a leader', () => {
  it('is given up by PostgreSQL soon after its process or machine is gone', async () => {
    const own = await session();
    const [row] = await own.query<Record<string, string>>({
      text: "SELECT current_setting('client_connection_check_interval') AS check, current_setting('idle_session_timeout') AS idle, current_setting('transaction_timeout') AS transaction, current_setting('tcp_keepalives_idle') AS keepalive",
      values: [],
    });
    expect(row).toEqual({ check: '1s', idle: '10s', transaction: '12s', keepalive: '1' });
    await own.close();
  });

  it('ends with the process that is killed: another leads within five seconds', async () => {
    const script =
      "const pg = require('pg'); const client = new pg.Client({ connectionString: process.env.URL }); " +
      `client.connect().then(() => client.query('SELECT pg_advisory_lock(${LEADER_LOCK})')).then(() => console.log('leads'))`;
    const killed = spawn(process.execPath, ['-e', script], {
      env: { URL: database.urls.sequencer },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(killed.stdout, 'data');
    const sequencer = sequencerWith(session);
    sequencer.start();
    await writer.append(readDraft());
    await pause(700);
    expect(sequencer.leader).toBe(false);
    const start = performance.now();
    killed.kill('SIGKILL');
    await sequencer.drain(5_000);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(await checkLedger()).toBe(3);
    await sequencer.stop();
  });
});

describe('the sequencer of a new version', () => {
  it('takes records whose MAC is under the key that all writers had before', async () => {
    const { keys, clock } = ledgerOptions(database);
    const stamp = { incarnation: 1, writer: 'f'.repeat(16), number: 1, time: clock.now().toISOString() };
    const bytes = encodeRecord(readDraft(), stamp);
    const text =
      "INSERT INTO ledger_entry (log, writer, number, recorded_at, record, record_hash, mac) VALUES ('T-CN', $1, 1, now(), $2, $3, $4)";
    const mac = createHmac('sha256', keys.macKey).update(bytes).digest();
    await database.app.query(null, { text, values: [stamp.writer, bytes, sha256(bytes), mac] });
    const sequencer = sequencerWith(session);
    sequencer.start();
    await sequencer.drain(5_000);
    expect(await checkLedger()).toBe(3);
    await sequencer.stop();
  });
});

describe('a log', () => {
  it('takes records only after its START, which is its first entry however many processes start it', async () => {
    const [one, two] = await Promise.all([testLedger(database, []), testLedger(database, [])]);
    await expect(one.writer.append(readDraft('T-EU'))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(() => one.writer.prepare(readDraft('T-EU'))).toThrow('cannot be written');
    await Promise.all([one.createLogs(['T-EU']), two.createLogs(['T-EU'])]);
    await Promise.all([one.writer.append(readDraft('T-EU')), two.writer.append(readDraft('T-EU'))]);
    await one.settle(5_000);
    const { rows } = await database.owner.query<{ kind: string }>(
      "SELECT convert_from(record, 'UTF8')::json ->> 'kind' AS kind FROM ledger_leaf l JOIN ledger_entry ON id = entry_id WHERE l.log = 'T-EU' ORDER BY idx",
    );
    expect(rows.map(({ kind }) => kind)).toEqual(['START', 'WRITER', 'READ', 'READ']);
    await Promise.all([one.close(), two.close()]);
  });
});

const CHANGED = [
  ['its bytes', "SET record = set_byte(record, 20, 65) WHERE log = 'T-CN' AND number = 2"],
  [
    'its bytes and its hash',
    "SET record = set_byte(record, 20, 65), record_hash = sha256(set_byte(record, 20, 65)) WHERE log = 'T-CN' AND number = 2",
  ],
  ['its log', "SET log = 'T-US', number = 99 WHERE log = 'T-CN' AND number = 2"],
  ['its bytes to what is no text', "SET record = set_byte(record, 20, 255) WHERE log = 'T-CN' AND number = 2"],
  ['its bytes to a zero', "SET record = set_byte(record, 20, 0) WHERE log = 'T-CN' AND number = 2"],
  [
    'its bytes, cut off',
    "SET record = substr(record, 1, 40), record_hash = sha256(substr(record, 1, 40)) WHERE log = 'T-CN' AND number = 2",
  ],
] as const;

describe('a record that was changed before it was sequenced', () => {
  it.each([
    ...CHANGED.map(([what, change]) => [what, 'another process', change] as const),
    ...CHANGED.slice(0, 4).map(([what, change]) => [what, 'the leader itself', change] as const),
  ])('%s, of %s: stops the sequencer loudly and is not integrated', async (_, whose, change) => {
    const ledger = await testLedger(database);
    await ledger.settle(5_000);
    const blocker = await database.owner.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT pg_current_xact_id()');
    await (whose === 'the leader itself' ? ledger.writer : writer).append(readDraft());
    await tamper(database, `UPDATE ledger_entry ${change}`);
    await blocker.query('ROLLBACK');
    blocker.release();
    await expect(ledger.settle(5_000)).rejects.toMatchObject({ code: 'INTEGRITY_FAILED', kind: 'record' });
    expect((await ledger.health()).problem).toMatch(/^Entry row \d+ of log T-/);
    const { rows } = await database.owner.query(
      'SELECT 1 FROM ledger_leaf JOIN ledger_entry ON id = entry_id AND number > 1',
    );
    expect(rows).toEqual([]);
    await ledger.close();
  });
});
