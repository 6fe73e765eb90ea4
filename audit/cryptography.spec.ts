import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as browser from './browser-hash.mjs';
import * as node from './hash.mjs';
import { MacKey } from './mac.mjs';
import { itWithVectors, vectors } from './vectors.js';

interface Wycheproof {
  numberOfTests: number;
  testGroups: {
    publicKey?: { pk: string };
    tagSize?: number;
    tests: { tcId: number; key?: string; msg: string; sig?: string; tag?: string; result: string }[];
  }[];
}
interface EdgeCase {
  number: number;
  key: string;
  sig: string;
  msg: string;
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe.each([
  ['of Node', node],
  ['for browsers', browser],
])('the cryptography %s', (_, { allocate, sha256, sha256Into, verifyEd25519 }) => {
  it('hashes as everybody does, at every length around a block, and into any place', () => {
    const bytes = Uint8Array.from({ length: 400 }, (_, index) => (index * 7) % 256);
    for (let length = 0; length <= 200; length++) {
      const data = bytes.subarray(length % 5, (length % 5) + length);
      const expected = createHash('sha256').update(data).digest('hex');
      expect(Buffer.from(sha256(data)).toString('hex')).toBe(expected);
      const output = allocate(100);
      sha256Into(data, output, length % 60);
      expect(Buffer.from(output.subarray(length % 60, (length % 60) + 32)).toString('hex')).toBe(expected);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (data) => {
        expect(Buffer.from(sha256(data))).toEqual(createHash('sha256').update(data).digest());
      }),
      { numRuns: 50 },
    );
  });

  it('does not take keys and signatures of another length', () => {
    expect(verifyEd25519(new Uint8Array(31), new Uint8Array(0), new Uint8Array(64))).toBe(false);
    expect(verifyEd25519(new Uint8Array(32), new Uint8Array(0), new Uint8Array(63))).toBe(false);
  });

  itWithVectors('decides the Ed25519 vectors of Wycheproof', () => {
    const { numberOfTests, testGroups } = JSON.parse(vectors.text('wycheproof/ed25519_test.json')) as Wycheproof;
    const cases = testGroups.flatMap(({ publicKey, tests }) => tests.map((test) => ({ ...test, pk: publicKey!.pk })));
    expect([cases.length, numberOfTests]).toEqual([151, 151]);
    const wrong = cases.filter(
      ({ pk, msg, sig, result }) => verifyEd25519(hex(pk), hex(msg), hex(sig!)) !== (result === 'valid'),
    );
    expect(wrong.map(({ tcId }) => tcId)).toEqual([]);
  });

  // RFC 8032 leaves these cases open. What is accepted is not right or wrong, but it must not change unseen, and a browser
  // must not see another log than Node does.
  itWithVectors('decides the edge cases of Ed25519 as it did', () => {
    const cases = JSON.parse(vectors.text('cctv-ed25519/ed25519vectors.json')) as EdgeCase[];
    expect(cases).toHaveLength(914);
    const accepted = cases.filter(({ key, msg, sig }) => verifyEd25519(hex(key), Buffer.from(msg), hex(sig)));
    expect(accepted).toHaveLength(43);
    const digest = createHash('sha256')
      .update(accepted.map(({ number }) => number).join())
      .digest('hex');
    expect(digest).toBe(ACCEPTED_EDGE_CASES);
  });
});

/** SHA-256 of the numbers of the accepted cases, with commas between. */
const ACCEPTED_EDGE_CASES = '36521713b91ca5d28544f38cd646b5494f5911399bfe4635a8bf2f2a88f13bcf';

describe('the MAC of records', () => {
  it('is HMAC-SHA-256', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ maxLength: 300 }),
        (key, message) => {
          expect(Buffer.from(new MacKey(key).of(message))).toEqual(createHmac('sha256', key).update(message).digest());
        },
      ),
      { numRuns: 100 },
    );
  });

  itWithVectors('decides the HMAC vectors of Wycheproof that have keys of its length', () => {
    const { numberOfTests, testGroups } = JSON.parse(vectors.text('wycheproof/hmac_sha256_test.json')) as Wycheproof;
    const cases = testGroups.flatMap(({ tagSize, tests }) => tests.map((test) => ({ ...test, tagSize: tagSize! })));
    expect([cases.length, numberOfTests]).toEqual([174, 174]);
    let own = 0;
    for (const { tcId, key, msg, tag, tagSize, result } of cases) {
      // The platform's, which makes the MACs, has keys of all lengths and tags that are cut.
      const whole = createHmac('sha256', hex(key!)).update(hex(msg)).digest();
      expect([tcId, whole.subarray(0, tagSize / 8).equals(hex(tag!))]).toEqual([tcId, result === 'valid']);
      if (hex(key!).length !== 32) {
        expect(() => new MacKey(hex(key!))).toThrow('32 bytes');
      } else {
        own += 1;
        const holds = new MacKey(hex(key!)).holds(hex(msg), hex(tag!));
        expect([tcId, holds]).toEqual([tcId, result === 'valid' && tagSize === 256]);
      }
    }
    expect(own).toBeGreaterThan(50);
  });
});
