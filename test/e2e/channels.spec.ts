import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import type { Statement } from '../../src/persistence/statement.js';
import { bytesOf, codesOf, missingId, nodesOf, patientId } from '../support/probe.js';
import { recordsOf, testSystem, type Answer, type AskOptions, type Loose, type TestSystem } from '../support/system.js';

/*
 * Every side channel by which a value that a caller may not see could still be told, attacked with planted values.
 * Everything that comes back is kept; the last test looks for the planted values in all of it, in the log and in the ledger.
 *
 * Elsewhere: tenants (walls.spec), sealed values, dumps and files (sealed.spec), the difference between the policy in SQL
 * and in memory (test/policy/agreement.spec), fields that a policy file does not know (test/policy/bundle.spec).
 *
 * Numbers of groups are attacked in patient-counts.spec and oracle.spec.
 *
 * Channels that do not exist yet, to be attacked when they do: aggregates other than counts (minimum, maximum, average); search in full text, suggestions and duplicate checks; subscriptions and webhooks; histories and diffs of values; exports,
 * attachments, notifications; the explanation and simulation of policies; consents and their withdrawal; reveal of single
 * values; segments and dashboards; tokens of external applications; the ledger's queries.
 */

const PLANTED = {
  name: '诸葛明华',
  birthDate: '1977-08-19',
  phone: '13755512345',
  email: 'zhuge.minghua@secret.example',
  address: '四川省成都市武侯祠大街231号',
  nationalId: '510107197708191234',
  insuranceNumber: 'YB7700991188',
} as const;
const PLANTED_CLINICAL = {
  code: 'K35.8',
  display: 'Appendicitis PLANTED-77aa',
  notes: 'PLANTED-77aa allergic',
} as const;
const SECRETS = [...Object.values(PLANTED), PLANTED_CLINICAL.code, 'PLANTED-77aa', '武侯祠', '7708191', '19770819'];
/** What the same fields hold of another patient, for guesses that are wrong. */
const WRONG: Record<string, string> = {
  name: '诸葛明亮',
  gender: 'male',
  birthDate: '1977-08-20',
  ageBand: '20–24',
  region: '海南省',
  phone: '13755512346',
  email: 'zhuge.minghua@other.example',
  address: '四川省成都市武侯祠大街232号',
  nationalId: '510107197708191235',
  insuranceNumber: 'YB7700991189',
  notes: 'nothing',
};
const TRUE: Record<string, string> = {
  ...PLANTED,
  gender: 'female',
  ageBand: '45–49',
  region: '四川省',
  notes: PLANTED_CLINICAL.notes,
};
const MASKED_FIELDS = Object.keys(TRUE);
const EVERY_FIELD =
  'id version name gender birthDate birthYear ageBand region phone email address nationalId insuranceNumber notes status createdAt';

let system: TestSystem;
let planted = '';
/** A patient like the planted one, who has none of the optional values. */
let bare = '';
const heard: string[] = [];

beforeAll(async () => {
  system = await testSystem();
  const create = (input: Loose) =>
    system.ask('front_desk', 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }', {
      variables: { input },
    });
  planted = (await create({ ...PLANTED, gender: 'female' })).data['createPatient'].id;
  bare = (await create({ name: '无' })).data['createPatient'].id;
  const teams = nodesOf(await system.ask('front_desk', '{ careTeams { edges { node { id name } } } }'), 'careTeams');
  const ward = teams.find((team) => team['name'] === 'Ward 1')?.['id'];
  await system.ask('front_desk', 'mutation($input: AssignCareTeamInput!) { assignCareTeam(input: $input) { id } }', {
    variables: { input: { patientId: planted, careTeamId: ward } },
  });
  const noted = await system.ask(
    'physician',
    'mutation($id: ID!, $notes: String) { updatePatient(id: $id, version: 1, input: { notes: $notes }) { id } }',
    { variables: { id: planted, notes: PLANTED_CLINICAL.notes } },
  );
  expect(noted.errors).toEqual([]);
  await system.ask('physician', 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }', {
    variables: { input: { patientId: planted, code: PLANTED_CLINICAL.code, display: PLANTED_CLINICAL.display } },
  });
});
afterAll(() => system.close());
beforeEach(async () => {
  await system.database.owner.query('DELETE FROM rate_limit');
});

/** Asks as somebody who must not learn the planted values, and keeps what came back. */
async function attack(role: Role, document: string, options: AskOptions & { tenant?: string } = {}): Promise<Answer> {
  const answer = await system.ask(role, document, options);
  heard.push(answer.text, JSON.stringify([...answer.headers]));
  return answer;
}

/** The agent who takes calls: every patient of the tenant, nothing of them in clear. */
const agent = (document: string, variables: Loose = {}) =>
  attack('call_center_agent', document, { purpose: 'HOPERAT', variables });

const FILTERED = 'query($filter: PatientFilter) { patients(filter: $filter) { totalCount edges { node { id } } } }';
const SORTED =
  'query($sort: [PatientSort!], $after: String) { patients(first: 2, sort: $sort, after: $after) { edges { cursor node { id } } } }';
const upper = (field: string) => field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

async function statementsOf(work: () => Promise<unknown>): Promise<number> {
  const { app } = system.composition;
  const query = app.query.bind(app);
  let count = 0;
  app.query = <Row>(tenant: string | null, statement: Statement) => {
    if (!/session\.id|policy_release|vault_notice/.test(statement.text)) count += 1;
    return query<Row>(tenant, statement);
  };
  try {
    await work();
  } finally {
    app.query = query;
  }
  return count;
}

