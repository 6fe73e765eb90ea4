import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { generateSecret, verifySync } from 'otplib';
import {
  matchingStep,
  newRecoveryCodes,
  newTotpSecret,
  NO_STEP,
  otpauthUri,
  recoveryHash,
  TOLERANCE,
  totpCode,
} from './totp.js';

const WINDOW = 30_000;
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
const moment = fc.integer({ min: 4 * WINDOW, max: 20_000_000_000_000 });
const tolerance = fc.constantFrom(...Object.values(TOLERANCE));

describe('a code', () => {
  it.each([
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
    [20_000_000_000, '353130'],
  ])('is that of RFC 6238, appendix B, at %i seconds', (seconds, code) => {
    expect(totpCode(SECRET, seconds * 1000)).toBe(code);
    expect(matchingStep(SECRET, code, seconds * 1000, TOLERANCE.stepUp)).toBe(Math.floor(seconds / 30));
  });

  it('is good at every moment of its window, whatever the tolerance', () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: 0, max: WINDOW - 1 }), tolerance, (start, later, seconds) => {
        const window = start - (start % WINDOW);
        const code = totpCode(SECRET, window);
        expect(matchingStep(SECRET, code, window + later, seconds)).toBe(window / WINDOW);
      }),
    );
  });

  it('is good for the tolerance after its window and never before it', () => {
    fc.assert(
      fc.property(moment, fc.integer({ min: -3, max: 3 }), tolerance, (now, distance, seconds) => {
        const code = totpCode(SECRET, now + distance * WINDOW);
        const first = Math.floor((Math.floor(now / 1000) - seconds) / 30);
        const last = Math.floor(now / WINDOW);
        const good = [first, last].filter((step) => totpCode(SECRET, step * WINDOW) === code);
        const step = matchingStep(SECRET, code, now, seconds);
        expect(good.length === 0 ? [NO_STEP] : good).toContain(step);
        if (distance > 0 && good.length === 0) expect(step).toBe(NO_STEP);
      }),
    );
  });

  it('is nothing but six ASCII digits: everything else is wrong, and throws nothing', () => {
    const now = 1_234_567_890_000;
    const code = totpCode(SECRET, now);
    const wide = [...code].map((digit) => String.fromCodePoint(0xff10 + Number(digit))).join('');
    const arabic = [...code].map((digit) => String.fromCodePoint(0x0660 + Number(digit))).join('');
    const bent = [
      wide,
      arabic,
      ` ${code}`,
      `${code} `,
      `${code}\n`,
      `${code.slice(0, 3)} ${code.slice(3)}`,
      `${code.slice(0, 3)}-${code.slice(3)}`,
      `0${code}`,
      code.slice(1),
      `+${code.slice(1)}`,
      `${code}\u0000`,
      `${Number(code)}.0`,
      '',
      '1'.repeat(100_000),
    ];
    for (const one of bent) expect([one, matchingStep(SECRET, one, now, 30)]).toEqual([one, NO_STEP]);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!/^\d{6}$/.test(text));
        expect(matchingStep(SECRET, text, now, 30)).toBe(NO_STEP);
      }),
    );
  });

  it('that is wrong is not right because the library answers with an object', () => {
    const secret = generateSecret();
    const wrong = totpCode(secret, 0) === '000000' ? '000001' : '000000';
    expect(Boolean(verifySync({ secret, token: wrong, epoch: 0 }))).toBe(true);
    expect(matchingStep(secret, wrong, 0, 0)).toBe(NO_STEP);
  });
});

describe('a secret', () => {
  it('has 160 bits, is never the same, and is told to authenticators with its issuer', () => {
    const secrets = Array.from({ length: 100 }, newTotpSecret);
    expect(new Set(secrets).size).toBe(100);
    for (const secret of secrets) expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    const uri = new URL(otpauthUri(SECRET, 'T-CN nurse'));
    expect([uri.protocol, uri.host, decodeURIComponent(uri.pathname)]).toEqual([
      'otpauth:',
      'totp',
      '/Custodia:T-CN nurse',
    ]);
    expect(Object.fromEntries(uri.searchParams)).toEqual({ secret: SECRET, issuer: 'Custodia' });
  });
});

describe('recovery codes', () => {
  it('are ten of 120 bits, kept as hashes', () => {
    const codes = Array.from({ length: 50 }, newRecoveryCodes).flat();
    expect(new Set(codes).size).toBe(500);
    for (const code of codes) {
      expect(code).toMatch(/^[A-Z2-7]{24}$/);
      expect(recoveryHash(code)).toHaveLength(32);
      for (const bent of [code.toLowerCase(), ` ${code}`, `${code}A`, code.slice(1)])
        expect(recoveryHash(bent)).toBeNull();
    }
  });
});
