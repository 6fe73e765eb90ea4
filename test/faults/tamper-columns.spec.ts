import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { hash } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { ManualClock } from '../../src/kernel/clock.js';
import { Chain } from '../../src/ledger/chain.js';
import { Checkpointer } from '../../src/ledger/checkpoint.js';
import { FileCheckpointStore } from '../../src/ledger/checkpoint-store.js';
import { requireIncarnation } from '../../src/ledger/incarnation.js';
import { Ledger } from '../../src/ledger/ledger.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { unsequencedEntries } from '../../src/ledger/row-check.js';
import type { Session } from '../../src/ledger/session.js';
import { knownLogs, settleOrFault, verdictLine, verifyLog } from '../../src/ledger/verification.js';
import type { Database } from '../../src/persistence/database.js';
import { databaseFault } from '../../src/persistence/sqlstate.js';
import type { Statement } from '../../src/persistence/statement.js';
import { ledgerOptions, readDraft } from '../support/ledger.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const LOG = 'T-CN';
const SIZE = 600;
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const base = mkdtempSync(path.join(memory, 'custodia-columns-'));

let database: TestDatabase;
let client: pg.PoolClient;

/** Two logs; the first has 300 entries of October and 300 of November, all with sealed details. */
beforeAll(async () => {
  database = await testDatabase();
  const clock = new ManualClock(Date.parse('2026-10-30T08:00:00Z'));
  for (const count of [300, 300]) {
    const ledger = await Ledger.open({ ...ledgerOptions(database), clock });
    await ledger.createLogs([LOG, 'T-US']);
    const sealed = (at: number) => ({
      key: at % 2 === 0 ? 'tenant' : `subject:${'b'.repeat(32)}`,
      ciphertext: hash('sha512', `${at}`, 'buffer'),
    });
    const drafts = Array.from({ length: count - 1 }, (_, at) => ({ ...readDraft(LOG), sealed: sealed(at) }));
    await Promise.all(drafts.map((draft) => ledger.writer.append(draft)));
    await ledger.settle(20_000);
    await ledger.close();
    clock.advance(3 * 86_400_000);
  }
  client = await database.owner.connect();
});
afterAll(async () => {
  client.release(true);
  await database.close();
  rmSync(base, { recursive: true });
});

async function send<Row>({ text, values }: Statement): Promise<Row[]> {
  try {
    return (await client.query({ text, values: [...values] })).rows as Row[];
  } catch (error) {
    throw databaseFault(error);
  }
}

/** The passes of the sequencer inside of the transaction that is taken back. */
const session: Session = {
  ended: new Promise(() => undefined),
  close: () => Promise.resolve(),
  query: (statement) => {
    const [word = ''] = statement.text.split(' ');
    const savepoint: Record<string, string> = { BEGIN: 'SAVEPOINT', COMMIT: 'RELEASE', ROLLBACK: 'ROLLBACK TO' };
    return send(word in savepoint ? { text: `${savepoint[word]} pass`, values: [] } : statement);
  },
};

/**
 * What "npm run audit:verify" says: first everything is sequenced and signed as at a start, then every log is verified. All
 * in the transaction of the superuser who tampers, so that nothing need be mended afterwards.
 */
async function verdicts(): Promise<string[]> {
  const inside = { query: <Row>(_: null, statement: Statement) => send<Row>(statement) } as unknown as Database;
  const { keys } = ledgerOptions(database);
  const directory = path.join(base, 'checkpoints');
  rmSync(directory, { recursive: true, force: true });
  cpSync(path.join(database.directory, 'checkpoints'), directory, { recursive: true });
  const store = new FileCheckpointStore(directory);
  const fault = await settleOrFault(async () => {
    await requireIncarnation(inside, store, keys);
    const checkpointer = new Checkpointer({ database: inside, store, keys });
    await checkpointer.verify();
    const chain = new Chain(keys.macKey);
    while ((await chain.pass(session)) > 0);
    await checkpointer.publish();
  });
  const files = new LogFiles(inside, store, keys, null);
  const unsequenced = await unsequencedEntries(inside);
  const lines: string[] = [];
  for (const log of new Set([...(await knownLogs(files)), ...unsequenced.keys()])) lines.push(verdictLine(await verifyLog(files, log, { fault, unsequenced })));
  return lines;
}