describe('filters (channels 1, 7, 8)', () => {
  it.each(MASKED_FIELDS)('answer a true and a wrong guess of %s alike: refused', async (field) => {
    const answers = new Set<string>();
    for (const value of [TRUE[field], WRONG[field]]) {
      const criterion = { [field]: { eq: value } };
      for (const filter of [
        criterion,
        { not: criterion },
        { and: [criterion] },
        { or: [{ status: { eq: 'active' } }, criterion] },
        { and: [{ status: { eq: 'nobody' } }, criterion] },
        { not: { not: { or: [criterion, { not: criterion }] } } },
        { [field]: { in: [value] } },
        { [field]: {} },
        { [field]: { eq: null } },
      ]) {
        const answer = await agent(FILTERED, { filter });
        expect(codesOf(answer)).toEqual(['FIELD_NOT_FILTERABLE']);
        answers.add(bytesOf(answer));
      }
    }
    expect(answers.size).toBe(1);
  });

  it('answer ranges over a masked year alike: refused', async () => {
    for (const operator of ['eq', 'lt', 'lte', 'gt', 'gte']) {
      for (const year of [1900, 1977, 1978]) {
        const answer = await agent(FILTERED, { filter: { birthYear: { [operator]: year } } });
        expect(codesOf(answer)).toEqual(['FIELD_NOT_FILTERABLE']);
      }
    }
  });

  it.each(['front_desk', 'physician', 'nurse', 'billing'] as const)(
    'refuse what is sealed to a %s too, who sees some of it in clear',
    async (role) => {
      for (const field of [
        'name',
        'birthDate',
        'phone',
        'email',
        'address',
        'nationalId',
        'insuranceNumber',
        'notes',
      ]) {
        const answer = await attack(role, FILTERED, { variables: { filter: { [field]: { eq: WRONG[field] } } } });
        expect([field, ...codesOf(answer)]).toEqual([field, 'FIELD_NOT_FILTERABLE']);
      }
    },
  );

  it('of a role that sees nothing but public fields reach nothing but public fields', async () => {
    for (const role of ['department_head', 'integrator'] as const) {
      for (const field of [...MASKED_FIELDS, 'birthYear']) {
        const value = field === 'birthYear' ? 1977 : TRUE[field];
        const answer = await attack(role, FILTERED, { variables: { filter: { [field]: { eq: value } } } });
        expect([field, ...codesOf(answer)]).toEqual([field, 'FIELD_NOT_FILTERABLE']);
      }
    }
  });

  it.each<[string, Loose]>([
    ['a pattern', { phone: { like: '137%' } }],
    ['a regular expression', { phone: { regex: '^137' } }],
    ['a path', { 'phone.eq': PLANTED.phone }],
    ['a path into a relation', { diagnoses: { code: { eq: 'K35.8' } } }],
    ['an operator of another kind', { birthYear: { like: '197' } }],
    ['an object as a value', { phone: { eq: { $ne: '' } } }],
    ['a column', { phone_index: { eq: 'x' } }],
    ['a column that no client sees', { subjectReference: { eq: 'x' } }],
    ['the tenant', { tenantId: { eq: 'T-US' } }],
    ['the mark of a subject', { __caslSubjectType__: 'Patient' }],
  ])('cannot say %s', async (_what, filter) => {
    const answer = await agent(FILTERED, { filter });
    expect(codesOf(answer)).toEqual(['BAD_USER_INPUT']);
    expect(answer.data['patients']).toBeUndefined();
  });

  it('do not exist on nested lists', async () => {
    for (const nested of [
      `visits(filter: { department: { eq: "x" } }) { edges { node { id } } }`,
      `visits(sort: [{ field: DEPARTMENT, direction: ASC }]) { edges { node { id } } }`,
      `diagnoses(filter: { code: { eq: "K35.8" } }) { edges { node { id } } }`,
      `careTeam(filter: { endedAt: { eq: "x" } }) { id }`,
    ]) {
      const answer = await attack('physician', `{ patients { edges { node { ${nested} } } } }`);
      expect(codesOf(answer)).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    }
  });
});

describe('sorting (channel 2)', () => {
  it.each([...MASKED_FIELDS, 'birthYear'])('by a masked %s is refused', async (field) => {
    for (const direction of ['ASC', 'DESC']) {
      for (const sort of [
        [{ field: upper(field), direction }],
        [
          { field: 'STATUS', direction: 'ASC' },
          { field: upper(field), direction },
        ],
      ]) {
        const answer = await agent(SORTED, { sort });
        expect(codesOf(answer)).toEqual(['FIELD_NOT_FILTERABLE']);
      }
    }
  });

  it('by what is sealed is refused to everybody', async () => {
    for (const role of ['front_desk', 'physician'] as const) {
      for (const field of [
        'NAME',
        'BIRTH_DATE',
        'PHONE',
        'EMAIL',
        'ADDRESS',
        'NATIONAL_ID',
        'INSURANCE_NUMBER',
        'NOTES',
        'AGE_BAND',
      ]) {
        const answer = await attack(role, SORTED, { variables: { sort: [{ field, direction: 'ASC' }] } });
        expect([field, ...codesOf(answer)]).toEqual([field, 'FIELD_NOT_FILTERABLE']);
      }
    }
  });
});

describe('cursors (channel 3)', () => {
  const cursorsOf = (answer: Answer): string[] =>
    answer.data['patients'].edges.map((edge: { cursor: string }) => edge.cursor);
  const byYear = [{ field: 'BIRTH_YEAR', direction: 'ASC' }];

  it('hold nothing that can be read', async () => {
    const answer = await system.ask('front_desk', SORTED, { variables: { sort: byYear } });
    for (const cursor of cursorsOf(answer)) {
      for (const encoding of ['base64url', 'base64', 'latin1'] as const) {
        const text = Buffer.from(cursor, encoding).toString('latin1');
        expect(text).not.toMatch(/19\d\d|20\d\d|[0-9a-f]{8}-/);
      }
    }
  });

  it('are never the same twice for the same place', async () => {
    const sort = { variables: { sort: byYear } };
    const [first, second] = [
      await system.ask('front_desk', SORTED, sort),
      await system.ask('front_desk', SORTED, sort),
    ];
    expect(nodesOf(first)).toEqual(nodesOf(second));
    for (const cursor of cursorsOf(first)) expect(cursorsOf(second)).not.toContain(cursor);
  });

  it('that were forged, changed, or made for somebody else, something else or another purpose are refused alike', async () => {
    const [own = ''] = cursorsOf(await agent(SORTED));
    const bytes = Buffer.from(own, 'base64url');
    const flipped = (index: number) => {
      const copy = Buffer.from(bytes);
      copy[index] = (copy[index] ?? 0) ^ 1;
      return copy.toString('base64url');
    };
    const forged = [JSON.stringify(['2026-01-01', missingId()]), '[]', '{}', 'null', '["1977"]'];
    const others = [
      (await system.ask('front_desk', SORTED)).data['patients'].edges[0].cursor,
      (await system.ask('front_desk', SORTED, { variables: { sort: byYear } })).data['patients'].edges[0].cursor,
      (await attack('call_center_agent', SORTED, { purpose: 'CAREMGT' })).data['patients'].edges[0].cursor,
      (await attack('call_center_agent', SORTED, { purpose: 'HOPERAT', tenant: 'T-US' })).data['patients'].edges[0]
        .cursor,
      cursorsOf(await agent(SORTED, { sort: [{ field: 'CREATED_AT', direction: 'ASC' }] }))[0],
    ];
    const wrong = [
      'x',
      'A'.repeat(5000),
      own.slice(0, -1),
      `${own}A`,
      ...[...bytes.keys()].filter((index) => index % 5 === 0).map(flipped),
      ...forged.flatMap((text) => [
        text,
        Buffer.from(text).toString('base64url'),
        Buffer.from(text).toString('base64'),
      ]),
      ...others,
    ];
    const answers = new Set<string>();
    for (const after of wrong) {
      const answer = await agent(SORTED, { after });
      expect(codesOf(answer)).toEqual(['CURSOR_INVALID']);
      answers.add(bytesOf(answer));
    }
    expect(answers.size).toBe(1);
    expect((await agent(SORTED, { after: own })).errors).toEqual([]);
  });

  it('of a nested list are sealed and checked too', async () => {
    const nested =
      'query($id: ID!, $after: String) { patient(id: $id) { visits(first: 1, after: $after) { edges { cursor node { id start } } } } }';
    const id = patientId(system, 'PT1');
    const answer = await system.ask('front_desk', nested, { variables: { id } });
    const [edge] = answer.data['patient'].visits.edges;
    expect(Buffer.from(edge.cursor, 'base64url').toString('latin1')).not.toContain(edge.node.start.slice(0, 10));
    for (const [role, purpose, after] of [
      ['front_desk', 'PATADMIN', Buffer.from(JSON.stringify(['2026-01-01', id])).toString('base64url')],
      ['physician', 'TREAT', edge.cursor],
    ] as const) {
      const refused = await attack(role, nested, { purpose, variables: { id, after } });
      expect(codesOf(refused)).toEqual(['CURSOR_INVALID']);
    }
  });
});

