import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Role } from '../../src/kernel/actor.js';
import { DEMO_ROLES } from '../../src/demo/people.js';
import { bytesOf, codeOf } from '../support/outcome.js';
import { testSystem, type Answer, type AskOptions, type Loose, type TestSystem } from '../support/system.js';

const FIELDS =
  'id version name gender birthDate birthYear region phone email address nationalId insuranceNumber status';
const CREATE = `mutation($input: CreatePatientInput!) { createPatient(input: $input) { ${FIELDS} } }`;
const UPDATE = `mutation($id: ID!, $version: Int!, $input: UpdatePatientInput!) {
  updatePatient(id: $id, version: $version, input: $input) { ${FIELDS} } }`;
const DEACTIVATE =
  'mutation($id: ID!, $version: Int!) { deactivatePatient(id: $id, version: $version) { id version status } }';
const WHOLE = {
  name: '孙悟空',
  gender: 'male',
  birthDate: '1980-02-29',
  phone: '13700001111',
  email: 'wukong@example.org',
  address: '四川省成都市锦江区春熙路1号',
  nationalId: '11010519491231002X',
  insuranceNumber: 'YB0099887766',
};

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
});
afterAll(() => system.close());

const create = (input: object, options: AskOptions = {}, role: Role = 'front_desk') =>
  system.ask(role, CREATE, { ...options, variables: { input } });
const update = (id: string, version: number, input: object, role: Role = 'front_desk') =>
  system.ask(role, UPDATE, { variables: { id, version, input } });
const made = async (input: object = WHOLE): Promise<Loose> => {
  const answer = await create(input);
  expect(answer.errors).toEqual([]);
  return answer.data['createPatient'] as Loose;
};
const stored = async (id: string): Promise<Loose> =>
  (await system.database.owner.query('SELECT * FROM patient WHERE id = $1', [id])).rows[0] as Loose;
const patientCount = async () =>
  Number((await system.database.owner.query('SELECT count(*) AS n FROM patient')).rows[0].n);

describe('createPatient', () => {
  it('is for those who register, and answers under their read decision', async () => {
    const patient = await made();
    expect(patient).toMatchObject({
      ...{ version: 1, status: 'active', name: '孙悟空', birthDate: '1980-02-29', birthYear: 1980 },
      ...{ phone: '137****1111', email: 'w***@example.org', address: '四川省', nationalId: '********002X' },
    });
    const before = await patientCount();
    for (const role of DEMO_ROLES) {
      if (role === 'front_desk' || role === 'integrator') continue;
      expect([role, codeOf(await create({ name: 'Nobody' }, {}, role))]).toEqual([role, 'FORBIDDEN']);
    }
    expect(codeOf(await create({ name: 'Nobody', notes: 'x' }))).toBe('FORBIDDEN');
    expect(await patientCount()).toBe(before);
  });

  it.each([
    ['name', ['', '   ', 'x'.repeat(201), 'a\u0000b', '王**', '王＊＊', 'J*** S***']],
    ['gender', ['Male', 'm', '男', '*']],
    ['birthDate', ['1949', '1949-12', '19491231', '1949-02-30', '1700-01-01', '2999-01-01', '31.12.1949', 'soon']],
    ['email', ['nobody', 'a@b', 'a b@c.org', '@x.org', `${'x'.repeat(250)}@x.org`, 'z***@example.com']],
    ['phone', ['138****5678', '*******0132', '138＊＊＊＊5678', '1'.repeat(41)]],
    ['nationalId', ['********002X', '1'.repeat(41)]],
    ['insuranceNumber', ['********5678', 'x\u0007']],
    ['address', ['x'.repeat(501), '***']],
  ])('refuses a bad %s and names the field, never the value', async (field, values) => {
    const before = await patientCount();
    for (const value of values) {
      const answer = await create({ ...WHOLE, [field]: value });
      expect([value, codeOf(answer)]).toEqual([value, 'BAD_USER_INPUT']);
      expect(answer.errors[0]?.message).toContain(`Patient.${field}`);
      if (value.trim().length > 3) expect(JSON.stringify(answer.errors)).not.toContain(value);
    }
    expect(await patientCount()).toBe(before);
  });
});

