import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { ledgerOptions, readDraft, testLedger } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import type { Lag } from './lag.js';
import { Ledger } from './ledger.js';

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.close());

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let waited = 0; !(await holds()); waited += 50) {
    if (waited > 10_000) throw new Error('It never came to be.');
    await pause(50);
  }
}

const writers = async () =>
  (
    await database.owner.query<{ place: string }>(
      "SELECT log || ' ' || writer AS place FROM ledger_entry WHERE number = 1",
    )
  ).rows.map(({ place }) => place);

describe('a process', () => {
  it('is registered in the logs that it makes and in those that others make, and in none while it only reads', async () => {
    const one = await testLedger(database, ['T-CN']);
    const reader = await Ledger.open(ledgerOptions(database));
    const two = await testLedger(database, ['T-CN']);
    await one.createLogs(['T-EU']);
    await until(() => two.writer.registered('T-EU'));
    await two.writer.append(readDraft('T-EU'));
    await reader.settle(5_000);
    await reader.close();
    const { writer: first } = one.writer;
    const { writer: second } = two.writer;
    expect((await writers()).sort()).toEqual(
      [`T-CN ${first}`, `T-CN ${second}`, `T-EU ${first}`, `T-EU ${second}`].sort(),
    );
    await Promise.all([one.close(), two.close()]);
  });

  it('keeps partitions for this month and the next two', async () => {
    const clock = ledgerOptions(database).clock;
    const ledger = await Ledger.open({
      ...ledgerOptions(database),
      clock: { milliseconds: () => clock.milliseconds(), now: () => new Date('2031-12-15T00:00:00Z') },
    });
    const { rows } = await database.owner.query<{ name: string }>(
      "SELECT relname AS name FROM pg_class WHERE relname ~ '^ledger_(entry|detail)_y203[12]m\\d\\d$' ORDER BY 1",
    );
    const months = ['y2031m12', 'y2032m01', 'y2032m02'];
    expect(rows.map(({ name }) => name)).toEqual(
      ['detail', 'entry'].flatMap((table) => months.map((month) => `ledger_${table}_${month}`)),
    );
    await ledger.close();
  });
});

describe('a writing transaction that stays open', () => {
  it('makes every process refuse reads and writes above the limit, and accept them again when it is over', async () => {
    const limited = { ...ledgerOptions(database), lagLimit: 800 };
    const leader = await Ledger.open(limited);
    await leader.createLogs(['T-CN']);
    await leader.settle(5_000);
    const other = await Ledger.open(limited);
    await other.createLogs(['T-CN']);
    const alarms: [Lag, boolean][] = [];
    leader.onLagAlarm((lag, over) => alarms.push([lag, over]));
    const blocker = await database.owner.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT pg_current_xact_id()');
    await leader.writer.append(readDraft());
    for (const ledger of [leader, other]) {
      await until(async () => (await ledger.health()).refusing);
      await expect(ledger.writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
      expect(() => ledger.writer.prepare(readDraft())).toThrow('cannot be written');
    }
    await blocker.query('ROLLBACK');
    blocker.release();
    for (const ledger of [leader, other]) {
      await until(() =>
        ledger.writer.append(readDraft()).then(
          () => true,
          () => false,
        ),
      );
    }
    expect((await leader.health()).refusing).toBe(false);
    expect(alarms).toEqual([]);
    await leader.settle(5_000);
    await Promise.all([leader.close(), other.close()]);
  });

  it('of a role of this system is ended by PostgreSQL', async () => {
    for (const role of [database.app, database.sequencer, database.auditor]) {
      const [row] = await role.query<{ limit: string }>(null, {
        text: "SELECT current_setting('transaction_timeout') AS limit",
        values: [],
      });
      expect(row?.limit).toBe('12s');
    }
  });
});