describe('counts and pages (channels 4, 5, 13)', () => {
  it('tell nothing of patients outside the care team', async () => {
    const count = async () => {
      const answer = await attack(
        'physician',
        '{ patients(first: 50) { totalCount edges { node { id } } pageInfo { hasNextPage } } }',
      );
      return answer.data['patients'];
    };
    const before = await count();
    expect(before.totalCount).toBe(before.edges.length);
    expect(before.pageInfo.hasNextPage).toBe(false);
    await system.ask('front_desk', 'mutation { createPatient(input: { name: "Unseen" }) { id } }');
    expect(await count()).toEqual(before);
    const exact = await attack(
      'physician',
      `{ patients(first: ${before.edges.length}) { pageInfo { hasNextPage endCursor } } }`,
    );
    expect(exact.data['patients'].pageInfo.hasNextPage).toBe(false);
    const { endCursor } = exact.data['patients'].pageInfo;
    const beyond = await attack(
      'physician',
      'query($after: String) { patients(after: $after) { edges { node { id } } } }',
      {
        variables: { after: endCursor },
      },
    );
    expect(nodesOf(beyond)).toEqual([]);
  });

  it('add up over clear fields, so that differences tell only what is clear', async () => {
    const total = async (filter: Loose) => (await agent(FILTERED, { filter })).data['patients'].totalCount as number;
    const all = await total({});
    const active = await total({ status: { eq: 'active' } });
    expect(active + (await total({ not: { status: { eq: 'active' } } }))).toBe(all);
    expect(await total({ or: [] })).toBe(0);
    expect(await total({ not: { or: [] } })).toBe(all);
  });

  it('do not exist for nested lists', async () => {
    const answer = await attack(
      'physician',
      '{ patients { edges { node { visits { totalCount } diagnoses { totalCount } } } } }',
    );
    for (const node of nodesOf(answer))
      expect(node).toEqual({ visits: { totalCount: null }, diagnoses: { totalCount: null } });
  });

  it('are not given where the list is refused', async () => {
    for (const role of ['marketer', 'security_admin', 'auditor', 'complaint_handler'] as const) {
      const answer = await attack(role, '{ patients { totalCount pageInfo { hasNextPage } } }');
      expect([role, ...codesOf(answer)]).toEqual([role, 'FORBIDDEN']);
      expect(answer.text).toContain('"data":null');
    }
  });
});

