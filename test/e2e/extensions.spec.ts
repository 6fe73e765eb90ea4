import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { codeOf, nodesOf } from '../support/outcome.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
});
afterAll(() => system.close());

/** The record that a receipt names, as the database holds it, checked against the receipt's hash. */
async function recordOf(receipt: Loose, log = 'T-CN'): Promise<Loose> {
  const { rows } = await system.database.owner.query(
    "SELECT record FROM ledger_entry WHERE log = $1 AND convert_from(record, 'UTF8')::jsonb @> $2",
    [log, JSON.stringify({ writer: receipt['writer'], number: receipt['number'] })],
  );
  expect(rows).toHaveLength(1);
  const bytes = rows[0].record as Buffer;
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(receipt['recordHash']);
  return JSON.parse(bytes.toString()) as Loose;
}
const recordsBehind = (answer: Answer) =>
  Promise.all((answer.extensions['ledger'].records as Loose[]).map((receipt) => recordOf(receipt)));
const paths = (list: Loose[]) => list.map((one) => one['path'] as string).sort();
const statesOf = (access: Loose[]) => Object.fromEntries(access.map((one) => [one['field'], one['state']]));

describe('extensions.policy', () => {
  it('names each masked and hidden field once, as schema coordinates, without reasons', async () => {
    const node = 'id name phone birthDate notes nationalId visits(first: 2) { edges { node { id start department } } }';
    const { extensions } = await system.ask(
      'call_center_agent',
      `{ a: patients { edges { node { ${node} } } } b: patients(first: 2) { edges { node { ${node} } } } }`,
      {
        purpose: 'HOPERAT',
      },
    );
    const { policy } = extensions;
    expect(Object.keys(policy).sort()).toEqual(['decisionId', 'hidden', 'masked', 'policyVersion', 'purpose']);
    expect(policy).toMatchObject({ purpose: 'HOPERAT', policyVersion: system.composition.policy.version });
    expect(policy.decisionId).toMatch(/^[0-9a-f-]{36}$/);
    expect(policy.masked).toEqual(
      expect.arrayContaining([
        { path: 'Patient.name', fn: 'M_NAME' },
        { path: 'Patient.phone', fn: 'M_PHONE' },
        { path: 'Patient.birthDate', fn: 'M_DOB' },
      ]),
    );
    expect(policy.masked).toHaveLength(3);
    const ofPatient = ['Patient.nationalId', 'Patient.notes', 'Patient.visits'];
    expect(paths(policy.hidden)).toEqual([...ofPatient, 'Visit.department', 'Visit.id', 'Visit.start']);
    expect(policy.hidden.map((one: Loose) => Object.keys(one))).toEqual(policy.hidden.map(() => ['path']));
  });

  it('says the same whether the hidden field has a value or not', async () => {
    const hidden = async (key: string) => {
      const id = system.demo.patients['T-CN']?.[key];
      const answer = await system.ask('call_center_agent', `{ patient(id: "${id}") { notes nationalId phone } }`, {
        purpose: 'HOPERAT',
      });
      return { ...answer.extensions['policy'], decisionId: '' };
    };
    expect(await hidden('PT1')).toEqual(await hidden('PT2'));
  });

  it('is absent where no patient data was asked for or given, but for the offer to who may break the glass', async () => {
    const missing = '{ patient(id: "01900000-0000-7000-8000-000000000000") { name } }';
    for (const role of ['front_desk', 'physician'] as const)
      expect((await system.ask(role, '{ me { id } }')).extensions['policy']).toBeUndefined();
    expect((await system.ask('front_desk', missing)).extensions['policy']).toBeUndefined();
    expect((await system.ask('physician', missing)).extensions['policy']).toMatchObject({
      masked: [],
      hidden: [],
      emergencyAccess: 'AVAILABLE',
    });
  });

  it('agrees with fieldAccess, which has every governed field, selected or not', async () => {
    const { data, extensions } = await system.ask(
      'front_desk',
      '{ patients(first: 50) { edges { node { id name phone address nationalId notes gender fieldAccess { field state mask } } } } }',
    );
    const asked = ['name', 'phone', 'address', 'nationalId', 'notes', 'gender'];
    const union: Record<string, Set<string>> = {};
    for (const node of nodesOf(data['patients'])) {
      const states = statesOf(node['fieldAccess']);
      expect(Object.keys(states).sort()).toEqual(
        [
          ...[
            'id',
            'version',
            'name',
            'gender',
            'birthDate',
            'birthYear',
            'ageBand',
            'region',
            'phone',
            'email',
            'address',
          ],
          ...['nationalId', 'insuranceNumber', 'notes', 'status', 'createdAt'],
        ].sort(),
      );
      for (const field of asked) (union[field] ??= new Set()).add(states[field]);
      if (states['notes'] === 'HIDDEN') expect(node['notes']).toBeNull();
    }
    expect([...(union['phone'] ?? [])].sort()).toEqual(['CLEAR', 'MASKED']);
    const having = (state: string) =>
      asked
        .filter((field) => union[field]?.has(state))
        .map((field) => `Patient.${field}`)
        .sort();
    expect(paths(extensions['policy'].masked)).toEqual(having('MASKED'));
    expect(paths(extensions['policy'].hidden)).toEqual(having('HIDDEN'));
  });
});

