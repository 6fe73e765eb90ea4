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

  describe('of a guardian', () => {
    const VISIT = 'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id status department } }';
    const DIAGNOSIS =
      'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id code icdChapter visitId } }';
    const BOOK = 'mutation($input: BookAppointmentInput!) { bookAppointment(input: $input) { id start } }';
    const LOOK =
      'query($id: ID!) { patient(id: $id) { name visits { edges { node { id } } } diagnoses { edges { node { code } } } } }';
    /** A child of whom one thing of each kind was recorded, the guardian, and what the ledger says. */
    const treated = async (department: string, code: string) => {
      const birthDate = `${new Date().getUTCFullYear() - 5}-01-01`;
      const patientId = await admit(system, { name: '周敏', birthDate }, ['Ward 1']);
      const guardian = await represented(system, 'guardian', patientId);
      const { rows } = await system.database.owner.query<{ subject_reference: string }>(
        'SELECT subject_reference FROM patient WHERE id = $1',
        [patientId],
      );
      references = { ...references, [patientId]: String(rows[0]?.subject_reference) };
      const start = '2027-03-01T08:00:00Z';
      const say = (document: string, input: object) =>
        system.ask('physician', document, { variables: { input: { patientId, ...input } } });
      const answers = [
        await say(VISIT, { start, department }),
        await say(DIAGNOSIS, { code }),
        await say(BOOK, { start, end: '2027-03-01T09:00:00Z', department }),
        await system.ask('physician', LOOK, { variables: { id: patientId } }),
      ];
      expect(answers.map(codeOf)).toEqual(answers.map(() => 'none'));
      return { patientId, guardian, records: await scan(patientId) };
    };
    /** All of a record that is not its own: times, ids and digests. */
    const said = (records: Loose[]) =>
      records.map(({ operation, kind, outcome, rules, consents, obligations, role, accesses }) => ({
        ...{ operation, kind, outcome, rules, consents, obligations, role },
        accesses: (accesses as Loose[])
          .map(({ type, rows, fields }) => JSON.stringify({ type, rows, fields }))
          .filter((text) => !text.includes('SubjectKey'))
          .sort(),
      }));
    const told = (entries: Loose[]): Loose[] => entries.map((entry) => ({ ...entry, at: null, agent: null }));

    it('is the same with and without something in a compartment', async () => {
      const hidden = await treated('HIV clinic', 'B20');
      const open = await treated('Cardiology', 'E11.9');
      const [secret, plain] = [
        await whole(hidden.guardian, hidden.patientId),
        await whole(open.guardian, open.patientId),
      ];
      expect(told(secret)).toEqual(told(plain));
      // No page tells a write by a gap.
      for (const { guardian, patientId } of [hidden, open]) {
        expect(told(await whole(guardian, patientId, 1))).toEqual(
          expect.arrayContaining(told(patientId === hidden.patientId ? secret : plain)),
        );
      }
      const clinical = plain.filter((one) => one['role'] === 'physician');
      expect(clinical.length).toBe(4);
      for (const entry of [...clinical, ...secret.filter((one) => one['role'] === 'physician')]) {
        expect(entry).toMatchObject({ operation: 'clinical', kind: 'CLINICAL', purpose: 'TREAT', fields: [] });
      }
      // Nor do the records: all but what the look found, which is the look's own.
      const ownWrites = (records: Loose[]) =>
        said(records).filter(({ operation }) =>
          /^(createVisit|recordDiagnosis|bookAppointment)$/.test(String(operation)),
        );
      expect(ownWrites(hidden.records)).toEqual(ownWrites(open.records));
      expect(ownWrites(hidden.records)).toHaveLength(6);
    });

    it('tells a look that found nothing like a write, and the patient all', async () => {
      const { patientId, guardian } = await treated('HIV clinic', 'B20');
      const shapes = new Set(
        told(await whole(guardian, patientId)).flatMap((one) =>
          one['role'] === 'physician' ? [JSON.stringify(one)] : [],
        ),
      );
      expect(shapes.size).toBe(1);
      const self = await represented(system, 'patient', patientId);
      const operations = (await whole(self, patientId)).map((one) => one['operation']);
      expect(operations).toEqual(expect.arrayContaining(['createVisit', 'recordDiagnosis', 'bookAppointment']));
    });
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