describe('updatePatient', () => {
  it('keeps what is absent, and seals all that is sealed for the version that the row has now', async () => {
    const { id } = await made();
    const before = await stored(id);
    const answer = await update(id, 1, { email: 'new@example.org' });
    expect(answer.data['updatePatient']).toMatchObject({
      version: 2,
      name: '孙悟空',
      phone: '137****1111',
      region: '四川省',
    });
    const after = await stored(id);
    expect(after['phone_index']).toEqual(before['phone_index']);
    for (const column of ['sealed_identity', 'sealed_government', 'sealed_contact']) {
      expect(after[column]).not.toEqual(before[column]);
    }
  });

  it('refuses a change that changes nothing: it would be a read', async () => {
    const { id } = await made();
    const answer = await update(id, 1, {});
    expect(codeOf(answer)).toBe('BAD_USER_INPUT');
    expect(answer.text).not.toContain('孙悟空');
    expect((await stored(id))['version']).toBe(1);
  });

  it('clears with null, with everything that was made from the value', async () => {
    const { id } = await made();
    const cleared = { gender: null, birthDate: null, phone: null, email: null, address: null };
    const { data } = await update(id, 1, { ...cleared, nationalId: null, insuranceNumber: null });
    expect(data['updatePatient']).toMatchObject({ ...cleared, birthYear: null, region: null, name: '孙悟空' });
    expect(await stored(id)).toMatchObject({
      ...{ gender: null, birth_year: null, region: null, phone_index: null, national_id_index: null },
      ...{ sealed_contact: null, sealed_government: null },
    });
    const again = await update(id, 2, { birthDate: '1999-09-09', address: '广东省深圳市南山区1号' });
    expect(again.data['updatePatient']).toMatchObject({ birthYear: 1999, region: '广东省', phone: null });
  });

  it('refuses masks that are sent back, also those that look like true values', async () => {
    const shown = await made();
    const before = await stored(shown['id']);
    for (const field of ['phone', 'email', 'address', 'nationalId', 'insuranceNumber']) {
      const answer = await update(shown['id'], 1, { [field]: shown[field] });
      expect([field, shown[field], codeOf(answer)]).toEqual([field, shown[field], 'BAD_USER_INPUT']);
    }
    for (const input of [{ name: '孙**' }, { name: '孙＊＊' }, { birthDate: '1980' }, { phone: '138****5678' }]) {
      expect([input, codeOf(await update(shown['id'], 1, input))]).toEqual([input, 'BAD_USER_INPUT']);
    }
    expect(await stored(shown['id'])).toEqual(before);
  });

  it('is lost by all but one of ten writers who read the same version', async () => {
    const { id } = await made();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => update(id, 1, { name: `Writer ${index}` })),
    );
    const codes = answers.map(codeOf);
    expect(codes.filter((code) => code === 'none')).toHaveLength(1);
    expect(codes.filter((code) => code === 'VERSION_CONFLICT')).toHaveLength(9);
    const { data } = await system.ask('front_desk', `{ patient(id: "${id}") { name version } }`);
    expect(data['patient']).toEqual({ version: 2, name: `Writer ${codes.indexOf('none')}` });
    for (const version of [1, 3, 0, -1]) expect(codeOf(await update(id, version, {}))).toBe('VERSION_CONFLICT');
  });

  it('answers a foreign, a forbidden and a missing patient with the same bytes', async () => {
    const foreign = system.demo.patients['T-US']?.['PT1'] ?? '';
    const forbidden = system.demo.patients['T-CN']?.['PT4'] ?? '';
    const missing = '01900000-0000-7000-8000-000000000000';
    const answers: Answer[] = [];
    for (const id of [foreign, forbidden, missing, 'x'])
      answers.push(await update(id, 1, { notes: 'note' }, 'physician'));
    expect(answers.map(codeOf)).toEqual(answers.map(() => 'NOT_FOUND'));
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
  });

  it('lets physicians write notes of their patients and nothing else', async () => {
    const id = system.demo.patients['T-CN']?.['PT2'] ?? '';
    const { version } = (await system.ask('physician', `{ patient(id: "${id}") { version } }`)).data['patient'];
    expect(codeOf(await update(id, version, { name: 'Other' }, 'physician'))).toBe('FORBIDDEN');
    expect(codeOf(await update(id, version, { notes: 'Sees better.' }, 'nurse'))).toBe('FORBIDDEN');
    expect(codeOf(await update(id, version, { notes: 'Sees better.' }, 'physician'))).toBe('none');
  });
});

describe('deactivatePatient', () => {
  it('marks the record, once for a version, and erases nothing', async () => {
    const { id } = await made();
    const deactivate = (version: number, role: Role = 'front_desk') =>
      system.ask(role, DEACTIVATE, { variables: { id, version } });
    expect(codeOf(await deactivate(1, 'physician'))).toBe('FORBIDDEN');
    expect((await deactivate(1)).data['deactivatePatient']).toEqual({ id, version: 2, status: 'inactive' });
    expect(codeOf(await deactivate(1))).toBe('VERSION_CONFLICT');
    expect((await update(id, 2, { email: 'new@example.org' })).data['updatePatient']).toMatchObject({
      name: '孙悟空',
      status: 'inactive',
    });
  });
});

describe('an Idempotency-Key', () => {
  const under = (key: string) => ({ headers: { 'idempotency-key': key } });

  it('makes a repetition the same patient, and another request a conflict', async () => {
    const before = await patientCount();
    const first = await create(WHOLE, under('one'));
    const again = await create(WHOLE, under('one'));
    expect(again.data['createPatient']).toEqual(first.data['createPatient']);
    expect(codeOf(await create({ ...WHOLE, gender: 'female' }, under('one')))).toBe('IDEMPOTENCY_CONFLICT');
    expect(await patientCount()).toBe(before + 1);
  });

  it('makes ten parallel requests one patient', async () => {
    const before = await patientCount();
    const answers = await Promise.all(Array.from({ length: 10 }, () => create(WHOLE, under('parallel'))));
    expect(answers.map(codeOf)).toEqual(answers.map(() => 'none'));
    expect(new Set(answers.map((one) => one.data['createPatient'].id)).size).toBe(1);
    expect(await patientCount()).toBe(before + 1);
  });

  it('belongs to one account of one tenant', async () => {
    const own = await create(WHOLE, under('shared'));
    const other = await create(WHOLE, under('shared'), 'integrator');
    const foreign = await system.ask('front_desk', CREATE, {
      ...under('shared'),
      tenant: 'T-US',
      variables: { input: WHOLE },
    });
    const ids = [own, other, foreign].map((one) => one.data['createPatient'].id);
    expect(new Set(ids).size).toBe(3);
  });
});
