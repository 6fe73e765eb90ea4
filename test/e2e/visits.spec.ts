import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { Migration20261121002700_inherited_labels } from '../../migrations/Migration20261121002700_inherited_labels.js';
import type { Role } from '../../src/kernel/actor.js';
import { bytesOf, codeOf, nodesOf } from '../support/outcome.js';
import { testSystem, type Answer, type AskOptions, type Loose, type TestSystem } from '../support/system.js';

const VISIT = `mutation($input: CreateVisitInput!) {
  createVisit(input: $input) { id version status department reasonCode reason reasonChapter } }`;
const DIAGNOSIS = `mutation($input: RecordDiagnosisInput!) {
  recordDiagnosis(input: $input) { id version code codeSystem display icdChapter clinicalStatus recordedAt } }`;
const NESTED = `query($id: ID!) { patient(id: $id) {
  visits(first: 50) { totalCount edges { node { id department reasonCode reason } } pageInfo { hasNextPage } }
  diagnoses(first: 50) { totalCount edges { node { id code display icdChapter } } pageInfo { hasNextPage } } } }`;

let system: TestSystem;
let patients: Readonly<Record<string, string>>;
beforeAll(async () => {
  system = await testSystem();
  patients = system.demo.patients['T-CN'] ?? {};
});
afterAll(() => system.close());

const run = (role: Role, document: string, input: object, options: AskOptions & { tenant?: string } = {}) =>
  system.ask(role, document, { ...options, variables: { input } });
const nested = async (role: Role, id: string | undefined, options: AskOptions = {}): Promise<Loose> =>
  (await system.ask(role, NESTED, { ...options, variables: { id } })).data['patient'] as Loose;
const visitOf = (patientId: string | undefined, more: object = {}) => ({
  patientId,
  start: '2026-03-01T08:00:00Z',
  ...more,
});

describe('createVisit', () => {
  it('gives the reason its chapter, and the treating team sees it', async () => {
    const input = visitOf(patients['PT3'], { department: 'Cardiology', reasonCode: 'I10', reason: 'Blood pressure' });
    const { data, errors } = await run('physician', VISIT, input);
    expect(errors).toEqual([]);
    expect(data['createVisit']).toMatchObject({
      version: 1,
      status: 'planned',
      reasonCode: 'I10',
      reasonChapter: 'Circulatory system (chapter)',
    });
    const visits = nodesOf((await nested('nurse', patients['PT3']))['visits']);
    expect(visits.find((one) => one['id'] === data['createVisit'].id)).toMatchObject({ reason: 'Blood pressure' });
  });

  it('by the front desk says when, never why, and hides the department outside treatment', async () => {
    expect(codeOf(await run('front_desk', VISIT, visitOf(patients['PT4'], { reasonCode: 'I10' })))).toBe('FORBIDDEN');
    const made = await run('front_desk', VISIT, visitOf(patients['PT4'], { department: 'Cardiology' }));
    expect(made.data['createVisit']).toMatchObject({ status: 'planned', department: null, reasonCode: null });
    expect(made.text).not.toContain('Cardiology');
  });

  it('refuses what no visit can be', async () => {
    const bad = [
      { start: '' },
      { start: 'tomorrow' },
      { start: '2026-03-01T08:00:00' },
      { start: 'Sun, 01 Mar 2026 08:00:00 Z' },
      { start: '2026-02-30T08:00:00Z' },
      { end: '2026-02-28T08:00:00Z' },
      { status: 'done' },
      { class: 'x'.repeat(300) },
      { practitionerId: 'x' },
      { practitionerId: '01900000-0000-7000-8000-000000000000' },
    ];
    for (const more of bad) {
      const answer = await run('physician', VISIT, visitOf(patients['PT3'], more));
      expect([more, codeOf(answer)]).toEqual([more, 'BAD_USER_INPUT']);
    }
  });

  it('answers a foreign, a forbidden and a missing patient with the same bytes', async () => {
    const answers: Answer[] = [];
    for (const id of [
      system.demo.patients['T-US']?.['PT1'],
      patients['PT4'],
      '01900000-0000-7000-8000-000000000000',
      'x',
    ]) {
      answers.push(await run('physician', VISIT, visitOf(id)));
    }
    expect(answers.map(codeOf)).toEqual(answers.map(() => 'NOT_FOUND'));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
  });
});

