import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';

/**
 * A set of algorithms that belong together. Every sealed value names the one it was sealed with, so that a tenant can move
 * from one to another while both are read: `hash` is the digest of HMAC and HKDF, `seal` and `open` the authenticated
 * encryption. A suite of the Chinese commercial algorithms (SM4-GCM, SM3) is another object of this shape.
 */
export interface CipherSuite {
  /** The byte that names it in a sealed value and in a wrapped key. */
  readonly id: number;
  readonly name: string;
  /** As OpenSSL calls it. */
  readonly hash: string;
  /** Length of a key in bytes. */
  readonly keyBytes: number;
  readonly nonceBytes: number;
  readonly tagBytes: number;
  /** Ciphertext and tag; `place` is authenticated and not part of them. A nonce is used once under one key. */
  seal(key: KeyObject, nonce: Buffer, place: Uint8Array, plain: Uint8Array): readonly [ciphertext: Buffer, tag: Buffer];
  /** The plain bytes, or null where key, nonce, place or one bit is another. `sealed` is the ciphertext and its tag. */
  open(key: KeyObject, nonce: Buffer, place: Uint8Array, sealed: Buffer): Buffer | null;
}

const TAG_BYTES = 16;
const TAG_LENGTH = { authTagLength: TAG_BYTES } as const;

/** AES-256-GCM (NIST SP 800-38D), HMAC-SHA-256 (FIPS 198-1), HKDF-SHA-256 (RFC 5869). */
export const INTERNATIONAL: CipherSuite = {
  id: 1,
  name: 'international',
  hash: 'sha256',
  keyBytes: 32,
  nonceBytes: 12,
  tagBytes: TAG_BYTES,
  seal(key, nonce, place, plain) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce, TAG_LENGTH);
    cipher.setAAD(place);
    const ciphertext = cipher.update(plain);
    cipher.final();
    return [ciphertext, cipher.getAuthTag()];
  },
  open(key, nonce, place, sealed) {
    const tagAt = sealed.length - TAG_BYTES;
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, TAG_LENGTH);
      decipher.setAAD(place);
      decipher.setAuthTag(sealed.subarray(tagAt));
      const plain = decipher.update(sealed.subarray(0, tagAt));
      decipher.final();
      return plain;
    } catch {
      return null;
    }
  },
};

const SUITES: readonly CipherSuite[] = [INTERNATIONAL];

/** The suite of this id; undefined for one that this version does not have. */
export function suiteOf(id: number | undefined): CipherSuite | undefined {
  return SUITES.find((suite) => suite.id === id);
}
