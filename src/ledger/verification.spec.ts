import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ledgerOptions, readDraft, tamper, testLedger } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { LogFiles } from './log-files.js';
import { LedgerReader } from './reader.js';
import { unsequencedEntries } from './row-check.js';
import { knownLogs, settleOrFault, verdictLine, verifyLog } from './verification.js';

let database: TestDatabase;

function files(): LogFiles {
  const { keys, store } = ledgerOptions(database);
  return new LogFiles(database.auditor, store, keys, null);
}

async function fill(counts: Readonly<Record<string, number>>): Promise<void> {
  const ledger = await testLedger(database, Object.keys(counts));
  for (const [log, count] of Object.entries(counts)) {
    await Promise.all(Array.from({ length: count - 1 }, () => ledger.writer.append(readDraft(log))));
  }
  await ledger.settle(20_000);
  await ledger.close();
}

describe('an untouched ledger', () => {
  beforeAll(async () => {
    database = await testDatabase();
    await fill({ 'T-CN': 5_000, 'T-US': 256, system: 1 });
  });
  afterAll(() => database.close());

  it('verifies, over several pages, full and partial tiles', async () => {
    expect(await knownLogs(files())).toEqual(['T-CN', 'T-US', 'system']);
    const verdicts = [];
    for (const log of await knownLogs(files())) verdicts.push(await verifyLog(files(), log));
    expect(verdicts.map(verdictLine)).toEqual(['OK T-CN 5000', 'OK T-US 256', 'OK system 1']);
    expect(verdicts.flatMap(({ report }) => report?.warnings)).toEqual([]);
  });

  it('shows its newest entries, the newest last, and any one', async () => {
    const reader = new LedgerReader(database.auditor);
    const tail = await reader.tail('T-US', 3);
    expect(tail.map(({ index, record }) => [index, record.number])).toEqual([
      [253, 254],
      [254, 255],
      [255, 256],
    ]);
    expect(await reader.entry('T-US', 254)).toEqual(tail[1]);
    expect(await reader.entry('T-US', 256)).toBeNull();
  });
});

