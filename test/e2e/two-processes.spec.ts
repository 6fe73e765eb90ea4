import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { migrations } from '../../migrations/list.js';
import { compose } from '../../src/composition.js';
import { readConfiguration } from '../../src/config/configuration.js';
import { documentId, manifestOf } from '../../src/config/trusted-documents.js';
import { loadDemo, type DemoOrganisation } from '../../src/demo/organisation.js';
import { DEMO_TENANTS } from '../../src/demo/people.js';
import { SystemClock } from '../../src/kernel/clock.js';
import { startEmbedded, type EmbeddedServer } from '../../src/persistence/embedded.js';
import { passwordsIn } from '../../src/persistence/login.js';
import { prepareDatabase, prepareEmbedded } from '../../src/persistence/preparation.js';
import { ensureTenants } from '../../src/persistence/tenant.store.js';
import { CommandProcess, emptyDirectory, type Environment } from '../support/process.js';
import { Subscriber, until } from '../support/subscriber.js';
import type { Loose } from '../support/system.js';

const DOCUMENTS = {
  signIn: 'mutation signIn($i: SignInInput!) { signIn(input: $i) { accessToken refreshToken } }',
  signOut: 'mutation signOut { signOut }',
  me: 'query me { me { role } }',
  patient: 'query patient($id: ID!) { patient(id: $id) { id name } }',
  create: 'mutation create($i: CreatePatientInput!) { createPatient(input: $i) { id } }',
  book: 'mutation book($i: BookAppointmentInput!) { bookAppointment(input: $i) { id } }',
  changed: 'subscription changed($patient: ID!) { appointmentChanged(patientId: $patient) { id status } }',
} as const;

let server: EmbeddedServer;
let ownerUrl: string;
let environment: Environment;
let demo: DemoOrganisation;
const processes: Api[] = [];

/** An API process as the deployment runs it: production profile, the owner's URL from a file, directories shared. */
class Api extends CommandProcess {
  constructor() {
    super('start', [], environment);
  }

  get endpoint(): string {
    return /\nready (\S+)\n/.exec(this.stdout)?.[1] ?? '';
  }

  async ready(): Promise<this> {
    await this.says('\nready http');
    return this;
  }

  async ask(name: keyof typeof DOCUMENTS, variables: Loose = {}, headers: Environment = {}) {
    const response = await fetch(this.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ query: DOCUMENTS[name], variables }),
    });
    return { status: response.status, ...((await response.json()) as { data: Loose; errors?: Loose[] }) };
  }

  async signIn(role: string): Promise<Environment> {
    const user = demo.users.find((one) => one.role === role && one.tenant === 'T-CN');
    const { data } = await this.ask('signIn', {
      i: { tenant: 'T-CN', email: user?.email, password: user?.password },
    });
    const purpose = role === 'front_desk' ? 'PATADMIN' : 'TREAT';
    return { authorization: `Bearer ${data['signIn'].accessToken}`, 'x-purpose-of-use': purpose };
  }

  async readiness(): Promise<Loose> {
    return (await (await fetch(this.endpoint.replace('/graphql', '/readyz'))).json()) as Loose;
  }
}

async function start(): Promise<Api> {
  const api = new Api();
  processes.push(api);
  return api.ready();
}

/** The living process that sequences, once there is one and only one. */
async function leader(): Promise<Api> {
  for (let waited = 0; waited < 20_000; waited += 100) {
    const living = processes.filter((one) => one.living);
    const states = await Promise.all(living.map((one) => one.readiness().catch(() => null)));
    const leading = living.filter((_, index) => states[index]?.['ledger'].leader === true);
    if (leading.length > 1) throw new Error('Two processes lead.');
    if (leading[0] !== undefined) return leading[0];
    await pause(100);
  }
  throw new Error('No process leads.');
}

