import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { codesOf, nodesOf, patientId } from '../support/probe.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

/** 18:00 of Saturday, 21 November 2026, in Shanghai; 05:00 in New York. */
const clock = new ManualClock(Date.parse('2026-11-21T10:00:00.000Z'));
let system: TestSystem;
const tokens = new Map<string, { token: string; until: number }>();

beforeAll(async () => {
  system = await testSystem({ clock });
});
afterAll(() => system.close());

/** Access tokens end by the clock of this file: whoever asks later signs in again. */
async function ask(
  role: Role,
  purpose: string,
  document: string,
  variables: Loose = {},
  tenant = 'T-CN',
): Promise<Answer> {
  const key = `${tenant} ${role}`;
  let known = tokens.get(key);
  if (known === undefined || known.until <= clock.milliseconds()) {
    const { email, password } = system.demo.users.find((user) => user.role === role && user.tenant === tenant)!;
    const signedIn = await system.send(
      'mutation($input: SignInInput!) { signIn(input: $input) { accessToken expiresAt } }',
      {
        variables: { input: { tenant, email, password } },
      },
    );
    const { accessToken, expiresAt } = signedIn.data['signIn'];
    tokens.set(key, (known = { token: accessToken, until: Date.parse(expiresAt) }));
  }
  return system.send(document, { token: known.token, purpose, variables });
}

const PATIENT_FIELDS = [
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
  'nationalId',
  'insuranceNumber',
  'notes',
  'status',
  'createdAt',
];
const VISIT_FIELDS = [
  'id',
  'version',
  'status',
  'class',
  'start',
  'end',
  'department',
  'reasonCode',
  'reason',
  'reasonChapter',
  'practitionerId',
  'organizationId',
];
const DIAGNOSIS_FIELDS = [
  'id',
  'version',
  'code',
  'codeSystem',
  'display',
  'icdChapter',
  'clinicalStatus',
  'onsetDate',
  'recordedAt',
  'visitId',
];

/** What each role sees of PT1, by hand: a letter a field, in the order above. C clear, M masked, H hidden. */
interface Row {
  readonly role: Role;
  readonly purpose: string;
  readonly patient: string;
  /** Null: the nested list itself is hidden. */
  readonly visit: string | null;
  readonly diagnosis: string | null;
  readonly careTeam: 'C' | null;
}
//                                                                     id name    phone  numbers
//                                                                      vers gend,dates    notes
const MATRIX: readonly Row[] = [
  {
    role: 'physician',
    purpose: 'TREAT',
    patient: 'CCCCCCCMMMMMMCCC',
    visit: 'CCCCCCCCCCCC',
    diagnosis: 'CCCCCCCCCC',
    careTeam: 'C',
  },
  {
    role: 'physician',
    purpose: 'ETREAT',
    patient: 'CCCCCCCMMMMMMCCC',
    visit: 'CCCCCCCCCCCC',
    diagnosis: 'CCCCCCCCCC',
    careTeam: 'C',
  },
  {
    role: 'nurse',
    purpose: 'ETREAT',
    patient: 'CCCCCCCMMMMMMCCC',
    visit: 'CCCCCCCCCCCC',
    diagnosis: 'CCCCCCCCCC',
    careTeam: 'C',
  },
  {
    role: 'nurse',
    purpose: 'TREAT',
    patient: 'CCCCCCCMMMMMMCCC',
    visit: 'CCCCCCCCCCCC',
    diagnosis: 'CCCCCCCCCC',
    careTeam: 'C',
  },
  {
    role: 'front_desk',
    purpose: 'PATADMIN',
    patient: 'CCCCCCCMMMMMMHCC',
    visit: 'CCCCCCMHHHCC',
    diagnosis: null,
    careTeam: 'C',
  },
  {
    role: 'call_center_agent',
    purpose: 'CAREMGT',
    patient: 'CCCHHHHHMHHHHHCC',
    visit: 'CCCHCCMHHHHH',
    diagnosis: null,
    careTeam: null,
  },
  {
    role: 'call_center_agent',
    purpose: 'HOPERAT',
    patient: 'CCMMMMMMMMMHHHCC',
    visit: null,
    diagnosis: null,
    careTeam: null,
  },
  {
    role: 'billing',
    purpose: 'HPAYMT',
    patient: 'CCCCCCCHMHHMCHCC',
    visit: 'CCCCCCCHHHCC',
    diagnosis: null,
    careTeam: null,
  },
  {
    role: 'department_head',
    purpose: 'HQUALIMP',
    patient: 'CCHHHHHHHHHHHHCC',
    visit: null,
    diagnosis: null,
    careTeam: 'C',
  },
  {
    role: 'integrator',
    purpose: 'PATADMIN',
    patient: 'CCHHHHHHHHHHHHCC',
    visit: 'CCCCCCCHHHCC',
    diagnosis: 'CCHHHHHHCC',
    careTeam: 'C',
  },
  {
    role: 'privacy_officer',
    purpose: 'PATRQT',
    patient: 'CCHHHHHHHHHHHHCC',
    visit: null,
    diagnosis: null,
    careTeam: null,
  },
  {
    role: 'privacy_officer',
    purpose: 'HCOMPL',
    patient: 'CCHHHHHHHHHHHHCC',
    visit: null,
    diagnosis: null,
    careTeam: null,
  },
  {
    role: 'patient',
    purpose: 'PATRQT',
    patient: 'CCCCCCCCCCCMMHCC',
    visit: 'CCCCCCCCCCCC',
    diagnosis: 'CCCCCCCCCC',
    careTeam: 'C',
  },
];
/** Whose PT1 is not: the guardian is PT2's, and nobody agreed to research. */
const ELSEWHERE: readonly [Role, string][] = [
  ['guardian', 'PATRQT'],
  ['researcher', 'HRESCH'],
];
const REFUSED: readonly [Role, string][] = [
  ['marketer', 'HMARKT'],
  ['complaint_handler', 'HOPERAT'],
  ['auditor', 'HCOMPL'],
  ['security_admin', 'HSYSADMIN'],
];