describe('what is withheld, and what is not there (channels 11, 12, 14, 27)', () => {
  it('look the same: a patient of others and a missing one, in every operation of a physician', async () => {
    const other = patientId(system, 'PT4');
    const visit = { start: '2026-05-01T08:00:00Z' };
    const documents: [string, (id: string) => Loose][] = [
      [`query($id: ID!) { patient(id: $id) { ${EVERY_FIELD} fieldAccess { field state } } }`, (id) => ({ id })],
      ['query($id: ID!) { patient(id: $id) { visits { edges { node { id } } } } }', (id) => ({ id })],
      ['mutation($id: ID!) { updatePatient(id: $id, version: 1, input: { notes: "x" }) { id } }', (id) => ({ id })],
      ['mutation($id: ID!) { updatePatient(id: $id, version: 99, input: { notes: "x" }) { id } }', (id) => ({ id })],
      ['mutation($id: ID!) { updatePatient(id: $id, version: 1, input: { phone: "1" }) { id } }', (id) => ({ id })],
      [
        'mutation($id: ID!) { updatePatient(id: $id, version: 1, input: { notes: "[withheld]" }) { id } }',
        (id) => ({ id }),
      ],
      ['mutation($id: ID!) { updatePatient(id: $id, version: 1, input: {}) { id } }', (id) => ({ id })],
      ['mutation($id: ID!) { deactivatePatient(id: $id, version: 1) { id } }', (id) => ({ id })],
    ];
    for (const input of [
      visit,
      { start: 'yesterday' },
      { ...visit, status: 'nonsense' },
      { ...visit, end: '2020-01-01T00:00:00Z' },
      { ...visit, reason: '[withheld]' },
      { ...visit, practitionerId: 'nobody' },
      { ...visit, practitionerId: missingId() },
    ]) {
      documents.push([
        'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id } }',
        (id) => ({ input: { patientId: id, ...input } }),
      ]);
    }
    for (const input of [
      { code: 'I10' },
      { code: 'I10', clinicalStatus: 'nonsense' },
      { code: 'I10', onsetDate: 'never' },
      { code: '', visitId: 'x' },
      { code: 'I10', visitId: missingId() },
    ]) {
      documents.push([
        'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }',
        (id) => ({ input: { patientId: id, ...input } }),
      ]);
    }
    for (const [document, variables] of documents) {
      const hidden = await attack('physician', document, { variables: variables(other) });
      const missing = await attack('physician', document, { variables: variables(missingId()) });
      expect(bytesOf(hidden)).toBe(bytesOf(missing));
      expect(hidden.errors).toHaveLength(1);
    }
  });

  it('cost the same work', async () => {
    for (const [document, variables] of [
      ['query($id: ID!) { patient(id: $id) { name } }', (id: string) => ({ id })],
      [
        'mutation($id: ID!) { updatePatient(id: $id, version: 1, input: { notes: "x" }) { id } }',
        (id: string) => ({ id }),
      ],
      [
        'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id } }',
        (id: string) => ({ input: { patientId: id, start: '2026-05-01T08:00:00Z' } }),
      ],
      [
        'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }',
        (id: string) => ({ input: { patientId: id, code: 'I10' } }),
      ],
    ] as const) {
      const work = (id: string) => statementsOf(() => attack('physician', document, { variables: variables(id) }));
      expect(await work(patientId(system, 'PT5'))).toBe(await work(missingId()));
    }
  });

  const HIDDEN_FROM = {
    billing: ['notes', 'email', 'address', 'region', 'diagnoses { edges { node { code } } }'],
    department_head: [...MASKED_FIELDS, 'birthYear', 'diagnoses { edges { node { code } } }'],
    integrator: [...MASKED_FIELDS, 'birthYear'],
    call_center_agent: [
      'notes',
      'nationalId',
      'insuranceNumber',
      'visits { totalCount }',
      'diagnoses { edges { node { code } } }',
    ],
  };
  it('look the same: a field that is hidden and one that is empty', async () => {
    for (const role of ['billing', 'department_head', 'integrator', 'call_center_agent'] as const) {
      const purpose = role === 'call_center_agent' ? { purpose: 'HOPERAT' } : {};
      const shown = HIDDEN_FROM[role];
      const document = `query($id: ID!) { patient(id: $id) { ${shown.join(' ')} fieldAccess { field state mask } } }`;
      const full = await attack(role, document, { ...purpose, variables: { id: planted } });
      const empty = await attack(role, document, { ...purpose, variables: { id: bare } });
      expect(full.errors).toEqual([]);
      expect(bytesOf(full)).toBe(bytesOf(empty));
      expect(full.text.length).toBe(empty.text.length);
    }
  });

  it('look the same: a diagnosis of a compartment and none', async () => {
    const document = `query($id: ID!) { patient(id: $id) { fieldAccess { field state mask }
      diagnoses { edges { cursor node { id code } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } } }`;
    const answers = new Set<string>();
    for (const role of ['physician', 'nurse'] as const) {
      for (const key of ['PT3', 'PT6', 'PT7']) {
        const answer = await attack(role, document, { variables: { id: patientId(system, key) } });
        expect(answer.errors).toEqual([]);
        answers.add(bytesOf(answer));
      }
    }
    expect(answers.size).toBe(1);
  });

  it('name the hidden and masked fields whether or not there are values', async () => {
    const report = async (id: string) => {
      const answer = await agent(`query($id: ID!) { patient(id: $id) { ${EVERY_FIELD} } }`, { id });
      const { masked, hidden } = answer.extensions['policy'];
      return JSON.stringify([masked, hidden]);
    };
    const reports = new Set<string>();
    for (const id of [planted, bare, ...Object.values(system.demo.patients['T-CN'] ?? {})])
      reports.add(await report(id));
    expect(reports.size).toBe(1);
    expect([...reports][0]).toContain('"path":"Patient.notes"');
  });

  it('are not told apart by directives', async () => {
    const document = `query($id: ID!, $yes: Boolean!, $no: Boolean!) { patient(id: $id) {
      phone @include(if: $yes) email @skip(if: $no) ... on Patient @include(if: $yes) { name notes }
      ... on Governed { id } ...F @skip(if: $no) } } fragment F on Patient { birthDate nationalId }`;
    const answer = await agent(document, { id: planted, yes: true, no: false });
    expect(answer.errors).toEqual([]);
    expect(answer.data['patient']).toEqual({
      phone: '137****2345',
      email: 'z***@secret.example',
      name: '诸**',
      notes: null,
      id: planted,
      birthDate: '1977',
      nationalId: null,
    });
    const asked = `query($id: ID!, $on: Boolean!) { patient(id: $id) { id phone @include(if: $on) } }`;
    for (const on of [false, true, false]) {
      const one = await agent(asked, { id: planted, on });
      expect(one.data['patient']).toEqual(on ? { id: planted, phone: '137****2345' } : { id: planted });
    }
  });

  it('leave no hole in the answer when a hidden field is asked for: every governed field may be null', async () => {
    const answer = await attack('department_head', `query($id: ID!) { patient(id: $id) { ${EVERY_FIELD} } }`, {
      variables: { id: planted },
    });
    expect(answer.errors).toEqual([]);
    const { id, version, status, createdAt, ...rest } = answer.data['patient'];
    expect([id, status, typeof version, typeof createdAt]).toEqual([planted, 'active', 'number', 'string']);
    expect(new Set(Object.values(rest))).toEqual(new Set([null]));
  });
});

