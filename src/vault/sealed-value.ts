import { randomFillSync, type KeyObject } from 'node:crypto';
import { INTERNATIONAL, suiteOf } from './suite.js';

/**
 * The sealed format: `version(1) suite(1) keyId(4, big-endian) nonce ciphertext tag`; the lengths of nonce and tag are the
 * suite's, see {@link INTERNATIONAL} (12 and 16 bytes). Nonces are random.
 */
const VERSION = 1;
const SUITE_AT = 1;
const KEY_ID_AT = 2;
const NONCE_AT = 6;
/** The suite of everything that is sealed now. */
const SUITE = INTERNATIONAL;
const NONCE_BYTES = SUITE.nonceBytes;

/** Random bytes for the next nonces, each used once: one call to the system's generator for 256 of them. */
const nonces = Buffer.alloc(256 * NONCE_BYTES);
let nextNonce = nonces.length;

/** Encrypts under a key; `place` is authenticated but not stored. At most 2^32 values under one key (SP 800-38D, 8.3). */
export function sealBytes(key: KeyObject, keyId: number, place: Uint8Array, plain: Uint8Array | string): Buffer {
  const header = Buffer.allocUnsafe(NONCE_AT + NONCE_BYTES);
  header[0] = VERSION;
  header[SUITE_AT] = SUITE.id;
  header.writeUInt32BE(keyId, KEY_ID_AT);
  header.set(freshNonce(), NONCE_AT);
  const bytes = typeof plain === 'string' ? Buffer.from(plain) : plain;
  return Buffer.concat([header, ...SUITE.seal(key, header.subarray(NONCE_AT), place, bytes)]);
}

/** The plaintext, or null when anything differs: format, suite, key id, key, place, one bit of the value. */
export function openBytes(key: KeyObject, keyId: number, place: Uint8Array, sealed: Buffer): Buffer | null {
  const suite = suiteOf(sealed[SUITE_AT]);
  if (suite === undefined || sealed[0] !== VERSION) return null;
  const ciphertextAt = NONCE_AT + suite.nonceBytes;
  if (sealed.length < ciphertextAt + suite.tagBytes || sealed.readUInt32BE(KEY_ID_AT) !== keyId) return null;
  return suite.open(key, sealed.subarray(NONCE_AT, ciphertextAt), place, sealed.subarray(ciphertextAt));
}

/** The key that a value says it was sealed with, not yet checked; 0 for what is too short to say one. */
export function keyIdOf(sealed: Buffer): number {
  return sealed.length < NONCE_AT ? 0 : sealed.readUInt32BE(KEY_ID_AT);
}

function freshNonce(): Buffer {
  if (nextNonce === nonces.length) {
    randomFillSync(nonces);
    nextNonce = 0;
  }
  nextNonce += NONCE_BYTES;
  return nonces.subarray(nextNonce - NONCE_BYTES, nextNonce);
}
