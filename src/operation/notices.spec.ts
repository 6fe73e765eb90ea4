import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { newId } from '../kernel/identifier.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { ChangesMissed, Notices } from './notices.js';
import { Unit } from './unit.js';

let database: TestDatabase;
let notices: Notices;
beforeAll(async () => {
  database = await testDatabase();
  await database.owner.query('CREATE TABLE noted (id uuid PRIMARY KEY, tenant_id text, version integer)');
  await database.owner.query('GRANT ALL ON noted TO custodia_app');
  notices = new Notices(database.urls.app);
});
afterAll(async () => {
  await notices.close();
  await database.close();
});

const TENANT = 'T-CN';
const record = (_: unknown, from = '') => `INSERT INTO noted SELECT '${newId()}', 'record', 1 ${from} RETURNING 1`;

function commit(unit: Unit, tenant = TENANT) {
  return database.app.query<{ happened: boolean }>(tenant, unit.statement(record));
}

/** A row that is made and announced in one statement. */
async function change(subjectId: string, { type = 'Appointment', tenant = TENANT, id = newId() } = {}) {
  const unit = new Unit();
  unit.insert('noted', { id, tenant_id: tenant, version: 1 });
  unit.notify(type, id, subjectId);
  await commit(unit, tenant);
  return id;
}

/** What arrives until nothing more has come for a while. */
async function arrivals(reader: AsyncGenerator<string, void>, quiet = 150): Promise<string[]> {
  const found: string[] = [];
  const reading = (async () => {
    for await (const id of reader) found.push(id);
  })();
  for (let known = -1; known < found.length; await pause(quiet)) known = found.length;
  await reader.return();
  await reading;
  return found;
}

async function connections(): Promise<number> {
  const { rows } = await database.owner.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE application_name = 'custodia notices' AND datname = current_database()`,
  );
  return rows[0]?.count ?? 0;
}

describe('a notice', () => {
  it('comes for every committed change of its tenant, type and subject, in order, and for nothing else', async () => {
    const subject = newId();
    const reader = await notices.subscribe(TENANT, 'Appointment', subject);
    const expected = [await change(subject), await change(subject)];
    await change(newId());
    await change(subject, { type: 'Visit' });
    await change(subject, { tenant: 'T-US' });
    expected.push(await change(subject));
    expect(await arrivals(reader)).toEqual(expected);
  });

  it('does not come for a unit that did not happen, nor for one that failed', async () => {
    const subject = newId();
    const id = await change(newId());
    const reader = await notices.subscribe(TENANT, 'Appointment', subject);
    const stale = new Unit();
    stale.update('noted', { tenant: TENANT, id, version: 7 }, {});
    stale.notify('Appointment', id, subject);
    expect((await commit(stale))[0]?.happened).toBe(false);
    const twice = new Unit();
    twice.insert('noted', { id, tenant_id: TENANT, version: 1 });
    twice.notify('Appointment', id, subject);
    await expect(commit(twice)).rejects.toThrow();
    const right = new Unit();
    right.update('noted', { tenant: TENANT, id, version: 1 }, {});
    right.notify('Appointment', id, subject);
    expect((await commit(right))[0]?.happened).toBe(true);
    expect(await arrivals(reader)).toEqual([id]);
  });

  it('names a row that changes again while it waits once, and reaches every reader over one connection', async () => {
    const subject = newId();
    const readers = await Promise.all(
      Array.from({ length: 20 }, () => notices.subscribe(TENANT, 'Appointment', subject)),
    );
    const id = newId();
    await change(subject, { id });
    for (const version of [1, 2]) {
      const unit = new Unit();
      unit.update('noted', { tenant: TENANT, id, version }, {});
      unit.notify('Appointment', id, subject);
      await commit(unit);
    }
    await pause(100);
    expect(await connections()).toBe(1);
    for (const found of await Promise.all(readers.map((reader) => arrivals(reader)))) expect(found).toEqual([id]);
    expect(notices.size).toBe(0);
  });
});

describe('a reader', () => {
  it('that lags too far behind is told that it missed something, and not in part', async () => {
    const subject = newId();
    const reader = await notices.subscribe(TENANT, 'Appointment', subject);
    const unit = new Unit();
    for (let count = 0; count < 300; count += 1) unit.notify('Appointment', newId(), subject);
    await commit(unit);
    for (let waited = 0; notices.size > 0 && waited < 5_000; waited += 20) await pause(20);
    await expect(reader.next()).rejects.toThrow(ChangesMissed);
    expect(await reader.next()).toEqual({ value: undefined, done: true });
  });

  it('ends while it waits', async () => {
    const reader = await notices.subscribe(TENANT, 'Appointment', newId());
    const next = reader.next();
    await reader.return();
    expect(await next).toEqual({ value: undefined, done: true });
    expect(notices.size).toBe(0);
  });

  it('is told when the connection is lost, and a new one hears again', async () => {
    const subject = newId();
    const readers = await Promise.all(
      Array.from({ length: 3 }, () => notices.subscribe(TENANT, 'Appointment', subject)),
    );
    const waiting = readers.map((reader) => expect(reader.next()).rejects.toThrow(ChangesMissed));
    await database.owner.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'custodia notices' AND datname = current_database()`,
    );
    await Promise.all(waiting);
    expect(notices.size).toBe(0);
    const again = await notices.subscribe(TENANT, 'Appointment', subject);
    const id = await change(subject);
    expect(await arrivals(again)).toEqual([id]);
    expect(await connections()).toBe(1);
  });

  it('hears nothing but a refusal while PostgreSQL cannot be reached, and those who ask do not make it worse', async () => {
    const unreachable = new Notices('postgresql://nobody:nothing@127.0.0.1:1/none');
    const started = performance.now();
    const asked = await Promise.allSettled(
      Array.from({ length: 200 }, () => unreachable.subscribe(TENANT, 'Appointment', newId())),
    );
    expect(asked.every((one) => one.status === 'rejected' && one.reason instanceof ChangesMissed)).toBe(true);
    await expect(unreachable.subscribe(TENANT, 'Appointment', newId())).rejects.toThrow(ChangesMissed);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(unreachable.size).toBe(0);
    await unreachable.close();
  });

  it('hears nothing of a closed listener', async () => {
    const closing = new Notices(database.urls.app);
    const reader = await closing.subscribe(TENANT, 'Appointment', newId());
    const next = reader.next().catch((error: unknown) => error);
    await closing.close();
    expect(await next).toBeInstanceOf(ChangesMissed);
    await expect(closing.subscribe(TENANT, 'Appointment', newId())).rejects.toThrow(ChangesMissed);
  });
});