describe('recordDiagnosis', () => {
  it('derives the chapter from an ICD-10 code', async () => {
    for (const [code, icdChapter] of [
      ['J45.9', 'Respiratory system (chapter)'],
      ['c50.9', 'Neoplasms (chapter)'],
      ['F15', null],
    ] as const) {
      const { data, errors } = await run('physician', DIAGNOSIS, { patientId: patients['PT3'], code });
      expect(errors).toEqual([]);
      expect([code, data['recordDiagnosis'].icdChapter]).toEqual([code, icdChapter]);
    }
    expect(codeOf(await run('physician', DIAGNOSIS, { patientId: patients['PT3'], code: ' ' }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await run('physician', DIAGNOSIS, { patientId: patients['PT3'], code: 'J45', codeSystem: '' }))).toBe(
      'BAD_USER_INPUT',
    );
    expect(
      codeOf(await run('physician', DIAGNOSIS, { patientId: patients['PT3'], code: 'J45', clinicalStatus: 'bad' })),
    ).toBe('BAD_USER_INPUT');
    expect(codeOf(await run('nurse', DIAGNOSIS, { patientId: patients['PT3'], code: 'J45' }))).toBe('FORBIDDEN');
  });

  it('keeps another code system from everybody but the treating team', async () => {
    const input = {
      patientId: patients['PT2'],
      code: '44054006',
      codeSystem: 'http://snomed.info/sct',
      display: 'SNOMED-CANARY',
    };
    const made = (await run('physician', DIAGNOSIS, input)).data['recordDiagnosis'];
    expect(made).toMatchObject({ code: '44054006', icdChapter: null });
    const seen = nodesOf((await nested('nurse', patients['PT2']))['diagnoses']).map((one) => one['id']);
    expect(seen).toContain(made.id);
    for (const role of ['front_desk', 'call_center_agent', 'billing', 'department_head', 'integrator'] as const) {
      const { text } = await system.ask(role, NESTED, { variables: { id: patients['PT2'] } });
      expect(text).not.toContain('SNOMED-CANARY');
      expect(text).not.toContain(made.id);
    }
  });
});

describe('a record of a special compartment', () => {
  const CODES = ['B20', 'F10.2', 'F32', 'O80', 'T74.1', 'Q90', 'Z21'];

  it('is kept, answered to its writer without content, and seen by nobody', async () => {
    const before = await Promise.all((['physician', 'nurse'] as const).map((role) => nested(role, patients['PT2'])));
    const ids: string[] = [];
    for (const code of CODES) {
      const display = `SECRET-${code}`;
      for (const [document, input] of [
        [DIAGNOSIS, { patientId: patients['PT2'], code, display }],
        [VISIT, visitOf(patients['PT2'], { reasonCode: code, reason: display })],
      ] as const) {
        const answer = await run('physician', document, input);
        expect([code, answer.errors]).toEqual([code, []]);
        const made = Object.values(answer.data)[0] as Loose;
        expect(made['version']).toBe(1);
        expect(answer.text).not.toMatch(/SECRET/);
        ids.push(made['id']);
      }
    }
    const { rows } = await system.database.owner.query(
      'SELECT id FROM visit WHERE id = ANY($1) UNION SELECT id FROM diagnosis WHERE id = ANY($1)',
      [ids],
    );
    expect(rows).toHaveLength(CODES.length * 2);
    expect(await Promise.all((['physician', 'nurse'] as const).map((role) => nested(role, patients['PT2'])))).toEqual(
      before,
    );
    const purposes = ['TREAT', 'ETREAT', 'PATADMIN', 'CAREMGT', 'HOPERAT', 'HPAYMT', 'HQUALIMP'];
    for (const role of [
      'physician',
      'nurse',
      'front_desk',
      'call_center_agent',
      'billing',
      'department_head',
      'integrator',
    ] as const) {
      for (const purpose of purposes) {
        const { text } = await system.ask(role, NESTED, { purpose, variables: { id: patients['PT2'] } });
        for (const id of ids) expect(text).not.toContain(id);
        expect(text).not.toContain('SECRET');
      }
    }
  });

  it('may be told by the department alone', async () => {
    for (const department of ['Psychiatry', '精神科', 'Infectious diseases', '生殖医学科']) {
      const before = nodesOf((await nested('front_desk', patients['PT5']))['visits']).length;
      const answer = await run('front_desk', VISIT, visitOf(patients['PT5'], { department }));
      expect([department, answer.errors]).toEqual([department, []]);
      expect(nodesOf((await nested('front_desk', patients['PT5']))['visits'])).toHaveLength(before);
    }
  });

  it('keeps what is recorded at its visits, so that no diagnosis names one that is withheld', async () => {
    const patientId = patients['PT2'];
    const visitAt = async (department: string) =>
      String((await run('physician', VISIT, visitOf(patientId, { department }))).data['createVisit'].id);
    const [hidden, mental, open] = [
      await visitAt('HIV clinic'),
      await visitAt('Psychiatry'),
      await visitAt('Cardiology'),
    ];
    const recorded = async (code: string, visitId: string) => {
      const { data, errors } = await run('physician', DIAGNOSIS, { patientId, code, visitId });
      expect(errors).toEqual([]);
      return String(data['recordDiagnosis'].id);
    };
    const ids = {
      inherited: await recorded('E11.9', hidden),
      same: await recorded('B20', hidden),
      both: await recorded('B20', mental),
      open: await recorded('E11.9', open),
    };
    const stored = async () => {
      const { rows } = await system.database.owner.query<Loose>(
        'SELECT id, compartment, visit_id, icd_chapter IS NULL AS untold FROM diagnosis WHERE id = ANY($1)',
        [Object.values(ids)],
      );
      return Object.fromEntries(
        Object.entries(ids).map(([name, id]) => {
          const row = rows.find((one) => one['id'] === id);
          return [name, [row?.['compartment'], row?.['visit_id'], row?.['untold']]];
        }),
      );
    };
    const kept = {
      inherited: ['HIV_STD', hidden, true],
      same: ['HIV_STD', hidden, true],
      both: ['HIV_STD', null, true],
      open: ['NONE', open, false],
    };
    expect(await stored()).toEqual(kept);
    const seen = (
      await system.ask('integrator', NESTED.replace('icdChapter }', 'visitId }'), { variables: { id: patientId } })
    ).text;
    for (const role of ['nurse', 'physician', 'integrator', 'front_desk'] as const) {
      const { text } = await system.ask(role, NESTED.replace('icdChapter }', 'visitId }'), {
        variables: { id: patientId },
      });
      for (const id of [hidden, mental, ids.inherited, ids.same, ids.both]) expect(text).not.toContain(id);
    }
    expect(seen).toContain(open);

    // What was recorded before that was so is brought to it by the migration.
    await system.database.owner.query(
      `UPDATE diagnosis SET compartment = CASE WHEN id = $1 THEN 'NONE' ELSE compartment END, ` +
        `visit_id = CASE WHEN id = $2 THEN $3::uuid ELSE visit_id END WHERE id IN ($1, $2)`,
      [ids.inherited, ids.both, mental],
    );
    const migration = new Migration20261121002700_inherited_labels(undefined as never, undefined as never);
    migration.up();
    const statements = migration
      .getQueries()
      .map(String)
      .filter((text) => !text.includes('ADD COLUMN'));
    // As the tables' owner, who is no superuser: the walls between tenants must not hide rows from the migration.
    const owner = new pg.Client({ connectionString: system.database.urls.owner });
    await owner.connect();
    for (const statement of statements) await owner.query(statement);
    await owner.end();
    expect(await stored()).toEqual(kept);
  });

  it('answers a repeated creation like the first one', async () => {
    const headers = { 'idempotency-key': 'compartment' };
    const input = { patientId: patients['PT2'], code: 'B20' };
    const [first, again] = [
      await run('physician', DIAGNOSIS, input, { headers }),
      await run('physician', DIAGNOSIS, input, { headers }),
    ];
    expect(again.errors).toEqual([]);
    expect(again.data).toEqual(first.data);
  });
});