const CLEAR: Loose = {
  name: '王小明',
  gender: 'male',
  birthDate: '1949-12-31',
  birthYear: 1949,
  ageBand: '75–79',
  region: '北京市',
  phone: '13812345678',
  email: 'zhangsan@example.com',
  address: '北京市海淀区中关村大街1号',
  nationalId: '11010519491231002X',
  insuranceNumber: 'YB0012345678',
  notes: 'CANARY-9f3c: prefers calls in the morning',
  // Of the visit and the diagnosis.
  department: 'Internal medicine',
  class: 'AMB',
  reasonCode: 'E11.9',
  code: 'E11.9',
  codeSystem: 'ICD-10',
  clinicalStatus: 'active',
};
/** What the masks of controls make of it. */
const MASKED: Loose = {
  name: '王**',
  gender: null,
  birthDate: '1949',
  birthYear: 1949,
  ageBand: '75–79',
  region: '北京市',
  phone: '138****5678',
  email: 'z***@example.com',
  address: '北京市',
  nationalId: '********002X',
  insuranceNumber: '********5678',
  department: null,
};

const ACCESS = 'fieldAccess { field state mask }';
const DOCUMENT = `query($id: ID!) { patient(id: $id) {
  ${PATIENT_FIELDS.join(' ')} ${ACCESS}
  visits { edges { node { ${VISIT_FIELDS.join(' ')} practitioner { name } organization { name } ${ACCESS} } } }
  diagnoses { edges { node { ${DIAGNOSIS_FIELDS.join(' ')} ${ACCESS} } } }
  careTeam { careTeamId assignedAt endedAt careTeam { name } ${ACCESS} } } }`;

/** The letters of a record's fieldAccess, in the order of the fields; fails on a field that is missing or new. */
function statesOf(view: Loose, fields: readonly string[]): string {
  const states = new Map<string, string>(view['fieldAccess'].map((one: Loose) => [one['field'], one['state']]));
  expect([...states.keys()].sort()).toEqual([...fields].sort());
  return fields.map((field) => states.get(field)?.charAt(0)).join('');
}

/** Each value is what its state says: clear, the mask of it, or null. */
function expectValues(view: Loose, fields: readonly string[], states: string): void {
  fields.forEach((field, index) => {
    const state = states.charAt(index);
    if (state === 'H') expect([field, view[field]]).toEqual([field, null]);
    else if (state === 'M') expect([field, view[field]]).toEqual([field, MASKED[field]]);
    else if (field in CLEAR && view[field] !== null) expect([field, view[field]]).toEqual([field, CLEAR[field]]);
  });
}

