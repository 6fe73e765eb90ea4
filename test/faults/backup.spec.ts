import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { pruneBackups } from '../../src/cli/backup-prune.js';
import { type Manifest, openBackup, rootKeyOf } from '../../src/cli/backup-manifest.js';
import { requireWhole } from '../../src/cli/restore-load.js';
import { readConfiguration } from '../../src/config/configuration.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { BackupSource } from '../../src/persistence/backup-source.js';
import { passwordsIn } from '../../src/persistence/login.js';
import { embeddedUrl, EMBEDDED_DATABASE } from '../../src/persistence/preparation.js';
import { CLEAR, filesIn, found, foundInFile } from '../support/canaries.js';
import { Load } from '../support/load.js';
import {
  asSuperuser,
  CommandProcess,
  type Ended,
  emptyDirectory,
  type Environment,
  postgresOf,
  runCommand,
  seededDirectory,
  startSystem,
  type SystemProcess,
} from '../support/process.js';

const LINE = /^backup (custodia-\d{8}T\d{6}Z-[0-9a-f]{8}) (\d+) tables (\d+) rows (\d+) bytes\n$/m;
const IN_ORDER = [/^OK T-CN \d+$/m, /^OK T-EU \d+$/m, /^OK T-US \d+$/m, /^OK system \d+$/m];
const ATTACHED = 'CANARY-9f3c 13812345678 11010519491231002X';
const INVARIANT =
  'SELECT count(*)::int AS lost FROM patient WHERE NOT EXISTS (SELECT FROM subject_key WHERE subject_id = patient.id)';

let directory: string;
let backups: string;
let system: SystemProcess;
/** Made while callers wrote, and verified. */
let first: string;
let made: Ended;

beforeAll(async () => {
  directory = await seededDirectory();
  backups = path.join(path.dirname(directory), 'backups');
  system = await startSystem(directory);
  await attach();
  const load = await new Load(system).start(6);
  made = await backup(backups, '--verify');
  expect((await load.stop()).codes).toEqual(new Set());
  first = path.join(backups, LINE.exec(made.stdout)?.[1] ?? 'none');
}, 120_000);
afterAll(async () => {
  await system.stop();
});

const backup = (...words: string[]) => runCommand(directory, 'backup', words);
const manifestOf = (place: string) =>
  (JSON.parse(readFileSync(path.join(place, 'manifest.json'), 'utf8')) as { manifest: Manifest }).manifest;
const url = (user: string, password: string, database = EMBEDDED_DATABASE) =>
  embeddedUrl(postgresOf(directory)?.port ?? 0, user, password, database);

async function attach(): Promise<void> {
  const input = { patientId: system.demo.patients['T-CN']?.['PT1'], title: 'Findings', contentType: 'text/plain' };
  const announced = await system.ask(
    'physician',
    'TREAT',
    'mutation($input: AttachFileInput!) { attachFile(input: $input) { uploadUrl } }',
    { input: { ...input, size: ATTACHED.length } },
  );
  const sent = await fetch(system.endpoint.replace('/graphql', String(announced?.data['attachFile'].uploadUrl)), {
    method: 'PUT',
    headers: { authorization: `Bearer ${await system.signIn('physician')}`, 'x-purpose-of-use': 'TREAT' },
    body: ATTACHED,
  });
  expect(sent.status).toBe(200);
}

/** A new data directory with what a backup never holds: keys, and the checkpoints as they are. */
function prepared(): string {
  const target = emptyDirectory();
  mkdirSync(target, { mode: 0o711 });
  for (const name of ['keys', 'checkpoints'])
    cpSync(path.join(directory, name), path.join(target, name), { recursive: true });
  return target;
}

