import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MASKS, type MaskName } from '../kernel/attribute.js';
import { ManualClock } from '../kernel/clock.js';
import { CN_PROVINCES, COUNTRIES, US_STATES } from './mask-regions.js';
import { ageBand, applyMask, birthYearOf, looksMasked, maskRank, regionOf, type MaskValue } from './mask.js';

const facts = { now: new ManualClock(Date.parse('2026-11-21T12:00:00Z')).now() };
const at = (instant: string) => ({ now: new ManualClock(Date.parse(instant)).now() });

const VECTORS: readonly [MaskName, string, MaskValue][] = [
  ['M_NAME', '王小明', '王**'],
  ['M_NAME', '欧阳娜娜', '欧**'],
  ['M_NAME', '王', '王**'],
  ['M_NAME', '𠮷田太郎', '𠮷**'],
  ['M_NAME', '买买提·艾力', '买**'],
  ['M_NAME', '王小明 (Wang Xiaoming)', '王**'],
  ['M_NAME', '김철수', '김**'],
  ['M_NAME', 'John Smith', 'J*** S***'],
  ['M_NAME', '  John   Fitzgerald Kennedy  Smith ', 'J*** S***'],
  ['M_NAME', 'Madonna', 'M***'],
  ['M_NAME', 'E\u0301lodie Bru\u0302le\u0301', 'É*** B***'],
  ['M_NAME', "(Jean-Luc) O'Brien", 'J*** O***'],
  ['M_NAME', `a${'\u0301'.repeat(100)}`, 'á***'],
  ['M_NAME', '13812345678', null],
  ['M_NAME', '', null],
  ['M_PHONE', '13812345678', '138****5678'],
  ['M_PHONE', '+86 13812345678', '138****5678'],
  ['M_PHONE', '0086 138 1234 5678', '138****5678'],
  ['M_PHONE', '8613812345678', '138****5678'],
  ['M_PHONE', '１３８１２３４５６７８', '138****5678'],
  ['M_PHONE', '138-1234-5678 转 8001', '138****5678'],
  ['M_PHONE', '+1 415 555 0132', '*******0132'],
  ['M_PHONE', '+1 386 415 5501', '*******5501'],
  ['M_PHONE', '415-555-0132 ext. 7788', '*******0132'],
  ['M_PHONE', '+49 (0)30 901820', '*******1820'],
  ['M_PHONE', '010-82331234', '*******1234'],
  ['M_PHONE', '12345', null],
  ['M_PHONE', '13812345678 13912345678', null],
  ['M_PHONE', 'call my sister', null],
  ['M_EMAIL', 'zhangsan@example.com', 'z***@example.com'],
  ['M_EMAIL', 'z@example.com', 'z***@example.com'],
  ['M_EMAIL', '张三@例子.中国', '张***@例子.中国'],
  ['M_EMAIL', 'zhangsan', null],
  ['M_EMAIL', 'zhang san@example.com', null],
  ['M_EMAIL', 'a@b@example.com', null],
  ['M_EMAIL', 'a@localhost', null],
  ['M_EMAIL', 'a@[10.0.0.1]', null],
  ['M_ADDR', '北京市海淀区中关村大街1号', '北京市'],
  ['M_ADDR', '北京海淀区中关村大街1号', '北京市'],
  ['M_ADDR', '中国广东省深圳市南山区', '广东省'],
  ['M_ADDR', '内蒙古呼和浩特市', '内蒙古自治区'],
  ['M_ADDR', '臺灣臺北市', '台湾省'],
  ['M_ADDR', '北京西路100号', null],
  ['M_ADDR', '海南藏族自治州共和县', null],
  ['M_ADDR', '朝阳区建国路1号', null],
  ['M_ADDR', 'San Francisco CA 94105', 'CA'],
  ['M_ADDR', '123 Main St, Boston, Massachusetts 02118-1234, US', 'MA'],
  ['M_ADDR', '123 Main St, Boston, Massachusetts, 02118, United States', 'MA'],
  ['M_ADDR', '5 Elm St, Charleston, West Virginia', 'WV'],
  ['M_ADDR', '1 Broadway, New York, NY', 'NY'],
  ['M_ADDR', 'San Juan PR 00901', 'PR'],
  ['M_ADDR', '123 LA BREA AVE', null],
  ['M_ADDR', '221b Baker Street, London, United Kingdom', 'United Kingdom'],
  ['M_ADDR', 'Hauptstraße 5, 10115 Berlin, Deutschland', 'Germany'],
  ['M_ADDR', 'somewhere near the river', null],
  ['M_DOB', '1949-12-31', '1949'],
  ['M_DOB', '1949-12', '1949'],
  ['M_DOB', '1949', '1949'],
  ['M_DOB', '1935-01-01', null],
  ['M_DOB', '1949-02-30', null],
  ['M_DOB', '2031-01-01', null],
  ['M_DOB', '31.12.1949', null],
  ['M_ID4', '11010519491231002X', '********002X'],
  ['M_ID4', '110105 19491231 002x', '********002X'],
  ['M_ID4', '999-23-8054', '********8054'],
  ['M_ID4', '110105491231002', '*********002'],
  ['M_ID4', '1234567', null],
  ['M_MRN4', '0012345678', '****5678'],
  ['M_MRN4', '1234', null],
  ['M_TEXT', 'call 13812345678 re HIV', '[withheld]'],
  ['M_DX', 'E11.9', null],
  ['M_NULL', 'anything', null],
  ['M_SAME', '35–39', '35–39'],
];