describe('the matrix of roles and purposes', () => {
  it.each(MATRIX)(
    'gives $role for $purpose what it says, in state and in value',
    async ({ role, purpose, ...expected }) => {
      const answer = await ask(role, purpose, DOCUMENT, { id: patientId(system, 'PT1') });
      expect(answer.errors).toEqual([]);
      const view = answer.data['patient'] as Loose;
      expect(statesOf(view, PATIENT_FIELDS)).toBe(expected.patient);
      expectValues(view, PATIENT_FIELDS, expected.patient);
      const seen = expected.patient;
      for (const [index, field] of PATIENT_FIELDS.entries()) {
        if (seen.charAt(index) === 'C') expect([field, view[field] === null]).toEqual([field, false]);
      }

      const visits = view['visits']?.edges.map((edge: Loose) => edge['node']) ?? null;
      if (expected.visit === null) expect(visits).toBeNull();
      else {
        expect(visits).toHaveLength(2);
        for (const visit of visits) {
          expect(statesOf(visit, VISIT_FIELDS)).toBe(expected.visit);
          expectValues(visit, VISIT_FIELDS, expected.visit);
        }
      }
      const diagnoses = view['diagnoses']?.edges.map((edge: Loose) => edge['node']) ?? null;
      if (expected.diagnosis === null) expect(diagnoses).toBeNull();
      else {
        expect(diagnoses).toHaveLength(1);
        expect(statesOf(diagnoses[0], DIAGNOSIS_FIELDS)).toBe(expected.diagnosis);
        expectValues(diagnoses[0], DIAGNOSIS_FIELDS, expected.diagnosis);
      }
      if (expected.careTeam === null) expect(view['careTeam']).toBeNull();
      else {
        expect(view['careTeam'].map((one: Loose) => one['careTeam'].name).sort()).toEqual([
          'Follow-up calls',
          'Ward 1',
        ]);
        expect(statesOf(view['careTeam'][0], ['id', 'careTeamId', 'assignedAt', 'endedAt'])).toBe('CCCC');
      }
    },
  );

  it.each(MATRIX)(
    'reports to $role for $purpose the same states in extensions.policy and in the ledger',
    async ({ role, purpose, patient }) => {
      const before = (await recordsOf(system, 'T-CN')).length;
      const document = `query($id: ID!) { patient(id: $id) { ${PATIENT_FIELDS.join(' ')} } }`;
      const answer = await ask(role, purpose, document, { id: patientId(system, 'PT1') });
      const named = (letter: string) =>
        PATIENT_FIELDS.filter((_field, index) => patient.charAt(index) === letter).map((field) => `Patient.${field}`);
      const { masked, hidden } = answer.extensions['policy'];
      expect(masked.map((one: Loose) => one['path']).sort()).toEqual(named('M').sort());
      expect(hidden.map((one: Loose) => one['path']).sort()).toEqual(named('H').sort());
      const records = (await recordsOf(system, 'T-CN')).slice(before).filter((record) => record['kind'] !== 'LOGIN');
      const states: Loose = { C: 'CLEAR', M: 'MASKED', H: 'HIDDEN' };
      expect(records).toHaveLength(1);
      expect(records[0]!['accesses'][0].fields).toEqual(
        Object.fromEntries(PATIENT_FIELDS.map((field, index) => [field, states[patient.charAt(index)]])),
      );
    },
  );

  it.each(MATRIX)('lets $role for $purpose list those patients and no others', async ({ role, purpose }) => {
    const nodes = nodesOf(await ask(role, purpose, '{ patients(first: 50) { edges { node { id } } } }')).map(
      (node) => node['id'],
    );
    const { PT1, ...others } = system.demo.patients['T-CN'] ?? {};
    const all = [PT1, ...Object.values(others)];
    const ward = ['PT1', 'PT2', 'PT3', 'PT6', 'PT7'].map((key) => patientId(system, key));
    const expected = ['physician', 'nurse'].includes(role)
      ? ward
      : purpose === 'CAREMGT' || role === 'patient'
        ? [PT1]
        : all;
    expect(nodes.sort()).toEqual(expected.sort());
  });

  it.each(REFUSED)('gives %s for %s nothing', async (role, purpose) => {
    const list = await ask(role, purpose, '{ patients { totalCount edges { node { id } } } }');
    expect([...codesOf(list), list.text.includes('"data":null')]).toEqual(['FORBIDDEN', true]);
    const one = await ask(role, purpose, DOCUMENT, { id: patientId(system, 'PT1') });
    expect([...codesOf(one), one.data['patient']]).toEqual(['NOT_FOUND', null]);
    expect(codesOf(await ask(role, purpose, '{ careTeams { totalCount } }'))).toEqual(['FORBIDDEN']);
    for (const mutation of [
      'createPatient(input: { name: "x" }) { id }',
      `updatePatient(id: "${patientId(system, 'PT1')}", version: 1, input: { name: "x" }) { id }`,
      `deactivatePatient(id: "${patientId(system, 'PT1')}", version: 1) { id }`,
      `createVisit(input: { patientId: "${patientId(system, 'PT1')}", start: "2026-01-01T00:00:00Z" }) { id }`,
      `recordDiagnosis(input: { patientId: "${patientId(system, 'PT1')}", code: "I10" }) { id }`,
      'createCareTeam(input: { name: "x" }) { id }',
    ]) {
      expect([mutation, ...codesOf(await ask(role, purpose, `mutation { ${mutation} }`))]).toEqual([
        mutation,
        'FORBIDDEN',
      ]);
    }
  });

  it('gives a guardian the ward, as a patient is given the own record, and nobody else', async () => {
    const nodes = nodesOf(await ask('guardian', 'PATRQT', '{ patients { edges { node { id } } } }'));
    expect(nodes).toEqual([{ id: patientId(system, 'PT2') }]);
    const own = (await ask('guardian', 'PATRQT', DOCUMENT, { id: patientId(system, 'PT2') })).data['patient'] as Loose;
    expect(statesOf(own, PATIENT_FIELDS)).toBe('CCCCCCCCCCCMMHCC');
    expect(codesOf(await ask('guardian', 'PATRQT', DOCUMENT, { id: patientId(system, 'PT1') }))).toEqual(['NOT_FOUND']);
  });

  it('gives a researcher those who agreed, and tells that somebody was not asked', async () => {
    const id = patientId(system, 'PT1');
    const research = () => ask('researcher', 'HRESCH', '{ patients { totalCount edges { node { id name } } } }');
    expect((await research()).data['patients']).toEqual({ totalCount: 0, edges: [] });
    const one = () => ask('researcher', 'HRESCH', DOCUMENT, { id });
    expect(codesOf(await one())).toEqual(['CONSENT_REQUIRED']);
    const decide = 'mutation($input: RecordConsentInput!) { recordConsent(input: $input) { id } }';
    const record = (decision: string) =>
      ask('front_desk', 'PATADMIN', decide, { input: { patientId: id, purpose: 'HRESCH', decision } });
    expect((await record('PERMIT')).errors).toEqual([]);
    expect((await research()).data['patients']).toEqual({ totalCount: 1, edges: [{ node: { id, name: null } }] });
    expect(statesOf((await one()).data['patient'], PATIENT_FIELDS)).toBe('CCHHHHHHHHHHHHCC');
    expect((await record('DENY')).errors).toEqual([]);
    expect((await research()).data['patients']).toEqual({ totalCount: 0, edges: [] });
    expect(codesOf(await one())).toEqual(['CONSENT_WITHDRAWN']);
  });

  it('covers every pair of role and purpose there is', async () => {
    const pairs = new Set([
      ...MATRIX.map((row) => `${row.role} ${row.purpose}`),
      ...[...REFUSED, ...ELSEWHERE].map((pair) => pair.join(' ')),
    ]);
    for (const { role } of system.demo.users) {
      for (const purpose of system.composition.policy.purposesOf(role))
        expect([...pairs]).toContain(`${role} ${purpose}`);
    }
  });
});

