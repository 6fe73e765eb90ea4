import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac, hash } from 'node:crypto';
import { readDraft } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { sha256 } from '../../audit/merkle.mjs';
import { validateRecord } from '../../audit/entry.mjs';
import { SystemClock } from '../kernel/clock.js';
import { DatabaseFault } from '../persistence/sqlstate.js';
import type { Statement } from '../persistence/statement.js';
import { fileLedgerKeys } from './keys.js';
import type { RecordDraft } from './record.js';
import { type EntryDatabase, LedgerWriter } from './writer.js';
import { commitmentOf, writerKey } from './writer-key.js';

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

function bareWriter(entryDatabase: EntryDatabase, refusing = () => false): LedgerWriter {
  return new LedgerWriter({ database: entryDatabase, clock: new SystemClock(), macKey, incarnation: 1, refusing });
}

/** A writer that was registered before its database became this one. */
async function writerOn(entryDatabase: EntryDatabase, logs = ['T-CN'], refusing = () => false): Promise<LedgerWriter> {
  let target: EntryDatabase = database.app;
  const writer = bareWriter({ query: (tenant, statement) => target.query(tenant, statement) }, refusing);
  for (const log of logs) await writer.register(log);
  target = entryDatabase;
  return writer;
}

const sealedDraft = (ciphertext: string): RecordDraft => ({
  ...readDraft(),
  sealed: { key: `subject:${'b'.repeat(32)}`, ciphertext: Buffer.from(ciphertext) },
});

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
    const writer = await writerOn({
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
    expect(rows.map((row) => Number(row.number))).toEqual(Array.from({ length: 5_001 }, (_, index) => index + 1));
    const key = writerKey(macKey, 'T-CN', writer.writer);
    const byNumber = new Map(receipts.flat().map((receipt) => [receipt.number, receipt.recordHash]));
    const wrong = rows.slice(1).filter((row) => {
      const mac = createHmac('sha256', key).update(row.record).digest();
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
    const writer = await writerOn(database.app, ['T-CN', 'T-US', 'system']);
    await Promise.all(['T-CN', 'T-US', 'T-CN', 'system'].map((log) => writer.append(readDraft(log))));
    expect((await rowsOf(writer)).map((row) => `${row.log} ${row.number}`)).toEqual([
      'T-CN 1',
      'T-CN 2',
      'T-CN 3',
      'T-US 1',
      'T-US 2',
      'system 1',
      'system 2',
    ]);
    await writer.close();
  });

  it('rejects with AUDIT_UNAVAILABLE when the flush fails, and closes the number with a VOID record later', async () => {
    let down = true;
    const writer = await writerOn(faulty(() => (down ? 'failed' : null)));
    await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(kinds(await rowsOf(writer))).toEqual(['1 WRITER']);
    down = false;
    await writer.append(readDraft());
    while (writer.load().voids > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const rows = await rowsOf(writer);
    expect(kinds(rows)).toEqual(['1 WRITER', '2 VOID', '3 READ']);
    for (const row of rows) expect(validateRecord(JSON.parse(row.record.toString()))).toEqual([]);
    await writer.close();
  });

  it('finds out that a flush whose answer was lost had happened', async () => {
    let losses = 1;
    const writer = await writerOn(faulty(() => (losses-- > 0 ? 'failed but happened' : null)));
    await expect(writer.append(readDraft())).resolves.toMatchObject({ number: 2 });
    expect(kinds(await rowsOf(writer))).toEqual(['1 WRITER', '2 READ']);
    await writer.close();
  });

  it('lets a VOID record not displace a record that got in after all', async () => {
    let losses = 2;
    const writer = await writerOn(faulty(() => (losses-- > 0 ? 'failed but happened' : null)));
    await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    await writer.close();
    expect(kinds(await rowsOf(writer))).toEqual(['1 WRITER', '2 READ']);
  });

  it('refuses above 20,000 waiting records, without taking numbers', async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const writer = await writerOn({
      query: async (tenant, statement) => {
        await gate;
        return database.app.query(tenant, statement);
      },
    });
    const waiting = Array.from({ length: 20_000 }, () => writer.append(readDraft()));
    await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    release();
    const receipts = await Promise.all(waiting);
    expect(receipts.at(-1)?.number).toBe(20_001);
    await writer.close();
  });
});

