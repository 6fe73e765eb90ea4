import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { CompactRange, HASH_SIZE } from '../../audit/merkle.mjs';

/** Where a log ends, as its row in `ledger_head` holds it. */
export interface HeadBytes {
  readonly log: string;
  readonly size: number;
  readonly lastLeaf: Buffer;
  /** The subtree roots of the compact range, one after the other. */
  readonly range: Buffer;
}

/**
 * HMAC-SHA-256 over a head. Records carry one of their own, but whoever has the database could put a record, its leaf and
 * a new head there as if they had been sequenced, and the next checkpoint would sign them. No record begins as this does.
 */
export function headMac(macKey: KeyObject, { log, size, lastLeaf, range }: HeadBytes): Buffer {
  const place = `ledger head\n${log}\n${size}\n`;
  return createHmac('sha256', macKey).update(place).update(lastLeaf).update(range).digest();
}

/** Whether a sequencer with this key wrote the head. */
export function headHolds(macKey: KeyObject, head: HeadBytes, mac: Buffer): boolean {
  const expected = headMac(macKey, head);
  return mac.length === expected.length && timingSafeEqual(mac, expected);
}

/** The compact range of a head as its column holds it. */
export function decodeRange(size: number, bytes: Buffer): CompactRange {
  const hashes: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += HASH_SIZE) hashes.push(bytes.subarray(start, start + HASH_SIZE));
  return new CompactRange(size, hashes);
}