describe('compartments', () => {
  const everyRole = [...MATRIX.map(({ role, purpose }) => [role, purpose] as const), ...ELSEWHERE];
  const nested =
    'query($id: ID!) { patient(id: $id) { visits { edges { node { id } } } diagnoses { edges { node { id } } } } }';
  const counts = async (role: Role, purpose: string, id: string) => {
    const { data } = await ask(role, purpose, nested, { id });
    return [data['patient']?.visits?.edges.length, data['patient']?.diagnoses?.edges.length];
  };

  it('are withheld from everybody, rows and all', async () => {
    const id = patientId(system, 'PT3');
    const before = await Promise.all(everyRole.map(([role, purpose]) => counts(role, purpose, id)));
    for (const code of ['B20', 'F10.2', 'A53.9', 'O04.9', 'F32.1']) {
      const made = await ask(
        'physician',
        'TREAT',
        'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id } }',
        {
          input: { patientId: id, code },
        },
      );
      expect([code, ...codesOf(made)]).toEqual([code]);
    }
    const visit = await ask(
      'front_desk',
      'PATADMIN',
      'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id department } }',
      {
        input: { patientId: id, start: '2026-11-01T08:00:00Z', department: 'Psychiatry' },
      },
    );
    expect([...codesOf(visit), visit.data['createVisit'].department]).toEqual([null]);
    expect(await Promise.all(everyRole.map(([role, purpose]) => counts(role, purpose, id)))).toEqual(before);
  });

  it('of a code that nobody can classify are for the treating team alone', async () => {
    const id = patientId(system, 'PT2');
    const made = await ask(
      'physician',
      'TREAT',
      'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id icdChapter code } }',
      {
        input: { patientId: id, code: '86406008', codeSystem: 'http://snomed.info/sct' },
      },
    );
    expect(made.data['recordDiagnosis']).toMatchObject({ icdChapter: null, code: '86406008' });
    for (const [role, purpose] of everyRole) {
      const [, diagnoses] = await counts(role, purpose, id);
      const treats = ['TREAT', 'ETREAT'].includes(purpose);
      const expected = treats ? 1 : ['integrator', 'guardian'].includes(role) ? 0 : undefined;
      expect([role, purpose, diagnoses]).toEqual([role, purpose, expected]);
    }
  });
});