describe('extensions.ledger', () => {
  it('is the receipt of the record of a read: who, why, which fields in which state, whose, how many', async () => {
    const answer = await system.ask(
      'physician',
      '{ patients { edges { node { id name phone diagnoses { edges { node { code } } } } } } }',
      {
        headers: { 'x-request-id': 'trace-9', 'x-reason': 'Ward round of the morning' },
      },
    );
    const [record, ...others] = await recordsBehind(answer);
    expect(others).toEqual([]);
    const { rows } = await system.database.owner.query('SELECT id, subject_reference FROM patient');
    const references = new Map(rows.map((row: Loose) => [row['id'], row['subject_reference']]));
    const seen = nodesOf(answer.data['patients']).map((node) => references.get(node['id']));
    expect(record).toMatchObject({
      ...{ v: 1, log: 'T-CN', kind: 'SEARCH', outcome: 'success', code: null, role: 'physician', purpose: 'TREAT' },
      ...{
        request: 'trace-9',
        reason: true,
        policy: system.composition.policy.hash,
        operation: 'patients Patient.diagnoses',
      },
    });
    expect(record?.['document']).toMatch(/^[0-9a-f]{64}$/);
    const patients = record?.['accesses'].filter((one: Loose) => one['type'] === 'Patient') as Loose[];
    expect(patients.map((one) => one['fields'])).toEqual([{ id: 'CLEAR', name: 'CLEAR', phone: 'MASKED' }]);
    expect(patients[0]?.['rows']).toBe(seen.length);
    expect([...(patients[0]?.['subjects'] ?? [])].sort()).toEqual([...seen].sort());
    const diagnoses = record?.['accesses'].find((one: Loose) => one['type'] === 'Diagnosis');
    expect(diagnoses).toMatchObject({ rows: 1, fields: { code: 'CLEAR' } });
    const text = JSON.stringify(record);
    for (const secret of ['王', '138', 'E11', 'Ward round', system.demo.patients['T-CN']?.['PT1'] ?? ''])
      expect(text).not.toContain(secret);
  });

  it('is the receipt of the write first, then of what its answer showed', async () => {
    const answer = await system.ask(
      'front_desk',
      'mutation { createPatient(input: { name: "甲乙", phone: "13700002222" }) { id name phone } }',
    );
    const [written, ...shown] = await recordsBehind(answer);
    expect(answer.extensions['ledger']).toMatchObject(answer.extensions['ledger'].records[0]);
    expect(written).toMatchObject({ operation: 'createPatient', kind: 'CREATE', outcome: 'success' });
    const accesses = [written, ...shown].flatMap((record) => record?.['accesses'] as Loose[]);
    expect(accesses).toContainEqual(
      expect.objectContaining({ type: 'Patient', rows: 1, fields: { name: 'WRITTEN', phone: 'WRITTEN' } }),
    );
    expect(accesses).toContainEqual(
      expect.objectContaining({ fields: { id: 'CLEAR', name: 'CLEAR', phone: 'MASKED' } }),
    );
    expect(new Set(accesses.flatMap((one) => one['subjects'])).size).toBe(1);
  });

  it('is given for refusals too, also of documents that never ran', async () => {
    for (const [document, operation, code] of [
      ['{ patients(first: 51) { totalCount } }', 'patients', 'BAD_USER_INPUT'],
      ['{ patients(filter: { name: { eq: "x" } }) { totalCount } }', 'patients', 'FIELD_NOT_FILTERABLE'],
      ['{ nothing }', '(document)', 'GRAPHQL_VALIDATION_FAILED'],
    ] as const) {
      const answer = await system.ask('front_desk', document);
      const records = await recordsBehind(answer);
      expect(records.map((one) => [one['operation'], one['code'], one['accesses']])).toEqual([[operation, code, []]]);
      expect(records[0]?.['outcome']).not.toBe('success');
    }
  });

  it('of a missing and of a forbidden patient tells the difference to nobody but the auditor', async () => {
    const of = async (id: string | undefined) => {
      const answer = await system.ask('physician', `{ patient(id: "${id}") { name } }`);
      expect(codeOf(answer)).toBe('NOT_FOUND');
      return (await recordsBehind(answer)).map((one) => [one['outcome'], one['code']]);
    };
    expect(await of(system.demo.patients['T-CN']?.['PT4'])).toEqual([['denied', 'NO_CARE_RELATIONSHIP']]);
    expect(await of('01900000-0000-7000-8000-000000000000')).toEqual([['denied', 'NOT_FOUND']]);
  });
});
