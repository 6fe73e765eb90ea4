import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ManualClock, SystemClock } from '../../src/kernel/clock.js';
import { SYSTEM_LOG } from '../../src/ledger/logs.js';
import { LedgerReader } from '../../src/ledger/reader.js';
import { ReferenceIndexer } from '../../src/ledger/references.js';
import { TamperedLedger } from '../support/tampering.js';

const LOG = 'T-CN';
const SIZE = 520;
const OTHER_LOG = 'T-US';
const OTHER_SIZE = 260;
let ledger: TamperedLedger;

/** Of every log entries lie in October and in November, from two writers. */
beforeAll(async () => {
  ledger = await TamperedLedger.open();
  const clock = new ManualClock(Date.parse('2026-10-30T08:00:00Z'));
  for (let half = 0; half < 2; half++) {
    await ledger.record(clock, { [LOG]: SIZE / 2, [OTHER_LOG]: OTHER_SIZE / 2, [SYSTEM_LOG]: 2 });
    clock.advance(3 * 86_400_000);
  }
});
afterAll(() => ledger.close());

const ENTRY = (index: number, log = LOG) =>
  `(SELECT entry_id FROM ledger_leaf WHERE log = '${log}' AND idx = ${index})`;
const OF_ENTRY = (index: number, log = LOG) =>
  `(log, writer, number) = (SELECT log, writer, number FROM ledger_entry WHERE id = ${ENTRY(index, log)})`;

/** Of each table with evidence, or with what the sequencer goes by: the row that is changed, and others to swap with. */
const ROWS: Readonly<Record<string, readonly string[]>> = {
  ledger_entry: [`id = ${ENTRY(350)}`, `id = ${ENTRY(401)}`, `id = ${ENTRY(50)}`, `id = ${ENTRY(50, OTHER_LOG)}`],
  ledger_leaf: [350, 401, 50].map((at) => `log = '${LOG}' AND idx = ${at}`).concat(`log = '${OTHER_LOG}' AND idx = 50`),
  ledger_node: [`log = '${LOG}' AND idx = 0`, `log = '${LOG}' AND idx = 1`, `log = '${OTHER_LOG}' AND idx = 0`],
  ledger_detail: [OF_ENTRY(350), OF_ENTRY(401), OF_ENTRY(50), OF_ENTRY(50, OTHER_LOG)],
  ledger_head: [`log = '${LOG}'`, `log = '${OTHER_LOG}'`],
  ledger_sequence: ['true'],
};

/** Another value of the same type. */
const OTHER: Readonly<Record<string, (column: string) => string>> = {
  bytea: (column) => `set_byte(${column}, length(${column}) - 1, get_byte(${column}, length(${column}) - 1) # 1)`,
  text: (column) => `left(${column}, -1) || chr(ascii(right(${column}, 1)) # 1)`,
  bigint: (column) => `${column} + 5000`,
  integer: (column) => `${column} + 1`,
  smallint: (column) => `${column} + 1`,
  xid8: () => "'3'",
  boolean: (column) => `NOT ${column}`,
  'timestamp with time zone': (column) => `${column} - interval '1 second'`,
};

interface Column {
  readonly table: string;
  readonly name: string;
  readonly type: string;
}

