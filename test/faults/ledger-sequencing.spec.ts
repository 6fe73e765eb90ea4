import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import * as fileSystem from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { vkey } from '../../audit/note.mjs';
import { verifyDirectory } from '../../audit/verify.mjs';
import { SystemClock } from '../../src/kernel/clock.js';
import { Chain } from '../../src/ledger/chain.js';
import { Checkpointer } from '../../src/ledger/checkpoint.js';
import { FileCheckpointStore } from '../../src/ledger/checkpoint-store.js';
import { exportLog } from '../../src/ledger/export.js';
import { fileLedgerKeys, type LedgerKeys } from '../../src/ledger/keys.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { createLog } from '../../src/ledger/logs.js';
import { Publication } from '../../src/ledger/publication.js';
import { Sequencer } from '../../src/ledger/sequencer.js';
import { connectTo, type Session } from '../../src/ledger/session.js';
import { LedgerWriter } from '../../src/ledger/writer.js';
import { readDraft, tamper } from '../support/ledger.js';
import { LedgerModel } from '../support/ledger-model.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';
import { type Flavour, FLAVOURS, Strike } from '../support/strike.js';

const LOGS = ['T-CN', 'T-US'];
const PATIENCE = 10_000;
// Thousands of syncs: in memory where that is possible.
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

let database: TestDatabase;
let base: string;
let keys: LedgerKeys;
let writer: LedgerWriter;
let model: LedgerModel;
const acknowledged: string[] = [];
const clock = new SystemClock();

beforeAll(async () => {
  database = await testDatabase();
  base = mkdtempSync(path.join(memory, 'custodia-sequencing-'));
  keys = fileLedgerKeys(path.join(base, 'keys'));
  writer = new LedgerWriter({ database: database.app, clock, macKey: keys.macKey, incarnation: 1 });
  for (const log of LOGS) await createLog(database.sequencer, writer, keys, 1, log);
  await fileSystem.mkdir(path.join(base, 'checkpoints'));
  model = new LedgerModel(database, keys, path.join(base, 'checkpoints'));
});
afterAll(async () => {
  await writer.close();
  await database.close();
  rmSync(base, { recursive: true });
});

/** The sequencer of one process; everything that it says to PostgreSQL goes through the strike. */
class Leader {
  private readonly chain = new Chain(keys.macKey);

  constructor(private readonly strike: Strike) {}

  /** Is elected and sequences all there is. Ends early when it is struck. */
  async work(): Promise<void> {
    const sequencer = new Sequencer({
      connect: async () => this.strike.session(await connectTo(database.urls.sequencer, 'leader')()),
      database: database.sequencer,
      clock,
      chain: this.chain,
    });
    sequencer.start();
    try {
      const deadline = performance.now() + PATIENCE;
      while (!this.strike.dead && (await unsequenced())) {
        const { problem } = await sequencer.health();
        if (!this.strike.dead && problem !== null) throw new Error(problem);
        if (performance.now() > deadline) throw new Error('Nothing is sequenced.');
        await pause(5);
      }
    } finally {
      await sequencer.stop();
    }
  }
}

/** What signs in one process; its file calls and what it reads of the database go through the strike. */
class Signer {
  private readonly checkpointer: Checkpointer;

  constructor(strike: Strike) {
    const store = new FileCheckpointStore(path.join(base, 'checkpoints'), strike.files({ ...fileSystem }));
    const publication = new Publication({
      store,
      clock,
      policy: null,
      vkey: (log) => vkey(keys.signer(log).name, keys.signer(log).privateKey),
      proof: () => Promise.reject(new Error('No witness is asked.')),
    });
    this.checkpointer = new Checkpointer({ database: strike.database(database.sequencer), store, keys, publication });
  }

  /** As after an election. */
  begin(): Promise<void> {
    return this.checkpointer.verify();
  }

  async publish(): Promise<void> {
    await this.checkpointer.publish();
  }
}

async function unsequenced(): Promise<boolean> {
  const { rows } = await database.owner.query(
    'SELECT 1 FROM ledger_sequence, LATERAL (SELECT 1 FROM ledger_entry WHERE (xid, id) > (last_xid, last_id) ' +
      'ORDER BY xid, id LIMIT 1) AS entry',
  );
  return rows.length > 0;
}

