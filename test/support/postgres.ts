import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { migrations } from '../../migrations/list.js';
import { Database } from '../../src/persistence/database.js';
import { startEmbedded } from '../../src/persistence/embedded.js';
import { prepareDatabase, prepareEmbedded } from '../../src/persistence/preparation.js';

/**
 * One migrated database of its own for a test file, in the PostgreSQL of its jest worker. A writing transaction anywhere
 * in a cluster holds the ledger's watermark back, so files that run at the same time must not share one.
 */
export interface TestDatabase {
  /** Superuser: passes row-level security. For arranging, looking and tampering. */
  readonly owner: pg.Pool;
  readonly app: Database;
  readonly sequencer: Database;
  readonly auditor: Database;
  /** `owner` migrates and owns the tables (no superuser); `superuser` is who the `owner` pool logs in as. */
  readonly urls: Readonly<Record<'owner' | 'app' | 'sequencer' | 'auditor' | 'superuser', string>>;
  /** A directory of its own, deleted by `close()`. */
  readonly directory: string;
  /** Leaves the database under this name, as the template of others. Nothing may use it any more; the directory stays. */
  keepAs(template: string): Promise<void>;
  close(): Promise<void>;
}

interface ServerFacts {
  readonly port: number;
  readonly passwords: Readonly<Record<keyof TestDatabase['urls'], string>>;
}

const ROLES = {
  superuser: 'postgres',
  owner: 'custodia_owner',
  app: 'custodia_app',
  sequencer: 'custodia_sequencer',
  auditor: 'custodia_auditor',
} as const;
const TEMPLATE = 'custodia_template';

export async function testDatabase(template = TEMPLATE): Promise<TestDatabase> {
  const run = serverDirectory();
  const facts = await server(run);
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asSuperuser(facts, (client) =>
    client.query(`CREATE DATABASE ${name} TEMPLATE ${template} OWNER custodia_owner STRATEGY file_copy`),
  );
  const urls = Object.fromEntries(
    Object.keys(ROLES).map((key) => [key, urlOf(facts, key as keyof typeof ROLES, name)]),
  ) as TestDatabase['urls'];
  const owner = new pg.Pool({ connectionString: urls.superuser, max: 4 });
  owner.on('error', () => undefined);
  const [app, sequencer, auditor] = await Promise.all([
    Database.connect(urls.app),
    Database.connect(urls.sequencer, { maximum: 4 }),
    Database.connect(urls.auditor, { maximum: 4 }),
  ]);
  const directory = mkdtempSync(path.join(run, 'directory-'));
  const disconnect = () => Promise.all([app.close(), sequencer.close(), auditor.close(), owner.end()]);
  return {
    owner,
    app,
    sequencer,
    auditor,
    urls,
    directory,
    async keepAs(kept) {
      await disconnect();
      await asSuperuser(facts, (client) => client.query(`ALTER DATABASE ${name} RENAME TO ${kept}`));
    },
    async close() {
      await disconnect();
      await asSuperuser(facts, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Where this jest worker's server, its facts and its tests' directories lie. */
export function serverDirectory(): string {
  const directory = path.join(process.env.TEST_RUN_DIRECTORY ?? '', `server-${process.env.JEST_WORKER_ID ?? '1'}`);
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  return directory;
}

/** The server of the worker: started by whoever makes the `starting` folder first, the others wait for its facts. */
async function server(run: string): Promise<ServerFacts> {
  const factsFile = path.join(run, 'server.json');
  let mine = true;
  try {
    mkdirSync(path.join(run, 'starting'));
  } catch {
    mine = false;
  }
  if (mine) {
    try {
      const facts = await startServer(run);
      writeFileSync(`${factsFile}.new`, JSON.stringify(facts), { mode: 0o600 });
      renameSync(`${factsFile}.new`, factsFile);
    } catch (error) {
      writeFileSync(path.join(run, 'failed'), '');
      throw error;
    }
  }
  for (let waited = 0; !existsSync(factsFile); waited += 50) {
    if (existsSync(path.join(run, 'failed')) || waited > 45_000) throw new Error('The PostgreSQL of this run failed.');
    await pause(50);
  }
  return JSON.parse(readFileSync(factsFile, 'utf8')) as ServerFacts;
}

async function startServer(run: string): Promise<ServerFacts> {
  const passwords = Object.fromEntries(
    Object.keys(ROLES).map((role) => [role, randomBytes(16).toString('hex')]),
  ) as ServerFacts['passwords'];
  const embedded = await startEmbedded({
    dataDirectory: run,
    password: passwords.superuser,
    settings: { fsync: 'off', full_page_writes: 'off', shared_buffers: '64MB', max_connections: '200' },
  });
  stopWhenAbandoned(embedded.pid, run);
  const facts = { port: embedded.port, passwords };
  await prepareEmbedded(embedded.port, passwords);
  await asSuperuser(facts, (client) => client.query(`CREATE DATABASE ${TEMPLATE} OWNER custodia_owner`));
  await prepareDatabase(urlOf(facts, 'owner', TEMPLATE), passwords, migrations);
  return facts;
}

/** A run that is killed cannot clean up: a small shell waits for its end and then stops the server. */
function stopWhenAbandoned(pid: number, run: string): void {
  const script =
    'while kill -0 "$0" 2>/dev/null && kill -0 "$1" 2>/dev/null; do sleep 2; done; kill -INT "$1" 2>/dev/null && sleep 2 && rm -rf "$2"';
  const runner = process.env.TEST_RUN_PROCESS ?? '';
  spawn('/bin/sh', ['-c', script, runner, String(pid), run], { detached: true, stdio: 'ignore' }).unref();
}

function urlOf(facts: ServerFacts, role: keyof typeof ROLES, database: string): string {
  return `postgresql://${ROLES[role]}:${facts.passwords[role]}@127.0.0.1:${facts.port}/${database}`;
}

async function asSuperuser(facts: ServerFacts, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: urlOf(facts, 'superuser', 'postgres') });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