/** What is named when one value is changed, and when it is swapped with another row's; of which the first log is bad at 350. */
const NAMED: Readonly<Record<string, readonly [changed: string, swapped?: string]>> = {
  'ledger_entry.id': ['T-CN 350 missing-entry', 'T-CN 350 leaf'],
  'ledger_entry.log': ['T-CN 350 detail', 'refused: 23505'],
  'ledger_entry.xid': ['T-CN 350 row', 'T-CN 51 row'],
  'ledger_entry.writer': ['T-CN 350 detail', 'T-CN 50 detail'],
  'ledger_entry.number': ['T-CN 350 detail', 'T-CN 350 detail'],
  'ledger_entry.recorded_at': ['T-CN 350 missing-entry', 'T-CN 50 missing-entry'],
  'ledger_entry.record': ['T-CN 350 leaf', 'T-CN 350 leaf'],
  'ledger_entry.record_hash': ['T-CN 350 row', 'T-CN 350 row'],
  'ledger_entry.mac': ['T-CN 350 mac', 'T-CN 350 mac'],
  'ledger_leaf.log': ['T-CN 350 missing-entry', 'refused: 23505'],
  'ledger_leaf.idx': ['T-CN 350 missing-entry', 'T-CN 350 leaf'],
  'ledger_leaf.entry_id': ['T-CN 350 missing-entry', 'T-CN 350 leaf'],
  'ledger_leaf.leaf': ['T-CN 350 leaf', 'T-CN 350 leaf'],
  'ledger_leaf.recorded_at': ['T-CN 350 missing-entry', 'T-CN 50 missing-entry'],
  'ledger_node.log': ['T-CN 0 state', 'T-CN 0 tile, T-US 0 tile'],
  'ledger_node.level': ['T-CN 520 state'],
  'ledger_node.idx': ['T-CN 520 state', 'T-CN 0 tile'],
  'ledger_node.hash': ['T-CN 0 tile', 'T-CN 0 tile'],
  'ledger_detail.log': ['T-CN 350 detail', 'refused: 23505'],
  'ledger_detail.writer': ['T-CN 350 detail', 'T-CN 50 detail'],
  'ledger_detail.number': ['T-CN 350 detail', 'T-CN 350 detail'],
  'ledger_detail.recorded_at': ['T-CN 350 detail', 'T-CN 50 detail'],
  'ledger_detail.key': ['T-CN 350 row', 'T-CN 350 row'],
  'ledger_detail.ciphertext': ['T-CN 350 detail', 'T-CN 350 detail'],
  'ledger_head.log': ['T-CN 0 consistency, T-CO - signature', 'T-CN 260 consistency'],
  'ledger_head.size': ['T-CN 520 missing-entry', 'T-CN 260 consistency'],
  'ledger_head.last_leaf': ['T-CN 520 consistency', 'T-CN 520 consistency'],
  'ledger_head.compact_range': ['T-CN 520 consistency', 'T-CN 520 consistency'],
  'ledger_head.mac': ['T-CN 520 consistency', 'T-CN 520 consistency'],
  'ledger_head.incarnation': ['T-CN - state'],
  'ledger_sequence.only_row': ['refused: 23514'],
  'ledger_sequence.last_xid': ['T-CN 0 consistency, T-US 0 state, system 0 state'],
  'ledger_sequence.last_id': ['system - state'],
  'ledger_sequence.incarnation': ['the database is in incarnation 2, the checkpoints are in 1'],
  'ledger_sequence.restored_id': ['system - state'],
};

/** Tables of the ledger that say nothing about what happened. */
const NO_EVIDENCE = ['ledger_archive', 'ledger_indexed', 'ledger_reference', 'ledger_retention', 'ledger_writer'];

/** Takes the rows out and puts them back with another value, which is over `one` and, where there are two rows, `two`. */
function replaced(own: readonly string[], { table, name }: Column, places: readonly string[], value: string): string[] {
  const list = own.map((column) => (column === name ? value : `one.${column}`)).join(', ');
  const pairs = places.length === 1 ? 'moved AS one' : 'moved AS one JOIN moved AS two ON one.place <> two.place';
  const chosen = places.map((place) => `(${place})`).join(' OR ');
  return [
    `CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT row_number() OVER () AS place, * FROM ${table} WHERE ${chosen}`,
    `DELETE FROM ${table} WHERE ${chosen}`,
    `INSERT INTO ${table} (${own.join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM ${pairs}`,
  ];
}

/** The first row with another value than the one that is changed; undefined where all have the same. */
async function partnerOf({ table, name }: Column, [one, ...others]: readonly string[]): Promise<string | undefined> {
  for (const other of others) {
    const value = (place: string) => `(SELECT ${name} FROM ${table} WHERE ${place})`;
    const { rows } = await ledger.client.query<{ differ: boolean }>(
      `SELECT ${value(one ?? '')} <> ${value(other)} AS differ`,
    );
    if (rows[0]?.differ === true) return other;
  }
  return undefined;
}