describe('masks', () => {
  test.each(VECTORS)('%s %s → %s', (mask, value, expected) => {
    expect(applyMask(mask, value, facts)).toBe(expected);
  });

  test('a number stays a number where the field is one', () => {
    expect(applyMask('M_DOB', 1949, facts)).toBe(1949);
    expect(applyMask('M_DOB', 1936, facts)).toBeNull();
    expect(applyMask('M_SAME', 3, facts)).toBe(3);
  });

  test('a bare number of another country is not taken for a mainland mobile', () => {
    expect(applyMask('M_PHONE', '13864155501', { ...facts, country: 'US' })).toBe('*******5501');
  });

  test('no date of a person older than 89 shows its year', () => {
    expect(applyMask('M_DOB', '2020-03-04', { ...facts, birthDate: '1930-01-01' })).toBeNull();
    expect(applyMask('M_DOB', '2020-03-04', { ...facts, birthDate: '1970-01-01' })).toBe('2020');
  });

  test('the 90th birthday hides the year as soon as it begins anywhere on Earth', () => {
    expect(applyMask('M_DOB', '1936-11-22', at('2026-11-21T09:59:59Z'))).toBe('1936');
    expect(applyMask('M_DOB', '1936-11-22', at('2026-11-21T10:00:00Z'))).toBeNull();
    expect(applyMask('M_DOB', '1937-01-01', at('2026-12-31T10:00:00Z'))).toBeNull();
  });

  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.constantFrom(...VECTORS.map(([, value]) => value)),
    fc.integer(),
    fc.double(),
  );

  test('are total, and yield what fits the field', () => {
    fc.assert(
      fc.property(fc.constantFrom(...MASKS), anything, (mask, value) => {
        const result = applyMask(mask, value, facts);
        expect(result === null || typeof result === 'string' || typeof result === 'number').toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test('what is no mask, no value or no date shows nothing', () => {
    for (const name of ['toString', 'constructor', 'M_UNKNOWN']) {
      expect(applyMask(name as MaskName, '王小明', facts)).toBeNull();
    }
    for (const value of [undefined, {}, true])
      expect(applyMask('M_NAME', value as unknown as string, facts)).toBeNull();
    expect(applyMask('M_NAME', null, facts)).toBeNull();
    expect(applyMask('M_NAME', 'a'.repeat(100_000), facts)).toBeNull();
    expect(applyMask('M_DOB', '1949-12-31', at('nonsense'))).toBeNull();
  });

  test('the number of stars does not depend on the value', () => {
    const stars = (text: MaskValue) => [...String(text)].filter((character) => character === '*').length;
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z]{1,40}$/), fc.stringMatching(/^[0-9]{8,15}$/), (word, digits) => {
        expect(stars(applyMask('M_NAME', `${word} ${word}`, facts))).toBe(6);
        expect(stars(applyMask('M_EMAIL', `${word}@example.com`, facts))).toBe(3);
        expect(stars(applyMask('M_PHONE', `+49${digits.slice(0, 12)}`, facts))).toBe(7);
        expect(String(applyMask('M_ID4', digits, facts))).toHaveLength(12);
        expect(stars(applyMask('M_MRN4', digits, facts))).toBe(4);
      }),
    );
  });

  test('a name begins with the character that a reader sees first', () => {
    const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });
    const unit = fc.constantFrom('a', 'Z', '王', '明', '\u0301', '\u{e0100}', '\u200d', '-', '한', '𠮷', 'क', '्');
    fc.assert(
      fc.property(fc.constantFrom('a', '王', '𠮷', 'क'), fc.string({ unit, maxLength: 5 }), (first, rest) => {
        const seen = [...segmenter.segment((first + rest).normalize('NFC'))][0]!.segment;
        const shown = [...seen].length > 4 ? [...seen][0]! : seen;
        expect(String(applyMask('M_NAME', first + rest, facts)).startsWith(`${shown}**`)).toBe(true);
      }),
    );
  });

  test('nothing of a Chinese number but its last four, no digit of the birth date among them, is ever shown', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\d{6}[2-9]{8}\d{3}[\dX]$/), (id) => {
        expect(applyMask('M_ID4', id, facts)).toBe(`********${id.slice(14)}`);
      }),
    );
  });

  test('an address yields a name of a table or nothing', () => {
    const names = new Set<string | null>([
      null,
      ...CN_PROVINCES.map(([name]) => name),
      ...US_STATES.map(([code]) => code),
      ...COUNTRIES.map(([, name]) => name),
    ]);
    const pieces = fc.constantFrom(
      ...CN_PROVINCES.flat(),
      ...US_STATES.flat(),
      ...COUNTRIES.flat(),
      ', ',
      ' ',
      '94105',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string({ maxLength: 6 })), { maxLength: 8 }), (parts) => {
        expect(names.has(regionOf(parts.join('')))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test('every province, State and country is found where it belongs', () => {
    expect(CN_PROVINCES).toHaveLength(34);
    expect(US_STATES).toHaveLength(56);
    for (const [name, ...others] of CN_PROVINCES) {
      for (const spelling of [name, ...others]) expect(regionOf(`${spelling}某某县和平村`)).toBe(name);
    }
    for (const [code, name] of US_STATES) {
      expect(regionOf(`1 Main St, Springfield, ${name} 12345`)).toBe(code);
      expect(regionOf(`1 Main St, Springfield ${code} 12345, USA`)).toBe(code);
      expect(regionOf(`1 Main St, Springfield, ${code}`)).toBe(code);
    }
    for (const [code, name, ...others] of COUNTRIES) {
      for (const spelling of [code, name, ...others]) expect(regionOf(`1 Any Street, ${spelling}`, code)).toBe(name);
    }
  });
});

describe('age', () => {
  test.each([
    ['1989-05-01', '35–39'],
    ['1986-11-21', '40–44'],
    ['1986-11-23', '35–39'],
    ['2026-11-01', '0–4'],
    ['1937-06-01', '85–89'],
    ['1936-11-21', '90+'],
    ['1901-01-01', '90+'],
    ['2027-01-01', null],
    ['1949-13-01', null],
    ['', null],
  ])('%s: %s', (birthDate, band) => {
    expect(ageBand(birthDate, facts.now)).toBe(band);
  });

  test('the year of a birth date', () => {
    expect(birthYearOf('1949-12-31')).toBe(1949);
    expect(birthYearOf('1949-02-30')).toBeNull();
  });

  test('the mask hides the year exactly where the band is 90+', () => {
    const date = fc
      .tuple(fc.integer({ min: 1900, max: 2026 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }))
      .map((parts) => parts.map((part) => String(part).padStart(2, '0')).join('-'));
    fc.assert(
      fc.property(date, (birthDate) => {
        const band = ageBand(birthDate, facts.now);
        expect(applyMask('M_DOB', birthDate, facts) === null).toBe(band === null || band === '90+');
      }),
    );
  });
});

describe('input in the shape of a mask', () => {
  const COARSE: ReadonlySet<MaskName> = new Set(['M_ADDR', 'M_DOB', 'M_SAME']);

  test('every masked value is recognised, in every kind of field', () => {
    const value = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 30 }),
      fc.stringMatching(/^\+?[0-9 -]{7,18}$/),
      fc.stringMatching(/^[a-z0-9]{1,9}@[a-z]{1,9}\.[a-z]{2,4}$/),
      fc.stringMatching(/^[A-Z][a-z]{0,9} [A-Z][a-z]{0,9}$/),
      fc.stringMatching(/^\p{Script=Han}{1,4}$/u),
      fc.constantFrom(...VECTORS.map(([, text]) => text)),
    );
    fc.assert(
      fc.property(fc.constantFrom(...MASKS.filter((mask) => !COARSE.has(mask))), value, (mask, text) => {
        const masked = applyMask(mask, text, facts);
        if (typeof masked !== 'string') return;
        expect([masked, looksMasked(masked)]).toEqual([masked, true]);
        expect([masked, looksMasked(masked, 'notes')]).toEqual([masked, true]);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    '王**',
    ' 138****5678 ',
    '138＊＊＊＊5678',
    '138****567',
    '张*',
    'J*** Smith',
    '[Withheld]',
    '1\u200b38****5678',
  ])('%s is recognised, half overwritten too', (text) => {
    expect(looksMasked(text)).toBe(true);
  });

  test('ordinary values are not', () => {
    const ordinary = VECTORS.filter(([mask]) => mask !== 'M_SAME').map(([, value]) => value);
    for (const value of [...ordinary, 'Müller-Lüdenscheidt', '1949', 'CA', "O'Brien", '+49 30 901820', 'E11.9']) {
      expect([value, looksMasked(value)]).toEqual([value, false]);
    }
    fc.assert(
      fc.property(fc.stringMatching(/^[\p{L}\p{N} .,'()@+#/·-]{0,40}$/u), (text) => {
        expect(looksMasked(text)).toBe(false);
      }),
    );
  });

  test('a star in prose or in a code is meant', () => {
    expect(looksMasked('G63.2*', 'clinical')).toBe(false);
    expect(looksMasked('pain **worse** at night, rated *** by the patient', 'notes')).toBe(false);
    expect(looksMasked('pain **worse**', 'identity')).toBe(true);
  });
});

test('null is the strongest mask, the value itself the weakest', () => {
  for (const mask of MASKS) {
    expect(maskRank(mask)).toBeGreaterThanOrEqual(maskRank('M_SAME'));
    expect(maskRank(mask)).toBeLessThanOrEqual(maskRank('M_NULL'));
  }
});
