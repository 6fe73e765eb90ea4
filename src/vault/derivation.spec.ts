import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { deriveBytes, expandBytes, extractKey, intoKey, KEY_BYTES } from './derivation.js';

test('HKDF in two steps is HKDF (RFC 5869), whatever the key and the purpose', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES }),
      fc.constantFrom('group', 'commitment', 'stream'),
      fc.array(fc.string(), { maxLength: 3 }),
      (raw, purpose, parts) => {
        const whole = deriveBytes(intoKey(Buffer.from(raw)), purpose, ...parts);
        const given = Buffer.from(raw);
        const stepped = expandBytes(extractKey(given), purpose, ...parts);
        expect(stepped.equals(whole)).toBe(true);
        expect(given.every((byte) => byte === 0)).toBe(true);
      },
    ),
  );
});
