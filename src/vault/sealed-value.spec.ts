import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { canonical } from './derivation.js';
import { openBytes, sealBytes } from './sealed-value.js';

const WYCHEPROOF = new URL('../../../shared/vectors/wycheproof/', import.meta.url);
const present = existsSync(fileURLToPath(WYCHEPROOF));
if (!present) {
  process.stderr.write('SKIPPED: the Wycheproof vectors are not beside the project (../shared/vectors/wycheproof).\n');
}
const withVectors = present ? test : test.skip;

interface Group<T> {
  readonly keySize: number;
  readonly ivSize: number;
  readonly tagSize: number;
  readonly tests: readonly T[];
}
type Hex<T extends string> = Record<T | 'result' | 'comment', string> & {
  readonly tcId: number;
  readonly size: number;
};

function vectors<T>(name: string): readonly Group<T>[] {
  return (JSON.parse(readFileSync(new URL(name, WYCHEPROOF), 'utf8')) as { testGroups: Group<T>[] }).testGroups;
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

const key = createSecretKey(Buffer.alloc(32, 7));
const place = canonical(['here']);

describe('sealed values', () => {
  withVectors('open exactly the valid Wycheproof vectors of AES-256-GCM', () => {
    const groups = vectors<Hex<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag'>>('aes_gcm_test.json');
    const fitting = groups.filter((group) => group.keySize === 256 && group.ivSize === 96 && group.tagSize === 128);
    const cases = fitting.flatMap((group) => group.tests);
    expect(cases.length).toBeGreaterThan(50);
    for (const { tcId, key: secret, iv, aad, msg, ct, tag, result } of cases) {
      const sealed = Buffer.concat([Buffer.from([1, 1, 0, 0, 0, 9]), bytes(iv), bytes(ct), bytes(tag)]);
      const plain = openBytes(createSecretKey(bytes(secret)), 9, bytes(aad), sealed);
      expect([tcId, plain?.toString('hex') ?? null]).toEqual([tcId, result === 'valid' ? msg : null]);
    }
  });

  withVectors('rest on an HKDF-SHA-256 that agrees with Wycheproof', () => {
    for (const group of vectors<Hex<'ikm' | 'salt' | 'info' | 'okm'>>('hkdf_sha256_test.json')) {
      for (const { ikm, salt, info, okm, size, result } of group.tests) {
        const derive = () =>
          Buffer.from(hkdfSync('sha256', bytes(ikm), bytes(salt), bytes(info), size)).toString('hex');
        if (result === 'valid') expect(derive()).toBe(okm);
        else expect(derive).toThrow();
      }
    }
  });

  test('come back as they were', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(0xffffffff), (plain, keyId) => {
        const sealed = sealBytes(key, keyId, place, plain);
        expect(sealed).toHaveLength(plain.length + 34);
        expect(openBytes(key, keyId, place, sealed)).toEqual(Buffer.from(plain));
      }),
    );
  });

  test('show every single flipped bit and every cut', () => {
    const sealed = sealBytes(key, 1, place, '{"name":"王小明"}');
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(openBytes(key, 1, place, changed)).toBeNull();
    }
    for (let length = 0; length < sealed.length; length += 1) {
      expect(openBytes(key, 1, place, sealed.subarray(0, length))).toBeNull();
    }
    expect(openBytes(key, 1, place, Buffer.concat([sealed, Buffer.alloc(1)]))).toBeNull();
  });

  test('do not open under another key, key id or place', () => {
    const sealed = sealBytes(key, 2, place, 'x');
    expect(openBytes(createSecretKey(randomBytes(32)), 2, place, sealed)).toBeNull();
    expect(openBytes(key, 1, place, sealed)).toBeNull();
    expect(openBytes(key, 2, canonical(['there']), sealed)).toBeNull();
  });

  test('never repeat a nonce', () => {
    const nonces = new Set<string>();
    for (let count = 0; count < 5000; count += 1) nonces.add(sealBytes(key, 1, place, '').toString('hex', 6, 18));
    expect(nonces.size).toBe(5000);
  });
});

test('two lists of texts never have the same canonical bytes', () => {
  const texts = fc.array(fc.string({ unit: fc.constantFrom('1', ':', 'a', '中') }), { maxLength: 4 });
  fc.assert(
    fc.property(texts, texts, (one, other) => {
      expect(canonical(one).equals(canonical(other))).toBe(JSON.stringify(one) === JSON.stringify(other));
    }),
    { numRuns: 3000 },
  );
});
