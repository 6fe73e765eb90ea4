import { randomBytes, randomFillSync } from 'node:crypto';

/** Random bytes for the next ids: one call of the generator serves 256 of them. Every byte is used once. */
const POOL = Buffer.alloc(4096);
let poolUsed = POOL.length;
let lastMillisecond = 0;
let sequence = 0;

/**
 * A UUID version 7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, 12 bits of a counter that keeps ids of one
 * process increasing within a millisecond (RFC 9562, 6.2, method 1), 62 random bits.
 */
export function newId(now: number = Date.now()): string {
  if (now > lastMillisecond) {
    lastMillisecond = now;
    sequence = randomBytes(2).readUInt16BE() & 0x7ff;
  } else if (++sequence > 0xfff) {
    lastMillisecond += 1;
    sequence = 0;
  }
  if (poolUsed === POOL.length) {
    randomFillSync(POOL);
    poolUsed = 0;
  }
  const bytes = POOL.subarray(poolUsed, (poolUsed += 16));
  bytes.writeUIntBE(lastMillisecond, 0, 6);
  bytes.writeUInt16BE(0x7000 | sequence, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A random reference of 128 bits in hexadecimal: names a subject or an actor where its identity must not appear. */
export function newReference(): string {
  return randomBytes(16).toString('hex');
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True for the one spelling of a UUID that this system gives out (lower case, with hyphens). */
export function isId(value: string): boolean {
  return UUID.test(value);
}