/** The verdicts after these statements, which are then taken back. */
async function after(...statements: readonly string[]): Promise<string[]> {
  await client.query('BEGIN');
  try {
    await client.query('SET LOCAL session_replication_role = replica');
    for (const statement of statements) expect([statement, (await client.query(statement)).rowCount]).not.toEqual([statement, 0]);
    return await verdicts();
  } finally {
    await client.query('ROLLBACK');
  }
}

const ENTRY = (index: number) => `(SELECT entry_id FROM ledger_leaf WHERE log = '${LOG}' AND idx = ${index})`;

/** Two rows of each table with evidence. */
const ROWS: Readonly<Record<string, readonly string[]>> = {
  ledger_entry: [`id = ${ENTRY(350)}`, `id = ${ENTRY(401)}`],
  ledger_leaf: [`log = '${LOG}' AND idx = 350`, `log = '${LOG}' AND idx = 401`],
  ledger_node: [`log = '${LOG}' AND level = 1 AND idx = 0`, `log = '${LOG}' AND level = 1 AND idx = 1`],
  ledger_detail: [350, 401].map((at) => `(writer, number) = (SELECT writer, number FROM ledger_entry WHERE id = ${ENTRY(at)})`),
  ledger_head: [`log = '${LOG}'`, "log = 'T-US'"],
  ledger_sequence: ['only_row'],
};

/** Another value of the same type. */
const OTHER: Readonly<Record<string, (column: string) => string>> = {
  bytea: (column) => `set_byte(${column}, length(${column}) - 1, get_byte(${column}, length(${column}) - 1) # 1)`,
  text: (column) => `left(${column}, -1) || chr(ascii(right(${column}, 1)) # 1)`,
  bigint: (column) => `${column} + 1000`,
  integer: (column) => `${column} + 1`,
  smallint: (column) => `${column} + 1`,
  xid8: () => "'3'",
  'timestamp with time zone': (column) => `${column} - interval '1 second'`,
};

describe('x', () => {
  it('finds an untouched ledger in order', async () => {
    expect(await after()).toEqual([`OK ${LOG} ${SIZE}`, 'OK T-US 2']);
  });
  it('discover', async () => {
    const { rows } = await client.query<{ table: string; column: string; type: string }>(
      `SELECT table_name AS table, column_name AS column, data_type AS type FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = ANY ($1) ORDER BY table_name, ordinal_position`,
      [Object.keys(ROWS)],
    );
    const out: string[] = [];
    for (const { table, column, type } of rows) {
      const [one = '', other = ''] = ROWS[table] ?? [];
      for (const kind of ['changed', 'swapped']) {
        let line: string;
        try {
          const columns = rows.filter((row) => row.table === table).map((row) => row.column);
          const list = columns.map((name) => (name === column ? `b.${name}` : `a.${name}`)).join(', ');
          const statements = kind === 'changed' ? [`UPDATE ${table} SET ${column} = ${OTHER[type]!(column)} WHERE ${one}`] : [
            `CREATE TEMP TABLE moved ON COMMIT DROP AS SELECT row_number() OVER () AS place, * FROM ${table} WHERE (${one}) OR (${other})`,
            `DELETE FROM ${table} WHERE (${one}) OR (${other})`,
            `INSERT INTO ${table} (${columns.join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM moved a JOIN moved b ON a.place <> b.place`,
          ];
          line = JSON.stringify(await after(...statements));
        } catch (error) {
          line = String((error as Error).message).slice(0, 300);
        }
        out.push(`${table}.${column} ${kind}: ${line}`);
      }
    }
    console.log(out.join('\n'));
  });
});