describe('a backup that is made while callers read and write', () => {
  it('is restored, compared with its manifest and found in order, and leaves no server behind', () => {
    expect(made).toEqual({ code: 0, stdout: expect.stringMatching(LINE), stderr: expect.any(String) });
    for (const line of IN_ORDER) expect(made.stdout).toMatch(line);
    expect(existsSync(path.join(directory, 'backup-verify'))).toBe(false);
    expect(readdirSync(backups).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('has every table but the list of migrations, the wrapped keys apart, and the files', async () => {
    const { tables, files, ledger, rootKey } = manifestOf(first);
    const { rows } = await asSuperuser(directory, (client) =>
      client.query<{ name: string }>(
        `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`,
      ),
    );
    const names = [...tables.map(({ name }) => name), 'mikro_orm_migrations'];
    expect(names.sort()).toEqual(rows.map(({ name }) => name).sort());
    const keys = tables.filter(({ part }) => part === 'keys').map(({ name }) => name);
    expect(keys).toEqual(expect.arrayContaining(['subject_key', 'tenant_key']));
    expect(files.map(({ kind, count }) => [kind, count])).toEqual([
      ['blobs', 1],
      ['archive', 0],
    ]);
    expect(ledger.every(({ size, checkpoint }) => Number(checkpoint?.split('\n')[1]) <= size)).toBe(true);
    expect(rootKey).toMatch(/^file:/);
  });

  it('does not hold the sequencer back: what is written meanwhile is sequenced and signed', async () => {
    const source = await BackupSource.open(url('postgres', passwordsIn(directory).superuser));
    try {
      const drained: Buffer[] = [];
      for await (const bytes of source.copy('patient', () => undefined)) drained.push(bytes);
      const [before, size] = [await oldest(), (await source.ledger()).find(({ log }) => log === 'T-CN')?.size ?? 0];
      for (let turn = 0; turn < 5; turn++)
        await system.ask('physician', 'TREAT', '{ patients(first: 1) { totalCount } }');
      for (let waited = 0; (await sequenced()) < size + 5; waited += 50) {
        if (waited > 10_000) throw new Error('The sequencer waits.');
        await pause(50);
      }
      expect(await oldest()).toBeGreaterThan(before);
      await source.finish();
    } finally {
      await source.close();
    }

    function oldest(): Promise<number> {
      return number('SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS value');
    }
    function sequenced(): Promise<number> {
      return number(`SELECT size AS value FROM ledger_head WHERE log = 'T-CN'`);
    }
    function number(text: string): Promise<number> {
      return asSuperuser(directory, async (client) => Number((await client.query(text)).rows[0].value));
    }
  });

  it('ends where a table is rewritten meanwhile, which would look empty', async () => {
    const source = await BackupSource.open(url('postgres', passwordsIn(directory).superuser));
    try {
      await asSuperuser(directory, (client) => client.query('VACUUM FULL rate_limit'));
      const drain = async () => {
        for await (const _ of source.copy('rate_limit', () => undefined));
      };
      await expect(drain()).rejects.toThrow('The table rate_limit was rewritten');
    } finally {
      await source.close();
    }
  });

  it('is refused to a login that would not see every row', async () => {
    const owner = url('custodia_owner', passwordsIn(directory).owner);
    const ended = await runCommand(directory, 'backup', [backups], { DATABASE_URL: owner });
    expect([ended.code, ended.stderr]).toEqual([1, expect.stringContaining('This login cannot read every row')]);
  });
});

describe('a backup that is killed', () => {
  it('is no backup; the next one is made beside it', async () => {
    const place = path.join(backups, 'killed');
    const words = [place, '--megabytes-per-second', '1'];
    const killed = new CommandProcess('backup', words, { CUSTODIA_DATA_DIRECTORY: directory });
    const begun = () => existsSync(place) && filesIn(place).some((file) => file.endsWith('account.sealed'));
    while (!begun()) await pause(5);
    killed.signal('SIGKILL');
    await killed.ended;
    const [left = ''] = readdirSync(place);
    expect([left, readdirSync(path.join(place, left)).includes('manifest.json')]).toEqual([
      expect.stringMatching(/\.partial$/),
      false,
    ]);
    const restored = await runCommand(prepared(), 'restore', [path.join(place, left)]);
    expect([restored.code, restored.stderr]).toEqual([
      1,
      expect.stringContaining('There is no backup in this directory'),
    ]);
    expect((await backup(place)).code).toBe(0);
    rmSync(place, { recursive: true });
  }, 60_000);
});

describe('a backup that was changed', () => {
  let other: string;
  let copy: string;
  beforeAll(async () => {
    const again = path.join(path.dirname(directory), 'again');
    other = path.join(again, LINE.exec((await backup(again)).stdout)?.[1] ?? 'none');
    copy = path.join(path.dirname(directory), 'changed');
  });

  const flip = (file: string, at: (length: number) => number) => {
    const place = path.join(copy, file);
    const bytes = readFileSync(place);
    const index = at(bytes.length);
    bytes[index] = (bytes[index] ?? 0) ^ 1;
    writeFileSync(place, bytes);
  };
  const middle = (length: number) => Math.floor(length / 2);
  const swap = (one: string, two: string) => {
    renameSync(path.join(copy, one), path.join(copy, 'aside'));
    renameSync(path.join(copy, two), path.join(copy, one));
    renameSync(path.join(copy, 'aside'), path.join(copy, two));
  };
  const CHANGES: [string, () => void][] = [
    ['a byte of a table', () => flip('data/patient.sealed', middle)],
    ['the last byte of a table', () => flip('data/ledger_leaf.sealed', (length) => length - 1)],
    ['a byte of the keys', () => flip('keys/subject_key.sealed', middle)],
    ['a byte of the wrapped key of the keys', () => flip('keys/key', middle)],
    ['a byte of the attachments', () => flip('files/blobs.sealed', middle)],
    ['each part of the manifest', () => flip('manifest.json', middle)],
    ['the last digit of its MAC', () => flip('manifest.json', (length) => length - 5)],
    ['white space of the manifest', () => flip('manifest.json', () => 1)],
    ['a truncated table', () => truncateSync(path.join(copy, 'data/account.sealed'), 100)],
    ['an empty table', () => truncateSync(path.join(copy, 'data/account.sealed'), 0)],
    ['a table that is gone', () => rmSync(path.join(copy, 'data/visit.sealed'))],
    ['the keys that are gone', () => rmSync(path.join(copy, 'keys'), { recursive: true })],
    ['two tables that were exchanged', () => swap('data/patient.sealed', 'data/visit.sealed')],
    [
      'a table of another backup',
      () => cpSync(path.join(other, 'data/tenant.sealed'), path.join(copy, 'data/tenant.sealed')),
    ],
    [
      'the manifest of another backup',
      () => cpSync(path.join(other, 'manifest.json'), path.join(copy, 'manifest.json')),
    ],
    [
      'the keys of another backup',
      () => cpSync(path.join(other, 'keys'), path.join(copy, 'keys'), { recursive: true }),
    ],
  ];

  it.each(CHANGES)('%s: is refused before anything is made of it', async (_, change) => {
    rmSync(copy, { recursive: true, force: true });
    cpSync(first, copy, { recursive: true });
    const root = await rootKeyOf(readConfiguration({ CUSTODIA_DATA_DIRECTORY: directory }));
    const read = async () => {
      const opened = await openBackup(copy, root);
      await requireWhole(opened, opened);
    };
    await read();
    change();
    await expect(read()).rejects.toThrow();
  });

  it('leaves no database behind where it is refused, and opens with no other root key', async () => {
    const target = prepared();
    const refused = await runCommand(target, 'restore', [copy]);
    expect([refused.code, refused.stdout, existsSync(path.join(target, 'postgres'))]).toEqual([1, '', false]);
    const keyless = prepared();
    rmSync(path.join(keyless, 'keys', 'ledger-mac.key'));
    const unverifiable = await runCommand(keyless, 'restore', [first]);
    expect([unverifiable.code, unverifiable.stderr]).toEqual([1, expect.stringContaining('put ledger-mac.key there')]);
    const stranger = emptyDirectory();
    mkdirSync(path.join(stranger, 'keys'), { recursive: true });
    writeFileSync(path.join(stranger, 'keys', 'root.key'), Buffer.alloc(32, 7), { mode: 0o600 });
    const unopened = await runCommand(stranger, 'restore', [first]);
    expect([unopened.code, unopened.stderr]).toEqual([1, expect.stringContaining('another root key')]);
  });
});

describe('a restore', () => {
  let target: string;
  let restored: Ended;
  beforeAll(async () => {
    target = prepared();
    restored = await runCommand(directory, 'restore', [first, '--into', target]);
  }, 60_000);

  it('gives every table back, verifies the ledger, and tells what is left to do', async () => {
    expect(restored).toEqual({ code: 0, stdout: expect.any(String), stderr: expect.any(String) });
    for (const line of IN_ORDER) expect(restored.stdout).toMatch(line);
    expect(restored.stdout).toContain('npm run ledger -- restored');
    expect(restored.stdout).toContain('run npm run restore:replay before you serve');
    const { tables } = manifestOf(first);
    const rows = tables.reduce((sum, table) => sum + table.rows, 0);
    expect(restored.stdout.endsWith(`\nrestored ${tables.length} tables ${rows} rows\n`)).toBe(true);
  });

  it('has what was one state: each patient with a key; and what protects the rows is in force', async () => {
    await asSuperuser(target, async (client) => {
      expect((await client.query(INVARIANT)).rows).toEqual([{ lost: 0 }]);
      const off = await client.query(
        `SELECT tgname FROM pg_trigger WHERE tgenabled <> 'O' UNION ALL SELECT conname FROM pg_constraint WHERE NOT convalidated
         UNION ALL SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_id'
          WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT (relrowsecurity AND (relforcerowsecurity OR relname = 'search_token'))`,
      );
      expect(off.rows).toEqual([]);
      await expect(client.query('DELETE FROM ledger_leaf')).rejects.toThrow('only grows');
    });
  });

  it('is not made over an existing system', async () => {
    const again = await runCommand(target, 'restore', [first]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('not empty')]);
    const running = await runCommand(directory, 'restore', [first]);
    expect([running.code, running.stderr]).toEqual([1, expect.stringContaining('running')]);
  });

  it('does not serve before the ledger is told; then a patient and a file are read as before', async () => {
    const early = await runCommand(target, 'start');
    expect([early.code, early.stderr]).toEqual([1, expect.stringContaining('ledger rollback detected')]);
    const shown = await runCommand(target, 'ledger', ['restored']);
    const line = /--confirm (\S+)/.exec(shown.stderr)?.[1] ?? '';
    expect(await runCommand(target, 'ledger', ['restored', '--confirm', line])).toMatchObject({ code: 0 });
    const again = await startSystem(target);
    try {
      const id = system.demo.patients['T-CN']?.['PT1'];
      const document = `{ patient(id: "${id}") { name notes attachments { edges { node { content } } } } }`;
      const answer = await again.ask('physician', 'TREAT', document);
      expect(answer?.data['patient']).toMatchObject({ name: '王小明', notes: expect.stringContaining('CANARY') });
      const [file] = answer?.data['patient']?.attachments.edges ?? [];
      const content = await fetch(again.endpoint.replace('/graphql', file.node.content), {
        headers: { authorization: `Bearer ${await again.signIn('physician')}`, 'x-purpose-of-use': 'TREAT' },
      });
      expect(await content.text()).toBe(ATTACHED);
    } finally {
      await again.stop();
    }
    const verified = await runCommand(target, 'audit-verify');
    for (const line of IN_ORDER) expect(verified.stdout).toMatch(line);
  }, 60_000);

  it('finds no canary in any file: backups, tables, write-ahead log, logs, temporary files', async () => {
    await asSuperuser(target, async (client) => {
      await client.query('CHECKPOINT');
      const { rows } = await client.query<{ name: string }>(
        `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('public', 'jobs')`,
      );
      for (const { name } of rows) {
        const text = await client.query(`SELECT string_agg(one::text, E'\\n') AS text FROM ${name} AS one`);
        expect([name, found(Buffer.from(String(text.rows[0].text)))]).toEqual([name, []]);
      }
    });
    const files = [backups, path.join(target, 'postgres'), path.join(target, 'blobs')]
      .flatMap(filesIn)
      .filter((file) => !/\/base\/[145]\//.test(file))
      .concat([path.join(target, 'postgres.log'), path.join(directory, 'postgres.log')]);
    for (const kind of ['/pg_wal/', 'subject_key.sealed', 'blobs.sealed', '/blobs/'])
      expect([kind, files.some((file) => file.includes(kind))]).toEqual([kind, true]);
    for (const file of files) expect([file, await foundInFile(file, CLEAR)]).toEqual([file, []]);
    for (const { stdout, stderr } of [made, restored]) expect(found(Buffer.from(stdout + stderr))).toEqual([]);
  }, 180_000);
});

describe('an external server', () => {
  it('is backed up by a login that can only read, and restored by the owner of an empty database', async () => {
    const settings = await asSuperuser(directory, async (client): Promise<Environment[]> => {
      await client.query(`CREATE ROLE custodia_backup LOGIN BYPASSRLS PASSWORD 'backup' IN ROLE pg_read_all_data`);
      await client.query(`GRANT CONNECT ON DATABASE ${EMBEDDED_DATABASE} TO custodia_backup`);
      await client.query('CREATE DATABASE other OWNER custodia_owner');
      const { owner } = passwordsIn(directory);
      return [
        { DATABASE_URL: url('custodia_backup', 'backup') },
        { DATABASE_URL: url('custodia_owner', owner, 'other') },
      ];
    });
    const place = path.join(path.dirname(directory), 'external');
    const read = await runCommand(directory, 'backup', [place, '--no-files'], settings[0]);
    expect([read.code, read.stderr]).toEqual([0, expect.not.stringContaining('cannot')]);
    const name = path.join(place, LINE.exec(read.stdout)?.[1] ?? 'none');
    const written = await runCommand(directory, 'restore', [name], settings[1]);
    expect(written).toEqual({ code: 0, stdout: expect.any(String), stderr: expect.any(String) });
    for (const line of IN_ORDER) expect(written.stdout).toMatch(line);
    const again = await runCommand(directory, 'restore', [name], settings[1]);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('not empty')]);
    const client = new pg.Client({ connectionString: url('postgres', passwordsIn(directory).superuser, 'other') });
    await client.connect();
    expect((await client.query(INVARIANT)).rows).toEqual([{ lost: 0 }]);
    await client.end();
  }, 60_000);
});

describe('the retention of backups', () => {
  it('deletes keys before data, never the newest backup; the data opens with the keys of a later one', async () => {
    const place = path.join(path.dirname(directory), 'kept');
    const [one] = [await backup(place)];
    const [older = ''] = readdirSync(place);
    await pause(1_100);
    await backup(place);
    const newer = readdirSync(place).find((name) => name !== older) ?? '';
    const clock = new ManualClock(Date.parse(manifestOf(path.join(place, older)).startedAt) + 7.5 * 86_400_000);
    expect(one.code).toBe(0);
    expect(await pruneBackups(place, { days: 35, keyDays: 7 }, clock)).toEqual({
      backups: [],
      keys: [older],
      overdue: newer,
    });
    const root = await rootKeyOf(readConfiguration({ CUSTODIA_DATA_DIRECTORY: directory }));
    const [data, keys] = [
      await openBackup(path.join(place, older), root),
      await openBackup(path.join(place, newer), root),
    ];
    await expect(requireWhole(data, data)).rejects.toThrow('were destroyed');
    await expect(requireWhole(keys, data)).rejects.toThrow();
    expect((await requireWhole(data, keys)).tables).toHaveLength(data.manifest.tables.length);
    const verified = await backup('verify', path.join(place, older), '--keys', path.join(place, newer));
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining(`verified ${older}`)]);
    clock.advance(30 * 86_400_000);
    mkdirSync(path.join(place, 'custodia-20200101T000000Z-00000000.partial'));
    mkdirSync(path.join(place, 'something else'));
    const { backups: gone } = await pruneBackups(place, { days: 35, keyDays: 7 }, clock);
    expect([...gone].sort()).toEqual(['custodia-20200101T000000Z-00000000.partial', older]);
    expect(readdirSync(place).sort()).toEqual([newer, 'something else'].sort());
  }, 60_000);
});
