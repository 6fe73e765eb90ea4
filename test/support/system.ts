import { execFileSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { compose, type Composition } from '../../src/composition.js';
import { readConfiguration, type Configuration } from '../../src/config/configuration.js';
import { loadDemo, type DemoOrganisation } from '../../src/demo/organisation.js';
import { DEMO_TENANTS } from '../../src/demo/people.js';
import type { Role } from '../../src/kernel/actor.js';
import { SystemClock, type Clock } from '../../src/kernel/clock.js';
import { serve } from '../../src/main.js';
import { ensureTenants } from '../../src/persistence/tenant.store.js';
import { Log } from '../../src/telemetry/log.js';
import { serverDirectory, testDatabase, type TestDatabase } from './postgres.js';

/** JSON that a test looks into by path: its shape is what the test is about. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Loose = Record<string, any>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The bytes, for comparisons that must be exact. */
  readonly text: string;
  readonly data: Loose;
  readonly errors: { message: string; path?: (string | number)[]; extensions: Loose & { code: string } }[];
  readonly extensions: Loose;
}
export interface AskOptions {
  readonly purpose?: string | null;
  readonly token?: string | null;
  readonly variables?: Record<string, unknown>;
  readonly headers?: Record<string, string>;
}

/** The whole system on a database of its own: the real server on a free port, the demo organisation, the real ledger. */
export interface TestSystem {
  readonly endpoint: string;
  readonly composition: Composition;
  readonly database: TestDatabase;
  readonly demo: DemoOrganisation;
  /** What the system logged so far, as text. */
  logged(): string;
  /** An access token of the demo account with this role; signed in once. */
  token(role: Role, tenant?: string): Promise<string>;
  /** Sends a document as the role's account; `purpose` defaults to the first one of the role. */
  ask(role: Role, document: string, options?: AskOptions & { tenant?: string }): Promise<Answer>;
  /** Sends a document with exactly these headers. */
  send(document: string, options?: AskOptions): Promise<Answer>;
  close(): Promise<void>;
}

interface SystemOptions {
  readonly clock?: Clock;
  readonly policies?: string;
  /** Variables beside the usual ones, of a system whose directory is this; called before anything is composed. */
  readonly environment?: (directory: string) => Promise<Record<string, string>>;
}

const SEEDED = 'custodia_seeded';

/** With a clock or policies of its own the demo organisation is loaded under them, else the one of the worker is copied. */
export async function testSystem(options: SystemOptions = {}): Promise<TestSystem> {
  const usual = options.clock === undefined && options.policies === undefined;
  const database = usual ? await seededDatabase() : await testDatabase();
  const lines: string[] = [];
  const log = new Log('trace', { write: (line: string) => void lines.push(line) });
  const environment = (await options.environment?.(database.directory)) ?? {};
  const composition = await composed(database, options, environment);
  const api = await serve(configurationOf(database, environment), composition, log);
  const demo = await (usual ? readDemo : loadDemo)(composition, database.directory, api.endpoint).catch(
    async (error: unknown) => {
      // A system that nobody holds is closed by nobody, and its jobs would go on in the next test file of the worker.
      await api.close();
      await composition.close();
      await database.close();
      throw error;
    },
  );
  const tokens = new Map<string, Promise<string>>();

  const send = async (document: string, { purpose, token, variables, headers }: AskOptions = {}): Promise<Answer> => {
    const response = await fetch(api.endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token == null ? {} : { authorization: `Bearer ${token}` }),
        ...(purpose == null ? {} : { 'x-purpose-of-use': purpose }),
        ...headers,
      },
      body: JSON.stringify({ query: document, variables }),
    });
    const text = await response.text();
    const body = JSON.parse(text) as Partial<Answer>;
    return {
      status: response.status,
      headers: response.headers,
      text,
      data: body.data ?? ({} as Answer['data']),
      errors: body.errors ?? [],
      extensions: body.extensions ?? {},
    };
  };
  const signIn = async (role: Role, tenant: string): Promise<string> => {
    const user = demo.users.find((one) => one.role === role && one.tenant === tenant);
    if (user === undefined) throw new Error(`There is no ${role} in ${tenant}.`);
    const { email, password } = user;
    const answer = await send('mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }', {
      variables: { input: { tenant, email, password } },
    });
    return String(answer.data['signIn'].accessToken);
  };
  const token = (role: Role, tenant = 'T-CN'): Promise<string> => {
    const key = `${tenant} ${role}`;
    let known = tokens.get(key);
    if (known === undefined) tokens.set(key, (known = signIn(role, tenant)));
    return known;
  };
  return {
    endpoint: api.endpoint,
    composition,
    database,
    demo,
    logged: () => lines.join(''),
    token,
    send,
    ask: async (role, document, { tenant, ...rest } = {}) =>
      send(document, {
        purpose: composition.policy.purposesOf(role)[0] ?? null,
        token: await token(role, tenant),
        ...rest,
      }),
    async close() {
      await api.close();
      await composition.close();
      await database.close();
    },
  };
}

/** A database and a directory with the demo organisation: made once by each worker, whose files run one after the other. */
async function seededDatabase(): Promise<TestDatabase> {
  const place = path.join(serverDirectory(), 'seeded');
  if (!existsSync(place)) {
    const first = await testDatabase();
    const composition = await composed(first, {});
    await loadDemo(composition, first.directory, '');
    await composition.close();
    await first.keepAs(SEEDED);
    renameSync(first.directory, place);
  }
  const database = await testDatabase(SEEDED);
  execFileSync('cp', ['-a', `${place}/.`, database.directory]);
  return database;
}

async function composed(
  database: TestDatabase,
  options: SystemOptions,
  environment: Record<string, string> = {},
): Promise<Composition> {
  const { owner, app, sequencer, auditor } = database.urls;
  await ensureTenants(owner, DEMO_TENANTS, (options.clock ?? new SystemClock()).now());
  const logins = { appUrl: app, sequencerUrl: sequencer, auditorUrl: auditor };
  return compose(configurationOf(database, environment), logins, options);
}

function configurationOf({ directory }: TestDatabase, environment: Record<string, string>): Configuration {
  return readConfiguration({
    ...environment,
    CUSTODIA_PORT: '0',
    CUSTODIA_DATA_DIRECTORY: path.join(directory, 'data'),
    CUSTODIA_KEY_DIRECTORY: path.join(directory, 'keys'),
    CUSTODIA_CHECKPOINT_DIRECTORY: path.join(directory, 'checkpoints'),
  });
}

async function readDemo(_: Composition, directory: string, endpoint: string): Promise<DemoOrganisation> {
  const demo = JSON.parse(await readFile(path.join(directory, 'demo.json'), 'utf8')) as DemoOrganisation;
  return { ...demo, endpoint };
}

/**
 * The records of a log in the order they were written, as the database holds them; for looking, not for proof. Those of
 * machines, which look once a minute what is due, only where they are asked for.
 */
export async function recordsOf(system: TestSystem, log: string, machines = false): Promise<Loose[]> {
  const { rows } = await system.database.owner.query<{ record: Buffer }>(
    'SELECT record FROM ledger_entry WHERE log = $1 ORDER BY id',
    [log],
  );
  const records = rows.map((row) => JSON.parse(row.record.toString()) as Loose);
  return machines ? records : records.filter((one) => one['role'] !== 'reminder_service');
}