describe('a superuser changes one value', () => {
  it('finds an untouched ledger in order', async () => {
    expect(await ledger.after()).toBe('');
  });

  it('in any column that there is, to another value or to that of another row: the verifier names it', async () => {
    const { rows: columns } = await ledger.client.query<Column>(
      `SELECT table_name AS table, column_name AS name, data_type AS type FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name ~ '^ledger_' AND table_name !~ '_(y\\d{4}m\\d\\d|other)$'
          AND table_name <> ALL ($1) ORDER BY table_name, ordinal_position`,
      [NO_EVIDENCE],
    );
    const found: Record<string, string[]> = {};
    for (const column of columns) {
      const places = ROWS[column.table] ?? [];
      const own = columns.filter(({ table }) => table === column.table).map(({ name }) => name);
      const value = OTHER[column.type]?.(`one.${column.name}`) ?? 'NULL';
      const named = [await ledger.after(...replaced(own, column, places.slice(0, 1), value))];
      const partner = await partnerOf(column, places);
      if (partner !== undefined) {
        named.push(await ledger.after(...replaced(own, column, [places[0] ?? '', partner], `two.${column.name}`)));
      }
      found[`${column.table}.${column.name}`] = named;
    }
    expect(found).toEqual(NAMED);
  });
});

const NEWEST = `(SELECT max(entry_id) FROM ledger_leaf WHERE log = '${LOG}')`;
const REPLAYED = (recordedAt: string) =>
  `INSERT INTO ledger_entry (log, xid, writer, number, recorded_at, record, record_hash, mac)
   SELECT log, last_xid, writer, number, ${recordedAt}, record, record_hash, mac FROM ledger_entry, ledger_sequence
    WHERE id IN (${ENTRY(350)}, ${ENTRY(351)}) ORDER BY id`;
const INTO_OTHER_MONTH = "'2026-10-31T00:00:00Z'";

const SCENARIOS: readonly [string, readonly string[], string][] = [
  [
    'an entry, its leaf and its details are deleted in the middle',
    [
      `DELETE FROM ledger_detail WHERE ${OF_ENTRY(350)}`,
      `DELETE FROM ledger_entry WHERE id = ${ENTRY(350)}`,
      `DELETE FROM ledger_leaf WHERE log = '${LOG}' AND idx = 350`,
    ],
    'T-CN 350 missing-entry',
  ],
  [
    'the tail is deleted with its leaves',
    [
      `DELETE FROM ledger_entry WHERE id >= ${ENTRY(510)} AND log = '${LOG}'`,
      `DELETE FROM ledger_leaf WHERE log = '${LOG}' AND idx >= 510`,
    ],
    'T-CN 510 missing-entry',
  ],
  [
    'a leaf is put above the head, where the next entry comes',
    [
      `INSERT INTO ledger_leaf (log, idx, entry_id, recorded_at, leaf) SELECT log, ${SIZE}, entry_id + 5000, recorded_at, leaf FROM ledger_leaf WHERE log = '${LOG}' AND idx = 350`,
    ],
    'T-CN 520 state',
  ],
  [
    'a month of entries is dropped',
    ['DROP TABLE ledger_entry_y2026m10'],
    'T-CN 0 missing-entry, T-US 0 missing-entry, system 0 missing-entry',
  ],
  [
    'a month of details is dropped',
    ['DROP TABLE ledger_detail_y2026m10'],
    'T-CN 1 detail, T-US 1 detail, system 1 detail',
  ],
  [
    'an entry is moved to another month, and its leaf and details with it',
    ['ledger_leaf', 'ledger_detail', 'ledger_entry'].map(
      (table) => `UPDATE ${table} SET recorded_at = ${INTO_OTHER_MONTH} WHERE ${ROWS[table]?.[0]}`,
    ),
    'T-CN 350 row',
  ],
  ['entries are written once more beside themselves', [REPLAYED('recorded_at')], 'refused: 23505'],
  ['entries are written once more in another month', [REPLAYED(INTO_OTHER_MONTH)], 'T-CN 520 writer-duplicate'],
  [
    'the position is set back, so that a batch would be sequenced again',
    [`UPDATE ledger_sequence SET (last_xid, last_id) = (SELECT xid, id FROM ledger_entry WHERE id = ${ENTRY(510)})`],
    'T-CN 511 consistency, T-US 131 state, system 3 state',
  ],
  [
    'the position is moved past entries that wait',
    [
      `INSERT INTO ledger_entry (log, xid, writer, number, recorded_at, record, record_hash, mac)
       SELECT log, xid, 'feedfacefeedface', number, recorded_at, record, record_hash, mac FROM ledger_entry WHERE id = ${NEWEST}`,
      'UPDATE ledger_sequence SET last_id = (SELECT max(id) FROM ledger_entry)',
    ],
    'T-CN - unsequenced, system - state',
  ],
  ['the position is lost', ['DELETE FROM ledger_sequence'], 'The table ledger_sequence has lost its row'],
  ['the head of a log is lost', [`DELETE FROM ledger_head WHERE log = '${LOG}'`], 'T-CN 0 consistency'],
];

