import 'graphql';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { compose, type Composition } from '../../src/composition.js';
import { main } from '../../src/cli/import.js';
import { readConfiguration } from '../../src/config/configuration.js';
import { DEMO_TENANTS } from '../../src/demo/people.js';
import { createCareTeam } from '../../src/domain/care-team/create-care-team.js';
import { listDiagnoses } from '../../src/domain/diagnosis/list-diagnoses.js';
import { listPatients } from '../../src/domain/patient/list-patients.js';
import { listVisits } from '../../src/domain/visit/list-visits.js';
import type { Actor, Role } from '../../src/kernel/actor.js';
import { Feed } from '../../src/interop/fhir/feed.js';
import { importFiles, type Totals } from '../../src/interop/fhir/import-files.js';
import { sourceFiles } from '../../src/interop/fhir/source-files.js';
import type { Connection } from '../../src/operation/connection.js';
import { Document } from '../../src/operation/document.js';
import type { OperationDefinition } from '../../src/operation/operation.js';
import { selectFields } from '../../src/operation/selection.js';
import { ensureTenants } from '../../src/persistence/tenant.store.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

const TENANT = 'T-US';
const TAKEN = ['Condition', 'Encounter', 'Organization', 'Patient', 'Practitioner'];
const SYNTHEA = path.resolve('..', 'shared', 'data', 'fhir-synthea-r4');

interface Resource {
  readonly resourceType: string;
  readonly [member: string]: unknown;
}

let database: TestDatabase;
let composition: Composition;
let integrator: Actor;
let feed: Feed;

beforeAll(async () => {
  database = await testDatabase();
  await ensureTenants(database.urls.owner, DEMO_TENANTS, new Date());
  const configuration = readConfiguration({ CUSTODIA_DATA_DIRECTORY: database.directory });
  composition = await compose(configuration, {
    appUrl: database.urls.app,
    sequencerUrl: database.urls.sequencer,
    auditorUrl: database.urls.auditor,
  });
  await composition.ledger.createLogs(['system', ...DEMO_TENANTS.map((tenant) => tenant.id)]);
  integrator = await account('integrator', 'feed');
  feed = new Feed(composition.operations, composition.answering, integrator);
});

afterAll(async () => {
  await composition.close();
  await database.close();
});

async function account(role: Role, name: string): Promise<Actor> {
  const login = { tenant: TENANT, email: `${name}@hospital.example`, password: `correct horse ${role}` };
  await composition.identity.createAccount({ ...login, role });
  return (await composition.identity.signIn(login, '127.0.0.1')).actor;
}

async function run<Arguments, Result>(
  actor: Actor,
  purpose: string,
  operation: OperationDefinition<Arguments, Result>,
  input: Arguments,
  ...fields: string[]
): Promise<Result> {
  const facts = { requestId: 'test', purpose, reason: null, idempotencyKey: null, clientAddress: '127.0.0.1' };
  const document = new Document(actor, facts, null);
  try {
    return await composition.operations.run(operation, document, input, selectFields(...fields));
  } finally {
    await composition.answering.settle(document, null);
  }
}

/** A physician in a care team of this name. */
async function physicianOf(team: string): Promise<{ physician: Actor; teamId: string }> {
  const name = team.toLowerCase().replace(/\W/g, '-');
  const { id } = await account('physician', name);
  const { id: teamId } = await run(integrator, 'PATADMIN', createCareTeam, { name: team, memberIds: [id] });
  return { physician: await account('physician', name), teamId };
}

async function importAll(directory: string, careTeamId: string | null = null): Promise<Totals & { reasons: string[] }> {
  const reasons: string[] = [];
  const totals = await importFiles(await sourceFiles(directory), (text) => feed.take(text, careTeamId), {
    progress: () => undefined,
    rejected: (file, reason) => reasons.push(`${file.label}: ${reason}`),
  });
  return { ...totals, reasons };
}

const TABLES = ['patient', 'visit', 'diagnosis', 'practitioner', 'organization', 'care_team_assignment', 'subject_key'];

