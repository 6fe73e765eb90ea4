import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Chain } from '../../src/ledger/chain.js';
import { Checkpointer } from '../../src/ledger/checkpoint.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { createLog } from '../../src/ledger/logs.js';
import { unsequencedEntries } from '../../src/ledger/row-check.js';
import { connectTo, type Session } from '../../src/ledger/session.js';
import { verifyLog } from '../../src/ledger/verification.js';
import { LedgerWriter } from '../../src/ledger/writer.js';
import { ledgerOptions, readDraft, tamper } from '../support/ledger.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const LOG = 'T-CN';
let database: TestDatabase;
let writer: LedgerWriter;
let options: ReturnType<typeof ledgerOptions>;

beforeAll(async () => {
  database = await testDatabase();
  options = ledgerOptions(database);
  const { keys, clock } = options;
  writer = new LedgerWriter({ database: database.app, clock, macKey: keys.macKey, incarnation: 1 });
  await createLog(database.sequencer, writer, keys, 1, LOG);
});
afterAll(async () => {
  await writer.close();
  await database.close();
});

const record = (count: number) => Promise.all(Array.from({ length: count }, () => writer.append(readDraft(LOG))));

describe('older rows that were put back', () => {
  const PARTS: Readonly<Record<string, readonly string[]>> = {
    head: ['ledger_head'],
    leaves: ['ledger_leaf', 'ledger_node'],
    entries: ['ledger_entry'],
    position: ['ledger_sequence'],
  };
  const names = Object.keys(PARTS);
  const subsets = Array.from({ length: 2 ** names.length - 1 }, (_, bits) =>
    names.filter((__, at) => ((bits + 1) >> at) & 1),
  );
  let session: Session;
  let chain: Chain;
  const checkpoints = () => path.join(database.directory, 'checkpoints');
  const aside = () => path.join(database.directory, 'aside');

  const copy = (suffix: string) =>
    tamper(
      database,
      ...Object.values(PARTS)
        .flat()
        .map((table) => `CREATE TABLE ${table}_${suffix} AS TABLE ${table}`),
    );
  const put = (parts: readonly string[], suffix: string) =>
    tamper(
      database,
      ...parts
        .flatMap((part) => PARTS[part] ?? [])
        .flatMap((table) => [
          `DELETE FROM ${table}`,
          `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM ${table}_${suffix}`,
        ]),
    );
  const checkpointer = () =>
    new Checkpointer({ database: database.sequencer, store: options.store, keys: options.keys });

  beforeAll(async () => {
    session = await connectTo(database.urls.sequencer, 'leader')();
    chain = new Chain(options.keys.macKey);
    await sequenceAll(chain);
    await checkpointer().publish();
    await copy('older');
    await record(270);
    await sequenceAll(chain);
    await checkpointer().publish();
    await copy('newer');
    cpSync(checkpoints(), aside(), { recursive: true });
  });
  afterAll(() => session.close());
  beforeEach(async () => {
    await put(names, 'newer');
    rmSync(checkpoints(), { recursive: true });
    cpSync(aside(), checkpoints(), { recursive: true });
  });

  /** Other transactions of the cluster may hold a pass back. */
  async function sequenceAll(own: Chain): Promise<void> {
    const waiting =
      'SELECT 1 FROM ledger_sequence, LATERAL (SELECT 1 FROM ledger_entry WHERE (xid, id) > (last_xid, last_id) ORDER BY xid, id LIMIT 1) AS entry';
    while ((await database.owner.query(waiting)).rows.length > 0) await own.pass(session);
  }

  /** What a process does that starts on this database, as far as it comes; and what the verifier says where it came through. */
  async function found(): Promise<string> {
    const own = checkpointer();
    const started = new Chain(options.keys.macKey);
    try {
      await own.verify();
      await started.pass(session);
      await record(1);
      await sequenceAll(started);
      await own.publish();
    } catch (error) {
      return error instanceof Error ? error.message : '';
    }
    const files = new LogFiles(database.auditor, options.store, options.keys, null);
    const verdict = await verifyLog(files, LOG, { unsequenced: await unsequencedEntries(database.sequencer) });
    return verdict.bad === null ? 'OK' : verdict.bad.class;
  }

  /** The head is compared with what was signed; leaves with the head; the rest is what the sequencer or the verifier meets. */
  function expected(parts: readonly string[]): RegExp {
    if (parts.includes('head')) return /^ledger rollback detected: /;
    if (parts.includes('leaves')) return /^Log T-CN has no hash of leaf \d+ at level 0/;
    return parts.includes('entries') ? /^missing-entry$/ : /^Log T-CN holds what its sequencer did not put there/;
  }

  it.each(subsets.map((parts) => [parts.join(', '), parts] as const))(
    '%s: refused at the start, or stops the sequencer, or is named by the verifier',
    async (_, parts) => {
      await put(parts, 'older');
      expect(await found()).toMatch(expected(parts));
    },
  );

  it('none of them: goes on', async () => {
    expect(await found()).toBe('OK');
  });
});
