import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { bitsOf, printed, reportOf, type ChannelReport, type Trial } from '../support/oracle.js';
import { settle } from '../support/population.js';
import { bytesOf } from '../support/probe.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

/*
 * An attacker who sees a patient masked wants to know the digits of a phone and the day of a birth that the masks leave out.
 * All planted patients look the same behind their masks and differ in nothing else. On each channel the attacker has 200
 * requests, half of them with a right guess; whatever in an answer depends on the guess is counted in bits.
 */
const REQUESTS = 200;
const PATIENTS = 8;
const AT_ONCE = 4;

interface Planted {
  readonly id: string;
  readonly phone: string;
  readonly birthDate: string;
}
interface Question {
  readonly role?: Role;
  readonly purpose?: string;
  readonly document: string;
  readonly variables?: Loose;
  readonly headers?: Record<string, string>;
}
type Guess = Pick<Planted, 'phone' | 'birthDate'>;
type Channel = (guess: Guess, target: Planted, step: number) => Question;

let system: TestSystem;
let people: readonly Planted[];
const reports: ChannelReport[] = [];

beforeAll(async () => {
  system = await testSystem();
  const create = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
  const planted: Planted[] = [];
  for (let index = 0; index < PATIENTS; index++) {
    const phone = `138${String(1009 + index * 1117)}5678`;
    const birthDate = `1980-${String(1 + index).padStart(2, '0')}-${String(3 + 3 * index).padStart(2, '0')}`;
    const input = { name: '诸葛明', gender: 'female', phone, birthDate };
    const { data } = await system.ask('front_desk', create, { variables: { input } });
    planted.push({ id: data['createPatient'].id, phone, birthDate });
  }
  people = planted;
}, 60_000);
afterAll(async () => {
  process.stdout.write(`${printed(reports)}\n`);
  await system.close();
});

const PAGE = 'edges { cursor node { id phone birthDate } } totalCount';
const list = (filter: Loose, rest: Loose = {}): Question => ({
  document: `query($filter: PatientFilter, $sort: [PatientSort!], $first: Int) { patients(filter: $filter, sort: $sort, first: $first) { ${PAGE} } }`,
  variables: { filter, first: 1, ...rest },
});
const one = (selection: string, target: Planted): Question => ({
  document: `query($id: ID!) { patient(id: $id) { ${selection} } }`,
  variables: { id: target.id },
});
const middle = (phone: string) => phone.slice(3, 7);

