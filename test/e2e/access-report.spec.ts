import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ROLES } from '../../src/kernel/actor.js';
import { codeOf } from '../support/outcome.js';
import { admit, represented, type Person } from '../support/person.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const ENTRY = 'at role agent purpose operation kind outcome emergency fields { type field state }';

let system: TestSystem;
let patients: Readonly<Record<string, string>>;
let references: Readonly<Record<string, string>>;
let own: string;
let patient: Person;
beforeAll(async () => {
  system = await testSystem();
  patients = system.demo.patients['T-CN'] ?? {};
  own = await admit(system, { name: '王小明', birthDate: '1970-01-01', phone: '13812345678' }, ['Ward 1']);
  patient = await represented(system, 'patient', own);
  const diagnosis = 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }';
  await system.ask('physician', diagnosis, { variables: { input: { patientId: own, code: 'E11.9' } } });
  const { rows } = await system.database.owner.query<{ id: string; subject_reference: string }>(
    'SELECT id, subject_reference FROM patient',
  );
  references = Object.fromEntries(rows.map((row) => [row.id, row.subject_reference]));
  await system.ask('physician', `{ patient(id: "${own}") { name phone diagnoses { edges { node { code } } } } }`);
  await system.ask('physician', `{ patient(id: "${own}") { name } }`, { purpose: 'ETREAT' });
  await system.ask(
    'front_desk',
    '{ patients(first: 50) { edges { node { name gender visits { edges { node { start } } } } } } }',
  );
  await system.ask('call_center_agent', '{ patients { edges { node { name } } } }', { purpose: 'HOPERAT' });
  await system.ask('nurse', `{ patient(id: "${patients['PT2']}") { name } }`);
  await system.ask('nurse', `{ patient(id: "${patients['PT4']}") { name } }`);
});
afterAll(() => system.close());

const report = (who: Person, id: string | undefined, rest = ''): Promise<Answer> =>
  who.ask(
    `{ accessReport(patientId: "${id}"${rest}) { entries { ${ENTRY} } pageInfo { hasNextPage endCursor startCursor hasPreviousPage } } }`,
  );
/** The whole report, page by page. */
async function whole(who: Person, id: string | undefined, first = 50): Promise<Loose[]> {
  const entries: Loose[] = [];
  let after = '';
  for (;;) {
    const answer = await report(who, id, `, first: ${first}${after}`);
    expect(codeOf(answer)).toBe('none');
    const { entries: page, pageInfo } = answer.data['accessReport'];
    entries.push(...(page as Loose[]));
    if (!pageInfo.hasNextPage) return entries;
    after = `, after: "${pageInfo.endCursor}"`;
  }
}
/** What the log says of a patient, read without any of the code under test. Newest first. */
async function scan(id: string): Promise<Loose[]> {
  await system.composition.ledger.sequencer.drain(5_000);
  const { rows } = await system.database.owner.query<{ record: Buffer }>(
    `SELECT record FROM ledger_leaf leaf JOIN ledger_entry entry ON entry.id = leaf.entry_id WHERE leaf.log = 'T-CN' ORDER BY idx DESC`,
  );
  return rows
    .map((row) => JSON.parse(row.record.toString()) as Loose)
    .filter((record) => (record['accesses'] as Loose[]).some((one) => one['subjects'].includes(references[id])));
}
function fieldsIn(record: Loose, id: string): string[] {
  const named = (record['accesses'] as Loose[]).filter((one) => one['subjects'].includes(references[id]));
  return [
    ...new Set(named.flatMap((one) => Object.keys(one['fields']).map((field) => `${one['type']}.${field}`))),
  ].sort();
}

