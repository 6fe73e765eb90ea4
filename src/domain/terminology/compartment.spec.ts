import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  compartmentOf,
  compartmentOfDepartment,
  icdChapterOf,
  stricterLabel,
  type Compartment,
} from './compartment.js';
import { COMPARTMENT_RANGES, ICD_10_CHAPTERS } from './icd-10.js';

const ICD = 'http://hl7.org/fhir/sid/icd-10';

describe('the compartment of a code', () => {
  test.each([
    ['B20', 'HIV_STD'],
    ['B24', 'HIV_STD'],
    ['B25.9', 'NONE'],
    ['Z21', 'HIV_STD'],
    ['R75', 'HIV_STD'],
    ['A49.9', 'NONE'],
    ['A50.0', 'HIV_STD'],
    ['A64', 'HIV_STD'],
    ['A65', 'NONE'],
    ['F00.1', 'MENTAL'],
    ['F10.2', 'SUD'],
    ['F19.9', 'SUD'],
    ['F20.0', 'MENTAL'],
    ['F99', 'MENTAL'],
    ['X59.9', 'NONE'],
    ['X60', 'MENTAL'],
    ['X84.9', 'MENTAL'],
    ['O00.0', 'REPRO'],
    ['O9A.211', 'REPRO'],
    ['Z30.0', 'REPRO'],
    ['Z39.2', 'REPRO'],
    ['Z3A.20', 'REPRO'],
    ['N95.1', 'NONE'],
    ['N96', 'REPRO'],
    ['N98.9', 'REPRO'],
    ['T74.2', 'ABUSE'],
    ['T76', 'ABUSE'],
    ['Y07.0', 'ABUSE'],
    ['Z04.4', 'ABUSE'],
    ['Z04.41', 'ABUSE'],
    ['Z04.3', 'NONE'],
    ['Z04', 'NONE'],
    ['Z14.1', 'GENETIC'],
    ['Z15.0', 'GENETIC'],
    ['Q90.9', 'GENETIC'],
    ['Q99', 'GENETIC'],
    ['Q89.9', 'NONE'],
    ['E11.9', 'NONE'],
  ])('%s is %s', (code, label) => {
    expect(compartmentOf(ICD, code)).toBe(label);
  });

  test.each(['f20.0', ' F20.0 ', 'F200', 'Ｆ２０．０', 'F20.000x001', 'F20.0+', 'F20.0*', 'F20.0†'])(
    'the spelling %s does not lose the label',
    (code) => {
      expect(compartmentOf(ICD, code)).toBe('MENTAL');
      expect(icdChapterOf(code)).toBeNull();
    },
  );

  test.each(['', 'F', 'F2', '20', 'F2X.0', 'F20-F29', 'M8000/3', '44054006', 'E95', 'hypertension', 'F20.', 'F20..0'])(
    'nobody can tell what %p is',
    (code) => {
      expect(compartmentOf(ICD, code)).toBe('UNMAPPED');
      expect(icdChapterOf(code)).toBeNull();
    },
  );

  test.each([
    ...['ICD-10', 'icd-10', 'ICD10', 'ICD-10-CM', 'icd-10-cn', ICD, `${ICD}-cm`, `${ICD}-cn`],
    ...['http://fhir.de/CodeSystem/bfarm/icd-10-gm', 'http://hl7.org.cn/fhir/sid/icd-10-cn'],
  ])('%s is ICD-10', (system) => {
    expect(compartmentOf(system, 'E11.9')).toBe('NONE');
  });

  test.each([
    ...['', 'ICD-9', 'icd-9-cm', 'ICD-11', 'icd-10-pcs', 'http://hl7.org/fhir/sid/icd-10-pcs'],
    ...['http://snomed.info/sct', 'http://hl7.org/fhir/sid/icd-9-cm', 'not icd-10', 'icd-10 or so'],
  ])('%p is not ICD-10', (system) => {
    expect(compartmentOf(system, 'E11.9')).toBe('UNMAPPED');
  });

  test('every text has an answer, and no chapter is told for a labelled code', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[A-Z]\d[0-9AB](\.\d)?$/)), (code) => {
        const label = compartmentOf(ICD, code);
        if (label !== 'NONE') expect(icdChapterOf(code)).toBeNull();
        else expect(icdChapterOf(code)).toMatch(/ \(chapter\)$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the ICD-10 chapter', () => {
  test.each([
    ['E11.9', 'Endocrine, nutritional and metabolic (chapter)'],
    ['I10', 'Circulatory system (chapter)'],
    ['D48', 'Neoplasms (chapter)'],
    ['D50.9', 'Blood and blood-forming organs and certain disorders involving the immune mechanism (chapter)'],
    ['T98.3', 'Injury, poisoning and certain other consequences of external causes (chapter)'],
    ['C7A.0', 'Neoplasms (chapter)'],
  ])('%s: %s', (code, title) => {
    expect(icdChapterOf(code)).toBe(title);
  });

  test('the ranges ascend, do not overlap, and hold every compartment', () => {
    for (const [index, [first, last]] of ICD_10_CHAPTERS.entries()) {
      expect(first <= last).toBe(true);
      expect((ICD_10_CHAPTERS[index + 1]?.[0] ?? 'ZZZ') > last).toBe(true);
    }
    for (const [first, last] of COMPARTMENT_RANGES) {
      const holder = ICD_10_CHAPTERS.find(([from, to]) => from <= first.slice(0, 3) && last.slice(0, 3) <= to);
      expect(holder).toBeDefined();
    }
  });
});

describe('the compartment of a department', () => {
  test.each([
    ['感染科', 'HIV_STD'],
    ['感染性疾病科', 'HIV_STD'],
    ['皮肤性病科', 'HIV_STD'],
    ['HIV/AIDS Clinic', 'HIV_STD'],
    ['Infectious Diseases', 'HIV_STD'],
    ['精神科', 'MENTAL'],
    ['临床心理科', 'MENTAL'],
    ['Child & Adolescent Psychiatry', 'MENTAL'],
    ['Neuropsychology', 'MENTAL'],
    ['成瘾医学科', 'SUD'],
    ['Substance Abuse Services', 'SUD'],
    ['Addiction Medicine', 'SUD'],
    ['生殖医学中心', 'REPRO'],
    ['Reproductive Medicine', 'REPRO'],
    ['IVF Unit', 'REPRO'],
    ['医学遗传科', 'GENETIC'],
    ['Clinical Genetics', 'GENETIC'],
    ['Sexual Assault Referral Centre (SARC)', 'ABUSE'],
    ['性侵害防治中心', 'ABUSE'],
    ['H.I.V. clinic', 'HIV_STD'],
    ['H. I. V. Clinic', 'HIV_STD'],
    ['E.N.T. & H-I-V', 'HIV_STD'],
    ['HIV+ Care', 'HIV_STD'],
    ['H\u200bIV clinic', 'HIV_STD'],
    ['A.I.D.S. Centre', 'HIV_STD'],
    ['感 染 科', 'HIV_STD'],
    ['红丝带门诊', 'HIV_STD'],
    ['藥物依賴門診', 'SUD'],
    ['抑郁门诊', 'MENTAL'],
    ['避孕门诊', 'REPRO'],
    ['E.N.T.', 'NONE'],
    ['I.C.U. 2', 'NONE'],
    ['心内科', 'NONE'],
    ['Cardiology', 'NONE'],
    ['Sarcoma Clinic', 'NONE'],
    ['Physiotherapy', 'NONE'],
    ['内分泌科', 'NONE'],
    ['', 'NONE'],
  ])('%s is %s', (department, label) => {
    expect(compartmentOfDepartment(department)).toBe(label);
  });

  test('an abbreviation keeps its label, whatever stands between its letters and around it', () => {
    const gap = fc.constantFrom('', '.', '. ', ' ', '-', '\u00b7', '\u00ad', '/', '．');
    const known = fc.constantFrom('HIV', 'AIDS', 'STD', 'STI', 'IVF', 'SANE', 'SARC');
    const around = fc.constantFrom('', 'Clinic ', 'Ward 3, ', '(', 'E.N.T. / ');
    fc.assert(
      fc.property(known, gap, around, fc.constantFrom('', ' clinic', '.', '+', ')'), (name, between, before, after) => {
        expect(compartmentOfDepartment(`${before}${[...name].join(between)}${after}`)).toBe(
          compartmentOfDepartment(name),
        );
        expect(compartmentOfDepartment(name)).not.toBe('NONE');
      }),
      { numRuns: 500 },
    );
  });

  test('of two labels the stricter one stands, in whatever order', () => {
    const labels = fc.constantFrom<Compartment>('NONE', 'UNMAPPED', 'HIV_STD', 'MENTAL');
    fc.assert(
      fc.property(labels, labels, (one, other) => {
        const label = stricterLabel(one, other);
        expect([one, other]).toContain(label);
        if (one !== 'NONE' || other !== 'NONE') expect(label).not.toBe('NONE');
        if (![one, other].every((each) => each === 'NONE' || each === 'UNMAPPED')) expect(label).not.toBe('UNMAPPED');
      }),
    );
  });
});