/** How each channel asks whether a guess is right: the best question that is known for it. */
const CHANNELS: Readonly<Record<string, Channel>> = {
  'filter, equal phone': ({ phone }) => list({ phone: { eq: phone } }),
  'filter, one of many phones': ({ phone }) => list({ phone: { in: [phone, '13800000000'] } }),
  'filter, phones above': ({ phone }) => list({ phone: { gte: phone } }),
  'filter, equal birth date': ({ birthDate }) => list({ birthDate: { eq: birthDate } }),
  'filter, born after': ({ birthDate }) => list({ birthDate: { gte: birthDate } }),
  'filter, nested and negated': ({ phone }, { id }) =>
    list({ and: [{ status: { eq: 'active' } }, { not: { or: [{ phone: { eq: phone } }, { name: { eq: id } }] } }] }),
  'sort by phone': (_guess, _target, step) =>
    list({}, { sort: [{ field: 'PHONE', direction: step % 2 === 0 ? 'ASC' : 'DESC' }] }),
  'sort by birth date': (_guess, _target, step) =>
    list({}, { sort: [{ field: 'BIRTH_DATE', direction: step % 2 === 0 ? 'ASC' : 'DESC' }] }),
  'forged cursor': ({ phone }) => ({
    document: `query($after: String) { patients(first: 1, after: $after) { ${PAGE} } }`,
    variables: { after: Buffer.from(JSON.stringify([phone])).toString('base64url') },
  }),
  'the record itself': (_guess, target) =>
    one('phone birthDate birthYear ageBand region fieldAccess { field state mask }', target),
  'aliases and fragments': (_guess, target) => ({
    document:
      'query($id: ID!) { a: patient(id: $id) { ...p } b: patient(id: $id) { q: phone ... on Governed { fieldAccess { field state mask } } } } fragment p on Patient { r: phone birthDate }',
    variables: { id: target.id },
  }),
  directives: (_guess, target, step) => ({
    document: 'query($id: ID!, $x: Boolean!) { patient(id: $id) { phone @include(if: $x) birthDate @skip(if: $x) } }',
    variables: { id: target.id, x: step % 2 === 0 },
  }),
  'lookup by part of a number': ({ phone }) => lookup({ phone: phone.slice(0, 7) }),
  'lookup by the mask': ({ phone }) => lookup({ phone: `${phone.slice(0, 3)}****${phone.slice(7)}` }),
  'lookup by a field without the right': ({ birthDate }) =>
    lookup({ nationalId: residentNumber(`110105${birthDate.replaceAll('-', '')}002`) }),
  'search by the end of a phone': ({ phone }) => search({ phoneSuffix: phone.slice(-4) }),
  'search without the right': ({ phone }) => search({ name: '诸葛明', phoneSuffix: middle(phone) }),
  'write it and look for a conflict': ({ phone, birthDate }, { id }) => ({
    document:
      'mutation($id: ID!, $input: UpdatePatientInput!) { updatePatient(id: $id, version: 1, input: $input) { id phone } }',
    variables: { id, input: { phone, birthDate } },
  }),
  'register it twice': ({ phone, birthDate }) => ({
    document: 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { phone birthDate } }',
    variables: { input: { name: '诸葛明', phone, birthDate } },
  }),
  'a feed registers it twice': ({ phone, birthDate }) => ({
    role: 'integrator',
    purpose: 'PATADMIN',
    document: 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { phone birthDate version } }',
    variables: { input: { name: '诸葛明', phone, birthDate } },
  }),
  'an idempotency key': ({ phone }, _target, step) => ({
    role: 'integrator',
    purpose: 'PATADMIN',
    document: 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { version } }',
    variables: { input: { name: '诸葛明', phone } },
    headers: { 'idempotency-key': `guess-${middle(phone)}-${step}` },
  }),
  export: ({ phone }) => ({
    document: 'mutation($input: RequestExportInput!) { requestExport(input: $input) { status } }',
    variables: { input: { type: 'PATIENTS', format: 'CSV', filter: { phone: { eq: phone } } } },
  }),
  'access report': (_guess, { id }) => ({
    document: 'query($id: ID!) { accessReport(patientId: $id) { entries { __typename } } }',
    variables: { id },
  }),
  'the ledger of accesses': ({ phone }) => ({
    role: 'auditor',
    purpose: 'HCOMPL',
    document: 'query($filter: LedgerFilter) { ledgerEntries(first: 1, filter: $filter) { edges { node { kind } } } }',
    variables: { filter: { subject: phone.padStart(32, '0'), operation: 'oracle' } },
  }),
  'numbers of groups': (_guess, _target, step) => ({
    role: 'marketer',
    purpose: 'HMARKT',
    document: `{ patientCounts(by: [${step % 2 === 0 ? 'REGION, GENDER' : 'GENDER'}]) { total cells { count values { value } } } }`,
  }),
  'errors of a wrong type': ({ phone }) => list({ phone: { eq: [phone] } }),
  suggestions: ({ phone }) => ({ document: `{ patients(first: 1) { edges { node { phone_${middle(phone)} } } } }` }),
  'other people of the same year': (_guess, _target, step) =>
    list({ birthYear: { eq: 1980 } }, { first: 1 + (step % 2) }),
};

function lookup(input: Loose): Question {
  return {
    document: 'query($input: PatientLookupInput!) { patientLookup(input: $input) { phone birthDate } }',
    variables: { input },
  };
}

function search(input: Loose, role: Role = 'call_center_agent', purpose = 'HOPERAT'): Question {
  return {
    role,
    purpose,
    document: 'query($input: PatientSearchInput!) { searchPatients(input: $input) { id phone birthDate } }',
    variables: { input },
  };
}

/** A resident identity number with its check digit (GB 11643-1999, ISO 7064 MOD 11-2). */
function residentNumber(digits: string): string {
  const sum = [...digits].reduce((total, digit, index) => total + Number(digit) * (2 ** (17 - index) % 11), 0);
  return `${digits}${'10X98765432'[sum % 11]}`;
}

/** What can be told apart, without what is new or different for everybody (ids, cursors, receipts) and what the attacker sent. */
function told(answer: Answer, guess: Guess): string {
  const body = bytesOf(answer)
    .replaceAll(middle(guess.phone), 'GUESS')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID')
    .replace(/"cursor":"[^"]*"/g, '"cursor"');
  return `${body} ${answer.headers.get('content-type')} ${body.length}`;
}