describe('ids, uniqueness and conflicts (channels 9, 10)', () => {
  it.each(['patient(id: $id) { id }', 'patient(id: $id) { name }'])(
    '%s takes an id and nothing else',
    async (field) => {
      const answers = new Set<string>();
      for (const id of [
        PLANTED.phone,
        PLANTED.nationalId,
        PLANTED.name,
        '',
        '%',
        `${planted}'`,
        '0',
        missingId(),
        planted.toUpperCase().slice(0, 35),
      ]) {
        answers.add(bytesOf(await agent(`query($id: ID!) { ${field} }`, { id })));
      }
      expect(answers.size).toBe(1);
      expect([...answers][0]).toContain('NOT_FOUND');
    },
  );

  it('a second patient with the same phone and numbers is created without a word', async () => {
    const create = (input: Loose) =>
      system.ask(
        'front_desk',
        'mutation($input: CreatePatientInput!) { createPatient(input: $input) { version name phone } }',
        {
          variables: { input },
        },
      );
    const twin = await create({ name: 'Twin', phone: PLANTED.phone, nationalId: PLANTED.nationalId });
    const fresh = await create({ name: 'Twin', phone: '13799912345', nationalId: 'X1234567' });
    expect(bytesOf(twin)).toBe(bytesOf(fresh));
    expect(twin.errors).toEqual([]);
    await system.database.owner.query(`DELETE FROM idempotency_key`);
  });

  it('a feed that writes does not hear what is there', async () => {
    const create = (input: Loose) =>
      attack(
        'integrator',
        `mutation($input: CreatePatientInput!) { createPatient(input: $input) { ${EVERY_FIELD} fieldAccess { field state } } }`,
        {
          variables: { input },
        },
      );
    const answer = await create({ ...PLANTED });
    expect(answer.errors).toEqual([]);
    const { id: _id, version, status, createdAt: _createdAt, fieldAccess, ...rest } = answer.data['createPatient'];
    expect([version, status]).toEqual([1, 'active']);
    expect(new Set(Object.values(rest))).toEqual(new Set([null]));
    const states = new Map(fieldAccess.map((one: Loose) => [one['field'], one['state']]));
    expect([states.get('phone'), states.get('name'), states.get('status')]).toEqual(['HIDDEN', 'HIDDEN', 'CLEAR']);
    await system.database.owner.query(`UPDATE patient SET phone_index = NULL, national_id_index = NULL WHERE id = $1`, [
      _id,
    ]);
  });

  it('an idempotency key tells nobody else that it was used, and the conflict does not say for what', async () => {
    const create = (role: Role, input: Loose) =>
      attack(role, 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { version } }', {
        variables: { input },
        headers: { 'idempotency-key': 'guessable-1' },
      });
    expect((await create('front_desk', { name: 'First' })).errors).toEqual([]);
    expect((await create('integrator', { name: 'Second' })).errors).toEqual([]);
    const conflicts = new Set<string>();
    for (const name of ['Second', 'Third']) conflicts.add(bytesOf(await create('front_desk', { name })));
    expect(conflicts.size).toBe(1);
    expect([...conflicts][0]).toContain('IDEMPOTENCY_CONFLICT');
    expect([...conflicts][0]).not.toContain('First');
  });

  it('an optimistic lock tells neither the version nor a value', async () => {
    const update = (version: number) =>
      attack(
        'front_desk',
        'mutation($id: ID!, $version: Int!) { updatePatient(id: $id, version: $version, input: { email: "a@b.example" }) { id } }',
        {
          variables: { id: planted, version },
        },
      );
    const answers = new Set<string>();
    for (const version of [0, 1, 7, 99, -1]) answers.add(bytesOf(await update(version)));
    expect(answers.size).toBe(1);
    expect([...answers][0]).toContain('VERSION_CONFLICT');
    const forbidden = new Set<string>();
    for (const id of [planted, missingId()]) {
      for (const version of [1, 2]) {
        const answer = await agent(
          'mutation($id: ID!, $version: Int!) { updatePatient(id: $id, version: $version, input: { name: "x" }) { name } }',
          {
            id,
            version,
          },
        );
        forbidden.add(bytesOf(answer));
      }
    }
    expect(forbidden.size).toBe(1);
    expect([...forbidden][0]).toContain('FORBIDDEN');
  });
});

describe('the answers of mutations', () => {
  it('are masked like any read', async () => {
    const { data } = await system.ask('front_desk', `{ patient(id: "${planted}") { version } }`);
    const answer = await system.ask(
      'front_desk',
      `mutation($id: ID!, $version: Int!) { updatePatient(id: $id, version: $version, input: { insuranceNumber: "YB7700991188" }) { ${EVERY_FIELD} diagnoses { edges { node { code } } } } }`,
      { variables: { id: planted, version: data['patient'].version } },
    );
    expect(answer.errors).toEqual([]);
    expect(answer.data['updatePatient']).toMatchObject({
      phone: '137****2345',
      email: 'z***@secret.example',
      address: '四川省',
      insuranceNumber: '********1188',
      notes: null,
      diagnoses: null,
    });
  });

  it('of somebody who made what he may not see hold the public fields, and no error', async () => {
    const answer = await system.ask(
      'physician',
      `mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id version code codeSystem display icdChapter clinicalStatus recordedAt fieldAccess { state } } }`,
      { variables: { input: { patientId: patientId(system, 'PT2'), code: 'B20', display: 'HIV disease' } } },
    );
    expect(answer.errors).toEqual([]);
    const { id, version, fieldAccess, ...rest } = answer.data['recordDiagnosis'];
    expect([typeof id, version]).toEqual(['string', 1]);
    expect(new Set(Object.values(rest))).toEqual(new Set([null]));
    expect(new Set(fieldAccess.map((one: Loose) => one['state']))).toEqual(new Set(['CLEAR', 'HIDDEN']));
    expect(bytesOf(answer)).not.toContain('B20');
    await system.database.owner.query('DELETE FROM diagnosis WHERE id = $1', [id]);
  });

  it('refuse masks that come back (channel 23), and change nothing', async () => {
    const seals = async () =>
      (
        await system.database.owner.query(
          'SELECT version, sealed_contact, sealed_government, sealed_identity FROM patient WHERE id = $1',
          [planted],
        )
      ).rows;
    const before = await seals();
    const [{ version }] = before;
    for (const input of [
      { phone: '137****2345' },
      { email: 'z***@secret.example' },
      { address: '四川省' },
      { nationalId: '********1234' },
      { insuranceNumber: '********1188' },
      { name: '诸**' },
      { birthDate: '1977' },
    ]) {
      const answer = await attack(
        'front_desk',
        'mutation($id: ID!, $version: Int!, $input: UpdatePatientInput!) { updatePatient(id: $id, version: $version, input: $input) { id } }',
        {
          variables: { id: planted, version, input },
        },
      );
      expect([input, ...codesOf(answer)]).toEqual([input, 'BAD_USER_INPUT']);
    }
    expect(await seals()).toEqual(before);
  });
});

