import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac, hash } from 'node:crypto';
import { ledgerOptions, readDraft, testLedger } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { ManualClock, SystemClock } from '../kernel/clock.js';
import type { Queryable } from '../persistence/statement.js';
import { insertEntries } from './entry-statement.js';
import { Ledger } from './ledger.js';
import { encodeRecord } from './record.js';
import { connectTo, type Session } from './session.js';
import { endedWriters, releaseWriters } from './writer-ending.js';
import { writerKey } from './writer-key.js';
import { releasedWriters } from './writer-release.js';

const DAY = 24 * 3_600_000;
const SETTLE = 20_000;
let database: TestDatabase;
let ledger: Ledger;
let owner: Session;
let sequencer: Queryable;
/** Of a process that ended long ago, of one that ended today, and of one that runs and is quiet. */
let past: string;
let recent: string;
let living: string;

const now = new SystemClock().now();
const later = new ManualClock(now.getTime() + DAY + 60_000).now();

async function ended(milliseconds: number): Promise<string> {
  const process = await Ledger.open({ ...ledgerOptions(database), clock: new ManualClock(milliseconds) });
  await process.createLogs(['T-CN']);
  await process.writer.append(readDraft());
  await process.settle(SETTLE);
  await process.close();
  return process.writer.writer;
}

beforeAll(async () => {
  database = await testDatabase();
  past = await ended(now.getTime() - 3 * DAY);
  recent = await ended(now.getTime() - 1_000);
  ledger = await testLedger(database, ['T-CN']);
  living = ledger.writer.writer;
  await ledger.settle(SETTLE);
  owner = await connectTo(database.urls.owner, 'test')();
  sequencer = { query: (statement) => database.sequencer.query(null, statement) };
});
afterAll(async () => {
  await ledger.close();
  await owner.close();
  await database.close();
});

/** A record that only who knows the writer's key can make. */
async function forge(writer: string, number = 3, recordedAt = now): Promise<void> {
  const key = writerKey(ledgerOptions(database).keys.macKey, 'T-CN', writer);
  const bytes = encodeRecord(readDraft(), { incarnation: 1, writer, number, time: recordedAt.toISOString() });
  const record = { log: 'T-CN', writer, number, bytes, recordedAt, sealed: null };
  const mac = createHmac('sha256', key).update(bytes).digest();
  await database.app.query(null, insertEntries([{ ...record, hash: hash('sha256', bytes, 'buffer'), mac }]));
}

describe('a writer', () => {
  it('has ended when it is silent for a day and no process has it', async () => {
    expect(await endedWriters(sequencer, 'T-CN', now)).toEqual([past]);
    expect(await endedWriters(sequencer, 'T-CN', later)).toEqual([past, recent].sort());
    expect(await endedWriters(sequencer, 'T-CN', later)).not.toContain(living);
    expect(await endedWriters(sequencer, 'T-US', later)).toEqual([]);
  });

  it('is not released when it never committed to a key', async () => {
    await forge('f'.repeat(16), 1, new ManualClock(now.getTime() - 5 * DAY).now());
    await ledger.settle(SETTLE);
    expect(await endedWriters(sequencer, 'T-CN', now)).toEqual([past]);
  });

  it('is taken until its key is public, and not after', async () => {
    await forge(recent);
    await ledger.settle(SETTLE);
    await releaseWriters(owner, 'T-CN', [past], now);
    await releaseWriters(owner, 'T-CN', [past], later);
    expect(await releasedWriters(database.auditor, 'T-CN')).toEqual([past]);
    expect(await endedWriters(sequencer, 'T-CN', later)).toEqual([recent]);
    await ledger.writer.append(readDraft());
    await ledger.settle(SETTLE);
    await forge(past);
    await expect(ledger.settle(SETTLE)).rejects.toThrow(new RegExp(`names writer ${past}, whose key is public`));
  });
});