async function rowCounts(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of TABLES) {
    const { rows } = await database.owner.query<{ n: number }>(
      `SELECT count(*)::integer AS n FROM ${table} WHERE tenant_id = $1`,
      [TENANT],
    );
    counts[table] = rows[0]?.n ?? -1;
  }
  return counts;
}

const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0);

const withSynthea = existsSync(SYNTHEA) ? describe : describe.skip;
if (!existsSync(SYNTHEA)) process.stderr.write(`SKIPPED: there are no Synthea bundles in ${SYNTHEA}\n`);

withSynthea('the import of Synthea bundles', () => {
  let resources: Resource[];
  let distinct: Record<string, number>;
  let first: Awaited<ReturnType<typeof importAll>>;
  let physician: Actor;
  let teamId: string;

  beforeAll(async () => {
    const names = readdirSync(SYNTHEA).filter((name) => name.endsWith('.json'));
    resources = names.flatMap((name) => {
      const bundle = JSON.parse(readFileSync(path.join(SYNTHEA, name), 'utf8')) as { entry: { resource: Resource }[] };
      return bundle.entry.map((entry) => entry.resource);
    });
    distinct = Object.fromEntries(
      TAKEN.map((type) => {
        const ofType = resources.filter((one) => one.resourceType === type);
        return [type, new Set(ofType.map((one) => one['id'])).size];
      }),
    );
    ({ physician, teamId } = await physicianOf('Import ward'));
    first = await importAll(SYNTHEA, teamId);
  }, 300_000);

  it('takes every bundle, and every resource of the five types once', async () => {
    expect(first.reasons).toEqual([]);
    expect(first.bundles).toBe(readdirSync(SYNTHEA).filter((name) => name.endsWith('.json')).length);
    expect(first.created).toEqual(distinct);
    expect(await rowCounts()).toMatchObject({
      patient: distinct['Patient'],
      visit: distinct['Encounter'],
      diagnosis: distinct['Condition'],
      practitioner: distinct['Practitioner'],
      organization: distinct['Organization'],
      care_team_assignment: distinct['Patient'],
      subject_key: distinct['Patient'],
    });
    const others = resources.filter((one) => !TAKEN.includes(one.resourceType));
    expect(total(first.skipped)).toBe(others.length);
    for (const type of new Set(others.map((one) => one.resourceType))) {
      expect(first.skipped[type]).toBe(others.filter((one) => one.resourceType === type).length);
    }
    expect(total(first.created) + total(first.unchanged) + total(first.skipped)).toBe(resources.length);
  });

  it('changes nothing when it is repeated', async () => {
    const before = await rowCounts();
    const second = await importAll(SYNTHEA, teamId);
    expect(second.reasons).toEqual([]);
    expect(total(second.created)).toBe(0);
    expect(total(second.unchanged)).toBe(total(first.created) + total(first.unchanged));
    expect(await rowCounts()).toEqual(before);
  }, 300_000);

  it('keeps every value: the treating physician reads what the bundles say', async () => {
    const patients = resources.filter((one) => one.resourceType === 'Patient');
    const expected = patients
      .map((one) => {
        const [name] = (one['name'] as { use: string; family: string; given: string[] }[]).filter(
          ({ use }) => use === 'official',
        );
        return `${name?.given.join(' ')} ${name?.family}|${String(one['birthDate'])}|${String(one['gender'])}`;
      })
      .sort();
    const seen: string[] = [];
    for (let after: string | null = null; ;) {
      const fields = ['name', 'birthDate', 'gender', 'region'];
      const page: Connection = await run(physician, 'TREAT', listPatients, { first: 50, after }, ...fields);
      for (const { node } of page.edges) {
        seen.push(`${String(node['name'])}|${String(node['birthDate'])}|${String(node['gender'])}`);
        expect(node['region']).toBe('MA');
      }
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor;
    }
    expect(seen.sort()).toEqual(expected);
  });

  it('gives SNOMED diagnoses no chapter and shows them to the treating team alone', async () => {
    const { rows } = await database.owner.query<{ compartment: string; icd_chapter: string | null; n: number }>(
      `SELECT compartment, icd_chapter, count(*)::integer AS n FROM diagnosis WHERE tenant_id = $1 GROUP BY 1, 2`,
      [TENANT],
    );
    expect(rows).toEqual([{ compartment: 'UNMAPPED', icd_chapter: null, n: distinct['Condition'] }]);
    const sample = await database.owner.query<{ patient_id: string; n: number }>(
      `SELECT patient_id, count(*)::integer AS n FROM diagnosis WHERE tenant_id = $1 GROUP BY 1 ORDER BY 2 DESC LIMIT 1`,
      [TENANT],
    );
    const { patient_id: id = '', n = 0 } = sample.rows[0] ?? {};
    const patient = { __typename: 'Patient', id };
    const fields = ['code', 'display', 'codeSystem', 'icdChapter', 'clinicalStatus'];
    const mine = await run(physician, 'TREAT', listDiagnoses, { patient, first: 50 }, ...fields);
    expect(mine.edges.length).toBe(Math.min(n, 50));
    for (const { node } of mine.edges) {
      expect(node['codeSystem']).toBe('http://snomed.info/sct');
      expect(node['icdChapter']).toBeNull();
      expect(resources.some((one) => one.resourceType === 'Condition' && textOf(one) === node['display'])).toBe(true);
    }
    const { physician: stranger } = await physicianOf('Other ward');
    const others = await run(stranger, 'TREAT', listDiagnoses, { patient, first: 50 }, ...fields);
    const visits = await run(stranger, 'TREAT', listVisits, { patient, first: 50 }, 'start');
    const fed = await run(integrator, 'PATADMIN', listDiagnoses, { patient, first: 50 }, 'codeSystem');
    expect([others.edges, visits.edges, fed.edges]).toEqual([[], [], []]);
  });

  it('leaves nothing of a patient readable in any row', async () => {
    const words = resources
      .filter((one) => one.resourceType === 'Patient')
      .flatMap((one) => [
        ...(one['telecom'] as { value: string }[]).map(({ value }) => value),
        ...(one['identifier'] as { value: string }[]).map(({ value }) => value),
        ...(one['address'] as { line: string[] }[]).flatMap(({ line }) => line),
      ]);
    const { rows } = await database.owner.query<{ row: string }>(
      `SELECT t::text AS row FROM patient t UNION ALL SELECT t::text FROM visit t UNION ALL SELECT t::text FROM diagnosis t
       UNION ALL SELECT convert_from(t.record, 'UTF8') FROM ledger_entry t`,
    );
    expect(words.length).toBeGreaterThan(rows.length > 0 ? 100 : Infinity);
    const everything = rows.map(({ row }) => row).join('\n');
    const hexadecimal = (word: string) => Buffer.from(word).toString('hex');
    expect(words.filter((word) => everything.includes(word) || everything.includes(hexadecimal(word)))).toEqual([]);
  });
});

