import { describe, expect, it } from '@jest/globals';
import { regionOf } from '../../policy/mask.js';
import { mapCondition, isDenied } from './condition.js';
import { Element } from './element.js';
import { mapEncounter } from './encounter.js';
import { mapOrganization } from './organization.js';
import { mapPatient } from './patient.js';
import { mapPractitioner } from './practitioner.js';
import { References } from './reference.js';

const resource = (members: object) => Element.of(members, 'entry 1');
const patient = (members: object) => mapPatient(resource(members)).values;
const typed = (code: string, value: string, system?: string) => ({ type: { coding: [{ code }] }, value, system });
const none = new References();

describe('names', () => {
  it.each<[string, object[], string | null]>([
    ['the text wins', [{ text: 'Ana María de la Cruz', family: 'Cruz', given: ['Ana'] }], 'Ana María de la Cruz'],
    ['a prefix is dropped from the text', [{ text: 'Prof. Dr. Eva Klein', prefix: ['Dr.', 'Prof.'] }], 'Eva Klein'],
    ['given before family', [{ family: 'Doe', given: ['Jane', 'Q.'], prefix: ['Ms.'] }], 'Jane Q. Doe'],
    ['Chinese without a space', [{ family: '欧阳', given: ['娜', '娜'] }], '欧阳娜娜'],
    ['Japanese without a space', [{ family: '佐藤', given: ['さくら'] }], '佐藤さくら'],
    ['mixed scripts as Latin', [{ family: '陈', given: ['Robert'] }], 'Robert 陈'],
    [
      'official before others',
      [{ use: 'maiden', family: 'Old' }, { family: 'Any' }, { use: 'official', family: 'New' }],
      'New',
    ],
    ['an empty official name gives way', [{ use: 'official' }, { use: 'nickname', text: 'Jo' }], 'Jo'],
    ['null given names are left out', [{ family: 'Doe', given: [null, 'Jo'] }], 'Jo Doe'],
    ['none', [], null],
  ])('%s', (_, name, expected) => {
    expect(patient({ name }).name).toBe(expected);
  });
});

describe('addresses', () => {
  it.each<[string, object[], string, string]>([
    [
      'US, so that the State can be read',
      [
        {
          line: ['1 High Street', 'Apt 2'],
          city: 'Dedham',
          state: 'Massachusetts',
          postalCode: '02026',
          country: 'US',
        },
      ],
      '1 High Street, Apt 2, Dedham, Massachusetts 02026, US',
      'MA',
    ],
    [
      'US without ZIP code',
      [{ line: ['1 Elm'], city: 'Lynn', state: 'MA', country: 'US' }],
      '1 Elm, Lynn, MA, US',
      'MA',
    ],
    [
      'Chinese, from the largest part',
      [
        {
          line: ['科技园路8号'],
          district: '南山区',
          city: '深圳市',
          state: '广东省',
          postalCode: '518000',
          country: 'CN',
        },
      ],
      '广东省深圳市南山区科技园路8号',
      '广东省',
    ],
    [
      'a municipality once',
      [{ line: ['北京市朝阳区建国路1号'], city: '北京市', state: '北京市' }],
      '北京市朝阳区建国路1号',
      '北京市',
    ],
    [
      'German',
      [{ line: ['Weg 1'], city: 'Berlin', postalCode: '10117', country: 'Germany' }],
      'Weg 1, Berlin, 10117, Germany',
      'Germany',
    ],
    ['the text, on one line', [{ text: '1 Elm\nLynn, MA 01901\nUS', city: 'X' }], '1 Elm, Lynn, MA 01901, US', 'MA'],
    [
      'home before work, never old',
      [
        { use: 'old', text: 'A' },
        { use: 'work', text: 'B, TX' },
        { use: 'home', text: 'C, NY' },
      ],
      'C, NY',
      'NY',
    ],
  ])('%s', (_, address, expected, region) => {
    const mapped = patient({ address }).address;
    expect(mapped).toBe(expected);
    expect(regionOf(mapped ?? '')).toBe(region);
  });
});

describe('Patient', () => {
  it('takes contacts by rank, then the mobile one, never old ones', () => {
    const phone = (members: object) => ({ system: 'phone', ...members });
    expect(patient({ telecom: [phone({ value: '1', use: 'home' }), phone({ value: '2', use: 'mobile' })] }).phone).toBe(
      '2',
    );
    expect(patient({ telecom: [phone({ value: '1', rank: 2 }), phone({ value: '2', rank: 1 })] }).phone).toBe('2');
    expect(patient({ telecom: [phone({ value: '1', use: 'old' })] }).phone).toBeNull();
    expect(patient({ telecom: [phone({ value: 'tel:+4930123456' })] }).phone).toBe('+4930123456');
    expect(patient({ telecom: [{ system: 'email', value: 'a@b.example' }] })).toMatchObject({
      email: 'a@b.example',
      phone: null,
    });
  });

  it.each([
    typed('SS', '999-00-0000'),
    typed('NI', '999-00-0000'),
    typed('NNCHN', '999-00-0000'),
    { system: 'http://hl7.org/fhir/sid/us-ssn', value: '999-00-0000' },
    { system: 'urn:oid:2.16.156.10011.1.3', value: '999-00-0000' },
  ])('knows the national number by %j', (identifier) => {
    expect(patient({ identifier: [typed('MR', '1'), identifier, typed('MB', 'I-1')] })).toMatchObject({
      nationalId: '999-00-0000',
      insuranceNumber: 'I-1',
    });
  });

  it('takes no licence or passport for a national number', () => {
    expect(patient({ identifier: [typed('DL', '1'), typed('PPN', '2')] })).toMatchObject({
      nationalId: null,
      insuranceNumber: null,
    });
  });

  it('is inactive only when it says so, and keeps a birth date as exact as it is', () => {
    expect(mapPatient(resource({ active: false })).status).toBe('inactive');
    expect(mapPatient(resource({ deceasedBoolean: true })).status).toBe('active');
    expect(patient({ birthDate: '1931' }).birthDate).toBe('1931');
    expect(() => patient({ birthDate: '1931-13' })).toThrow('entry 1: birthDate is not a date');
    expect(() => patient({ birthDate: '1031-01-01' })).toThrow('entry 1: birthDate is not a date');
  });
});

