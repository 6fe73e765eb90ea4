import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import type { DemoOrganisation } from '../../src/demo/organisation.js';
import type { Role } from '../../src/kernel/actor.js';
import { isRunning, startEmbedded } from '../../src/persistence/embedded.js';
import { passwordsIn } from '../../src/persistence/login.js';
import { livingPostmaster } from '../../src/persistence/postmaster.js';
import { embeddedUrl, EMBEDDED_DATABASE } from '../../src/persistence/preparation.js';
import type { Answer } from './system.js';

const project = path.resolve(import.meta.dirname, '..', '..');
const loader = path.join(project, 'test', 'support', 'typescript.mjs');

/** How a process ended, and all that it said. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type Environment = Readonly<Record<string, string>>;

/** What a caller got, or null where the connection broke before there was an answer. */
export type Reply = Pick<Answer, 'status' | 'data' | 'errors' | 'extensions'>;

/** One command in a process of its own, from the sources. It ends with this process, if that is killed. */
export class CommandProcess {
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';
  private readonly child: ChildProcess;

  constructor(script: string, words: readonly string[], environment: Environment) {
    this.child = spawn(
      process.execPath,
      ['--import', loader, path.join(project, 'src/cli', `${script}.ts`), ...words],
      {
        cwd: project,
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        env: { PATH: process.env.PATH, NODE_ENV: 'production', ...environment },
      },
    );
    this.child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get living(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Sends the signal to this process alone, by its id. */
  signal(name: NodeJS.Signals): void {
    if (this.living) this.child.kill(name);
  }

  /** Waits for a text on standard output; throws with all that was said when the process ends before. */
  async says(text: string): Promise<void> {
    for (let waited = 0; !this.stdout.includes(text); waited += 10) {
      if (!this.living) await this.ended;
      if (!this.living && !this.stdout.includes(text)) throw new Error(`It ended:\n${this.stdout}${this.stderr}`);
      if (waited > 60_000) throw new Error(`It does not say "${text}":\n${this.stdout}${this.stderr}`);
      await pause(10);
    }
  }
}

/** The system as `npm start` runs it, ready to be asked. */
export class SystemProcess extends CommandProcess {
  endpoint = '';
  demo: DemoOrganisation = { endpoint: '', users: [], patients: {} };
  private readonly tokens = new Map<string, Promise<string>>();

  constructor(
    readonly directory: string,
    environment: Environment = {},
    words: readonly string[] = [],
  ) {
    super('start', words, settings(directory, environment));
  }

  async ready(): Promise<this> {
    await this.says('\nready http');
    this.endpoint = /\nready (\S+)\n/.exec(this.stdout)?.[1] ?? '';
    this.demo = JSON.parse(readFileSync(path.join(this.directory, 'demo.json'), 'utf8')) as DemoOrganisation;
    return this;
  }

  async stop(): Promise<Ended> {
    this.signal('SIGTERM');
    return this.ended;
  }

  /** As a power cut for this process: no handler runs. PostgreSQL goes on. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  async send(
    document: string,
    variables: Record<string, unknown> = {},
    headers: Environment = {},
    signal = AbortSignal.timeout(30_000),
  ): Promise<Reply | null> {
    try {
      const response = await fetch(this.endpoint, {
        method: 'POST',
        signal,
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query: document, variables }),
      });
      const { data, errors, extensions } = JSON.parse(await response.text()) as Partial<Reply>;
      return { status: response.status, data: data ?? {}, errors: errors ?? [], extensions: extensions ?? {} };
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError') throw error;
      return null;
    }
  }

  /** A request as the role's demo account, signed in once. */
  async ask(role: Role, purpose: string, document: string, variables = {}, tenant = 'T-CN'): Promise<Reply | null> {
    const key = `${tenant} ${role}`;
    let token = this.tokens.get(key);
    if (token === undefined) this.tokens.set(key, (token = this.signIn(role, tenant)));
    return this.send(document, variables, { authorization: `Bearer ${await token}`, 'x-purpose-of-use': purpose });
  }

  async signIn(role: Role, tenant = 'T-CN'): Promise<string> {
    const user = this.demo.users.find((one) => one.role === role && one.tenant === tenant);
    const input = { tenant, email: user?.email, password: user?.password };
    const answer = await this.send('mutation($i: SignInInput!) { signIn(input: $i) { accessToken } }', { i: input });
    return String(answer?.data['signIn']?.accessToken);
  }
}

function settings(directory: string, environment: Environment = {}): Environment {
  return { CUSTODIA_DATA_DIRECTORY: directory, CUSTODIA_PORT: '0', CUSTODIA_LOG_LEVEL: 'info', ...environment };
}

/** Starts the system on a data directory and waits until it is ready. */
export function startSystem(directory: string, environment?: Environment, words?: readonly string[]) {
  return new SystemProcess(directory, environment, words).ready();
}

/** Runs a command of `src/cli` on a data directory to its end. */
export function runCommand(
  directory: string,
  script: string,
  words: readonly string[] = [],
  environment?: Environment,
) {
  return new CommandProcess(script, words, settings(directory, environment)).ended;
}

/** A directory that the account of PostgreSQL can reach, deleted with the run. */
export function emptyDirectory(): string {
  const directory = mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'system-'));
  chmodSync(directory, 0o711);
  return path.join(directory, 'data');
}

/** A stopped system with the demo organisation: made once in a run, copied for every caller. */
export async function seededDirectory(): Promise<string> {
  const place = path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'seeded');
  const done = path.join(place, 'done');
  try {
    mkdirSync(place);
  } catch {
    for (let waited = 0; !existsSync(done); waited += 50) {
      if (waited > 50_000) throw new Error('The seeded system was not made.');
      await pause(50);
    }
    return copyOf(path.join(place, 'data'));
  }
  chmodSync(place, 0o711);
  const system = await startSystem(path.join(place, 'data'));
  const { code, stderr } = await system.stop();
  if (code !== 0) throw new Error(`The seeded system ended with ${code}: ${stderr}`);
  writeFileSync(done, '');
  return copyOf(path.join(place, 'data'));
}

/** With owners, modes and times, as a backup of a stopped system is made. */
export function copyOf(directory: string, target = emptyDirectory()): string {
  execFileSync('cp', ['-a', directory, target]);
  return target;
}

/** Process id and port of the PostgreSQL of a data directory, whoever started it; null when none lives. */
export function postgresOf(directory: string): { pid: number; port: number } | null {
  return livingPostmaster(path.join(directory, 'postgres'));
}

/** Works as PostgreSQL's superuser, on the running server of the data directory or on one started for it. */
export async function asSuperuser<T>(directory: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const password = passwordsIn(directory).superuser;
  const running = await isRunning(directory);
  const started = running === null ? await startEmbedded({ dataDirectory: directory, password }) : null;
  const port = running?.port ?? started?.port ?? 0;
  const client = new pg.Client({ connectionString: embeddedUrl(port, 'postgres', password, EMBEDDED_DATABASE) });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
    await started?.stop();
  }
}
