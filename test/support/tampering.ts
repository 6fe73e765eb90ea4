import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { hash } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import type { Clock } from '../../src/kernel/clock.js';
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
import { ledgerOptions, readDraft } from './ledger.js';
import { testDatabase, type TestDatabase } from './postgres.js';

const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/**
 * A ledger in the hands of PostgreSQL's superuser. What is tampered with, sequenced and verified is one transaction, which
 * is taken back, so that nothing need be mended afterwards.
 */
export class TamperedLedger {
  private readonly base = mkdtempSync(path.join(memory, 'custodia-tampered-'));
  /** A role that reads what the superuser has not committed. */
  readonly inside = { query: <Row>(_: null, statement: Statement) => this.send<Row>(statement) } as unknown as Database;

  private constructor(
    readonly database: TestDatabase,
    readonly client: pg.PoolClient,
  ) {}

  static async open(): Promise<TamperedLedger> {
    const database = await testDatabase();
    return new TamperedLedger(database, await database.owner.connect());
  }

  async close(): Promise<void> {
    this.client.release(true);
    await this.database.close();
    rmSync(this.base, { recursive: true });
  }

  /** The life of one writer, with so many entries in each log, the registration among them. All have sealed details. */
  async record(clock: Clock, counts: Readonly<Record<string, number>>): Promise<void> {
    const ledger = await Ledger.open({ ...ledgerOptions(this.database), clock });
    await ledger.createLogs(Object.keys(counts));
    for (const [log, count] of Object.entries(counts)) {
      const drafts = Array.from({ length: count - 1 }, (_, at) => {
        const key = at % 2 === 0 ? 'tenant' : `subject:${'b'.repeat(32)}`;
        const ciphertext = hash('sha512', `${ledger.writer.writer} ${log} ${at}`, 'buffer');
        return { ...readDraft(log), sealed: { key, ciphertext } };
      });
      await Promise.all(drafts.map((draft) => ledger.writer.append(draft)));
    }
    await ledger.settle(20_000);
    await ledger.close();
  }

  /**
   * What "npm run audit:verify" names after these steps; where PostgreSQL or the start refuses, what that says. Throws when
   * a statement changes nothing.
   */
  async after(...steps: readonly (string | (() => Promise<void>))[]): Promise<string> {
    const { client } = this;
    await client.query('BEGIN');
    try {
      await client.query('SET LOCAL session_replication_role = replica');
      for (const step of steps) {
        if (typeof step !== 'string') await step();
        else if ((await client.query(step)).rowCount === 0) throw new Error(`Nothing was changed by ${step}`);
      }
      return await this.named();
    } catch (error) {
      const { code, message } = error as pg.DatabaseError;
      if (code?.startsWith('23') === true) return `refused: ${code}`;
      return message.replace(/^.*: |\.$/g, '');
    } finally {
      await client.query('ROLLBACK');
    }
  }

  /** First everything is sequenced and signed as at a start, then every log is verified. */
  private async named(): Promise<string> {
    const { inside } = this;
    const { keys } = ledgerOptions(this.database);
    const directory = path.join(this.base, 'checkpoints');
    rmSync(directory, { recursive: true, force: true });
    cpSync(path.join(this.database.directory, 'checkpoints'), directory, { recursive: true });
    const store = new FileCheckpointStore(directory);
    const fault = await settleOrFault(async () => {
      await requireIncarnation(inside, store, keys);
      const checkpointer = new Checkpointer({ database: inside, store, keys });
      await checkpointer.verify();
      const chain = new Chain(keys.macKey);
      while ((await chain.pass(this.session())) > 0);
      await checkpointer.publish();
    });
    const files = new LogFiles(inside, store, keys, null);
    const unsequenced = await unsequencedEntries(inside);
    const bad: string[] = [];
    for (const log of await knownLogs(files)) {
      const line = verdictLine(await verifyLog(files, log, { fault, unsequenced }));
      if (!line.startsWith('OK ')) bad.push(line.replace('BAD ', ''));
    }
    return bad.join(', ');
  }

  /** For passes of the sequencer inside of the transaction that is taken back. */
  private session(): Session {
    const savepoint: Readonly<Record<string, string>> = {
      BEGIN: 'SAVEPOINT pass',
      COMMIT: 'RELEASE pass',
      ROLLBACK: 'ROLLBACK TO pass',
    };
    return {
      ended: new Promise(() => undefined),
      close: () => Promise.resolve(),
      query: ({ text, values }) => this.send({ text: savepoint[text.split(' ')[0] ?? ''] ?? text, values }),
    };
  }

  private async send<Row>({ text, values }: Statement): Promise<Row[]> {
    try {
      return (await this.client.query({ text, values: [...values] })).rows as Row[];
    } catch (error) {
      throw databaseFault(error);
    }
  }
}
