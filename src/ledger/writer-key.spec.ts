import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createHmac, createSecretKey, hash, randomBytes } from 'node:crypto';
import { commitmentOf, MAC_FRAME, RecordMac, writerKey } from './writer-key.js';

const macKey = createSecretKey(Buffer.alloc(32, 7));

describe('writerKey', () => {
  it('is another for every log and writer, and is what the format says', () => {
    const one = writerKey(macKey, 'T-CN', 'a'.repeat(16));
    expect(one).toHaveLength(32);
    expect(writerKey(macKey, 'T-US', 'a'.repeat(16))).not.toEqual(one);
    expect(writerKey(macKey, 'T-CN', 'b'.repeat(16))).not.toEqual(one);
    const text = `custodia ledger writer\nT-CN\n${'a'.repeat(16)}`;
    expect(one).toEqual(createHmac('sha256', Buffer.alloc(32, 7)).update(text).digest());
    const commitment = hash('sha256', Buffer.concat([Buffer.from('custodia ledger writer key\n'), one]), 'hex');
    expect(commitmentOf(one)).toBe(commitment);
  });
});

describe('RecordMac', () => {
  it('is HMAC-SHA-256 of any bytes under any key', () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const records = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(key, records, (bytes, list) => {
        const mac = new RecordMac(Buffer.from(bytes));
        for (const record of list.map((one) => Buffer.from(one))) {
          const expected = createHmac('sha256', bytes).update(record).digest();
          expect(mac.of(record)).toEqual(expected);
          const framed = Buffer.concat([randomBytes(MAC_FRAME), record]);
          expect(mac.ofRest(framed)).toBe(expected.toString('hex'));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('takes no key of another length', () => {
    expect(() => new RecordMac(randomBytes(16))).toThrow('32 bytes');
  });
});
