import { createHmac, hash, type KeyObject } from 'node:crypto';
import { LARGEST_RECORD } from '../../audit/entry.mjs';

const BLOCK = 64;
const HASH_SIZE = 32;

/**
 * The key of one writer's MACs in one log, 32 bytes: HMAC-SHA-256 of log and writer under the master key. Who is given
 * it can check the MACs of this writer and learns nothing about another's.
 */
export function writerKey(macKey: KeyObject, log: string, writer: string): Buffer {
  return createHmac('sha256', macKey).update(`custodia ledger writer\n${log}\n${writer}`).digest();
}

/** What a writer's registration says of its key, hexadecimal: it binds the writer to the key and tells nothing of it. */
export function commitmentOf(key: Buffer): string {
  return hash('sha256', Buffer.concat([Buffer.from('custodia ledger writer key\n'), key]), 'hex');
}

/** Room that {@link RecordMac.ofRest} needs before the record. */
export const MAC_FRAME = BLOCK;
// Reused: everything here is synchronous.
const frame = Buffer.alloc(MAC_FRAME + LARGEST_RECORD);

/**
 * HMAC-SHA-256 (RFC 2104) of many records under one key of 32 bytes. Two one-shot hashes take less than half of what an
 * object of createHmac takes, and every record of a process has one.
 */
export class RecordMac {
  private readonly inner = Buffer.alloc(BLOCK, 0x36);
  private readonly outer = Buffer.alloc(BLOCK + HASH_SIZE, 0x5c);

  constructor(key: Buffer) {
    if (key.length !== HASH_SIZE) throw new RangeError('The key of a writer has 32 bytes.');
    for (const [index, byte] of key.entries()) {
      this.inner[index] = byte ^ 0x36;
      this.outer[index] = byte ^ 0x5c;
    }
  }

  of(record: Buffer): Buffer {
    const length = record.copy(frame, MAC_FRAME);
    return Buffer.from(this.ofRest(frame.subarray(0, MAC_FRAME + length)), 'hex');
  }

  /** The MAC of the bytes from {@link MAC_FRAME} on, hexadecimal; overwrites those before. */
  ofRest(framed: Buffer): string {
    this.inner.copy(framed);
    this.outer.write(hash('sha256', framed, 'binary'), BLOCK, 'binary');
    return hash('sha256', this.outer, 'hex');
  }
}