async function record(log: string, count: number): Promise<void> {
  const receipts = await Promise.all(Array.from({ length: count }, () => writer.append(readDraft(log))));
  acknowledged.push(...receipts.map(({ recordHash }) => recordHash));
}

const none = () => new Strike(0, 'before its effect');
const cases = [true, false].flatMap((same) =>
  FLAVOURS.map((flavour): [Flavour, string, boolean] => {
    return [flavour, same ? 'the same process goes on' : 'another process goes on', same];
  }),
);

describe('every statement and file call of signing', () => {
  let sequencer: Session;
  let chain: Chain;
  beforeAll(async () => {
    chain = new Chain(keys.macKey);
    sequencer = await connectTo(database.urls.sequencer, 'leader')();
  });
  afterAll(() => sequencer.close());

  /** The other log stands still. */
  async function grow(): Promise<void> {
    await record('T-CN', 5);
    while (await unsequenced()) await chain.pass(sequencer);
  }

  // For a process that dies, after a call is before the next one.
  const whole = cases.filter(([flavour, , same]) => same || flavour !== 'after its effect');

  it.each(whole)('fails %s, %s: what is signed is one history', async (flavour, _, same) => {
    await grow();
    const before = new Signer(none());
    await before.begin();
    await before.publish();
    let at = 1;
    for (; ; at++) {
      const strike = new Strike(at, flavour);
      const signer = new Signer(strike);
      await grow();
      await signer
        .begin()
        .then(() => signer.publish())
        .catch((error: unknown) => {
          if (!strike.dead) throw error;
        });
      if (strike.struck === null) break;
      strike.heal();
      await model.check();
      await grow();
      const next = same ? signer : new Signer(none());
      if (!same) await next.begin();
      await next.publish();
      const sizes = await model.check();
      for (const log of LOGS) {
        const note = await new FileCheckpointStore(path.join(base, 'checkpoints')).readPublished(log);
        expect([strike.struck, log, Number(note?.split('\n')[1])]).toEqual([strike.struck, log, sizes[log]]);
      }
    }
    expect(at).toBeGreaterThan(flavour === 'half way' ? 4 : 30);
  });
});

describe('every statement of the sequencer, from the election to the COMMIT of a pass', () => {
  const whole = cases.filter(([flavour]) => flavour !== 'half way');

  it.each(whole)('fails %s, %s: each entry gets one index', async (flavour, _, same) => {
    await new Leader(none()).work();
    let at = 1;
    for (; ; at++) {
      // A tile is filled in every life; and one node is missing, as in a database from before there were nodes.
      await record('T-CN', 256);
      await record('T-US', 3);
      await tamper(database, 'DELETE FROM ledger_node WHERE idx = (SELECT max(idx) FROM ledger_node)');
      const strike = new Strike(at, flavour);
      const leader = new Leader(strike);
      await leader.work();
      if (strike.struck === null) break;
      strike.heal();
      await record('T-CN', 1);
      await (same ? leader : new Leader(none())).work();
      await model.check();
    }
    expect(at).toBeGreaterThan(12);
  });
});

describe('the log that has gone through all of it', () => {
  it('verifies from its files alone, with all that was ever signed, and has every record that was acknowledged', async () => {
    const store = new FileCheckpointStore(path.join(base, 'checkpoints'));
    const files = new LogFiles(database.auditor, store, keys, null);
    for (const log of LOGS) {
      const target = path.join(base, 'export', log);
      const size = await exportLog(files, log, target);
      const report = await verifyDirectory(target, { vkeys: [files.vkey(log)], checkpoints: model.notes(log) });
      expect(report).toMatchObject({ ok: true, size, faultCount: 0, warningCount: 0 });
    }
    const { rows } = await database.owner.query<{ hash: string }>(
      "SELECT encode(record_hash, 'hex') AS hash FROM ledger_entry JOIN ledger_leaf ON entry_id = id",
    );
    const sequenced = rows.map(({ hash }) => hash);
    expect(new Set(sequenced).size).toBe(sequenced.length);
    expect(sequenced.length).toBe(acknowledged.length + LOGS.length);
    const all = new Set(sequenced);
    expect(acknowledged.filter((hash) => !all.has(hash))).toEqual([]);
  });
});
