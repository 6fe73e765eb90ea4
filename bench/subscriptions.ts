import { setTimeout as pause } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { compose } from '../src/composition.js';
import { readConfiguration } from '../src/config/configuration.js';
import { Refusal } from '../src/config/refusal.js';
import type { Role } from '../src/kernel/actor.js';
import { post, signIn } from './client.js';
import type { Installation } from './installation.js';
import { median, print, rounded, type Pace } from './rounds.js';
import { PEER_CHANNEL, Subscriber, type Arrival } from './subscribers.js';

const TENANT = 'T-CN';
const PASSWORD = 'four long words of a bench';
/** Accounts with a session each and twenty sockets each: 800 subscriptions may see the patient, 200 may not. */
const PERMITTED = 40;
const WITHHELD = 10;
const SOCKETS = 20;
const CHANGES = 10;
const LONGEST_WAIT = 20_000;
const DAY = 86_400_000;

/** What a change took: until the typical and until the last permitted subscriber had it, in milliseconds. */
interface Reach {
  readonly typical: number;
  readonly last: number;
}

/**
 * A thousand open subscriptions on one patient; one appointment of the patient changes. Time from asking for the change to
 * the push, over all who may see it: each push is authenticated, decided, read, masked and recorded durably on its own.
 * Against a bare graphql-ws server that sends the same document's answer to all thousand. Checked: who may see it gets each
 * change once, with a record of its own; who may not gets nothing.
 */
export async function subscriptions(installation: Installation, _patients: number, { rounds }: Pace): Promise<number> {
  const governed = await governedSide(installation);
  const bare = await bareSide(installation);
  print(['round', 'side', 'p50 ms', 'last ms (p50)', 'last ms (max)']);
  const ratios: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const [ours, theirs] = [await measure(governed), await measure(bare)];
    if (round === 0) continue;
    for (const [name, reaches] of [
      ['governed', ours],
      ['bare', theirs],
    ] as const) {
      const last = reaches.map((one) => one.last);
      const typical = median(reaches.map((one) => one.typical));
      print([String(round), name, rounded(typical), rounded(median(last)), rounded(Math.max(...last))]);
    }
    ratios.push(median(theirs.map((one) => one.last)) / median(ours.map((one) => one.last)));
  }
  governed.finish();
  bare.finish();
  return median(ratios);
}

interface Fanout {
  readonly reached: readonly Subscriber[];
  readonly unreached: readonly Subscriber[];
  /** Makes a change and gives its version. */
  change(): Promise<number>;
  /** Checks that nobody got too much, and closes. */
  finish(): void;
}

async function measure({ reached, change }: Fanout): Promise<Reach[]> {
  const reaches: Reach[] = [];
  for (let count = 0; count < CHANGES; count += 1) {
    const before = reached.map((one) => one.arrivals.length);
    const start = performance.now();
    const version = await change();
    const arrivals = await Promise.all(reached.map((one, index) => arrivalAfter(one, before[index] ?? 0)));
    if (arrivals.some((one) => one.version !== version)) throw new Refusal('A push is not of the change.');
    const times = arrivals.map(({ at }) => at - start);
    reaches.push({ typical: median(times), last: Math.max(...times) });
    await pause(200);
  }
  return reaches;
}

async function arrivalAfter(subscriber: Subscriber, before: number): Promise<Arrival> {
  for (let waited = 0; waited < LONGEST_WAIT; waited += 10) {
    const arrival = subscriber.arrivals[before];
    if (arrival !== undefined) return arrival;
    await pause(10);
  }
  throw new Refusal('A permitted subscriber did not get a change.');
}

