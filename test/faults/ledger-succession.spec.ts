import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import { verifyDirectory } from '../../audit/verify.mjs';
import { ManualClock } from '../../src/kernel/clock.js';
import type { Statement } from '../../src/persistence/statement.js';
import { Chain } from '../../src/ledger/chain.js';
import { exportLog } from '../../src/ledger/export.js';
import { type Lag, LagWatch } from '../../src/ledger/lag.js';
import { Ledger } from '../../src/ledger/ledger.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { createLog } from '../../src/ledger/logs.js';
import { connectTo, LEADER_LOCK, type Session } from '../../src/ledger/session.js';
import { verifyLog } from '../../src/ledger/verification.js';
import { LedgerWriter } from '../../src/ledger/writer.js';
import { ledgerOptions, readDraft } from '../support/ledger.js';
import { LedgerModel } from '../support/ledger-model.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const LOG = 'T-CN';
const PATIENCE = 10_000;
let database: TestDatabase;
let writer: LedgerWriter;
let options: ReturnType<typeof ledgerOptions>;
let refusing = false;

beforeAll(async () => {
  database = await testDatabase();
  options = ledgerOptions(database);
  const { keys, clock } = options;
  writer = new LedgerWriter({
    database: database.app,
    clock,
    macKey: keys.macKey,
    incarnation: 1,
    refusing: () => refusing,
  });
  await createLog(database.sequencer, writer, keys, 1, LOG);
});
afterAll(async () => {
  await writer.close();
  await database.close();
});

const record = (count: number) => Promise.all(Array.from({ length: count }, () => writer.append(readDraft(LOG))));
const connect = () => connectTo(database.urls.sequencer, 'leader')();

async function unsequenced(): Promise<boolean> {
  const { rows } = await database.owner.query(
    'SELECT 1 FROM ledger_sequence, LATERAL (SELECT 1 FROM ledger_entry WHERE (xid, id) > (last_xid, last_id) ORDER BY xid, id LIMIT 1) AS entry',
  );
  return rows.length > 0;
}

/** One process that sequences, as the sequencer does it, a statement at a time. */
class Leader {
  private constructor(
    readonly session: Session,
    readonly pid: number,
    private readonly chain = new Chain(options.keys.macKey),
  ) {}

  static async elected(): Promise<Leader> {
    const session = await connect();
    const text = `SELECT pg_try_advisory_lock(${LEADER_LOCK}) AS taken, pg_backend_pid() AS pid`;
    for (let tries = 0; tries < 2_000; tries++) {
      const [row] = await session.query<{ taken: boolean; pid: number }>({ text, values: [] });
      if (row?.taken === true) return new Leader(session, row.pid);
      await pause(5);
    }
    throw new Error('The lock is not free.');
  }

  /** One pass; `meanwhile` runs before the n-th statement or after it. Returns how many statements there were. */
  async pass(at = 0, late = false, meanwhile: () => Promise<void> = async () => undefined): Promise<number> {
    let count = 0;
    await this.chain.pass({
      query: async <Row>(statement: Statement): Promise<Row[]> => {
        count += 1;
        const own = count === at;
        if (own && !late) await meanwhile();
        const rows = await this.session.query<Row>(statement);
        if (own && late) await meanwhile();
        return rows;
      },
    });
    return count;
  }

  async sequenceAll(): Promise<void> {
    const deadline = performance.now() + PATIENCE;
    while (await unsequenced()) {
      const failure = await this.pass().then(() => null, String);
      if (performance.now() > deadline) throw new Error(failure ?? 'Nothing is sequenced.');
    }
  }

  close(): Promise<void> {
    return this.session.close();
  }
}

describe('two sequencers at once', () => {
  let model: LedgerModel;
  beforeAll(() => {
    model = new LedgerModel(database, options.keys, path.join(database.directory, 'checkpoints'));
  });

  /** Waits until a statement of that process waits for another transaction. */
  async function untilBlocked({ pid }: Leader): Promise<void> {
    for (;;) {
      const { rows } = await database.owner.query('SELECT 1 FROM pg_locks WHERE pid = $1 AND NOT granted', [pid]);
      if (rows.length > 0) return;
      await pause(2);
    }
  }

  const modes = [
    ['its backend is ended', 'before', 'ended', false],
    ['its backend is ended', 'after', 'ended', true],
    ['it has lost the lock and does not know it', 'before', 'unlocked', false],
    ['it has lost the lock and does not know it', 'after', 'unlocked', true],
  ] as const;

  it.each(modes)(
    '%s %s any statement of a pass: another leads, and every entry has one index',
    async (_, __, mode, late) => {
      let at = 1;
      for (; ; at++) {
        await record(256);
        const first = await Leader.elected();
        let second: Leader | null = null;
        let working: Promise<void> = Promise.resolve();
        const overtaken = await first
          .pass(at, late, async () => {
            if (mode === 'ended') await database.owner.query('SELECT pg_terminate_backend($1)', [first.pid]);
            else await first.session.query({ text: 'SELECT pg_advisory_unlock($1)', values: [LEADER_LOCK] });
            second = await Leader.elected();
            working = second.sequenceAll();
            // What the first one has written may hold the second up until it ends.
            await Promise.race([working, untilBlocked(second)]);
          })
          .then(() => null, String);
        await working;
        // The one that was overtaken goes on, where it has a connection.
        await record(1);
        await (mode === 'ended' && second !== null ? (second as Leader) : first).sequenceAll();
        await Promise.all([first, second as Leader | null].map((leader) => leader?.close().catch(() => undefined)));
        await model.check();
        if (second === null) break;
        if (mode === 'ended' && !late) expect([at, overtaken]).toEqual([at, expect.stringContaining('connection')]);
      }
      expect(at).toBeGreaterThan(7);
    },
  );
});

