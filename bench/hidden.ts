import { Refusal } from '../src/config/refusal.js';
import { post, signIn } from './client.js';
import type { Installation } from './installation.js';
import { mulberry32, syntheticPatient } from './patients.js';
import { print, rounded, type Pace } from './rounds.js';
import { percentile } from './throughput.js';

const TENANT = 'T-CN';
const PEOPLE = 60;
const ASKED = '{ id name visits { totalCount edges { node { id } } } diagnoses { edges { node { code display } } } }';
const WARM = 300;
const PER_SECOND = 120;

interface Sample {
  readonly hidden: boolean;
  readonly milliseconds: number;
  readonly bytes: number;
}

/**
 * Whether time or size of an answer tells that something is withheld: half of the patients of a physician have a diagnosis of
 * a compartment, half have none. Both are asked for in random order. The figure is the probability that the answer with
 * something hidden took longer than one without (area under the ROC curve): 0.5 is chance.
 */
export async function hidden(installation: Installation, _patients: number, pace: Pace): Promise<number> {
  const { port } = await installation.startGoverned();
  const as = (role: string, purpose: string) => signIn(port, installation.account(TENANT, role), purpose);
  const [desk, physician] = await Promise.all([as('front_desk', 'PATADMIN'), as('physician', 'TREAT')]);
  const ask = async (headers: Readonly<Record<string, string>>, query: string, variables: object) => {
    const answer = await post(port, headers, JSON.stringify({ query, variables }));
    if (answer.errors !== undefined || !answer.data)
      throw new Refusal(`A request failed: ${answer.errors?.[0]?.message}`);
    return { ...answer, data: answer.data };
  };
  const people = await register(ask, desk, physician);
  const random = mulberry32(7);
  const sample = async (): Promise<Sample> => {
    const person = people[Math.floor(random() * people.length)] as (typeof people)[number];
    const began = performance.now();
    const answer = await ask(physician, `query($id: ID!) { patient(id: $id) ${ASKED} }`, { id: person.id });
    const milliseconds = performance.now() - began;
    const { policy } = (answer as unknown as { extensions: { policy: object } }).extensions;
    return { hidden: person.hidden, milliseconds, bytes: JSON.stringify([answer.data, policy]).length };
  };
  for (let count = 0; count < WARM; count++) await sample();
  const samples: Sample[] = [];
  for (let count = 0; count < pace.rounds * pace.seconds * PER_SECOND; count++) samples.push(await sample());
  return report(samples);
}

type Ask = (
  headers: Readonly<Record<string, string>>,
  query: string,
  variables: object,
) => Promise<{ readonly data: Readonly<Record<string, unknown>> }>;

async function register(ask: Ask, desk: Readonly<Record<string, string>>, physician: Readonly<Record<string, string>>) {
  const teams = await ask(desk, '{ careTeams { edges { node { id name } } } }', {});
  const { edges } = teams.data['careTeams'] as { edges: { node: { id: string; name: string } }[] };
  const careTeamId = edges.find(({ node }) => node.name === 'Ward 1')?.node.id;
  const people: { id: string; hidden: boolean }[] = [];
  for (let index = 0; index < PEOPLE; index++) {
    // Names of one length: sizes are to differ by what is withheld or not at all.
    const input = { ...syntheticPatient(index), name: '王小明' };
    const create = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
    const { id } = (await ask(desk, create, { input })).data['createPatient'] as { id: string };
    const assign = 'mutation($input: AssignCareTeamInput!) { assignCareTeam(input: $input) { id } }';
    await ask(desk, assign, { input: { patientId: id, careTeamId } });
    const record = 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }';
    const isHidden = index % 2 === 0;
    if (isHidden) await ask(physician, record, { input: { patientId: id, code: 'B20', display: 'HIV disease' } });
    people.push({ id, hidden: isHidden });
  }
  return people;
}

function report(samples: readonly Sample[]): number {
  print(['answers', 'count', 'p50 ms', 'p95 ms', 'sizes in bytes']);
  for (const isHidden of [true, false]) {
    const own = samples.filter((one) => one.hidden === isHidden);
    const times = own.map(({ milliseconds }) => milliseconds).sort((left, right) => left - right);
    const sizes = [...new Set(own.map(({ bytes }) => bytes))].sort((left, right) => left - right);
    const name = isHidden ? 'hidden' : 'empty';
    print([
      name,
      String(own.length),
      rounded(percentile(times, 0.5)),
      rounded(percentile(times, 0.95)),
      sizes.join(' '),
    ]);
  }
  const { area, deviations } = rankSum(samples);
  console.log(`the difference is ${deviations.toFixed(1)} standard deviations of chance`);
  return area;
}

/** Mann and Whitney's U of the times, as the share of pairs in which the hidden one is slower, and how unlikely that is. */
function rankSum(samples: readonly Sample[]): { area: number; deviations: number } {
  const ranked = [...samples].sort((left, right) => left.milliseconds - right.milliseconds);
  const hiddenRanks = ranked.flatMap((sample, rank) => (sample.hidden ? [rank + 1] : []));
  const [few, rest] = [hiddenRanks.length, samples.length - hiddenRanks.length];
  const larger = hiddenRanks.reduce((sum, rank) => sum + rank, 0) - (few * (few + 1)) / 2;
  const spread = Math.sqrt((few * rest * (few + rest + 1)) / 12);
  return { area: larger / (few * rest), deviations: Math.abs(larger - (few * rest) / 2) / spread };
}
