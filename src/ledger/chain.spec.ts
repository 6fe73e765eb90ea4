import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { ledgerOptions, readDraft } from '../../test/support/ledger.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import type { Queryable, Statement } from '../persistence/statement.js';
import { Chain } from './chain.js';
import { createLog } from './logs.js';
import { OwnRecords } from './own-records.js';
import { connectTo, NEVER_SILENT, type Session } from './session.js';
import { LedgerWriter } from './writer.js';

let database: TestDatabase;
let session: Session;
let own: OwnRecords;
let leading: LedgerWriter;
let chain: Chain;

beforeEach(async () => {
  database = await testDatabase();
  session = await connectTo(database.urls.sequencer, 'sequencer test', NEVER_SILENT)();
  const { keys, clock } = ledgerOptions(database);
  own = new OwnRecords('');
  const made = (record: Parameters<OwnRecords['keep']>[0]) => own.keep(record);
  leading = new LedgerWriter({ database: database.app, clock, macKey: keys.macKey, incarnation: 1, made });
  own = new OwnRecords(leading.writer);
  chain = new Chain(keys.macKey, own);
  await createLog(database.sequencer, leading, keys, 1, 'T-CN');
});
afterEach(async () => {
  await leading.close();
  await session.close();
  await database.close();
});

/** Sequences all there is; whether each row's record came with it. `between` runs before every other statement. */
async function fetched(between: () => void = () => undefined): Promise<boolean[]> {
  const forms: boolean[] = [];
  const watched: Queryable = {
    async query<Row>(statement: Statement): Promise<Row[]> {
      if (statement.name !== 'ledger_unsequenced_text') {
        between();
        return session.query<Row>(statement);
      }
      const rows = await session.query<Row>(statement);
      forms.push(...(rows as { record: string | null }[]).map(({ record }) => record !== null));
      return rows;
    },
  };
  while ((await chain.pass(watched)) > 0);
  return forms;
}

async function leaves(): Promise<number> {
  const { rows } = await database.owner.query<{ count: string }>('SELECT count(*) FROM ledger_leaf');
  return Number(rows[0]?.count);
}

describe('what the leader wrote itself', () => {
  it('is not fetched while it is at hand, and is when it is not', async () => {
    expect(await fetched()).toEqual([false]);
    for (let count = 0; count < 3; count++) await leading.append(readDraft());
    leading.void(leading.prepare(readDraft()));
    while (leading.load().voids > 0) await pause(10);
    expect(await fetched()).toEqual([false, false, false, false]);
    await leading.append(readDraft());
    own.clear();
    // Once without, and as it is not here, once with its bytes.
    expect(await fetched()).toEqual([false, true]);
    expect(await leaves()).toBe(6);
  });

  it('may be pushed out of memory while a pass waits for PostgreSQL: that is no damage to the ledger', async () => {
    expect(await fetched()).toEqual([false]);
    for (let count = 0; count < 5; count++) await leading.append(readDraft());
    const statements: string[] = [];
    const forms = await fetched(() => {
      // The first one begins the transaction; the rows are read after it.
      if (statements.push('one') > 1) own.clear();
    });
    expect(forms).toEqual([false, false, false, false, false]);
    expect(await leaves()).toBe(6);
  });
});
