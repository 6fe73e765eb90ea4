import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { newId } from '../../src/kernel/identifier.js';
import type { Statement } from '../../src/persistence/statement.js';
import { codesOf, missingId, nodesOf, patientId } from '../support/probe.js';
import { recordsOf, testSystem, type AskOptions, type Loose, type TestSystem } from '../support/system.js';
import type { Role } from '../../src/kernel/actor.js';

let system: TestSystem;
/** Statements of the application's role since the last `beforeEach`, whoever sent them. */
let statements: string[] = [];
let recorded = 0;

const PATIENTS = 50;
const NESTED = `
  id name phone birthDate
  visits { edges { node { id start department practitioner { name } organization { name } } } }
  diagnoses { edges { node { id code display icdChapter } } }
  careTeam { assignedAt careTeam { name } }`;
const LIST = `query($first: Int!) { patients(first: $first) { edges { node { ${NESTED} } } } }`;

beforeAll(async () => {
  system = await testSystem();
  await admit();
  const { app } = system.composition;
  const query = app.query.bind(app);
  app.query = <Row>(tenant: string | null, statement: Statement) => {
    // A session that was seen a moment ago is not asked for again, and releases and changes of keys are looked for in the
    // background: none is a matter of the document.
    if (!/session\.id|policy_release|vault_notice/.test(statement.text)) statements.push(statement.text);
    return query<Row>(tenant, statement);
  };
}, 120_000);
afterAll(() => system.close());
beforeEach(async () => {
  statements = [];
  recorded = (await recordsOf(system, 'T-CN')).length;
});

/** Patients that the physician treats, each with two visits, a diagnosis and a team. */
async function admit(): Promise<void> {
  const [practitioner, organization] = [newId(), newId()];
  for (const [table, id] of [
    ['practitioner', practitioner],
    ['organization', organization],
  ] as const) {
    await system.database.owner.query(
      `INSERT INTO ${table} (id, name, created_at, tenant_id) VALUES ($1, $2, now(), 'T-CN')`,
      [id, `One ${table}`],
    );
  }
  const teams = await system.ask('front_desk', '{ careTeams { edges { node { id name } } } }');
  const ward = nodesOf(teams, 'careTeams').find((team) => team['name'] === 'Ward 1')?.['id'];
  const run = async (role: Role, document: string, input: Loose): Promise<Loose> => {
    const answer = await system.ask(role, document, { variables: { input } });
    expect(answer.errors).toEqual([]);
    return answer.data;
  };
  for (let index = 0; index < PATIENTS; index += 1) {
    const created = await run(
      'front_desk',
      'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }',
      {
        name: `Person ${'abcdefghij'[index % 10]}`,
        phone: `1371234${String(1000 + index)}`,
        birthDate: '1980-02-03',
      },
    );
    const { id } = created['createPatient'];
    await run('front_desk', 'mutation($input: AssignCareTeamInput!) { assignCareTeam(input: $input) { id } }', {
      patientId: id,
      careTeamId: ward,
    });
    for (const day of ['01', '02']) {
      await run('front_desk', 'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id } }', {
        patientId: id,
        start: `2026-03-${day}T08:00:00Z`,
        department: 'Surgery',
        practitionerId: practitioner,
        organizationId: organization,
      });
    }
    await run('physician', 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }', {
      patientId: id,
      code: 'I10',
    });
  }
}

async function newRecords(): Promise<Loose[]> {
  return (await recordsOf(system, 'T-CN')).slice(recorded);
}

async function statementsFor(document: string, first: number, role: Role = 'physician'): Promise<number> {
  statements = [];
  const answer = await system.ask(role, document, { variables: { first } });
  expect(answer.errors).toEqual([]);
  return statements.length;
}

