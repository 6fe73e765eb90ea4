import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { verifyDirectory } from '../../audit/verify.mjs';
import { ManualClock } from '../../src/kernel/clock.js';
import { FileCheckpointStore } from '../../src/ledger/checkpoint-store.js';
import { fileLedgerKeys } from '../../src/ledger/keys.js';
import { Ledger } from '../../src/ledger/ledger.js';
import { Database } from '../../src/persistence/database.js';
import { startEmbedded, type EmbeddedServer } from '../../src/persistence/embedded.js';
import { passwordsIn } from '../../src/persistence/login.js';
import { embeddedUrl, EMBEDDED_DATABASE } from '../../src/persistence/preparation.js';
import { readDraft } from '../support/ledger.js';
import {
  asSuperuser,
  CommandProcess,
  copyOf,
  runCommand,
  seededDirectory,
  startSystem,
  SystemProcess,
} from '../support/process.js';

const LOGS = ['T-CN', 'T-EU', 'T-US', 'system'];
const ENTRIES = 600;
const LIST = '{ patients(first: 1) { edges { node { id } } } }';

let directory: string;
let server: EmbeddedServer;
const ledger = (...words: string[]) => runCommand(directory, 'ledger', words);
const verified = async () => {
  const { code, stdout } = await runCommand(directory, 'audit-verify');
  return [
    code,
    ...stdout
      .trim()
      .split('\n')
      .map((line) => line.replace(/ \d+$/, '')),
  ];
};
const IN_ORDER = [0, ...LOGS.map((log) => `OK ${log}`)];

/** A stopped system that was at work in the spring of 2024 as well; its PostgreSQL runs. */
async function withOldRecords(): Promise<EmbeddedServer> {
  const passwords = passwordsIn(directory);
  const server = await startEmbedded({ dataDirectory: directory, password: passwords.superuser });
  const url = (role: 'app' | 'sequencer') =>
    embeddedUrl(server.port, `custodia_${role}`, passwords[role], EMBEDDED_DATABASE);
  const [app, sequencer] = await Promise.all([Database.connect(url('app')), Database.connect(url('sequencer'))]);
  const open = await Ledger.open({
    app,
    sequencer,
    sequencerUrl: url('sequencer'),
    keys: fileLedgerKeys(path.join(directory, 'keys')),
    store: new FileCheckpointStore(path.join(directory, 'checkpoints')),
    clock: new ManualClock(Date.parse('2024-04-10T08:00:00Z')),
  });
  await open.createLogs(LOGS);
  await Promise.all(Array.from({ length: ENTRIES }, () => open.writer.append(readDraft())));
  await open.settle(20_000);
  await open.close();
  await Promise.all([app.close(), sequencer.close()]);
  return server;
}