describe('the age of the oldest', () => {
  const FIELDS = 'birthDate birthYear ageBand';
  const seen = async (role: Role, purpose: string, id: string) =>
    (await ask(role, purpose, `query($id: ID!) { patient(id: $id) { ${FIELDS} } }`, { id })).data['patient'];
  const born = async (birthDate: string): Promise<string> =>
    (
      await ask(
        'front_desk',
        'PATADMIN',
        'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }',
        { input: { name: 'Old', birthDate } },
      )
    ).data['createPatient'].id;

  it.each([
    ['1937-05-01', { birthDate: '1937', birthYear: 1937, ageBand: '85–89' }],
    // Of a year alone nobody knows whether the birthday has been: in doubt the person is the older one.
    ['1936-11-25', { birthDate: '1936', birthYear: null, ageBand: '85–89' }],
    ['1936-11-20', { birthDate: null, birthYear: null, ageBand: '90+' }],
    ['1921-01-01', { birthDate: null, birthYear: null, ageBand: '90+' }],
  ])('is not told by a mask: born %s', async (birthDate, expected) => {
    const id = await born(birthDate);
    expect(await seen('call_center_agent', 'HOPERAT', id)).toEqual(expected);
    expect(await seen('front_desk', 'PATADMIN', id)).toEqual({
      birthDate,
      birthYear: Number(birthDate.slice(0, 4)),
      ageBand: expected.ageBand,
    });
  });

  it('cannot be found by the year either', async () => {
    for (const filter of [{ birthYear: { lt: 1937 } }, { ageBand: { eq: '90+' } }]) {
      const answer = await ask(
        'call_center_agent',
        'HOPERAT',
        'query($filter: PatientFilter) { patients(filter: $filter) { totalCount } }',
        { filter },
      );
      expect(codesOf(answer)).toEqual(['FIELD_NOT_FILTERABLE']);
    }
  });
});

