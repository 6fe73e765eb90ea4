import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { cpSync, rmSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { hash } from 'node:crypto';
import { encodeEntry } from '../../audit/entry.mjs';
import { CompactRange, leafHash } from '../../audit/merkle.mjs';
import { decodeRange } from '../../src/ledger/head.js';
import { startEmbedded, type EmbeddedServer } from '../../src/persistence/embedded.js';
import { passwordsIn } from '../../src/persistence/login.js';
import { embeddedUrl } from '../../src/persistence/preparation.js';
import { asSuperuser, copyOf, runCommand, seededDirectory, startSystem, SystemProcess } from '../support/process.js';
import { verdictOf } from '../support/verdict.js';

const LOG = 'T-CN';
let directory: string;
let server: EmbeddedServer;
let size: number;

/** A stopped system, and its PostgreSQL in the hands of the superuser. */
beforeAll(async () => {
  directory = await seededDirectory();
  const [password, settings] = [passwordsIn(directory).superuser, { fsync: 'off', full_page_writes: 'off' }];
  server = await startEmbedded({ dataDirectory: directory, password, settings });
  await superuser('postgres', (client) => client.query('ALTER DATABASE custodia RENAME TO untouched'));
  cpSync(path.join(directory, 'checkpoints'), path.join(directory, 'checkpoints.untouched'), { recursive: true });
});
afterAll(() => server.stop());

/** The database and the checkpoints as the system left them. */
beforeEach(async () => {
  await superuser('postgres', async (client) => {
    await client.query('DROP DATABASE IF EXISTS custodia WITH (FORCE)');
    await client.query('CREATE DATABASE custodia TEMPLATE untouched OWNER custodia_owner STRATEGY file_copy');
  });
  rmSync(path.join(directory, 'checkpoints'), { recursive: true });
  cpSync(path.join(directory, 'checkpoints.untouched'), path.join(directory, 'checkpoints'), { recursive: true });
  await tamper(async (client) => {
    const { rows } = await client.query<{ size: number }>('SELECT size::int FROM ledger_head WHERE log = $1', [LOG]);
    size = rows[0]?.size ?? 0;
    expect(size).toBeGreaterThan(25);
  });
});

async function superuser<T>(database: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const url = embeddedUrl(server.port, 'postgres', passwordsIn(directory).superuser, database);
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Changes what nobody may change: with the triggers switched off first. */
function tamper<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  return superuser('custodia', async (client) => {
    await client.query('SET session_replication_role = replica');
    return work(client);
  });
}

/** The lines of the real command, and its exit code. The other tests ask for the same without a process. */
async function verdict(): Promise<{ code: number | null; lines: string[] }> {
  const { code, stdout } = await runCommand(directory, 'audit-verify');
  return { code, lines: stdout.trim().split('\n') };
}

const OTHERS = ['OK T-EU', 'OK T-US', 'OK system'].map((line) => expect.stringMatching(new RegExp(`^${line} \\d+$`)));

/** Of all logs together the sequencer's position is told, where it stands at no entry that was sequenced last. */
const [IN_PLACE, MISPLACED, EITHER] = ['OK system \\d+', 'BAD system - state', 'OK system \\d+|BAD system - state'].map(
  (text) => expect.stringMatching(new RegExp(`^(${text})$`)),
);

/** Names this, with every tenant's other log in order, and of the position of all logs what is said. */
async function expectNamed(line: string, position = IN_PLACE): Promise<void> {
  expect(await verdictOf(directory)).toEqual([line, ...OTHERS.slice(0, -1), position]);
}

const ENTRY = (index: number) => `(SELECT entry_id FROM ledger_leaf WHERE log = '${LOG}' AND idx = ${index})`;
const COPY_HEAD = (to: number) =>
  `UPDATE ledger_head SET size = ${to}, last_leaf = (SELECT leaf FROM ledger_leaf WHERE log = '${LOG}' AND idx = ${to - 1}) WHERE log = '${LOG}'`;

const ONE_BYTE = `UPDATE ledger_entry SET record = set_byte(record, 30, get_byte(record, 30) # 1) WHERE id = ${ENTRY(11)}`;

describe('a superuser changes the past of a stopped system', () => {
  it('finds an untouched ledger in order', async () => {
    expect(await verdict()).toEqual({ code: 0, lines: [`OK ${LOG} ${size}`, ...OTHERS] });
  });

  it('one byte of an old record: the verifier names it', async () => {
    await tamper(async (client) => {
      expect((await client.query(ONE_BYTE)).rowCount).toBe(1);
    });
    expect(await verdict()).toEqual({ code: 1, lines: [`BAD ${LOG} 11 leaf`, ...OTHERS] });
  });

  it('the tail truncated, and the head set back: the verifier names the first that is missing, the start refuses', async () => {
    const from = size - 4;
    await tamper(async (client) => {
      await client.query(
        `DELETE FROM ledger_entry WHERE id IN (SELECT entry_id FROM ledger_leaf WHERE log = '${LOG}' AND idx >= ${from})`,
      );
      await client.query(`DELETE FROM ledger_leaf WHERE log = '${LOG}' AND idx >= ${from}`);
      const { rows } = await client.query<{ leaf: Buffer }>(
        `SELECT leaf FROM ledger_leaf WHERE log = '${LOG}' ORDER BY idx`,
      );
      const range = new CompactRange();
      for (const { leaf } of rows) range.append(leaf);
      await client.query(`${COPY_HEAD(from)}`);
      await client.query(`UPDATE ledger_head SET compact_range = $1 WHERE log = '${LOG}'`, [
        Buffer.concat(range.hashes),
      ]);
    });
    await expectNamed(`BAD ${LOG} ${from} missing-entry`, EITHER);
  });
});

describe('a superuser invents an entry', () => {
  /** The newest record, with one more number of its writer: as good as it gets without the writers' key. */
  async function invented(client: pg.Client, number = 'number + 1'): Promise<{ id: string; record: Buffer }> {
    const { rows } = await client.query<{ writer: string; number: string; record: Buffer }>(
      `SELECT writer, (${number})::text AS number, record FROM ledger_entry WHERE log = '${LOG}' ORDER BY id DESC LIMIT 1`,
    );
    const { writer, record } = rows[0]!;
    const bytes = Buffer.from(record.toString().replace(/"number":\d+/, `"number":${rows[0]!.number}`));
    const inserted = await client.query<{ id: string }>(
      `INSERT INTO ledger_entry (log, writer, number, recorded_at, record, record_hash, mac)
       VALUES ('${LOG}', $1, $2, now(), $3, $4, $4) RETURNING id`,
      [writer, rows[0]!.number, bytes, hash('sha256', bytes, 'buffer')],
    );
    return { id: inserted.rows[0]!.id, record: bytes };
  }

  it('that waits to be sequenced: it is never sealed, and named', async () => {
    await tamper((client) => invented(client));
    await expectNamed(`BAD ${LOG} ${size} record`);
  });

  it('that the position of the sequencer has passed', async () => {
    await tamper(async (client) => {
      const { id } = await invented(client);
      await client.query('UPDATE ledger_sequence SET last_xid = pg_current_xact_id(), last_id = $1', [id]);
    });
    await expectNamed(`BAD ${LOG} - unsequenced`, MISPLACED);
  });

  it('in the place of another', async () => {
    await tamper(async (client) => {
      const { id } = await invented(client);
      await client.query(
        `UPDATE ledger_leaf AS leaf SET entry_id = id, recorded_at = entry.recorded_at FROM ledger_entry AS entry
          WHERE entry.id = ${id} AND leaf.log = '${LOG}' AND idx = 8`,
      );
      await client.query('UPDATE ledger_sequence SET last_xid = pg_current_xact_id(), last_id = $1', [id]);
    });
    await expectNamed(`BAD ${LOG} 8 leaf`, MISPLACED);
  });

  it('with leaf, tree and head computed as the sequencer would: nothing is signed over it', async () => {
    await tamper(async (client) => {
      await client.query('BEGIN');
      const { id, record } = await invented(client);
      const { rows } = await client.query<{ last_leaf: Buffer; compact_range: Buffer }>(
        `SELECT last_leaf, compact_range FROM ledger_head WHERE log = '${LOG}'`,
      );
      const leaf = leafHash(encodeEntry(rows[0]!.last_leaf, record));
      const range = decodeRange(size, rows[0]!.compact_range);
      range.append(leaf);
      await client.query(
        `INSERT INTO ledger_leaf (log, idx, entry_id, recorded_at, leaf)
         SELECT log, ${size}, id, recorded_at, $1 FROM ledger_entry WHERE id = ${id}`,
        [leaf],
      );
      await client.query(
        `UPDATE ledger_head SET size = size + 1, last_leaf = $1, compact_range = $2 WHERE log = '${LOG}'`,
        [leaf, Buffer.concat(range.hashes)],
      );
      await client.query('UPDATE ledger_sequence SET last_xid = pg_current_xact_id(), last_id = $1', [id]);
      await client.query('COMMIT');
    });
    await expectNamed(`BAD ${LOG} ${size} consistency`);
  });
});

describe('a superuser and a system that runs', () => {
  const LIST = '{ patients(first: 1) { edges { node { id } } } }';
  let running: string;
  let system: SystemProcess;
  beforeAll(async () => {
    running = await seededDirectory();
    copyOf(path.join(running, 'postgres'), `${running}.older`);
    system = await startSystem(running);
  });
  afterAll(() => system.stop());

  it('changes its past: the verifier names it while the system goes on', async () => {
    const change = () =>
      asSuperuser(running, async (client) => {
        await client.query('SET session_replication_role = replica');
        await client.query(ONE_BYTE);
      });
    await change();
    const { code, stdout } = await runCommand(running, 'audit-verify');
    expect([code, stdout.split('\n')[0]]).toEqual([1, `BAD ${LOG} 11 leaf`]);
    await change();
  });

  it('puts an older database in its place: the start refuses, the verifier names the first missing entry', async () => {
    for (let count = 0; count < 3; count++) await system.ask('call_center_agent', 'HOPERAT', LIST);
    await system.stop();
    rmSync(path.join(running, 'postgres'), { recursive: true });
    copyOf(`${running}.older`, path.join(running, 'postgres'));
    const { code, stderr, stdout } = await new SystemProcess(running).ended;
    expect(stderr).toMatch(
      /^ledger rollback detected: the stored checkpoint of log T-CN covers \d+ entries, the database has \d+\. .*\n$/,
    );
    expect([code, stdout.includes('ready')]).toEqual([1, false]);
    expect((await verdictOf(running))[0]).toBe(`BAD ${LOG} ${size} missing-entry`);
  });
});