beforeAll(async () => {
  const directory = emptyDirectory();
  const inDirectory = (...parts: string[]) => path.join(directory, ...parts);
  // A server of its own: a deployment refuses one that may lose what was committed, as the tests' common one may.
  const passwords = passwordsIn(inDirectory('data'));
  server = await startEmbedded({ dataDirectory: inDirectory('server'), password: passwords.superuser });
  ownerUrl = await prepareEmbedded(server.port, passwords);
  const { urls } = await prepareDatabase(ownerUrl, passwords, migrations);
  await ensureTenants(ownerUrl, DEMO_TENANTS, new SystemClock().now());
  writeFileSync(inDirectory('database-url'), `${ownerUrl}\n`, { mode: 0o600 });
  const trusted = Object.entries(DOCUMENTS).map(([name, body]) => ({
    id: documentId(body),
    name,
    type: body.split(' ')[0] as 'query' | 'mutation' | 'subscription',
    body,
  }));
  writeFileSync(inDirectory('trusted-documents.json'), manifestOf(trusted));
  environment = {
    CUSTODIA_PROFILE: 'production',
    CUSTODIA_PORT: '0',
    CUSTODIA_ORIGIN: 'crm.hospital.example',
    CUSTODIA_DATA_DIRECTORY: inDirectory('data'),
    CUSTODIA_KEY_DIRECTORY: inDirectory('keys'),
    CUSTODIA_CHECKPOINT_DIRECTORY: inDirectory('checkpoints'),
    CUSTODIA_TRUSTED_DOCUMENTS: inDirectory('trusted-documents.json'),
    DATABASE_URL_FILE: inDirectory('database-url'),
  };
  // At once, without keys: whoever makes them first has made them for both.
  await Promise.all([start(), start()]);
  const logins = { appUrl: urls.app, sequencerUrl: urls.sequencer, auditorUrl: urls.auditor };
  const composition = await compose(readConfiguration(environment), logins);
  demo = await loadDemo(composition, directory, '');
  await composition.close();
}, 120_000);
afterAll(async () => {
  for (const one of processes) one.signal('SIGTERM');
  await Promise.all(processes.map((one) => one.ended));
  await server.stop();
});

const patientOf = (key: string) => String(demo.patients['T-CN']?.[key]);

describe('two API processes on one database', () => {
  it('are one system: sessions, writes and the end of a session of one hold in the other', async () => {
    const [first, second] = processes as [Api, Api];
    const desk = await first.signIn('front_desk');
    const created = await first.ask(
      'create',
      { i: { name: 'Seen By Both', gender: 'male', birthDate: '1980-01-01' } },
      desk,
    );
    expect(created.errors).toBeUndefined();
    const { id } = created.data['createPatient'];
    const read = await second.ask('patient', { id }, desk);
    expect(read.data['patient']).toEqual({ id, name: 'Seen By Both' });
    expect((await second.ask('signOut', {}, desk)).data['signOut']).toBe(true);
    // Another process may go by what it asked at most one second ago.
    await pause(1_100);
    expect((await first.ask('me', {}, desk)).status).toBe(401);
  });

  it('tell each other’s subscribers of changes', async () => {
    const [first, second] = processes as [Api, Api];
    const desk = await first.signIn('front_desk');
    const subscriber = await new Subscriber(second.endpoint, { parameters: desk }).settled();
    const watching = subscriber.watch(DOCUMENTS.changed, { patient: patientOf('PT1') });
    const owner = new pg.Client({ connectionString: ownerUrl });
    await owner.connect();
    const listening = async () =>
      (await owner.query("SELECT FROM pg_stat_activity WHERE application_name = 'custodia notices'")).rowCount === 1;
    await until(listening, 'The listening connection').finally(() => owner.end());
    const start = new Date(Math.floor(Date.now() / 1000) * 1000 + 9 * 86_400_000);
    const end = new Date(start.getTime() + 1_800_000);
    const booked = await first.ask(
      'book',
      { i: { patientId: patientOf('PT1'), start: start.toISOString(), end: end.toISOString() } },
      desk,
    );
    expect(booked.errors).toBeUndefined();
    await until(() => watching.pushes.length > 0, 'The push');
    expect(watching.pushes[0]?.['data'].appointmentChanged).toEqual({
      id: booked.data['bookAppointment'].id,
      status: 'booked',
    });
    await subscriber.close();
  });

  it('have one sequencer; when its process stops or is killed, another takes over, and the ledger verifies', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const leading = await leader();
      leading.signal(signal);
      const { code } = await leading.ended;
      if (signal === 'SIGTERM') expect(code).toBe(0);
      const next = await leader();
      expect(next).not.toBe(leading);
      const desk = await next.signIn('front_desk');
      const created = await next.ask(
        'create',
        { i: { name: 'After The Change', gender: 'female', birthDate: '1990-01-01' } },
        desk,
      );
      expect(created.errors).toBeUndefined();
      if (signal === 'SIGTERM') await start();
    }
    const verified = await new CommandProcess('audit-verify', [], environment).ended;
    expect([verified.code, verified.stdout]).toEqual([0, expect.stringMatching(/^(OK \S+ \d+\n){4}$/)]);
  }, 120_000);
});
