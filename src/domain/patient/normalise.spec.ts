import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { normaliseNationalId, normalisePhone } from './normalise.js';

describe('a telephone number', () => {
  test.each([
    ['13812345678', 'CN'],
    ['138 1234 5678', 'CN'],
    ['138-1234-5678', 'CN'],
    ['１３８１２３４５６７８', 'CN'],
    ['＋８６ １３８１２３４５６７８', 'US'],
    ['+86 13812345678', 'US'],
    ['0086 138 1234 5678', 'CN'],
    ['0086 138 1234 5678', 'DE'],
    ['手机：13812345678', 'CN'],
    ['电话 138 1234 5678', 'CN'],
    ['tel:+86-138-1234-5678', 'US'],
    ['13812345678转8001', 'CN'],
    ['+86 13812345678', 'ZZ'],
  ])('%s from %s is one line', (text, country) => {
    expect(normalisePhone(text, country)).toBe('+8613812345678');
  });

  test.each([
    ['(415) 555-0132', 'US', '+14155550132'],
    ['+1 415 555 0132', 'CN', '+14155550132'],
    ['011 86 138 1234 5678', 'US', '+8613812345678'],
    ['415-555-0132 ext. 12', 'US', '+14155550132'],
    ['030 901820', 'DE', '+4930901820'],
    ['010-82331234', 'CN', '+861082331234'],
  ])('%s from %s is %s', (text, country, expected) => {
    expect(normalisePhone(text, country)).toBe(expected);
  });

  test.each([
    ['', 'CN'],
    ['no phone', 'US'],
    ['12', 'CN'],
    ['5550132', 'US'],
    ['13812345678 13912345678', 'CN'],
    ['13812345678', 'ZZ'],
    ['+999999999999999999999', 'US'],
  ])('%s from %s has no one line', (text, country) => {
    expect(normalisePhone(text, country)).toBeNull();
  });

  test('never throws, and normalising twice changes nothing', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[+0-9 ()转x-]{0,20}$/));
    fc.assert(
      fc.property(text, fc.constantFrom('CN', 'US', 'DE', 'ZZ'), (value, country) => {
        const once = normalisePhone(value, country);
        if (once !== null) expect(normalisePhone(once, 'US')).toBe(once);
      }),
    );
  });
});

describe('a national number', () => {
  test.each([
    ['11010519491231002X', '11010519491231002X'],
    [' 11010519491231002x ', '11010519491231002X'],
    ['１１０１０５１９４９１２３１００２Ｘ', '11010519491231002X'],
    ['110105 19491231 002X', '11010519491231002X'],
    ['110105491231002', '110105491231002'],
    ['999-23-8054', '999238054'],
    ['999 23 8054', '999238054'],
    ['k1234567', 'K1234567'],
    ['A123456(7)', 'A1234567'],
  ])('%s is %s', (text, expected) => {
    expect(normaliseNationalId(text)).toBe(expected);
  });

  test.each(['', 'abc', '110105194912310021', '11010519491331002X', '11010519490229002X', '身份证', '1'.repeat(21)])(
    '%p is none',
    (text) => {
      expect(normaliseNationalId(text)).toBeNull();
    },
  );

  test('no other check character is taken', () => {
    for (const check of '0123456789') expect(normaliseNationalId(`11010519491231002${check}`)).toBeNull();
  });

  test('any single wrong digit is seen (ISO 7064)', () => {
    fc.assert(
      fc.property(fc.nat(16), fc.integer({ min: 1, max: 9 }), (at, shift) => {
        const digits = [...'11010519491231002X'];
        digits[at] = String((Number(digits[at]) + shift) % 10);
        expect(normaliseNationalId(digits.join(''))).toBeNull();
      }),
    );
  });
});