async function governedSide(installation: Installation): Promise<Fanout> {
  const { port } = await installation.startGoverned();
  const accounts = [
    ...Array.from({ length: PERMITTED }, (_, at) => ({
      role: 'front_desk' as Role,
      email: `desk-${at}@bench.example`,
    })),
    ...Array.from({ length: WITHHELD }, (_, at) => ({
      role: 'physician' as Role,
      email: `doctor-${at}@bench.example`,
    })),
  ];
  await createAccounts(installation, accounts);
  const { patients } = JSON.parse(readFileSync(path.join(installation.directory, 'demo.json'), 'utf8')) as {
    patients: Record<string, Record<string, string>>;
  };
  const patientId = patients[TENANT]?.['PT1'] ?? '';
  const opened: { role: Role; subscriber: Subscriber }[] = [];
  for (const { role, email } of accounts) {
    const purpose = role === 'physician' ? 'TREAT' : 'PATADMIN';
    const headers = await signIn(port, { tenant: TENANT, email, password: PASSWORD }, purpose);
    const open = Array.from({ length: SOCKETS }, () => Subscriber.open(port, headers, patientId));
    for (const subscriber of await Promise.all(open)) opened.push({ role, subscriber });
  }
  await pause(2_000);
  const reached = opened.filter(({ role }) => role === 'front_desk').map(({ subscriber }) => subscriber);
  const unreached = opened.filter(({ role }) => role === 'physician').map(({ subscriber }) => subscriber);
  console.log(`${opened.length} sockets, ${accounts.length} sessions: ${reached.length} may see the patient`);
  const desk = await signIn(port, installation.account(TENANT, 'front_desk'), 'PATADMIN');
  const appointment = await bookAppointment(port, desk, patientId);
  await pause(2_000);
  const before = reached.map(({ arrivals }) => arrivals.length);
  let { version } = appointment;
  let moves = 0;
  return {
    reached,
    unreached,
    async change() {
      moves += 1;
      const document =
        'mutation($id: ID!, $version: Int!, $start: String!, $end: String!) ' +
        '{ rescheduleAppointment(id: $id, version: $version, start: $start, end: $end) { version } }';
      const variables = { id: appointment.id, version, ...period(moves + 2) };
      ({ version } = (await mutate(port, desk, document, variables)) as { version: number });
      return version;
    },
    finish() {
      const pushes = reached.flatMap(({ arrivals }, index) => arrivals.slice(before[index]));
      if (pushes.length !== reached.length * moves) throw new Refusal('A change was pushed twice, or not at all.');
      const records = new Set(pushes.map(({ record }) => record));
      if (records.size !== pushes.length) throw new Refusal('A push has no record of its own.');
      if (unreached.some(({ arrivals }) => arrivals.length > 0)) throw new Refusal('Somebody got what he may not see.');
      console.log(`${pushes.length} pushes, each with a record; none of ${unreached.length * moves} others`);
      for (const one of [...reached, ...unreached]) one.close();
    },
  };
}

async function bareSide(installation: Installation): Promise<Fanout> {
  const { port } = await installation.startScript('bench/peer/subscriptions.js', {
    PEER_DATABASE_URL: installation.peerUrl,
  });
  const reached: Subscriber[] = [];
  for (let count = 0; count < PERMITTED + WITHHELD; count += 1) {
    const open = Array.from({ length: SOCKETS }, () => Subscriber.open(port, {}, 'patient'));
    reached.push(...(await Promise.all(open)));
  }
  const client = new pg.Client({ connectionString: installation.peerUrl });
  // Ended with its server, when the installation is disposed of before it.
  client.on('error', () => undefined);
  await client.connect();
  await client.query('CREATE TABLE moved (id int PRIMARY KEY, version int)');
  await client.query('INSERT INTO moved VALUES (1, 0)');
  return {
    reached,
    unreached: [],
    async change() {
      const { rows } = await client.query<{ version: number }>(
        `WITH moved AS (UPDATE moved SET version = version + 1 RETURNING version)
         SELECT version, pg_notify('${PEER_CHANNEL}', json_build_object('id', 'x', 'version', version, 'status', 'booked',
           'start', now(), 'end', now(), 'department', 'Internal medicine')::text) FROM moved`,
      );
      return rows[0]?.version ?? 0;
    },
    finish() {
      for (const one of reached) one.close();
      void client.end();
    },
  };
}

/** Accounts are made as an administrator makes them; signing in is a caller's affair. */
async function createAccounts(installation: Installation, accounts: readonly { role: Role; email: string }[]) {
  const { app, sequencer, auditor } = await installation.migrated();
  const configuration = readConfiguration({ CUSTODIA_DATA_DIRECTORY: installation.directory });
  const urls = { appUrl: app, sequencerUrl: sequencer, auditorUrl: auditor };
  const composition = await compose(configuration, urls);
  try {
    for (const { role, email } of accounts) {
      await composition.identity.createAccount({ tenant: TENANT, role, email, password: PASSWORD });
    }
  } finally {
    await composition.close();
  }
}

async function bookAppointment(port: number, headers: Readonly<Record<string, string>>, patientId: string) {
  const document = 'mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { id version } }';
  const input = { patientId, ...period(2), department: 'Internal medicine' };
  return (await mutate(port, headers, document, { input })) as { id: string; version: number };
}

/** Half an hour, so many days from now. */
function period(days: number): { start: string; end: string } {
  const start = Math.floor(Date.now() / 1000) * 1000 + days * DAY;
  return { start: new Date(start).toISOString(), end: new Date(start + 1_800_000).toISOString() };
}

async function mutate(
  port: number,
  headers: Readonly<Record<string, string>>,
  query: string,
  variables: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const answer = await post(port, headers, JSON.stringify({ query, variables }));
  if (answer.errors !== undefined) throw new Refusal(`A change failed: ${JSON.stringify(answer.errors)}`);
  return Object.values(answer.data ?? {})[0];
}
