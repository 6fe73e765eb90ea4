import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { checkpointText, parseCheckpoint, signNote, verifyNote, vkey } from '../../audit/note.mjs';
import type { ReadinessState } from '../../src/api/readiness.js';
import { FileCheckpointStore } from '../../src/ledger/checkpoint-store.js';
import { passwordsIn } from '../../src/persistence/login.js';
import { embeddedUrl, EMBEDDED_DATABASE } from '../../src/persistence/preparation.js';
import {
  asSuperuser,
  copyOf,
  postgresOf,
  type Reply,
  seededDirectory,
  startSystem,
  type SystemProcess,
} from '../support/process.js';
import { verdictOf } from '../support/verdict.js';

const LIST = '{ patients(first: 3) { edges { node { id name } } } }';
const CREATE = 'mutation($i: CreatePatientInput!) { createPatient(input: $i) { id } }';
const LAG_LIMIT = 6;
const PATIENCE = 30_000;
const PAGE = 4_096;

let directory: string;
let system: SystemProcess;
/** Two small disks; null where nothing may be mounted. */
let disks: { readonly checkpoints: Disk; readonly tables: Disk } | null = null;

/** A disk of two megabytes in memory. */
class Disk {
  constructor(readonly place: string) {
    mkdirSync(place, { mode: 0o711 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=0711', 'tmpfs', place], { stdio: 'ignore' });
  }

  /** Leaves room for so many pages. */
  fill(room = 0): void {
    const ballast = path.join(this.place, 'ballast');
    const file = openSync(ballast, 'w');
    try {
      for (;;) writeSync(file, Buffer.alloc(PAGE));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    } finally {
      closeSync(file);
    }
    truncateSync(ballast, statSync(ballast).size - room * PAGE);
  }

  free(): void {
    rmSync(path.join(this.place, 'ballast'), { force: true });
  }

  unmount(): void {
    execFileSync('umount', ['--lazy', this.place]);
  }
}

beforeAll(async () => {
  directory = await seededDirectory();
  const place = (name: string) => path.join(path.dirname(directory), name);
  try {
    disks = { checkpoints: new Disk(place('checkpoints')), tables: new Disk(place('tables')) };
  } catch {
    // Nobody but root may mount; the tests of full disks are then left to the trigger of ledger-down.
  }
  if (disks !== null) copyOf(path.join(directory, 'checkpoints'), path.join(disks.checkpoints.place, 'store'));
  system = await startSystem(directory, { ...environment(), CUSTODIA_LEDGER_LAG_SECONDS: `${LAG_LIMIT}` });
});
afterAll(async () => {
  for (const disk of Object.values(disks ?? {})) disk.free();
  try {
    await system.stop();
  } finally {
    for (const disk of Object.values(disks ?? {})) disk.unmount();
  }
});

function environment(): Record<string, string> {
  return disks === null ? {} : { CUSTODIA_CHECKPOINT_DIRECTORY: path.join(disks.checkpoints.place, 'store') };
}

const read = () => system.ask('call_center_agent', 'HOPERAT', LIST);
const create = (name: string) =>
  system.ask('front_desk', 'PATADMIN', CREATE, {
    i: { name, gender: 'male', birthDate: '1970-01-01', phone: '13900003333' },
  });

async function health(): Promise<ReadinessState> {
  return (await (await fetch(system.endpoint.replace('graphql', 'readyz'))).json()) as ReadinessState;
}

/** Asks again and again until an answer is as it should be. */
async function until<Answer>(ask: () => Promise<Answer>, fits: (answer: Answer) => boolean): Promise<Answer> {
  const start = performance.now();
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    if (performance.now() - start > PATIENCE) throw new Error(JSON.stringify(answer));
    await pause(50);
  }
}

const answers = (reply: Reply | null) => reply?.status === 200 && reply.errors.length === 0;
const patients = () =>
  asSuperuser(directory, async (client) => (await client.query('SELECT count(*) FROM patient')).rows[0]);

/** Neither is answered with data, nor written. */
async function expectRefused(): Promise<void> {
  const before = await patients();
  for (const reply of [await read(), await create('Refused')]) {
    expect(reply?.errors.map(({ extensions }) => extensions.code)).toEqual(['AUDIT_UNAVAILABLE']);
    expect([reply?.status, reply?.data, reply?.extensions]).toEqual([503, {}, {}]);
  }
  expect(await patients()).toEqual(before);
}

/** Everything that was recorded is sequenced, signed and in order. */
async function expectVerified(): Promise<void> {
  const lines = await verdictOf(directory, environment());
  expect(lines.map((line) => line.replace(/ \d+$/, ''))).toEqual(['OK T-CN', 'OK T-EU', 'OK T-US', 'OK system']);
}

/** Every checkpoint of the store, under whatever name, is whole; what was begun and did not fit is not left behind. */
function expectWholeStore(store: string): void {
  for (const name of readdirSync(store, { recursive: true, encoding: 'utf8' })) {
    const [log = '', ...rest] = name.split('/');
    const file = rest.join('/');
    if (/^(checkpoint|published|history\/\d+)$/.test(file)) {
      const key = readFileSync(path.join(store, log, 'log.vkey'), 'utf8').trim();
      const { size } = parseCheckpoint(verifyNote(readFileSync(path.join(store, name), 'utf8'), [key]).text);
      if (file.startsWith('history/')) expect(file).toBe(`history/${size}`);
    } else {
      expect(['', 'log.vkey', 'range', 'history', 'published.new', 'range.new']).toContain(file);
    }
  }
}

describe('a disk that is full', () => {
  it('that of the checkpoints: the system is not ready, goes on recording, and signs what waits when there is room', async () => {
    if (disks === null) return;
    const { checkpoints } = disks;
    const store = path.join(checkpoints.place, 'store');
    const signed = () => readFileSync(path.join(store, 'T-CN', 'checkpoint'), 'utf8');
    checkpoints.fill();
    const before = signed();
    expect(answers(await read())).toBe(true);
    const { ready, ledger } = await until(health, (state) => state.ledger.problem !== null);
    expect([ready, ledger.refusing]).toEqual([false, false]);
    for (const reply of [await read(), await create('Unsigned')]) expect(answers(reply)).toBe(true);
    await pause(2_200);
    expect(signed()).toBe(before);
    expectWholeStore(store);
    checkpoints.free();
    await until(health, (state) => state.ready && state.ledger.problem === null);
    expect(signed()).not.toBe(before);
    expectWholeStore(store);
    await expectVerified();
  });

  it('with room for any part of what is stored: the old checkpoint stays, or the new one is there', async () => {
    if (disks === null) return;
    const directory = path.join(disks.checkpoints.place, 'parts');
    const store = new FileCheckpointStore(directory);
    const signer = { name: 'ledger.example.org/T-CN', privateKey: generateKeyPairSync('ed25519').privateKey };
    const noteOf = (size: number) =>
      signNote(checkpointText({ origin: signer.name, size, root: Buffer.alloc(32, size) }), signer);
    await store.publishKey('T-CN', vkey(signer.name, signer.privateKey));
    await store.replace('T-CN', null, noteOf(1), 1);
    let [size, refused] = [1, 0];
    for (let room = 0; room < 6; room++) {
      disks.checkpoints.fill(room);
      const replaced = await store.replace('T-CN', noteOf(size), noteOf(size + 1), size + 1).then(
        () => true,
        () => false,
      );
      disks.checkpoints.free();
      if (replaced) size += 1;
      else refused += 1;
      expect(await store.read('T-CN')).toBe(noteOf(size));
      expectWholeStore(directory);
    }
    expect([refused > 1, size > 2]).toEqual([true, true]);
  });

  it('that of the tables: no answer has data until there is room, and then all is well by itself', async () => {
    if (disks === null) return;
    const { tables } = disks;
    const place = path.join(tables.place, 'space');
    mkdirSync(place, { mode: 0o700 });
    const { uid, gid } = statSync(path.join(directory, 'postgres'));
    chownSync(place, uid, gid);
    chmodSync(tables.place, 0o711);
    const moveTo = (tablespace: string) =>
      asSuperuser(directory, async (client) => {
        const { rows } = await client.query<{ name: string }>(
          'SELECT \'ledger_entry_\' || to_char(now(), \'"y"YYYY"m"MM\') AS name',
        );
        await client.query(`ALTER TABLE ${rows[0]?.name} SET TABLESPACE ${tablespace}`);
      });
    await asSuperuser(directory, (client) => client.query(`CREATE TABLESPACE small LOCATION '${place}'`));
    await moveTo('small');
    tables.fill();
    // The last page of the table has room for some records.
    await until(read, (reply) => !answers(reply));
    await expectRefused();
    tables.free();
    await until(read, answers);
    expect(answers(await create('Room'))).toBe(true);
    await until(health, (state) => state.ready);
    await expectVerified();
    await moveTo('pg_default');
    await asSuperuser(directory, (client) => client.query('DROP TABLESPACE small'));
  });
});

describe('a writing transaction of somebody else that stays open beyond the limit', () => {
  it('nothing is recorded any more, so nothing is answered; when it ends all is well by itself, in the order of before', async () => {
    const url = embeddedUrl(
      postgresOf(directory)!.port,
      'postgres',
      passwordsIn(directory).superuser,
      EMBEDDED_DATABASE,
    );
    const blocker = new pg.Client({ connectionString: url });
    await blocker.connect();
    try {
      await blocker.query('BEGIN');
      const { rows } = await blocker.query<{ pid: number }>('SELECT pg_backend_pid() AS pid, pg_current_xact_id()');
      const start = performance.now();
      expect(answers(await read())).toBe(true);
      await until(read, (reply) => !answers(reply));
      expect(performance.now() - start).toBeGreaterThan(LAG_LIMIT * 1_000);
      await expectRefused();
      const { ready, ledger } = await health();
      expect([ready, ledger.refusing, ledger.blockedByPid, ledger.problem]).toEqual([false, true, rows[0]?.pid, null]);
      expect(ledger.lagMilliseconds).toBeGreaterThan(LAG_LIMIT * 1_000);
      await blocker.query('ROLLBACK');
    } finally {
      await blocker.end();
    }
    await until(read, answers);
    expect(answers(await create('Over'))).toBe(true);
    await until(health, (state) => state.ready && !state.ledger.refusing);
    await expectVerified();
    await asSuperuser(directory, async (client) => {
      const { rows } = await client.query(
        'SELECT leaf.log FROM ledger_leaf AS leaf JOIN ledger_entry AS entry ON entry.id = entry_id GROUP BY leaf.log ' +
          'HAVING array_agg(entry.id ORDER BY xid, id) <> array_agg(entry.id ORDER BY idx)',
      );
      expect(rows).toEqual([]);
    });
  });
});