describe('lookup (channels 10, 25)', () => {
  const LOOKUP = 'query($input: PatientLookupInput!) { patientLookup(input: $input) { id name phone birthDate } }';
  const lookup = (input: Loose) => agent(LOOKUP, { input });

  it('finds by the whole number and shows what the caller may see', async () => {
    await system.database.owner.query(`UPDATE patient SET phone_index = NULL WHERE id <> $1`, [planted]);
    const answer = await lookup({ phone: PLANTED.phone });
    expect(answer.data['patientLookup']).toEqual({
      id: planted,
      name: '诸**',
      phone: '137****2345',
      birthDate: '1977',
    });
  });

  it('tells a near miss like any other', async () => {
    const answers = new Set<string>();
    for (const phone of ['13755512346', '13755512344', '13755512354', '13911111111', '13755512340'])
      answers.add(bytesOf(await lookup({ phone })));
    expect(answers.size).toBe(1);
    expect([...answers][0]).toContain('NOT_FOUND');
  });

  it('takes no part of a number, no mask and no pattern', async () => {
    for (const phone of ['1375551', '137', '137****2345', '1375551234%', '%', '']) {
      await system.database.owner.query('DELETE FROM rate_limit');
      const answer = await lookup({ phone });
      // Seven digits are a whole number of somebody's local exchange: nobody has it.
      expect([phone, ...codesOf(answer)]).toEqual([phone, phone === '1375551' ? 'NOT_FOUND' : 'BAD_USER_INPUT']);
    }
  });

  it('answers two patients with one number like none', async () => {
    const twin = 'mutation { createPatient(input: { name: "Twin", phone: "13755512399" }) { id } }';
    await system.ask('front_desk', twin);
    await system.ask('front_desk', twin);
    const both = await lookup({ phone: '13755512399' });
    const none = await lookup({ phone: '13755512398' });
    expect(bytesOf(both)).toBe(bytesOf(none));
  });

  /** A national number that a patient has. The planted one fails its check character, so that none could be looked up. */
  const held = async (): Promise<string> => {
    await system.ask(
      'front_desk',
      'mutation { createPatient(input: { name: "Held", nationalId: "P7654321" }) { id } }',
    );
    return 'P7654321';
  };

  it('by what a role may not look up by, or for another purpose, is the same for hits and misses', async () => {
    const answers = new Set<string>();
    for (const nationalId of [await held(), 'A1234567']) answers.add(bytesOf(await lookup({ nationalId })));
    expect(answers.size).toBe(1);
    for (const [role, purpose] of [
      ['call_center_agent', 'CAREMGT'],
      ['physician', 'TREAT'],
      ['marketer', 'HMARKT'],
      ['integrator', 'PATADMIN'],
    ] as const) {
      const both = new Set<string>();
      for (const phone of [PLANTED.phone, '13755512346'])
        both.add(bytesOf(await attack(role, LOOKUP, { purpose, variables: { input: { phone } } })));
      expect([role, both.size]).toEqual([role, 1]);
      expect([...both][0]).toContain('FORBIDDEN');
    }
  });

  it('counts every alias of a document', async () => {
    const aliases = Array.from(
      { length: 9 },
      (_, index) => `a${index}: patientLookup(input: { phone: "1375551234${index}" }) { id }`,
    );
    const answer = await agent(`{ ${aliases.join(' ')} }`);
    const codes = codesOf(answer);
    expect(codes.filter((code) => code === 'RATE_LIMITED').length).toBeGreaterThanOrEqual(3);
    expect(codesOf(await lookup({ phone: PLANTED.phone }))).toEqual(['RATE_LIMITED']);
  });

  it('has no guesses left after six in a minute and sixty in a day, hit or miss', async () => {
    const id = system.demo.users.find((user) => user.tenant === 'T-CN' && user.role === 'call_center_agent')?.id;
    await system.database.owner.query(
      `INSERT INTO rate_limit (tenant_id, account_id, action, seconds, window_start, uses)
       VALUES ('T-CN', $1, 'lookup:Patient', 86400, date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', 60)`,
      [id],
    );
    for (const phone of [PLANTED.phone, '13755512346'])
      expect(codesOf(await lookup({ phone }))).toEqual(['RATE_LIMITED']);
  });
});

describe('aliases and batches (channel 25)', () => {
  it('cannot ask sixteen questions at once', async () => {
    const ask = (count: number) =>
      agent(
        `{ ${Array.from({ length: count }, (_, index) => `a${index}: patients(first: 1) { totalCount }`).join(' ')} }`,
      );
    expect((await ask(15)).errors).toEqual([]);
    expect(codesOf(await ask(16))).toEqual(['QUERY_COST_EXCEEDED']);
  });

  it('are not taken as an array of documents', async () => {
    const token = await system.token('call_center_agent');
    const response = await fetch(system.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'x-purpose-of-use': 'HOPERAT' },
      body: JSON.stringify([{ query: '{ patients { totalCount } }' }, { query: '{ patients { totalCount } }' }]),
    });
    const text = await response.text();
    heard.push(text);
    expect(response.status).toBe(400);
    expect(text).not.toContain('totalCount');
  });

  it('behave like the field itself, in fragments too', async () => {
    const answer = await agent(
      `query($id: ID!) { x: patient(id: $id) { a: phone b: phone ...F } y: patient(id: $id) { ... on Governed { id } c: name } }
       fragment F on Patient { d: birthDate e: nationalId f: notes }`,
      { id: planted },
    );
    expect(answer.data).toEqual({
      x: { a: '137****2345', b: '137****2345', d: '1977', e: null, f: null },
      y: { id: planted, c: '诸**' },
    });
  });
});

describe('derived values and their combination (channels 19, 20, 21)', () => {
  it('are as strict as what they are derived from', async () => {
    const document = `query($id: ID!) { patient(id: $id) { birthYear ageBand region } }`;
    const head = await attack('department_head', document, { variables: { id: planted } });
    expect(head.data['patient']).toEqual({ birthYear: null, ageBand: null, region: null });
    const called = await agent(document, { id: planted });
    expect(called.data['patient']).toEqual({ birthYear: 1977, ageBand: '45–49', region: '四川省' });
  });

  it('leave thousands of possible persons when everything that the agent sees is put together', async () => {
    const answer = await agent(
      `query($id: ID!) { patient(id: $id) { ${EVERY_FIELD} fieldAccess { field state mask } } }`,
      { id: planted },
    );
    const { phone, birthDate, nationalId } = answer.data['patient'];
    expect(phone.match(/\*/g)).toHaveLength(4);
    expect(birthDate).toHaveLength(4);
    expect(nationalId).toBeNull();
    const desk = await system.ask('front_desk', `query($id: ID!) { patient(id: $id) { nationalId insuranceNumber } }`, {
      variables: { id: planted },
    });
    expect(desk.data['patient'].nationalId).toBe('********1234');
  });

  it('do not tell the age of the oldest', async () => {
    const answer = await agent(`query($id: ID!) { patient(id: $id) { birthDate birthYear ageBand } }`, {
      id: patientId(system, 'PT4'),
    });
    expect(answer.data['patient']).toEqual({ birthDate: null, birthYear: null, ageBand: '90+' });
  });
});