describe('the number of statements', () => {
  it('is the same for one patient and for fifty, with every nested list', async () => {
    await statementsFor(LIST, 50);
    const fifty = await statementsFor(LIST, 50);
    const reads = statements.filter((text) => text.startsWith('SELECT')).length;
    expect(await statementsFor(LIST, 1)).toBe(fifty);
    expect(reads).toBeLessThanOrEqual(9);
  });

  it('is the same for every role, whatever it sees of the rows', async () => {
    const flat =
      'query($first: Int!) { patients(first: $first) { totalCount edges { node { id name phone birthDate } } } }';
    const roles = ['physician', 'nurse', 'front_desk', 'call_center_agent', 'billing', 'department_head'] as const;
    const counts: [Role, number][] = [];
    for (const role of roles) {
      await statementsFor(flat, PATIENTS, role);
      counts.push([role, await statementsFor(flat, PATIENTS, role)]);
    }
    expect(new Set(counts.map(([, count]) => count)).size).toBe(1);
    expect(counts[0]?.[1]).toBeLessThanOrEqual(4);
  });

  it('has as many rows in the answer as there are', async () => {
    const nodes = nodesOf(await system.ask('physician', LIST, { variables: { first: 50 } }));
    expect(nodes).toHaveLength(50);
    const grown = nodes.filter((node) => String(node['name']).startsWith('Person'));
    expect(grown).toHaveLength(50);
    for (const node of grown) {
      expect(node['visits'].edges).toHaveLength(2);
      expect(node['visits'].edges[0].node.practitioner).toEqual({ name: 'One practitioner' });
      expect(node['diagnoses'].edges).toMatchObject([{ node: { code: 'I10' } }]);
      expect(node['careTeam']).toMatchObject([{ careTeam: { name: 'Ward 1' } }]);
    }
  });

  it('does not grow with the nested lists of two root fields that ask the same', async () => {
    const single = await statementsFor(LIST, 50);
    const id = patientId(system, 'PT1');
    const both = await statementsFor(
      `query($first: Int!) { patients(first: $first) { edges { node { ${NESTED} } } } patient(id: "${id}") { ${NESTED} } }`,
      50,
    );
    expect(both).toBeLessThanOrEqual(single + 7);
  });
});