describe('a superuser changes the past', () => {
  const TABLES = ['ledger_entry', 'ledger_leaf', 'ledger_head', 'ledger_sequence', 'ledger_node'];
  beforeAll(async () => {
    database = await testDatabase();
    await fill({ 'T-CN': 600, system: 2 });
    await tamper(database, ...TABLES.map((table) => `CREATE TABLE kept_${table} AS TABLE ${table}`));
  });
  afterEach(() =>
    tamper(
      database,
      `TRUNCATE ${TABLES.join(', ')}`,
      ...TABLES.map((table) => `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_${table}`),
    ),
  );
  afterAll(() => database.close());

  const ENTRY = (index: number) => `(SELECT entry_id FROM ledger_leaf WHERE log = 'T-CN' AND idx = ${index})`;
  const cases: [string, string[], string][] = [
    [
      'one byte of an old record',
      [`UPDATE ledger_entry SET record = set_byte(record, 40, get_byte(record, 40) # 1) WHERE id = ${ENTRY(300)}`],
      'BAD T-CN 300 leaf',
    ],
    [
      'one byte, and its hash recomputed',
      [
        `UPDATE ledger_entry SET record = set_byte(record, 40, get_byte(record, 40) # 1) WHERE id = ${ENTRY(300)}`,
        `UPDATE ledger_entry SET record_hash = sha256(record) WHERE id = ${ENTRY(300)}`,
      ],
      'BAD T-CN 300 leaf',
    ],
    ['one entry deleted', [`DELETE FROM ledger_entry WHERE id = ${ENTRY(17)}`], 'BAD T-CN 17 missing-entry'],
    [
      'one entry and its leaf deleted',
      [`DELETE FROM ledger_entry WHERE id = ${ENTRY(17)}`, "DELETE FROM ledger_leaf WHERE log = 'T-CN' AND idx = 17"],
      'BAD T-CN 17 missing-entry',
    ],
    [
      'the tail truncated',
      [
        "DELETE FROM ledger_entry WHERE id IN (SELECT entry_id FROM ledger_leaf WHERE log = 'T-CN' AND idx >= 590)",
        "DELETE FROM ledger_leaf WHERE log = 'T-CN' AND idx >= 590",
      ],
      'BAD T-CN 590 missing-entry',
    ],
    [
      'the newest entry deleted, the head set back',
      [
        `DELETE FROM ledger_entry WHERE id = ${ENTRY(599)}`,
        "DELETE FROM ledger_leaf WHERE log = 'T-CN' AND idx = 599",
        "UPDATE ledger_head SET size = 599, last_leaf = (SELECT leaf FROM ledger_leaf WHERE log = 'T-CN' AND idx = 598) WHERE log = 'T-CN'",
      ],
      'BAD T-CN 599 missing-entry',
    ],
    [
      'two records swapped',
      [
        `UPDATE ledger_entry a SET record = b.record, record_hash = b.record_hash, mac = b.mac FROM ledger_entry b
         WHERE (a.id, b.id) IN ((${ENTRY(100)}, ${ENTRY(200)}), (${ENTRY(200)}, ${ENTRY(100)}))`,
      ],
      'BAD T-CN 100 leaf',
    ],
    [
      'the MAC beside a record',
      [`UPDATE ledger_entry SET mac = sha256(mac) WHERE id = ${ENTRY(300)}`],
      'BAD T-CN 300 mac',
    ],
    [
      'a stored hash above the leaves',
      ["UPDATE ledger_node SET hash = sha256(hash) WHERE log = 'T-CN' AND level = 1 AND idx = 1"],
      'BAD T-CN 256 tile',
    ],
    [
      'the hash beside a record',
      [`UPDATE ledger_entry SET record_hash = sha256(record_hash) WHERE id = ${ENTRY(300)}`],
      'BAD T-CN 300 row',
    ],
    [
      'the number beside a record',
      [`UPDATE ledger_entry SET number = 9999 WHERE id = ${ENTRY(300)}`],
      'BAD T-CN 300 row',
    ],
    [
      'the writer beside a record',
      [`UPDATE ledger_entry SET writer = 'feedfacefeedface' WHERE id = ${ENTRY(300)}`],
      'BAD T-CN 300 row',
    ],
    ['the log beside a record', [`UPDATE ledger_entry SET log = 'T-XX' WHERE id = ${ENTRY(300)}`], 'BAD T-CN 300 row'],
    ['the transaction of an entry', [`UPDATE ledger_entry SET xid = '3' WHERE id = ${ENTRY(300)}`], 'BAD T-CN 300 row'],
    [
      'the time of a row',
      [`UPDATE ledger_entry SET recorded_at = recorded_at - interval '1 second' WHERE id = ${ENTRY(300)}`],
      'BAD T-CN 300 missing-entry',
    ],
    [
      'the time of a row, and of its leaf',
      [
        `UPDATE ledger_leaf SET recorded_at = recorded_at - interval '1 second' WHERE log = 'T-CN' AND idx = 300`,
        `UPDATE ledger_entry SET recorded_at = recorded_at - interval '1 second' WHERE id = ${ENTRY(300)}`,
      ],
      'BAD T-CN 300 row',
    ],
    [
      'an entry hidden below the position of the sequencer',
      [
        `INSERT INTO ledger_entry (log, xid, writer, number, recorded_at, record, record_hash, mac)
         SELECT log, '3', 'feedfacefeedface', 1, recorded_at, record, record_hash, mac FROM ledger_entry WHERE id = ${ENTRY(300)}`,
      ],
      'BAD T-CN - unsequenced',
    ],
    [
      'a leaf changed',
      ["UPDATE ledger_leaf SET leaf = sha256(leaf) WHERE log = 'T-CN' AND idx = 42"],
      'BAD T-CN 42 leaf',
    ],
    [
      'a whole log dropped',
      [
        "DELETE FROM ledger_leaf WHERE log = 'T-CN'",
        "DELETE FROM ledger_entry WHERE log = 'T-CN'",
        "DELETE FROM ledger_head WHERE log = 'T-CN'",
      ],
      'BAD T-CN 0 missing-entry',
    ],
  ];

  it.each(cases)('%s: the verifier names it', async (_, statements, expected) => {
    await tamper(database, ...statements);
    const unsequenced = await unsequencedEntries(database.auditor);
    const lines = [];
    for (const log of await knownLogs(files())) lines.push(verdictLine(await verifyLog(files(), log, { unsequenced })));
    expect(lines).toEqual([expected, 'OK system 2']);
  });

  it('names what stops the ledger from opening where the dump alone is in order', async () => {
    await tamper(database, "UPDATE ledger_head SET size = 599 WHERE log = 'T-CN'");
    const fault = await settleOrFault(async () => {
      await testLedger(database);
    });
    expect(verdictLine(await verifyLog(files(), 'T-CN', { fault }))).toBe('BAD T-CN 599 consistency');
    expect(verdictLine(await verifyLog(files(), 'system', { fault }))).toBe('OK system 2');
  });
});