describe('an attacker with 200 requests on a channel', () => {
  it('would be found out by this game: who sees in clear learns everything', async () => {
    const trials: Trial[] = [];
    for (let step = 0; step < 40; step++) {
      const target = people[step % PATIENTS] as Planted;
      const right = step % 2 === 0;
      const answer = await system.ask(
        'front_desk',
        'query($input: PatientLookupInput!) { patientLookup(input: $input) { version } }',
        {
          variables: { input: { phone: right ? target.phone : '13899995678' } },
        },
      );
      await system.database.owner.query('DELETE FROM rate_limit');
      trials.push({ truth: String(right), answer: told(answer, target) });
    }
    expect(bitsOf(trials)).toBeCloseTo(1, 6);
  });

  it.each(Object.entries(CHANNELS))('learns nothing by: %s', async (name, channel) => {
    const trials: Trial[] = [];
    const ask = async (step: number) => {
      await system.database.owner.query('DELETE FROM rate_limit');
      const target = people[step % PATIENTS] as Planted;
      const right = Math.floor(step / PATIENTS) % 2 === 0;
      // A wrong guess is nobody's: the right one of another patient would be right as well.
      const wrong = { phone: `138${String(2000 + (step % 7) * 1001)}5678`, birthDate: `1980-12-${10 + (step % 9)}` };
      const guess = right ? target : wrong;
      const question = channel(guess, target, step);
      const { role = 'call_center_agent', purpose = 'HOPERAT', document, variables, headers } = question;
      const answer = await system.ask(role, document, {
        purpose,
        variables,
        ...(headers === undefined ? {} : { headers }),
      });
      // Alternating questions have alternating answers: the parity of the step is no secret.
      trials.push({ truth: `${right} ${step % 2}`, answer: `${step % 2} ${told(answer, guess)}` });
    };
    for (let step = 0; step < REQUESTS; step += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => ask(step + index)));
    }
    const even = trials.filter(({ truth }) => truth.endsWith('0'));
    const odd = trials.filter(({ truth }) => truth.endsWith('1'));
    const report = { ...reportOf(name, trials), bits: Math.max(bitsOf(even), bitsOf(odd)) };
    reports.push(report);
    expect({ channel: name, bits: report.bits.toFixed(3) }).toEqual({ channel: name, bits: '0.000' });
    expect(trials).toHaveLength(REQUESTS);
  });

  /*
   * By a search, whether there is a patient of a name whom the caller does not see, and whether the end of a phone that he
   * sees masked is the guessed one: he sees the name beside it.
   */
  it.each([
    ['a name that is masked or kept from him', 'physician', (name: string) => ({ name })],
    ['a phone beside a name', 'front_desk', (_name: string, phoneSuffix: string) => ({ phoneSuffix, name: '上官' })],
  ] as const)('learns nothing of %s by a search', async (what, role, input) => {
    const create = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
    for (let index = 0; index < PATIENTS; index++)
      await system.ask('front_desk', create, {
        variables: { input: { name: `上官${'一二三四五六七八'[index]}`, phone: `1361234${3_111 + index}` } },
      });
    const trials: Trial[] = [];
    for (let step = 0; step < REQUESTS; step++) {
      await system.database.owner.query('DELETE FROM rate_limit');
      const right = step % 2 === 0;
      const name = `上官${(right ? '一二三四五六七八' : '百千万亿东南西北')[Math.floor(step / 2) % PATIENTS]}`;
      const suffix = String((right ? 3_111 : 4_222) + (Math.floor(step / 2) % PATIENTS));
      const answer = await system.ask(
        role,
        'query($input: PatientSearchInput!) { searchPatients(input: $input) { id } }',
        {
          variables: { input: input(name, suffix) },
        },
      );
      expect(answer.errors).toEqual([]);
      trials.push({ truth: String(right), answer: bytesOf(answer) });
    }
    reports.push(reportOf(`search, ${what}`, trials));
    expect(bitsOf(trials).toFixed(3)).toBe('0.000');
  });

  /*
   * Whether one person is among those who are counted, and in which region. Somebody who knows everybody else in the group
   * asks for every table: in a group that is too small, in one that is not, and where this person is the eleventh.
   */
  it.each([
    ['too small', 6, true],
    ['large', 30, true],
    ['one person short', 10, false],
  ])('learns nothing of membership by numbers of a group that is %s', async (_what, others, countedAnew) => {
    const crowd = {
      region: '海南省',
      gender: 'female',
      birthYear: 1980 + others,
      consents: { HMARKT: 'PERMIT' },
    } as const;
    await settle(system, others, crowd);
    await settle(system, 1, { ...crowd, consents: { HMARKT: 'DENY' } });
    await system.database.owner.query('DELETE FROM aggregate_snapshot');
    const trials: Trial[] = [];
    // Three requests in a document.
    for (let step = 0; step < REQUESTS / 3; step++) {
      const member = step % 2 === 0;
      const purge = countedAnew ? 'DELETE FROM aggregate_snapshot' : 'SELECT 1';
      await system.database.owner.query(`DELETE FROM rate_limit; ${purge}`);
      await system.database.owner.query(
        `UPDATE patient SET consents = jsonb_set(consents, '{HMARKT,decision}', $2) WHERE id =
           (SELECT id FROM patient WHERE birth_year = $1 AND region = '海南省' ORDER BY id LIMIT 1)`,
        [crowd.birthYear, JSON.stringify(member ? 'PERMIT' : 'DENY')],
      );
      const answer = await system.ask(
        'marketer',
        '{ a: patientCounts(by: [REGION, GENDER]) { ...c } b: patientCounts(by: [BIRTH_YEAR, GENDER]) { ...c } c: patientCounts(by: [REGION]) { ...c } } fragment c on PatientCounts { total suppressedCells cells { count values { value } } }',
      );
      expect(answer.errors).toEqual([]);
      trials.push({ truth: String(member), answer: JSON.stringify(answer.data) });
    }
    reports.push(reportOf(`numbers of groups, ${_what}`, trials));
    expect(bitsOf(trials).toFixed(3)).toBe('0.000');
  });
});