describe('Encounter', () => {
  const encounter = (members: object) =>
    mapEncounter(
      resource({
        status: 'finished',
        subject: { reference: 'Patient/1' },
        period: { start: '2020-01-01T10:00:00+08:00' },
        ...members,
      }),
      none,
    );

  it('becomes a visit with one reason, of ICD-10 where there is one', () => {
    const { values, references } = encounter({
      class: { code: 'AMB' },
      serviceType: { text: 'Cardiology' },
      reasonCode: [
        { coding: [{ system: 'http://snomed.info/sct', code: '1', display: 'One' }] },
        { text: 'Two', coding: [{ system: 'http://hl7.org/fhir/sid/icd-10-cm', code: 'I10' }] },
      ],
      participant: [
        { individual: { reference: 'RelatedPerson/9' } },
        { individual: { reference: 'Practitioner/2' } },
        { type: [{ coding: [{ code: 'ATND' }] }], individual: { reference: 'Practitioner/3' } },
      ],
      serviceProvider: { identifier: { system: 's', value: 'v' } },
    });
    expect(values).toEqual({
      status: 'finished',
      class: 'AMB',
      start: '2020-01-01T10:00:00+08:00',
      end: null,
      department: 'Cardiology',
      reasonCode: 'I10',
      reasonCodeSystem: 'http://hl7.org/fhir/sid/icd-10-cm',
      reason: 'Two',
    });
    expect(references).toEqual({
      subject: 'urn:resource-id|1',
      practitioner: 'urn:resource-id|3',
      organization: 's|v',
    });
  });

  it('never calls a code without a system ICD-10', () => {
    expect(encounter({ reasonCode: [{ coding: [{ code: 'Z00' }] }] }).values.reasonCodeSystem).toBe('unknown');
  });

  it('gives a day without a time its noon, and includes the whole last day', () => {
    const { values } = encounter({ period: { start: '2020-01-31', end: '2020-02-01' } });
    expect([values.start, values.end]).toEqual(['2020-01-31T12:00:00Z', '2020-02-01T23:59:59Z']);
    expect(encounter({ period: { start: '2020-01', end: '2020' } }).values).toMatchObject({
      start: '2020-01-01T12:00:00Z',
      end: null,
    });
  });

  it.each([
    '2020-02-30T10:00:00Z',
    '2020-01-01T10:00:00',
    '2020-01-01T10:00Z',
    '2020-01-01T25:00:00Z',
    'June 5 2020 +00:00',
    '1',
  ])('refuses %s as a start', (start) => {
    expect(() => encounter({ period: { start } })).toThrow('entry 1: period.start is not a date');
  });
});

describe('Condition', () => {
  const condition = (members: object) =>
    mapCondition(resource({ subject: { reference: 'Patient/1' }, ...members }), none).values;
  const code = { coding: [{ system: 'http://snomed.info/sct', code: '1', display: 'One' }] };

  it('becomes a diagnosis, of ICD-10 where there is one', () => {
    const two = {
      coding: [...code.coding, { system: 'http://hl7.org/fhir/sid/icd-10', code: 'E11.9', display: 'Two' }],
    };
    expect(
      condition({
        code: two,
        onsetDateTime: '2019-12-31T23:30:00-05:00',
        clinicalStatus: { coding: [{ code: 'remission' }] },
      }),
    ).toEqual({
      code: 'E11.9',
      codeSystem: 'http://hl7.org/fhir/sid/icd-10',
      display: 'Two',
      clinicalStatus: 'remission',
      onsetDate: '2019-12-31',
      recordedAt: '2019-12-31T23:30:00-05:00',
    });
    expect(condition({ code, abatementString: 'last year' }).clinicalStatus).toBe('resolved');
    expect(condition({ code: { text: 'Words' } })).toMatchObject({ code: '', codeSystem: 'unknown', display: 'Words' });
    expect(() => condition({})).toThrow('entry 1: code is missing');
  });

  it.each(['refuted', 'entered-in-error'])('is none when it is %s', (status) => {
    expect(isDenied(resource({ verificationStatus: { coding: [{ code: status }] } }))).toBe(true);
  });
});

describe('Practitioner and Organization', () => {
  it('show a professional number and no private one', () => {
    const name = [{ family: 'Busy', given: ['Bea'], prefix: ['Dr.'] }];
    expect(mapPractitioner(resource({ name, identifier: [typed('SS', '999-00-0000')] }))).toEqual({
      name: 'Bea Busy',
      identifier: null,
    });
    expect(mapPractitioner(resource({ name, identifier: [typed('SS', '1'), typed('NPI', '2')] })).identifier).toBe('2');
    expect(mapOrganization(resource({ name: 'Clinic\n North', identifier: [{ value: '3' }] }))).toEqual({
      name: 'Clinic North',
      identifier: '3',
    });
    expect(() => mapOrganization(resource({}))).toThrow('entry 1: name is missing');
  });
});
