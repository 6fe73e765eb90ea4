import { createCipheriv, createDecipheriv, randomFillSync, type KeyObject } from 'node:crypto';

/**
 * The sealed format: `version(1) algorithm(1) keyId(4, big-endian) nonce(12) ciphertext tag(16)`.
 * Algorithm 1 is AES-256-GCM (NIST SP 800-38D) with a random nonce.
 */
const VERSION = 1;
const AES_256_GCM = 1;
const HEADER_BYTES = 18;
const NONCE_AT = 6;
const NONCE_BYTES = HEADER_BYTES - NONCE_AT;
const TAG_BYTES = 16;
const TAG_LENGTH = { authTagLength: TAG_BYTES } as const;

/** Random bytes for the next nonces, each used once: one call to the system's generator for 256 of them. */
const nonces = Buffer.alloc(256 * NONCE_BYTES);
let nextNonce = nonces.length;

/** Encrypts under a key; `place` is authenticated but not stored. At most 2^32 values under one key (SP 800-38D, 8.3). */
export function sealBytes(key: KeyObject, keyId: number, place: Uint8Array, plain: Uint8Array | string): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header[0] = VERSION;
  header[1] = AES_256_GCM;
  header.writeUInt32BE(keyId, 2);
  header.set(freshNonce(), NONCE_AT);
  const cipher = createCipheriv('aes-256-gcm', key, header.subarray(NONCE_AT), TAG_LENGTH);
  cipher.setAAD(place);
  const ciphertext = cipher.update(typeof plain === 'string' ? Buffer.from(plain) : plain);
  cipher.final();
  return Buffer.concat([header, ciphertext, cipher.getAuthTag()]);
}

/** The plaintext, or null when anything differs: format, key id, key, place, one bit of the value. */
export function openBytes(key: KeyObject, keyId: number, place: Uint8Array, sealed: Buffer): Buffer | null {
  const tagAt = sealed.length - TAG_BYTES;
  if (tagAt < HEADER_BYTES || sealed[0] !== VERSION || sealed[1] !== AES_256_GCM) return null;
  if (sealed.readUInt32BE(2) !== keyId) return null;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(NONCE_AT, HEADER_BYTES), TAG_LENGTH);
    decipher.setAAD(place);
    decipher.setAuthTag(sealed.subarray(tagAt));
    const plain = decipher.update(sealed.subarray(HEADER_BYTES, tagAt));
    decipher.final();
    return plain;
  } catch {
    return null;
  }
}

function freshNonce(): Buffer {
  if (nextNonce === nonces.length) {
    randomFillSync(nonces);
    nextNonce = 0;
  }
  nextNonce += NONCE_BYTES;
  return nonces.subarray(nextNonce - NONCE_BYTES, nextNonce);
}
