import { describe, expect, it } from '@jest/globals';
import type { PreparedRecord } from './entry-statement.js';
import { OwnRecords } from './own-records.js';

function record(number: number, size = 10, hash = 1): PreparedRecord {
  return {
    log: 'T-CN',
    writer: 'w',
    number,
    bytes: Buffer.alloc(size, number),
    hash: Buffer.alloc(32, hash),
    mac: Buffer.alloc(32, 2),
    recordedAt: new Date(0),
    sealed: null,
  };
}
const proofOf = ({ hash, mac }: PreparedRecord) => hash.toString('hex') + mac.toString('hex');

describe('own records', () => {
  it('are found by their number when hash and MAC are theirs, until they have their place', () => {
    const own = new OwnRecords('w');
    const one = record(1);
    own.keep(one);
    expect(own.find('T-CN', 1, proofOf(one))).toBe(one.bytes);
    expect(own.find('T-US', 1, proofOf(one))).toBeNull();
    expect(own.find('T-CN', 2, proofOf(one))).toBeNull();
    expect(own.find('T-CN', 1, proofOf(record(1, 10, 9)))).toBeNull();
    own.forget('T-CN', 1);
    own.forget('T-US', 1);
    expect(own.find('T-CN', 1, proofOf(one))).toBeNull();
  });

  it('of one number are the newest', () => {
    const own = new OwnRecords('w');
    const closed = record(1, 10, 1);
    const closing = record(1, 10, 3);
    own.keep(closed);
    own.keep(closing);
    expect(own.find('T-CN', 1, proofOf(closed))).toBeNull();
    expect(own.find('T-CN', 1, proofOf(closing))).toBe(closing.bytes);
  });

  it('take no more than their share of memory, however long nothing gets its place', () => {
    const own = new OwnRecords('w');
    const size = 60_000;
    let last = record(0, size);
    for (let number = 1; number <= 700; number++) own.keep((last = record(number, size)));
    const kept = Array.from({ length: 700 }, (_, index) => record(index + 1, size)).filter(
      (one) => own.find('T-CN', one.number, proofOf(one)) !== null,
    );
    expect(kept.length * size).toBeLessThan(34 * 1024 * 1024);
    expect(own.find('T-CN', last.number, proofOf(last))).toBe(last.bytes);
  });
});