describe('a superuser rewrites history', () => {
  it.each(SCENARIOS)('%s: the verifier names it', async (_, statements, named) => {
    expect(await ledger.after(...statements)).toBe(named);
  });
});

describe('the index of references, which is no evidence', () => {
  const subject = 'b'.repeat(32);
  const [index, reference] = [`log = '${SYSTEM_LOG}'`, `log = '${SYSTEM_LOG}' AND reference = '${subject}'`];
  beforeAll(async () => {
    await ledger.record(new SystemClock(), { [SYSTEM_LOG]: 1_100 });
    while (await new ReferenceIndexer(ledger.database.sequencer, null).step());
  });

  async function foundAndNamed(...statements: string[]): Promise<[number, string]> {
    let count = 0;
    const named = await ledger.after(...statements, async () => {
      const { entries } = await new LedgerReader(ledger.inside).entries(SYSTEM_LOG, { subject }, Infinity, 2_000);
      count = entries.length;
    });
    return [count, named];
  }

  it('leads a search to all entries; emptied, set back or with too much in it does so as well', async () => {
    for (const statement of [
      `SELECT 1`,
      `DELETE FROM ledger_indexed WHERE ${index}`,
      `UPDATE ledger_indexed SET size = 17 WHERE ${index}`,
      `UPDATE ledger_reference SET offsets = 0::smallint || offsets WHERE ${reference}`,
      `INSERT INTO ledger_reference SELECT log, role, '${'c'.repeat(32)}', first, offsets FROM ledger_reference WHERE ${reference}`,
    ]) {
      expect([statement, ...(await foundAndNamed(statement))]).toEqual([statement, 1_101, '']);
    }
  });

  it('hides what it does not lead to from every search, and the verifier names the first entry that it hides', async () => {
    for (const [statement, count, named] of [
      [`DELETE FROM ledger_reference WHERE ${reference}`, 80, 'system 1 index'],
      [
        `UPDATE ledger_reference SET offsets = array_remove(offsets, 700::smallint) WHERE ${reference}`,
        1_100,
        'system 700 index',
      ],
      [`UPDATE ledger_reference SET first = 5120 WHERE ${reference}`, 80, 'system 1 index'],
      [`UPDATE ledger_indexed SET size = 1090 WHERE ${index}`, 1_035, 'system 1024 index'],
      [`UPDATE ledger_indexed SET size = 4096 WHERE ${index}`, 1_021, 'system 1024 index'],
    ] as const) {
      expect([statement, ...(await foundAndNamed(statement))]).toEqual([statement, count, named]);
    }
  });
});