describe('the phone at the front desk', () => {
  /** Patients by the local start of their visit. */
  const ids: Record<string, string> = {};
  const VISITS: [string, string, string][] = [
    ['T-CN', 'first minute of the 22nd', '2026-11-21T16:00:00.000Z'],
    ['T-CN', 'last moment of the 22nd', '2026-11-22T15:59:59.999Z'],
    ['T-CN', 'first minute of the 23rd', '2026-11-22T16:00:00.000Z'],
    ['T-US', 'evening of the 22nd', '2026-11-23T03:00:00.000Z'],
  ];
  beforeAll(async () => {
    for (const [tenant, name, start] of VISITS) {
      const created = await ask(
        'front_desk',
        'PATADMIN',
        'mutation { createPatient(input: { name: "Visitor", phone: "+86 13700001234" }) { id phone } }',
        {},
        tenant,
      );
      const { id, phone } = created.data['createPatient'];
      expect(phone).not.toContain('1370000');
      ids[name] = id;
      const visit = await ask(
        'front_desk',
        'PATADMIN',
        'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id } }',
        { input: { patientId: id, start, status: 'planned' } },
        tenant,
      );
      expect(visit.errors).toEqual([]);
    }
  });

  /** Advances to the moment and tells which of the visitors' phones are in clear, in value and in state alike. */
  async function clearAt(moment: string, role: Role = 'front_desk', purpose = 'PATADMIN'): Promise<string[]> {
    const distance = Date.parse(moment) - clock.milliseconds();
    expect(distance).toBeGreaterThanOrEqual(0);
    clock.advance(distance);
    const clear: string[] = [];
    for (const [tenant, name] of VISITS) {
      const document = 'query($id: ID!) { patient(id: $id) { phone email fieldAccess { field state } } }';
      const { data, extensions } = await ask(role, purpose, document, { id: ids[name] }, tenant);
      const { phone, fieldAccess } = data['patient'];
      const state = fieldAccess.find((one: Loose) => one['field'] === 'phone').state;
      const masked = extensions['policy'].masked.some((one: Loose) => one['path'] === 'Patient.phone');
      const inClear = phone === '+86 13700001234';
      expect([name, state, masked]).toEqual([name, inClear ? 'CLEAR' : 'MASKED', !inClear]);
      if (!inClear) expect(phone).toBe('137****1234');
      if (inClear) clear.push(name);
    }
    return clear;
  }

  it('is in clear from midnight to midnight of the day of the visit, where the tenant is', async () => {
    expect(await clearAt('2026-11-21T15:59:59.999Z')).toEqual([]);
    expect(await clearAt('2026-11-21T16:00:00.000Z')).toEqual(['first minute of the 22nd', 'last moment of the 22nd']);
    expect(await clearAt('2026-11-22T04:59:59.999Z')).toEqual(['first minute of the 22nd', 'last moment of the 22nd']);
    expect(await clearAt('2026-11-22T05:00:00.000Z')).toEqual([
      'first minute of the 22nd',
      'last moment of the 22nd',
      'evening of the 22nd',
    ]);
    expect(await clearAt('2026-11-22T15:59:59.999Z')).toEqual([
      'first minute of the 22nd',
      'last moment of the 22nd',
      'evening of the 22nd',
    ]);
    expect(await clearAt('2026-11-22T15:59:59.999Z', 'call_center_agent', 'HOPERAT')).toEqual([]);
    expect(await clearAt('2026-11-22T16:00:00.000Z')).toEqual(['first minute of the 23rd', 'evening of the 22nd']);
    expect(await clearAt('2026-11-23T04:59:59.999Z')).toEqual(['first minute of the 23rd', 'evening of the 22nd']);
    expect(await clearAt('2026-11-23T05:00:00.000Z')).toEqual(['first minute of the 23rd']);
    expect(await clearAt('2026-11-23T16:00:00.000Z')).toEqual([]);
  });

  it('is decided row by row in one list, and recorded so', async () => {
    const today = new Date(clock.milliseconds()).toISOString();
    await ask('front_desk', 'PATADMIN', 'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id } }', {
      input: { patientId: ids['first minute of the 22nd'], start: today },
    });
    const before = (await recordsOf(system, 'T-CN')).length;
    const answer = await ask(
      'front_desk',
      'PATADMIN',
      '{ patients(first: 50) { edges { node { id phone fieldAccess { field state } } } } }',
    );
    const clear = nodesOf(answer).filter((node) => node['phone'] !== null && !String(node['phone']).includes('*'));
    expect(clear.map((node) => node['id'])).toEqual([ids['first minute of the 22nd']]);
    const [record] = (await recordsOf(system, 'T-CN')).slice(before);
    const byState = Object.fromEntries(
      record!['accesses'].map((access: Loose) => [access['fields'].phone, access['rows']]),
    );
    expect(byState).toEqual({ CLEAR: 1, MASKED: nodesOf(answer).length - 1 });
  });

  it('is never filtered by, on no day', async () => {
    const filter = { phone: { eq: '+86 13700001234' } };
    const answer = await ask(
      'front_desk',
      'PATADMIN',
      'query($filter: PatientFilter) { patients(filter: $filter) { totalCount } }',
      { filter },
    );
    expect(codesOf(answer)).toEqual(['FIELD_NOT_FILTERABLE']);
  });
});
