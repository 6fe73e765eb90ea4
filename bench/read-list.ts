import { signIn, walk } from './client.js';
import type { Installation } from './installation.js';
import type { LoadFigures } from './load.js';
import { compare, rounded, type Pace, type Side } from './rounds.js';
import { seedGoverned, seedPeer } from './seed.js';
import type { MeasuredServer } from './server.js';
import type { Work } from './work.js';

const TENANT = 'T-CN';
const CONNECTIONS = 16;
/** Six sealed ones (name, birthDate, phone, email, nationalId, insuranceNumber) in three data groups, and three plain ones. */
const FIELDS = [
  'id',
  'name',
  'gender',
  'birthDate',
  'birthYear',
  'phone',
  'email',
  'nationalId',
  'insuranceNumber',
] as const;
/** What a front desk is not shown in clear of a patient without a visit today: four of the six (three are asked for). */
const MASKED = ['phone', 'email', 'nationalId', 'insuranceNumber'] as const;

interface ListSide extends Side {
  readonly headers: Readonly<Record<string, string>>;
  readonly work: Extract<Work, { kind: 'list' }>;
}

/**
 * 20 patients × 9 fields of random pages for a front desk with the purpose PATADMIN: sign-in, policy, masks, vault and
 * ledger, against the bare server's same list in clear. Every answer is checked, field by field.
 */
export async function readList(installation: Installation, patients: number, pace: Pace): Promise<number> {
  await seedPeer(installation.peerUrl, patients);
  const cursors = await seedList(installation, patients);
  const governed = await governedSide(installation, 'governed', cursors, patients);
  const bare = await bareSide(installation, patients);
  await reportCold(installation, [governed, bare]);
  return compare([governed, bare], pace);
}

/** Registers the patients and walks through their pages. Answers the cursors of all pages. */
export async function seedList(installation: Installation, patients: number): Promise<readonly (string | null)[]> {
  const seeding = await installation.startGoverned();
  const registrar = await signIn(seeding.port, installation.account(TENANT, 'integrator'), 'PATADMIN');
  await seedGoverned(installation, seeding, registrar, patients);
  const reader = await signIn(seeding.port, installation.account(TENANT, 'front_desk'), 'PATADMIN');
  const cursors = await walk(seeding.port, reader, patients);
  await seeding.stop();
  await installation.settle();
  return cursors;
}

/** @param directory where the server finds its policies; cursors belong to a policy, so that of others all but the first are walked anew */
export async function governedSide(
  installation: Installation,
  name: string,
  known: readonly (string | null)[] | null,
  patients: number,
  directory?: string,
  environment?: Readonly<Record<string, string>>,
): Promise<ListSide> {
  const server = await installation.startGoverned(directory, environment);
  const headers = await signIn(server.port, installation.account(TENANT, 'front_desk'), 'PATADMIN');
  const cursors = known ?? (await walk(server.port, headers, patients));
  return side(installation, name, server, headers, {
    kind: 'list',
    cursors,
    fields: FIELDS,
    masked: environment === undefined ? MASKED : [],
    patients,
    order: 'random',
  });
}

async function bareSide(installation: Installation, patients: number): Promise<ListSide> {
  const server = await installation.startPeer();
  const cursors = await walk(server.port, {}, patients);
  return side(
    installation,
    'bare',
    server,
    {},
    {
      kind: 'list',
      cursors,
      fields: FIELDS,
      masked: [],
      patients,
      order: 'random',
    },
  );
}

function side(
  installation: Installation,
  name: string,
  server: MeasuredServer,
  headers: Readonly<Record<string, string>>,
  work: ListSide['work'],
): ListSide {
  return {
    name,
    server,
    headers,
    work,
    databaseTime: () => installation.databaseTime(),
    load: (milliseconds) =>
      installation.load({ port: server.port, headers, connections: CONNECTIONS, milliseconds, work }),
  };
}

/**
 * The price of keys that were not used since the start: code warmed up on the first page alone, then every other page once
 * (each unwraps 20 subject keys), then the same once more.
 */
async function reportCold(installation: Installation, sides: readonly ListSide[]): Promise<void> {
  for (const { name, server, headers, work } of sides) {
    const pass = (cursors: readonly (string | null)[], milliseconds: number | null): Promise<LoadFigures> =>
      installation.load({
        port: server.port,
        headers,
        connections: CONNECTIONS,
        milliseconds,
        work: { ...work, cursors, order: milliseconds === null ? 'each' : 'random' },
      });
    await pass(work.cursors.slice(0, 1), 4_000);
    const rest = work.cursors.slice(1);
    const cold = await pass(rest, null);
    const again = await pass(rest, null);
    console.log(
      `${name}: fresh process, ${rest.length} pages once: ${rounded(cold.perSecond)} requests/s (p50 ${rounded(cold.p50)} ms, p99 ${rounded(cold.p99)} ms); the same again: ${rounded(again.perSecond)}`,
    );
  }
}