describe('a clock that steps back an hour between records', () => {
  it('into the month before, too: the order stays, no number comes twice, the log verifies', async () => {
    const own = await testDatabase();
    const clock = new ManualClock(Date.parse('2026-12-01T02:30:00Z'));
    const ledger = await Ledger.open({ ...ledgerOptions(own), clock });
    await ledger.createLogs([LOG]);
    const numbers: number[] = [];
    for (let step = 0; step < 6; step++) {
      numbers.push((await ledger.writer.append(readDraft(LOG))).number);
      // Both are tried, as after an answer that was lost: the record itself, and what closes its number.
      const prepared = ledger.writer.prepare(readDraft(LOG));
      clock.advance(-3_600_000);
      const insert = async () => {
        const values: unknown[] = [];
        const text = ledger.writer.insertion(prepared, (value) => `$${values.push(value)}`);
        await own.app.query(null, { text, values });
      };
      if (step % 2 === 0) await insert();
      ledger.writer.void(prepared);
      if (step % 2 === 1) {
        while (ledger.writer.load().voids > 0) await pause(2);
        await expect(insert()).rejects.toMatchObject({ kind: 'unique' });
      }
      numbers.push(prepared.number);
    }
    await ledger.settle(10_000);
    const { keys, store } = ledgerOptions(own);
    const files = new LogFiles(own.auditor, store, keys, null);
    const directory = path.join(own.directory, 'export');
    await exportLog(files, LOG, directory);
    const report = await verifyDirectory(directory, { vkeys: [files.vkey(LOG)] });
    expect(report).toMatchObject({ ok: true, size: 13, faultCount: 0 });
    const records = await files.records(LOG, 0, 13);
    const written = records.map(({ record: bytes }) => JSON.parse(bytes!.toString()) as Record<string, unknown>);
    expect(written.map(({ number }) => number)).toEqual([1, ...numbers]);
    expect(new Set(written.map(({ time }) => String(time).slice(0, 7)))).toEqual(new Set(['2026-12', '2026-11']));
    expect((await verifyLog(files, LOG)).bad).toBeNull();
    await ledger.close();
    await own.close();
  });
});

describe('a writing transaction that takes long', () => {
  let blocker: PoolClient;
  let leader: Leader;
  beforeAll(async () => {
    leader = await Leader.elected();
    blocker = await database.owner.connect();
  });
  // Left open by a failure it would hold up every ledger of this server.
  afterAll(async () => {
    blocker.release(true);
    await leader.close();
  });

  it('is told once with its connection, stops new records above the limit, and then everything gets its place in order', async () => {
    await leader.sequenceAll();
    const { rows: sizes } = await database.owner.query<{ size: string }>('SELECT size FROM ledger_head');
    let time = 0;
    const watch = new LagWatch({ database: database.sequencer, limit: 15_000, monotonic: () => time });
    const alarms: [Lag, boolean][] = [];
    watch.onAlarm((lag, over) => alarms.push([lag, over]));
    const look = async (milliseconds: number) => {
      time += milliseconds;
      refusing = (await watch.look()).refusing;
      return watch.now;
    };
    await blocker.query('BEGIN');
    const { rows } = await blocker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_current_xact_id()');
    const waiting = await record(30);
    await leader.pass();
    expect(await look(0)).toMatchObject({ milliseconds: 0, refusing: false });
    expect(await look(6_000)).toMatchObject({ milliseconds: 6_000, blockedByPid: rows[0]?.pid, refusing: false });
    waiting.push(...(await record(5)));
    await leader.pass();
    expect(await look(9_500)).toMatchObject({ milliseconds: 15_500, blockedByPid: rows[0]?.pid, refusing: true });
    await expect(record(1)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(() => writer.prepare(readDraft(LOG))).toThrow('cannot be written');
    expect((await database.owner.query('SELECT size FROM ledger_head')).rows).toEqual(sizes);
    // Its own record, in the transaction that began before the others.
    refusing = false;
    const late = writer.prepare(readDraft(LOG));
    const values: unknown[] = [];
    const text = writer.insertion(late, (value) => `$${values.push(value)}`);
    await blocker.query(text, values);
    await blocker.query('COMMIT');
    await leader.sequenceAll();
    expect(await look(100)).toMatchObject({ milliseconds: 0, refusing: false });
    await record(1);
    await leader.sequenceAll();
    expect(alarms.map(([, over]) => over)).toEqual([false, true]);
    const order = await database.owner.query<{ number: string }>(
      'SELECT number FROM ledger_leaf JOIN ledger_entry ON id = entry_id WHERE idx >= $1 ORDER BY idx',
      [sizes[0]?.size],
    );
    expect(order.rows.map(({ number }) => Number(number))).toEqual([
      late.number,
      ...waiting.map(({ number }) => number),
      late.number + 1,
    ]);
  });
});