describe('the records of a document', () => {
  const expectRecords = async (role: Role, document: string, options: AskOptions, expected: Loose[]) => {
    const answer = await system.ask(role, document, options);
    const records = (await newRecords()).filter((record) => record['operation'] !== 'signIn');
    expect(records).toMatchObject(expected);
    return { answer, records };
  };

  it('are one for a list with every nested list', async () => {
    const { records } = await expectRecords('physician', LIST, { variables: { first: 50 } }, [
      { kind: 'SEARCH', outcome: 'success', code: null },
    ]);
    const types = records[0]!['accesses'].map((access: Loose) => access['type']);
    expect([...new Set(types)].sort()).toEqual(
      ['CareTeam', 'CareTeamAssignment', 'Diagnosis', 'Organization', 'Patient', 'Practitioner', 'Visit'].sort(),
    );
    const patients = records[0]!['accesses'].filter((access: Loose) => access['type'] === 'Patient');
    expect(patients.reduce((sum: number, access: Loose) => sum + access['rows'], 0)).toBe(50);
    expect(new Set(patients.flatMap((access: Loose) => access['subjects'])).size).toBe(50);
  });

  it('are one for two root fields', async () => {
    const id = patientId(system, 'PT1');
    await expectRecords('physician', `{ patients { edges { node { id } } } patient(id: "${id}") { name } }`, {}, [
      { kind: 'SEARCH', outcome: 'success', operation: 'patients patient' },
    ]);
  });

  it('are one for a list that shows nobody', async () => {
    await expectRecords(
      'physician',
      '{ patients(filter: { status: { eq: "merged" } }) { edges { node { name } } } }',
      {},
      [{ kind: 'SEARCH', outcome: 'success', accesses: [] }],
    );
  });

  it('are its own for a mutation, and one for what its answer shows', async () => {
    const id = patientId(system, 'PT2');
    const { data } = await system.ask('front_desk', `{ patient(id: "${id}") { version } }`);
    recorded = (await recordsOf(system, 'T-CN')).length;
    const { records } = await expectRecords(
      'front_desk',
      `mutation { updatePatient(id: "${id}", version: ${data['patient'].version}, input: { email: "new@example.org" }) { id name email } }`,
      {},
      [
        { kind: 'UPDATE', outcome: 'success', operation: 'updatePatient' },
        { kind: 'READ', outcome: 'success', operation: 'updatePatient' },
      ],
    );
    expect(records[0]!['accesses']).toMatchObject([{ type: 'Patient', fields: { email: 'WRITTEN' } }]);
    expect(records[1]!['accesses']).toMatchObject([{ type: 'Patient', fields: { email: 'MASKED', name: 'CLEAR' } }]);
    expect(records[1]!['accesses'][0].subjects).toEqual(records[0]!['accesses'][0].subjects);
  });

  it('are one for each of two mutations, and one for what both answers show', async () => {
    const document = `mutation { a: createPatient(input: { name: "Ann" }) { name } b: createPatient(input: { name: "Bea" }) { name } }`;
    const { records } = await expectRecords('front_desk', document, {}, [
      { kind: 'CREATE' },
      { kind: 'CREATE' },
      { kind: 'READ' },
    ]);
    expect(records[2]!['accesses']).toMatchObject([{ type: 'Patient', rows: 2 }]);
  });

  it('are one for the first answer of an idempotent creation and a read for its repetition', async () => {
    const document = `mutation { createPatient(input: { name: "Once" }) { name } }`;
    const options = { headers: { 'idempotency-key': 'only once' } };
    await expectRecords('front_desk', document, options, [{ kind: 'CREATE' }, { kind: 'READ' }]);
    recorded = (await recordsOf(system, 'T-CN')).length;
    await expectRecords('front_desk', document, options, [{ outcome: 'success', operation: 'createPatient' }]);
  });

  it.each<[string, Role, string, AskOptions, Loose]>([
    ['a role without a rule', 'marketer', '{ patients { totalCount } }', {}, { outcome: 'denied', code: 'FORBIDDEN' }],
    [
      'no purpose',
      'physician',
      '{ patients { totalCount } }',
      { purpose: null },
      { outcome: 'denied', code: 'PURPOSE_REQUIRED' },
    ],
    [
      'a purpose of others',
      'physician',
      '{ patients { totalCount } }',
      { purpose: 'HMARKT' },
      { outcome: 'denied', code: 'PURPOSE_NOT_PERMITTED' },
    ],
    [
      'a filter on what is sealed',
      'physician',
      '{ patients(filter: { phone: { eq: "1" } }) { totalCount } }',
      {},
      { outcome: 'denied', code: 'FIELD_NOT_FILTERABLE' },
    ],
    [
      'a missing id',
      'physician',
      `{ patient(id: "${missingId()}") { id } }`,
      {},
      { outcome: 'denied', code: 'NOT_FOUND' },
    ],
    [
      'a cursor of nobody',
      'physician',
      '{ patients(after: "abc") { totalCount } }',
      {},
      { outcome: 'denied', code: 'CURSOR_INVALID' },
    ],
    [
      'a page that is too long',
      'physician',
      '{ patients(first: 51) { totalCount } }',
      {},
      { outcome: 'failed', code: 'BAD_USER_INPUT' },
    ],
    [
      'a field that does not exist',
      'physician',
      '{ patients { edges { node { shoeSize } } } }',
      {},
      { outcome: 'denied', operation: '(document)' },
    ],
    [
      'a write of a field that is not his',
      'front_desk',
      'mutation { createPatient(input: { name: "A", notes: "no" }) { id } }',
      {},
      { outcome: 'denied', code: 'FORBIDDEN', operation: 'createPatient' },
    ],
    [
      'a write to nobody',
      'front_desk',
      `mutation { deactivatePatient(id: "${missingId()}", version: 1) { id } }`,
      {},
      { outcome: 'denied', code: 'NOT_FOUND' },
    ],
  ])('are one for %s', async (_what, role, document, options, expected) => {
    const { answer } = await expectRecords(role, document, options, [{ accesses: [], ...expected }]);
    expect(answer.errors).toHaveLength(1);
  });

  it('say of a refused patient that the relationship is missing, and tell the caller only that there is none', async () => {
    const { answer } = await expectRecords('physician', `{ patient(id: "${patientId(system, 'PT4')}") { id } }`, {}, [
      { outcome: 'denied', code: 'NO_CARE_RELATIONSHIP' },
    ]);
    expect(codesOf(answer)).toEqual(['NOT_FOUND']);
  });

  it('are one for a nested list that is hidden, together with the list around it', async () => {
    await expectRecords(
      'front_desk',
      '{ patients(first: 1) { edges { node { name diagnoses { edges { node { code } } } } } } }',
      {},
      [{ outcome: 'success', operation: 'patients Patient.diagnoses' }],
    );
  });

  it('are one for each of a root field that is shown and one that is refused', async () => {
    const document = `{ a: patients(first: 1) { edges { node { id } } } b: patients(filter: { phone: { eq: "1" } }) { totalCount } }`;
    await expectRecords('physician', document, {}, [
      { outcome: 'denied', code: 'FIELD_NOT_FILTERABLE' },
      { outcome: 'success', kind: 'SEARCH' },
    ]);
  });

  it('are one for an anonymous sign-in that failed, and none for an anonymous query', async () => {
    const before = (await recordsOf(system, 'system')).length;
    await system.send('{ patients { totalCount } }', { purpose: 'TREAT' });
    expect(await newRecords()).toEqual([]);
    expect((await recordsOf(system, 'system')).slice(before)).toEqual([]);
    const wrong = { tenant: 'T-CN', email: 'nobody@example.org', password: 'wrong' };
    await system.send('mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }', {
      variables: { input: wrong },
    });
    expect(await newRecords()).toMatchObject([{ kind: 'LOGIN', outcome: 'denied', actor: null }]);
  });
});