describe('an access report', () => {
  it('is complete and of nobody else: the same as an independent scan of the log', async () => {
    const id = own;
    const entries = await whole(patient, id, 3);
    // Each page was an access itself: those after the first page are newer than what the report covers.
    const [newest] = entries;
    const records = await scan(id);
    const covered = records.slice(
      records.findIndex((one) => one['time'] === newest?.['at'] && one['kind'] === newest?.['kind']),
    );
    expect(entries.length).toBeGreaterThan(10);
    expect(
      entries.map((one) => [one['at'], one['role'], one['purpose'], one['operation'], one['kind'], one['outcome']]),
    ).toEqual(
      covered.map((one) => [one['time'], one['role'], one['purpose'], one['operation'], one['kind'], one['outcome']]),
    );
    const shown = entries.map((one) =>
      (one['fields'] as Loose[]).map((field) => `${field['type']}.${field['field']}`).sort(),
    );
    expect(shown).toEqual(covered.map((one) => fieldsIn(one, id)));
    expect(records.slice(0, records.length - covered.length).every((one) => one['kind'] === 'LEDGER_READ')).toBe(true);
  });

  it('says who, when, why and which fields, and what was an emergency', async () => {
    const entries = await whole(patient, own);
    const physician = entries.find(
      (one) => one['role'] === 'physician' && one['purpose'] === 'TREAT' && one['kind'] === 'SEARCH',
    );
    expect(physician?.['fields']).toEqual(
      expect.arrayContaining([
        { type: 'Patient', field: 'name', state: 'CLEAR' },
        { type: 'Patient', field: 'phone', state: 'MASKED' },
        { type: 'Diagnosis', field: 'code', state: 'CLEAR' },
      ]),
    );
    expect(entries.filter((one) => one['emergency']).map((one) => one['purpose'])).toEqual(['ETREAT']);
    const agent = entries.find((one) => one['role'] === 'call_center_agent');
    expect(agent?.['fields']).toEqual([{ type: 'Patient', field: 'name', state: 'MASKED' }]);
    expect(entries.at(-1)).toMatchObject({ operation: 'createPatient', kind: 'CREATE', role: 'front_desk' });
    expect(entries.at(-1)?.['fields']).toContainEqual({ type: 'Patient', field: 'name', state: 'WRITTEN' });
  });

  it('is recorded with the patient as its subject, and stands in the next one', async () => {
    const id = own;
    const [before] = await scan(id);
    await report(patient, id);
    const [record, previous] = await scan(id);
    expect(previous).toEqual(before);
    expect(record).toMatchObject({
      kind: 'LEDGER_READ',
      operation: 'accessReport',
      role: 'patient',
      outcome: 'success',
    });
    expect(record?.['accesses']).toEqual([
      expect.objectContaining({ type: 'AccessReport', subjects: [references[id]] }),
    ]);
    const next = (await report(patient, id)).data['accessReport'].entries as Loose[];
    expect(next[0]).toMatchObject({ at: record?.['time'], kind: 'LEDGER_READ', role: 'patient' });
  });

  it('has what was read immediately before it, every time', async () => {
    const id = own;
    for (let round = 0; round < 15; round += 1) {
      const field = round % 2 === 0 ? 'status' : 'region';
      await system.ask('front_desk', `{ patient(id: "${id}") { ${field} } }`);
      const [newest] = (await report(patient, id, ', first: 1')).data['accessReport'].entries as Loose[];
      expect(newest).toMatchObject({ role: 'front_desk', fields: [{ type: 'Patient', field }] });
    }
  });

  it('names nobody: an account is one pseudonym in all reports on a patient, another in those on others', async () => {
    const guardian = await represented(system, 'guardian', patients['PT2'] ?? '');
    const pseudonyms = (entries: Loose[], role: string) => [
      ...new Set(entries.filter((one) => one['role'] === role).map((one) => String(one['agent']))),
    ];
    const mine = await whole(patient, own);
    const theirs = await whole(guardian, patients['PT2']);
    for (const role of ['physician', 'front_desk', 'integrator', 'call_center_agent']) {
      for (const entries of [mine, theirs]) {
        expect(pseudonyms(entries, role).length).toBeLessThanOrEqual(1);
        for (const one of pseudonyms(entries, role)) expect(one).toMatch(/^[0-9a-f]{16}$/);
      }
    }
    expect(pseudonyms(mine, 'front_desk')).not.toEqual(pseudonyms(theirs, 'front_desk'));
    expect(pseudonyms(mine, 'front_desk')).toEqual(pseudonyms(await whole(patient, own), 'front_desk'));
    const { rows } = await system.database.owner.query<{ id: string; reference: string }>(
      'SELECT id, reference FROM account',
    );
    const text = JSON.stringify([mine, theirs]);
    for (const { id, reference } of rows) {
      expect(text).not.toContain(id);
      expect(text).not.toContain(reference.slice(0, 16));
    }
    for (const reference of Object.values(references)) expect(text).not.toContain(reference);
  });

  it('is for the patient and his guardian alone', async () => {
    const guardian = await represented(system, 'guardian', await child());
    for (const id of [own, system.demo.patients['T-US']?.['PT1'], 'x', '01900000-0000-7000-8000-000000000000']) {
      expect(codeOf(await report(guardian, id))).toBe('NOT_FOUND');
    }
    const staff = ROLES.filter((role) => system.demo.users.some((one) => one.role === role && one.tenant === 'T-CN'));
    for (const role of staff.filter((one) => one !== 'patient' && one !== 'guardian')) {
      const answer = await system.ask(role, `{ accessReport(patientId: "${own}") { entries { at } } }`);
      expect([role, codeOf(answer)]).toEqual([role, 'FORBIDDEN']);
    }
  });

  const child = () => admit(system, { name: '周敏', birthDate: `${new Date().getUTCFullYear() - 5}-01-01` });

  it('takes no cursor of another patient, of another list, or of anybody’s making', async () => {
    const id = own;
    const cursor = (await report(patient, id, ', first: 1')).data['accessReport'].pageInfo.endCursor as string;
    const list = await patient.ask('{ patients(first: 1) { pageInfo { endCursor } } }');
    const other = await represented(system, 'patient', patients['PT5'] ?? '');
    expect(codeOf(await report(patient, id, `, after: "${cursor}"`))).toBe('none');
    expect(codeOf(await report(other, patients['PT5'], `, after: "${cursor}"`))).toBe('CURSOR_INVALID');
    expect(codeOf(await report(patient, id, `, after: "${list.data['patients'].pageInfo.endCursor}"`))).toBe(
      'CURSOR_INVALID',
    );
    expect(codeOf(await report(patient, id, ', after: "MTAw"'))).toBe('CURSOR_INVALID');
    expect(codeOf(await report(patient, id, ', first: 51'))).toBe('BAD_USER_INPUT');
  });
});