describe('the archive, by its commands', () => {
  beforeAll(async () => {
    directory = await seededDirectory();
    server = await withOldRecords();
  });
  afterAll(() => server.stop());

  it('names what is wrong with a command, and does nothing', async () => {
    for (const words of [['archiv'], ['archive', '--month', '2024-13'], ['archive', '--json']]) {
      expect([words, (await ledger(...words)).code]).toEqual([words, 2]);
    }
    const short = await ledger('retention', '--tenant', 'T-CN', '--months', '5');
    expect([short.code, short.stderr]).toEqual([
      1,
      'Entries of the ledger are kept for 6 months at least. Give a longer period.\n',
    ]);
    const transfers = await ledger('retention', '--tenant', 'T-CN', '--transfer-months', '72');
    expect([transfers.code, transfers.stderr]).toEqual([1, expect.stringMatching(/120 months at least/)]);
  });

  it('is interrupted at any moment, and the next run ends what it began', async () => {
    for (const moment of ['T-CN: verifying', 'T-CN: 2024-04 is archived', 'system: verifying']) {
      const archive = new CommandProcess('ledger', ['archive'], environment());
      while (archive.living && !archive.stderr.includes(moment)) await new Promise((resolve) => setTimeout(resolve, 5));
      archive.signal('SIGKILL');
      await archive.ended;
    }
    const { code, stdout } = await ledger('archive');
    expect([code, stdout.split('\n').slice(0, -1).sort()]).toEqual([
      0,
      [
        'archived T-CN 2024-04 601',
        'archived T-EU 2024-04 1',
        'archived T-US 2024-04 1',
        'archived system 2024-04 1',
        'dropped 2024-04',
      ],
    ]);
    const left = await asSuperuser(directory, (client) =>
      client.query("SELECT 1 FROM ledger_entry WHERE recorded_at < '2024-06-01'"),
    );
    expect(left.rowCount).toBe(0);
    expect(await verified()).toEqual(IN_ORDER);
  });

  it('releases the keys of writers that have ended, and what they wrote can be checked with them', async () => {
    expect((await ledger('keys', '--tenant', 'T-CN')).stdout).toBe('');
    const { code, stdout } = await ledger('keys', '--tenant', 'T-CN', '--release');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^[0-9a-f]{16} [0-9a-f]{64}\n$/)]);
    const target = mkdtempSync(`${directory}-export-`);
    expect((await ledger('export', target, '--tenant', 'T-CN')).code).toBe(0);
    expect(readFileSync(path.join(target, 'writer.keys'), 'utf8')).toBe(stdout);
    expect((await verifyDirectory(target)).ok).toBe(true);
    writeFileSync(path.join(target, 'writer.keys'), stdout.replace(/ [0-9a-f]{8}/, ' 00000000'));
    expect((await verifyDirectory(target)).first).toMatchObject({ class: 'mac' });
  });

  it('prunes nothing under a legal hold, which is in the log as every change of the retention', async () => {
    const { stdout } = await ledger('retention', '--tenant', 'T-CN', '--months', '12', '--hold', 'on');
    expect(stdout).toBe('T-CN months 12 transfer-months 120 hot-months 12 hold on\n');
    expect((await ledger('prune', '--tenant', 'T-CN')).stderr).toMatch(/legal hold/);
    const changes = await asSuperuser(directory, (client) =>
      client.query(`SELECT 1 FROM ledger_entry WHERE position('"operation":"ledger.retention"'::bytea IN record) > 0`),
    );
    expect(changes.rowCount).toBe(1);
  });
});

function environment(): Record<string, string> {
  return { CUSTODIA_DATA_DIRECTORY: directory, CUSTODIA_LOG_LEVEL: 'info' };
}

describe('a restore of an older database, by its command', () => {
  let older: string;
  beforeAll(async () => {
    directory = await seededDirectory();
    older = copyOf(path.join(directory, 'postgres'), `${directory}.older`);
    await work();
  });
  afterAll(() => rmSync(older, { recursive: true, force: true }));

  async function work(): Promise<void> {
    const system = await startSystem(directory);
    for (let count = 0; count < 3; count++) await system.ask('call_center_agent', 'HOPERAT', LIST);
    expect((await system.stop()).code).toBe(0);
  }

  function restore(): void {
    rmSync(path.join(directory, 'postgres'), { recursive: true });
    copyOf(older, path.join(directory, 'postgres'));
  }

  it('is refused until it is declared with what was found, and then the system goes on in the open', async () => {
    restore();
    expect((await new SystemProcess(directory).ended).stderr).toMatch(/^ledger rollback detected: /);
    const shown = await ledger('restored');
    expect([shown.code, shown.stdout]).toEqual([
      1,
      expect.stringMatching(/T-CN: signed \d+, sequenced \d+, waiting \d+; entries \d+ to \d+ are given up\n/),
    ]);
    const line = /--confirm (\S+)\n/.exec(shown.stderr)?.[1] ?? '';
    expect(line.split(',').map((part) => part.split('=')[0])).toEqual(LOGS);
    expect((await ledger('restored', '--confirm', line.replace(/\d+$/, '1'))).code).toBe(1);
    expect(existsSync(path.join(directory, 'checkpoints/T-CN/incarnations'))).toBe(false);
    const reason = path.join(directory, 'reason.txt');
    writeFileSync(reason, `The disk of the database failed.\n${line}\n`);
    expect(await ledger('restored', '--reason-file', reason)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('incarnation 2\n'),
    });
    await work();
    expect(await verified()).toEqual(IN_ORDER);
  });

  it('is refused when the database goes back behind what was declared', async () => {
    const now = mkdtempSync(`${directory}-now-`);
    cpSync(path.join(directory, 'checkpoints'), now, { recursive: true });
    restore();
    expect((await new SystemProcess(directory).ended).stderr).toMatch(
      /^ledger rollback detected: the database is in incarnation 1 of the ledger, and 2 was declared/,
    );
    expect((await runCommand(directory, 'audit-verify')).code).toBe(1);
  });
});