function textOf(condition: Resource): string {
  return String((condition['code'] as { coding: { display: string }[] }).coding[0]?.display);
}

describe('what is wrong with a bundle', () => {
  const patient = (changes: object = {}) => ({
    resource: {
      resourceType: 'Patient',
      identifier: [{ system: 'https://hospital.example/mrn', value: 'adverse-1' }],
      name: [{ family: 'Secretname', given: ['Ada'] }],
      birthDate: '1980-02-29',
      ...changes,
    },
  });
  const encounter = (changes: object = {}) => ({
    resource: {
      resourceType: 'Encounter',
      id: 'adverse-visit',
      status: 'finished',
      class: { code: 'AMB' },
      subject: { reference: 'Patient?identifier=https://hospital.example/mrn|adverse-1' },
      period: { start: '2020-01-01T10:00:00Z' },
      ...changes,
    },
  });
  const bundle = (...entry: object[]) => JSON.stringify({ resourceType: 'Bundle', type: 'collection', entry });
  const many = Array.from({ length: 151 }, (_, index) =>
    patient({ identifier: [{ system: 'https://hospital.example/mrn', value: `many-${index}` }] }),
  );
  const cases: Record<string, [text: string, reason: RegExp]> = {
    'no JSON': ['{"resourceType": "Bundle", ', /file: is not JSON/],
    'no bundle': [JSON.stringify({ resourceType: 'Patient' }), /file: is not a Bundle/],
    'a search result': [JSON.stringify({ resourceType: 'Bundle', type: 'searchset' }), /not of type/],
    'no entries': [bundle(), /has no entries/],
    'an entry that deletes': [
      bundle(patient(), { request: { method: 'DELETE', url: 'Patient/1' } }),
      /entry 2: has no resource/,
    ],
    'a day that does not exist': [bundle(patient({ birthDate: '1981-02-29' })), /entry 1 \(Patient\): birthDate/],
    'a name that is too long': [
      bundle(patient({ name: [{ text: 'x'.repeat(201) }] })),
      /entry 1 \(Patient\): Patient\.name/,
    ],
    'a text that is a number': [bundle(patient({ gender: 7 })), /gender is not a text/],
    'a control character': [bundle(patient({ name: [{ text: 'Ada\u0000' }] })), /control character/],
    'half a character': [bundle(patient()).replace('Ada', '\\ud800'), /half a character/],
    'a visit without start': [bundle(patient(), encounter({ period: {} })), /entry 2 \(Encounter\): period\.start/],
    'a status nobody knows': [bundle(patient(), encounter({ status: 'done' })), /entry 2 \(Encounter\): Visit\.status/],
    'a visit of nobody': [
      bundle(patient(), encounter({ subject: { reference: 'Patient/nobody' } })),
      /entry 2 \(Encounter\): subject is neither/,
    ],
    'a visit of a group': [
      bundle(patient(), encounter({ subject: { reference: 'Group/1' } })),
      /subject is not a patient/,
    ],
    'a diagnosis in a visit of another': [
      bundle(
        patient(),
        patient({ identifier: [{ system: 'https://hospital.example/mrn', value: 'adverse-2' }], id: 'two' }),
        encounter(),
        {
          resource: {
            resourceType: 'Condition',
            id: 'adverse-diagnosis',
            code: { coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code: 'I10' }] },
            subject: { reference: 'Patient/two' },
            encounter: { reference: 'Encounter/adverse-visit' },
          },
        },
      ),
      /entry 4 \(Condition\): encounter is the encounter of another patient/,
    ],
    'one key for two': [
      bundle(patient(), patient({ gender: 'male' })),
      /entry 2 \(Patient\): has the source key of entry 1/,
    ],
    'too many patients': [bundle(...many), /more than 150 patients/],
  };

  it.each(Object.entries(cases))('%s: nothing of it is stored', async (name, [text, reason]) => {
    const before = await rowCounts();
    const directory = path.join(database.directory, name.replace(/\W/g, '-'));
    mkdirSync(directory);
    writeFileSync(path.join(directory, 'Ada Secretname.json'), text);
    const { bundles, rejected, reasons } = await importAll(directory);
    expect({ bundles, rejected }).toEqual({ bundles: 1, rejected: 1 });
    expect(reasons[0]).toMatch(reason);
    expect(reasons[0]).toMatch(/^#1 \([0-9a-f]{8}\): /);
    expect(reasons[0]).not.toMatch(/Secretname|Ada|adverse|1981/);
    expect(await rowCounts()).toEqual(before);
  });

  it('a file in another encoding is refused, and the next one is taken', async () => {
    const directory = path.join(database.directory, 'mixed');
    mkdirSync(directory);
    writeFileSync(path.join(directory, '1.json'), Buffer.from([0xff, 0xfe, 0x7b, 0x00]));
    writeFileSync(path.join(directory, '2.json'), bundle(patient(), encounter()));
    mkdirSync(path.join(directory, '3.json'));
    const totals = await importAll(directory);
    expect(totals).toMatchObject({ bundles: 2, rejected: 1, created: { Patient: 1, Encounter: 1 } });
    expect(totals.reasons[0]).toMatch(/not text in UTF-8/);
  });

  it('adds what is new to a patient of an earlier bundle, and rejects what changed', async () => {
    const later = bundle(encounter({ id: 'later-visit' }));
    expect((await feed.take(later, null)).created).toEqual({ Encounter: 1 });
    const before = await rowCounts();
    const changed = bundle(encounter({ id: 'new-visit' }), patient({ gender: 'female' }));
    await expect(feed.take(changed, null)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      message: expect.stringMatching(/^entry 2 \(Patient\): changed at the source/),
    });
    expect(await rowCounts()).toEqual(before);
  });

  it('keeps a diagnosis in the compartment of its visit, of the same bundle and of an earlier one', async () => {
    const diagnosis = (id: string, code = 'E11.9') => ({
      resource: {
        resourceType: 'Condition',
        id,
        code: { coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code }] },
        subject: { reference: 'Patient?identifier=https://hospital.example/mrn|adverse-1' },
        encounter: { reference: 'Encounter/withheld-visit' },
      },
    });
    const visit = encounter({ id: 'withheld-visit', serviceType: { text: 'HIV clinic' } });
    await feed.take(bundle(visit, diagnosis('withheld-1')), null);
    await feed.take(bundle(visit, diagnosis('withheld-2'), diagnosis('withheld-3', 'F32')), null);
    const { rows } = await database.owner.query<{ compartment: string; visit: string | null; n: number }>(
      `SELECT d.compartment, v.compartment AS visit, count(*)::integer AS n FROM diagnosis d LEFT JOIN visit v ON v.id = d.visit_id
       WHERE d.compartment <> 'UNMAPPED' GROUP BY 1, 2 ORDER BY 1`,
    );
    expect(rows).toEqual([
      { compartment: 'HIV_STD', visit: 'HIV_STD', n: 2 },
      { compartment: 'MENTAL', visit: null, n: 1 },
    ]);
  });

  it('assigns the team to patients that were there before, once', async () => {
    const { physician, teamId } = await physicianOf('Late ward');
    const text = bundle(patient(), encounter());
    await feed.take(text, teamId);
    const before = await rowCounts();
    await feed.take(text, teamId);
    expect(await rowCounts()).toEqual(before);
    const page = await run(physician, 'TREAT', listPatients, {}, 'name');
    expect(page.edges.map(({ node }) => node['name'])).toEqual(['Ada Secretname']);
  });

  it('takes the same practitioner from two imports at once', async () => {
    const other = new Feed(composition.operations, composition.answering, integrator);
    const practitioner = {
      resource: { resourceType: 'Practitioner', id: 'busy', name: [{ family: 'Busy', given: ['Bea'] }] },
    };
    const results = await Promise.all([feed, other, feed, other].map((one) => one.take(bundle(practitioner), null)));
    expect(results.map(({ created }) => total(created)).sort()).toEqual([0, 0, 0, 1]);
  });

  it('leaves a record of every bundle: taken, unchanged and refused', async () => {
    await composition.ledger.settle(10_000);
    const { rows } = await database.owner.query<{ record: string }>(
      `SELECT convert_from(record, 'UTF8') AS record FROM ledger_entry WHERE log = $1`,
      [TENANT],
    );
    const records = rows.map(({ record }) => JSON.parse(record) as Record<string, unknown>);
    const imports = records.filter((one) => one['operation'] === 'importBundle');
    expect(
      imports.filter((one) => one['outcome'] === 'failed' && one['code'] === 'BAD_USER_INPUT').length,
    ).toBeGreaterThanOrEqual(Object.keys(cases).length);
    const subjects = imports.flatMap((one) => one['accesses'] as { type: string; rows: number; subjects: string[] }[]);
    const patientRows = subjects.filter(({ type }) => type === 'Patient').reduce((sum, { rows: n }) => sum + n, 0);
    expect(patientRows).toBe((await rowCounts())['patient']);
    expect(subjects.every((one) => one.subjects.length <= 150)).toBe(true);
  });
});

describe('the command', () => {
  it.each([
    [[]],
    [['fhir', '.']],
    [['hl7', '.', '--tenant', TENANT]],
    [['fhir', 'no-such-directory', '--tenant', TENANT]],
    [['fhir', '.', '--tenant', TENANT, '--force']],
  ])('%j is wrong use: exit code 2', async (words) => {
    expect(await main(words)).toBe(2);
  });
});