describe('register', () => {
  it('makes number 1 a record that binds the writer to its key; before it the log takes nothing of this writer', async () => {
    const writer = bareWriter(database.app);
    await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(() => writer.prepare(readDraft())).toThrow('cannot be written');
    await Promise.all([writer.register('T-CN'), writer.register('T-CN')]);
    await writer.register('T-CN');
    await writer.append(readDraft());
    const rows = await rowsOf(writer);
    expect(kinds(rows)).toEqual(['1 WRITER', '2 READ']);
    const record = JSON.parse(rows[0]?.record.toString() ?? '') as Record<string, unknown>;
    const key = writerKey(macKey, 'T-CN', writer.writer);
    expect(validateRecord(record)).toEqual([]);
    expect(record).toMatchObject({ operation: 'ledger.writer', commitment: commitmentOf(key) });
    expect(rows[0]?.mac).toEqual(
      createHmac('sha256', key)
        .update(rows[0]?.record ?? '')
        .digest(),
    );
    await writer.close();
  });

  it.each(['failed', 'failed but happened'] as const)(
    '%s: is tried again, once in the ledger, never VOID',
    async (what) => {
      let losses = 3;
      const writer = bareWriter(faulty(() => (losses-- > 0 ? what : null)));
      for (let attempt = 0; attempt < 3; attempt++) {
        await expect(writer.register('T-CN')).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
        await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
      }
      await writer.register('T-CN');
      await writer.append(readDraft());
      expect(writer.load().voids).toBe(0);
      expect(kinds(await rowsOf(writer))).toEqual(['1 WRITER', '2 READ']);
      await writer.close();
    },
  );

  it('of a START that got in unheard and the WRITER after it lets in one', async () => {
    let losses = 1;
    const writer = bareWriter(faulty(() => (losses-- > 0 ? 'failed but happened' : null)));
    const start = { suite: 'sha256-ed25519', origin: 'test/T-EU' };
    await expect(writer.register('T-EU', start)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    await writer.register('T-EU');
    await writer.append(readDraft('T-EU'));
    expect(kinds(await rowsOf(writer))).toEqual(['1 START', '2 READ']);
    await writer.close();
  });
});

describe('sealed details', () => {
  interface Detail {
    number: string;
    key: string;
    ciphertext: Buffer;
  }
  const detailsOf = async (writer: LedgerWriter) => {
    const sql =
      'SELECT d.number, d.key, d.ciphertext FROM ledger_detail d JOIN ledger_entry e USING (log, writer, number, recorded_at) WHERE writer = $1 ORDER BY number';
    return (await database.owner.query<Detail>(sql, [writer.writer])).rows;
  };

  it('lie beside their records, whose digests they have', async () => {
    const writer = await writerOn(database.app);
    const drafts = Array.from({ length: 60 }, (_, index) =>
      index % 3 === 0 ? readDraft() : sealedDraft(`detail ${index}`),
    );
    await Promise.all(drafts.map((draft) => writer.append(draft)));
    const details = new Map((await detailsOf(writer)).map((detail) => [detail.number, detail]));
    for (const row of (await rowsOf(writer)).slice(1)) {
      const { sealed } = JSON.parse(row.record.toString()) as { sealed?: { key: string; sha256: string } };
      const detail = details.get(row.number);
      expect(detail?.key).toBe(sealed?.key);
      if (detail !== undefined) expect(hash('sha256', detail.ciphertext, 'hex')).toBe(sealed?.sha256);
    }
    expect(details.size).toBe(40);
    await writer.close();
  });

  it('are there once when an answer was lost, and not at all under a VOID record', async () => {
    let losses = 1;
    const lossy = await writerOn(faulty(() => (losses-- > 0 ? 'failed but happened' : null)));
    await lossy.append(sealedDraft('kept'));
    await lossy.close();
    expect((await detailsOf(lossy)).map(({ ciphertext }) => ciphertext.toString())).toEqual(['kept']);

    let failures = 2;
    const failing = await writerOn(faulty(() => (failures-- > 0 ? 'failed' : null)));
    await expect(failing.append(sealedDraft('never'))).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    await failing.close();
    expect(kinds(await rowsOf(failing))).toEqual(['1 WRITER', '2 VOID']);
    expect(await detailsOf(failing)).toEqual([]);
  });

  it('go with the statement of a business transaction, only where its CTE has rows', async () => {
    const writer = await writerOn(database.app);
    for (const condition of ['true', 'false']) {
      const record = writer.prepare(sealedDraft(condition));
      const values: unknown[] = [];
      const bind = (value: unknown) => `$${values.push(value)}`;
      const entry = writer.insertion(record, bind, 'FROM changed');
      const detail = writer.detailInsertion(record, bind, 'FROM changed');
      const text = `WITH changed AS (SELECT 1 FROM generate_series(1, 2) WHERE ${condition}), entry AS (${entry}), detail AS (${detail}) SELECT 1`;
      await database.app.query(null, { text, values });
    }
    expect((await detailsOf(writer)).map(({ ciphertext }) => ciphertext.toString())).toEqual(['true']);
    expect(writer.detailInsertion(writer.prepare(readDraft()), () => '')).toBeNull();
    await writer.close();
  });
});

describe('while the ledger lags too far', () => {
  it('takes neither reads nor writes, and goes on by itself', async () => {
    let refusing = true;
    const writer = await writerOn(database.app, ['T-CN'], () => refusing);
    await expect(writer.append(readDraft())).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    expect(() => writer.prepare(readDraft())).toThrow('cannot be written');
    refusing = false;
    await writer.append(readDraft());
    expect(kinds(await rowsOf(writer))).toEqual(['1 WRITER', '2 READ']);
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
    const writer = await writerOn(database.app);
    await run(writer, 'true');
    const unused = await run(writer, 'false');
    expect(kinds(await rowsOf(writer))).toEqual(['1 WRITER', '2 READ']);
    writer.void(unused);
    await writer.close();
    expect(kinds(await rowsOf(writer))).toEqual(['1 WRITER', '2 READ', '3 VOID']);
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
