import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { migrations } from '../migrations/list.js';
import { Refusal } from '../src/config/refusal.js';
import { startEmbedded, type EmbeddedServer } from '../src/persistence/embedded.js';
import { passwordsIn, type DatabaseUrls, type Passwords } from '../src/persistence/login.js';
import { EMBEDDED_DATABASE, embeddedUrl, prepareDatabase, prepareEmbedded } from '../src/persistence/preparation.js';
import type { LoadAnswer, LoadFigures, LoadJob } from './load.js';
import { processorTimeOfTree } from './processor-time.js';
import { DIST, GOVERNED, MeasuredServer, PROJECT } from './server.js';

const PEER_DATABASE = 'bench_peer';

/**
 * A working directory that differs from the project's in the number of patients that one account may see: a load generator
 * reads more of them than a person does.
 */
export function workingDirectory(directory: string): string {
  cpSync(path.join(PROJECT, 'policies'), path.join(directory, 'policies'), { recursive: true });
  for (const name of ['src', 'node_modules', 'package.json']) {
    symlinkSync(path.join(PROJECT, name), path.join(directory, name));
  }
  const file = path.join(directory, 'policies', 'vocabulary.yaml');
  const text = readFileSync(file, 'utf8');
  const raised = text.replace(/^  (patientsPerHour|patientsPerDay): \d+/gm, '  $1: 1000000');
  if (raised === text) throw new Refusal('policies/vocabulary.yaml has another form than the benchmarks expect.');
  writeFileSync(file, raised);
  return directory;
}

/**
 * Everything a figure needs, in a temporary directory: one PostgreSQL with a database for each side, the servers, the load
 * generator. Owns all of them: {@link dispose} ends the processes, last of all PostgreSQL, and deletes the directory.
 */
export class Installation {
  private readonly servers: MeasuredServer[] = [];
  private readonly working: string;
  private generator: ChildProcess | null = null;
  private disposing: Promise<void> | null = null;

  private constructor(
    readonly directory: string,
    private readonly postgres: EmbeddedServer,
    private readonly passwords: Passwords,
    private readonly ownerUrl: string,
  ) {
    this.working = workingDirectory(path.join(directory, 'working'));
  }

  static async create(): Promise<Installation> {
    const directory = mkdtempSync(path.join(tmpdir(), 'custodia-bench-'));
    chmodSync(directory, 0o711);
    try {
      const passwords = passwordsIn(directory);
      const postgres = await startEmbedded({
        dataDirectory: path.join(directory, 'server'),
        password: passwords.superuser,
      });
      try {
        const ownerUrl = await prepareEmbedded(postgres.port, passwords);
        const installation = new Installation(directory, postgres, passwords, ownerUrl);
        await installation.asSuperuser('postgres', `CREATE DATABASE ${PEER_DATABASE}`);
        return installation;
      } catch (error) {
        await postgres.stop();
        throw error;
      }
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get peerUrl(): string {
    return this.superuserUrl(PEER_DATABASE);
  }

  /** The governed database with its tables and roles, for figures that need no server. */
  async migrated(): Promise<DatabaseUrls> {
    return (await prepareDatabase(this.ownerUrl, this.passwords, migrations)).urls;
  }

  /**
   * The governed server as `npm start` runs it, over this PostgreSQL; under the policies of another directory, if one is given,
   * else in a {@link workingDirectory}.
   */
  async startGoverned(directory = this.working, more: Readonly<Record<string, string>> = {}): Promise<MeasuredServer> {
    const environment = {
      ...more,
      DATABASE_URL: this.ownerUrl,
      CUSTODIA_DATA_DIRECTORY: this.directory,
      CUSTODIA_PORT: '0',
    };
    return this.start(GOVERNED, environment, directory);
  }

  /** Changes the governed database past the policy, for a state that would take hours to come by. */
  async alter(text: string): Promise<void> {
    await this.asSuperuser(EMBEDDED_DATABASE, text);
  }

  /** Looks into the governed database past the policy, for figures of tables and indexes. */
  async look<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.superuserUrl(EMBEDDED_DATABASE) });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async startPeer(): Promise<MeasuredServer> {
    return this.start('bench/peer/main.js', { PEER_DATABASE_URL: this.peerUrl });
  }

  /** Another peer. @param script below dist/ */
  async startScript(script: string, environment: Readonly<Record<string, string>>): Promise<MeasuredServer> {
    return this.start(script, environment);
  }

  /** What the demo organisation's file says of its accounts. */
  account(
    tenant: string,
    role: string,
  ): { readonly tenant: string; readonly email: string; readonly password: string } {
    return this.user(tenant, role);
  }

  /** The secret of the account's authenticator. */
  totpSecret(tenant: string, role: string): string {
    const { totpSecret } = this.user(tenant, role);
    if (totpSecret === null) throw new Refusal(`The ${role} of ${tenant} has no second factor.`);
    return totpSecret;
  }

  private user(tenant: string, role: string) {
    const { users } = JSON.parse(readFileSync(path.join(this.directory, 'demo.json'), 'utf8')) as {
      users: { tenant: string; role: string; email: string; password: string; totpSecret: string | null }[];
    };
    const found = users.find((user) => user.tenant === tenant && user.role === role);
    if (found === undefined) throw new Refusal(`The demo organisation has no ${role} in ${tenant}.`);
    return found;
  }

  /** Planner statistics and visibility maps as a database in use has them, so that autovacuum need not make them meanwhile. */
  async settle(): Promise<void> {
    for (const database of [EMBEDDED_DATABASE, PEER_DATABASE]) await this.asSuperuser(database, 'VACUUM (ANALYZE)');
    await this.asSuperuser('postgres', 'CHECKPOINT');
  }

  /** Runs a job in the load generator. Throws at the first wrong answer. */
  async load(job: LoadJob): Promise<LoadFigures> {
    this.generator ??= fork(path.join(DIST, 'bench', 'load.js'), { execArgv: [] });
    this.generator.send(job);
    const [answer] = (await once(this.generator, 'message')) as [LoadAnswer];
    if ('fault' in answer) {
      this.servers.find((server) => server.port === job.port)?.assertRunning();
      throw new Refusal(answer.fault);
    }
    return answer.figures;
  }

  /** Processor time of PostgreSQL so far, in milliseconds. */
  databaseTime(): number {
    return processorTimeOfTree(this.postgres.pid);
  }

  dispose(): Promise<void> {
    this.disposing ??= this.end();
    return this.disposing;
  }

  private async end(): Promise<void> {
    this.generator?.disconnect();
    await Promise.allSettled(this.servers.map((server) => server.stop()));
    await this.postgres.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async start(
    script: string,
    environment: Readonly<Record<string, string>>,
    directory?: string,
  ): Promise<MeasuredServer> {
    const server = await MeasuredServer.start(script, environment, directory);
    this.servers.push(server);
    return server;
  }

  private superuserUrl(database: string): string {
    return embeddedUrl(this.postgres.port, 'postgres', this.passwords.superuser, database);
  }

  private async asSuperuser(database: string, text: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.superuserUrl(database) });
    await client.connect();
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  }
}