describe('caches (channels 22, 26)', () => {
  it('are never shared between callers or purposes', async () => {
    const document = `query($id: ID!) { patient(id: $id) { name phone birthDate fieldAccess { field state } } }`;
    const id = patientId(system, 'PT1');
    const seen = async (role: Role, purpose: string) =>
      (await system.ask(role, document, { purpose, variables: { id } })).data['patient']?.name;
    const rounds: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      rounds.push(
        JSON.stringify([
          await seen('physician', 'TREAT'),
          await seen('call_center_agent', 'HOPERAT'),
          await seen('call_center_agent', 'CAREMGT'),
          await seen('department_head', 'HQUALIMP'),
          await seen('front_desk', 'PATADMIN'),
        ]),
      );
    }
    expect(new Set(rounds)).toEqual(new Set([JSON.stringify(['王小明', '王**', '王小明', null, '王小明'])]));
    const mixed = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        index % 2 === 0 ? seen('physician', 'TREAT') : seen('call_center_agent', 'HOPERAT'),
      ),
    );
    expect(mixed).toEqual(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? '王小明' : '王**')));
  });

  it('outside the server get no permission and no fingerprint', async () => {
    const answer = await agent('{ patients(first: 1) { edges { node { name } } } }');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    for (const name of ['etag', 'last-modified', 'content-md5', 'digest', 'age'])
      expect([name, answer.headers.get(name)]).toEqual([name, null]);
  });
});

