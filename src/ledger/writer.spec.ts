import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { readDraft } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { sha256 } from '../../audit/merkle.mjs';
import { validateRecord } from '../../audit/entry.mjs';
import { SystemClock } from '../kernel/clock.js';
import { DatabaseFault } from '../persistence/sqlstate.js';
import type { Statement } from '../persistence/statement.js';
import { fileLedgerKeys } from './keys.js';
import { type EntryDatabase, LedgerWriter } from './writer.js';

let database: TestDatabase;
let macKey: ReturnType<typeof fileLedgerKeys>['macKey'];

beforeAll(async () => {
  database = await testDatabase();
  macKey = fileLedgerKeys(database.directory).macKey;
});
afterAll(() => database.close());

interface Row {
  log: string;
  number: string;
  record: Buffer;
  record_hash: Buffer;
  mac: Buffer;
}

async function rowsOf(writer: LedgerWriter): Promise<Row[]> {
  const sql = 'SELECT * FROM ledger_entry WHERE writer = $1 ORDER BY log, number';
  return (await database.owner.query<Row>(sql, [writer.writer])).rows;
}

const kinds = (rows: readonly Row[]) =>
  rows.map((row) => `${row.number} ${(JSON.parse(row.record.toString()) as { kind: string }).kind}`);

function writerOn(entryDatabase: EntryDatabase): LedgerWriter {
  return new LedgerWriter({ database: entryDatabase, clock: new SystemClock(), macKey, incarnation: 1 });
}

/** Answers of the database are replaced while `fault` returns something. `happens`: the statement runs all the same. */
function faulty(fault: (statement: Statement) => 'failed' | 'failed but happened' | null): EntryDatabase {
  return {
    async query<Result>(_: null, statement: Statement): Promise<Result[]> {
      const what = fault(statement);
      if (what === 'failed but happened') await database.app.query(null, statement);
      if (what !== null) throw new DatabaseFault('connection', null, null, 'lost');
      return database.app.query<Result>(null, statement);
    },
  };
}

describe('append', () => {
  it('makes 5,000 records of 64 callers durable, with dense numbers and true hashes', async () => {
    let statements = 0;
    const writer = writerOn({
      query: (tenant, statement) => {
        statements += 1;
        return database.app.query(tenant, statement);
      },
    });
    let next = 0;
    const receipts = await Promise.all(
      Array.from({ length: 64 }, async () => {
        const own = [];
        while (next++ < 5_000) own.push(await writer.append(readDraft()));
        return own;
      }),
    );
    const rows = await rowsOf(writer);
    expect(rows.map((row) => Number(row.number))).toEqual(Array.from({ length: 5_000 }, (_, index) => index + 1));
    const byNumber = new Map(receipts.flat().map((receipt) => [receipt.number, receipt.recordHash]));
    const wrong = rows.filter((row) => {
      const mac = createHmac('sha256', macKey).update(row.record).digest();
      const receipt = byNumber.get(Number(row.number));
      const hash = sha256(row.record);
      return !hash.equals(row.record_hash) || !mac.equals(row.mac) || receipt !== hash.toString('hex');
    });
    expect(wrong).toEqual([]);
    expect(validateRecord(JSON.parse(rows[0]?.record.toString() ?? ''))).toEqual([]);
    expect(statements).toBeLessThan(1_000);
    await writer.close();
  });

  it('numbers every log of its own', async () => {
    const writer = writerOn(database.app);
    await Promise.all(['T-CN', 'T-US', 'T-CN', 'system'].map((log) => writer.append(readDraft(log))));
    expect((await rowsOf(writer)).map((row) => `${row.log} ${row.number}`)).toEqual([
      'T-CN 1',
      'T-CN 2',
      'T-US 1',
      'system 1',
    ]);
    await writer.close();
  });

  it('rejects with AUDIT_UNAVAILABLE when the flush fails, and closes the number with a VOID record later', async () => {
    let down = true;
    const writer = writerOn(faulty(() => (down ? 'failed' : null)));
    await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(await rowsOf(writer)).toEqual([]);
    down = false;
    await writer.append(readDraft());
    while (writer.load().voids > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const rows = await rowsOf(writer);
    expect(kinds(rows)).toEqual(['1 VOID', '2 READ']);
    for (const row of rows) expect(validateRecord(JSON.parse(row.record.toString()))).toEqual([]);
    await writer.close();
  });

  it('finds out that a flush whose answer was lost had happened', async () => {
    let losses = 1;
    const writer = writerOn(faulty(() => (losses-- > 0 ? 'failed but happened' : null)));
    await expect(writer.append(readDraft())).resolves.toMatchObject({ number: 1 });
    expect(kinds(await rowsOf(writer))).toEqual(['1 READ']);
    await writer.close();
  });

  it('lets a VOID record not displace a record that got in after all', async () => {
    let losses = 2;
    const writer = writerOn(faulty(() => (losses-- > 0 ? 'failed but happened' : null)));
    await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    await writer.close();
    expect(kinds(await rowsOf(writer))).toEqual(['1 READ']);
  });

  it('refuses above 20,000 waiting records, without taking numbers', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const writer = writerOn({
      query: async (tenant, statement) => {
        await gate;
        return database.app.query(tenant, statement);
      },
    });
    const waiting = Array.from({ length: 20_000 }, () => writer.append(readDraft()));
    await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    release();
    const receipts = await Promise.all(waiting);
    expect(receipts.at(-1)?.number).toBe(20_000);
    await writer.close();
  });
});

describe('insertion', () => {
  const run = async (writer: LedgerWriter, condition: string) => {
    const record = writer.prepare(readDraft());
    const values: unknown[] = [];
    const insertion = writer.insertion(record, (value) => `$${values.push(value)}`, 'FROM changed');
    const text = `WITH changed AS (SELECT 1 FROM generate_series(1, 2) WHERE ${condition}), entry AS (${insertion}) SELECT 1`;
    await database.app.query(null, { text, values });
    return record;
  };

  it('inserts once when the CTE has rows, nothing when it has none', async () => {
    const writer = writerOn(database.app);
    await run(writer, 'true');
    const unused = await run(writer, 'false');
    expect(kinds(await rowsOf(writer))).toEqual(['1 READ']);
    writer.void(unused);
    await writer.close();
    expect(kinds(await rowsOf(writer))).toEqual(['1 READ', '2 VOID']);
  });
});

describe('the fence', () => {
  it.each([
    ['SELECT count(*) FROM ledger_entry'],
    ['UPDATE ledger_entry SET number = 1'],
    ['DELETE FROM ledger_entry'],
    ['TRUNCATE ledger_entry'],
    ['SELECT * FROM ledger_head'],
    [
      "INSERT INTO ledger_entry (log, xid, writer, number, recorded_at, record, record_hash, mac) VALUES ('T', '3', 'w', 1, now(), '', sha256(''), sha256(''))",
    ],
    ["INSERT INTO ledger_leaf (log, idx, entry_id, leaf) VALUES ('T', 0, 1, sha256(''))"],
  ])('refuses the API role: %s', async (text) => {
    await expect(database.app.query(null, { text, values: [] })).rejects.toMatchObject({ sqlstate: '42501' });
  });

  it.each(['UPDATE ledger_entry SET number = 1', 'DELETE FROM ledger_leaf', 'TRUNCATE ledger_entry, ledger_leaf'])(
    'refuses even the superuser, until the fence is switched off: %s',
    async (text) => {
      await expect(database.owner.query(text)).rejects.toThrow('only grows');
    },
  );
});