describe('the schema (channels 18, 24)', () => {
  it('has these entrances and no other', async () => {
    const token = await system.token('physician');
    const answer = await system.send(
      '{ __schema { queryType { fields { name } } mutationType { fields { name } } subscriptionType { fields { name } } } }',
      { token },
    );
    const names = (type: string) => answer.data['__schema'][type].fields.map((field: Loose) => field['name']).sort();
    expect(names('queryType')).toEqual([
      'accessReport',
      'accountingOfDisclosures',
      'accountingSuspensions',
      'appointments',
      'auditEvent',
      'careTeams',
      'compartmentGrants',
      'consentForms',
      'emergencyAccesses',
      'erasureNotices',
      'erasureReceipt',
      'explainAccess',
      'explainDecision',
      'explainDecisions',
      'exportJob',
      'ledgerCheckpoint',
      'ledgerConsistency',
      'ledgerDetail',
      'ledgerEntries',
      'ledgerEntry',
      'ledgerProof',
      'ledgerReceipt',
      'legalHolds',
      'me',
      'patient',
      'patientCounts',
      'patientLookup',
      'patients',
      'policyDiff',
      'policyExplanation',
      'policyProof',
      'policyRelease',
      'policyReleases',
      'policySimulation',
      'researchProtocols',
      'searchPatients',
    ]);
    expect(names('mutationType')).toEqual([
      'activatePolicy',
      'approvePolicy',
      'assignCareTeam',
      'attachFile',
      'bookAppointment',
      'breakGlass',
      'cancelAppointment',
      'cancelExport',
      'completeErasureNotice',
      'confirmAppointment',
      'confirmTotp',
      'createCareTeam',
      'createPatient',
      'createVisit',
      'deactivatePatient',
      'endAccountingSuspension',
      'endRelatedPerson',
      'enrolTotp',
      'eraseLedgerDetails',
      'eraseSubject',
      'grantCompartment',
      'placeLegalHold',
      'proposePolicy',
      'publishConsentForm',
      'recordConsent',
      'recordDiagnosis',
      'recordDisclosure',
      'recordResearchProtocol',
      'refresh',
      'registerRelatedPerson',
      'releaseLegalHold',
      'requestExport',
      'rescheduleAppointment',
      'reveal',
      'reviewEmergencyAccess',
      'revokeCompartmentGrant',
      'rollbackPolicy',
      'satisfyChallenge',
      'shadowPolicy',
      'signIn',
      'signInformedConsent',
      'signOut',
      'suspendAccounting',
      'updatePatient',
      'withdrawConsent',
    ]);
    expect(names('subscriptionType')).toEqual(['appointmentChanged']);
  });

  it('is the same for every role', async () => {
    const answers = new Set<string>();
    for (const role of ['physician', 'marketer', 'security_admin'] as const) {
      const answer = await attack(
        role,
        '{ __schema { types { name fields { name type { name kind } } inputFields { name } enumValues { name } } } }',
      );
      expect(answer.errors).toEqual([]);
      answers.add(JSON.stringify(answer.data));
    }
    expect(answers.size).toBe(1);
  });

  it('gives no hints', async () => {
    for (const document of [
      '{ patients { edges { node { phon nam birthDat } } } }',
      '{ patientss { totalCount } }',
      '{ patients(filtr: {}) { totalCount } }',
      '{ patients(filter: { phon: { eq: "13755512345" } }) { totalCount } }',
      '{ patients(sort: [{ field: PHON, direction: ASC }]) { totalCount } }',
    ]) {
      const answer = await agent(document);
      expect(answer.errors.length).toBeGreaterThan(0);
      expect(answer.text).not.toMatch(/did you mean|13755512345|"phone"|"name"|"patients"/i);
    }
  });

  it('does not name what is behind it', async () => {
    const answer = await attack('physician', '{ __schema { types { name fields { name } inputFields { name } } } }');
    for (const name of ['subjectReference', 'careTeamIds', 'phoneIndex', 'sealed', 'sourceIndex', 'tenantId'])
      expect([name, answer.text.includes(name)]).toEqual([name, false]);
    // Of compartments it names what the privacy office grants, and nothing of a patient's records.
    const types = answer.data['__schema'].types as {
      name: string;
      fields: Loose[] | null;
      inputFields: Loose[] | null;
    }[];
    const naming = types.filter(({ fields, inputFields }) =>
      [...(fields ?? []), ...(inputFields ?? [])].some((field) => field['name'] === 'compartment'),
    );
    expect(naming.map(({ name }) => name).sort()).toEqual([
      'CompartmentGrant',
      'CompartmentGrantFilter',
      'GrantCompartmentInput',
    ]);
  });

  it('answers other addresses without saying what was asked', async () => {
    const base = system.endpoint.replace('/graphql', '');
    for (const [path, method] of [
      [`/patients/${PLANTED.phone}`, 'GET'],
      [`/graphql/${PLANTED.phone}`, 'POST'],
      ['/demo.json', 'GET'],
      ['/.data/demo.json', 'GET'],
      ['/graphiql/page.ts', 'GET'],
      ['/metrics', 'GET'],
      ['/readyz', 'GET'],
      ['/healthz', 'GET'],
    ] as const) {
      const response = await fetch(base + path, { method });
      heard.push((await response.text()).replaceAll(path, ''));
      if (!['/metrics', '/readyz', '/healthz'].includes(path)) expect([path, response.status]).toEqual([path, 404]);
    }
  });

  it('is behind the same policy by GET', async () => {
    const token = await system.token('call_center_agent');
    const query = `query($id: ID!) { patient(id: $id) { name phone notes } }`;
    const url = `${system.endpoint}?${new URLSearchParams({ query, variables: JSON.stringify({ id: planted }) }).toString()}`;
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}`, 'x-purpose-of-use': 'HOPERAT', 'apollo-require-preflight': '1' },
    });
    const text = await response.text();
    heard.push(text);
    expect(JSON.parse(text).data).toEqual({ patient: { name: '诸**', phone: '137****2345', notes: null } });
  });
});

describe('errors (channels 10, 11, 17)', () => {
  it.each<[string, string, Loose]>([
    ['a number where a text is', FILTERED, { filter: { phone: { eq: 13755512345 } } }],
    ['a text where a number is', FILTERED, { filter: { birthYear: { eq: PLANTED.birthDate } } }],
    ['a name where an object is', FILTERED, { filter: PLANTED.name }],
    ['a field that does not exist', FILTERED, { filter: { [PLANTED.phone]: { eq: 1 } } }],
    ['a value of no enumeration', SORTED, { sort: [{ field: PLANTED.name, direction: 'ASC' }] }],
    ['a literal', `{ patients(first: "${PLANTED.phone}") { totalCount } }`, {}],
    [
      'a literal of no enumeration',
      `{ patients(sort: [{ field: "${PLANTED.name}", direction: ASC }]) { totalCount } }`,
      {},
    ],
    ['an unknown argument with a value', `{ patient(id: "x", phone: "${PLANTED.phone}") { id } }`, {}],
    ['a syntax error', `{ patient(id: "${PLANTED.phone}" { id } }`, {}],
    ['an unterminated text', `{ patient(id: "${PLANTED.name}`, {}],
    [
      'a birth date that does not exist',
      'mutation { createPatient(input: { name: "A", birthDate: "1977-08-19x" }) { id } }',
      {},
    ],
    ['a wrong e-mail address', `mutation { createPatient(input: { name: "A", email: "${PLANTED.name}" }) { id } }`, {}],
    ['a wrong gender', `mutation { createPatient(input: { name: "A", gender: "${PLANTED.phone}" }) { id } }`, {}],
    [
      'a phone that is too long',
      `mutation { createPatient(input: { name: "A", phone: "${PLANTED.phone.repeat(5)}" }) { id } }`,
      {},
    ],
    ['a control character', `mutation { createPatient(input: { name: "${PLANTED.name}\\u0000" }) { id } }`, {}],
    ['an instant', FILTERED, { filter: { createdAt: { gt: PLANTED.birthDate.slice(0, 7) + PLANTED.phone } } }],
    ['a zero byte in a filter', FILTERED, { filter: { status: { eq: `${PLANTED.name}\u0000` } } }],
  ])('do not repeat %s', async (_what, document, variables) => {
    const answer = await attack('front_desk', document, { variables });
    expect(answer.errors.length).toBeGreaterThan(0);
    for (const secret of SECRETS) expect(answer.text).not.toContain(secret);
    expect(answer.status).toBeLessThan(500);
  });

  it('do not repeat a body or headers that cannot be read', async () => {
    const token = await system.token('front_desk');
    for (const [body, headers] of [
      [`{"query": "{ me { id } }", "variables": {"phone": ${PLANTED.phone}x}}`, {}],
      [`${PLANTED.name}`, {}],
      [`phone=${PLANTED.phone}`, { 'content-type': 'application/x-www-form-urlencoded' }],
      [
        `{"query": "query($f: PatientFilter) { patients(filter: $f) { totalCount } }", "variables": {"f": {"__proto__": {"phone": {"eq": "${PLANTED.phone}"}}}}}`,
        {},
      ],
      [JSON.stringify({ query: '{ patients { totalCount } }' }), { 'x-request-id': PLANTED.phone }],
      [JSON.stringify({ query: PLANTED.phone }), {}],
      [JSON.stringify({ query: '{ me { id } }', operationName: PLANTED.phone }), {}],
      [JSON.stringify({ query: '{ me { id } }', variables: PLANTED.phone }), {}],
      [JSON.stringify({ query: '{ me { id } }', extensions: { persistedQuery: PLANTED.phone } }), {}],
      [JSON.stringify({ query: '{ patients { totalCount } }' }), { 'x-purpose-of-use': PLANTED.phone }],
      [
        JSON.stringify({ query: '{ patients { totalCount } }' }),
        { 'x-purpose-of-use': PLANTED.nationalId, 'x-reason': `for ${PLANTED.phone}` },
      ],
      [JSON.stringify({ query: '{ patients { totalCount } }' }), { authorization: `Bearer ${PLANTED.phone}` }],
      [
        JSON.stringify({
          query:
            'mutation { signIn(input: { tenant: "13755512345", email: "13755512345", password: "13755512345" }) { expiresAt } }',
        }),
        {},
      ],
    ] as [string, Record<string, string>][]) {
      const response = await fetch(system.endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
        body,
      });
      const { 'x-request-id': echoed } = headers;
      heard.push(await response.text(), JSON.stringify([...response.headers].filter(([, value]) => value !== echoed)));
    }
  });
});

describe('everything that came back', () => {
  it('holds none of the planted values', () => {
    expect(heard.length).toBeGreaterThan(300);
    for (const secret of SECRETS) {
      const found = heard.filter((text) => text.includes(secret));
      expect([secret, found]).toEqual([secret, []]);
    }
  });

  it('nor does the log, at its most talkative', () => {
    const logged = system.logged();
    expect(logged).toContain('"event":"request"');
    for (const secret of SECRETS) expect([secret, logged.includes(secret)]).toEqual([secret, false]);
  });

  it('nor do the records of the ledger', async () => {
    for (const log of ['T-CN', 'T-US', 'system']) {
      const records = JSON.stringify(await recordsOf(system, log));
      for (const secret of SECRETS) expect([log, secret, records.includes(secret)]).toEqual([log, secret, false]);
    }
  });
});
