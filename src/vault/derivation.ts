import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** Length of every key in the tree, in bytes: AES-256 and HMAC-SHA-256 alike. */
export const KEY_BYTES = 32;

const NO_SALT = Buffer.alloc(0);

/**
 * What a derived key is for. Keys of different purposes are independent although they grow from one key, so a key
 * that leaks from one use opens nothing of another.
 */
export type KeyPurpose =
  'root-id' | 'root-wrap' | 'subject-wrap' | 'commitment' | 'group' | 'index' | 'digest' | 'token';

/**
 * One byte string for a list of texts, and for no other list: each text is preceded by its length in bytes
 * (`5:T-CN`, netstring without the comma), so `["ab", "c"]` and `["a", "bc"]` differ.
 */
export function canonical(parts: readonly string[]): Buffer {
  return Buffer.from(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''));
}

/** 32 bytes by HKDF-SHA-256 (RFC 5869), without salt because the input is uniformly random; info names the purpose. */
export function deriveBytes(key: KeyObject, purpose: KeyPurpose, ...parts: string[]): Buffer {
  return Buffer.from(hkdfSync('sha256', key, NO_SALT, canonical(['custodia', purpose, ...parts]), KEY_BYTES));
}

export function deriveKey(key: KeyObject, purpose: KeyPurpose, ...parts: string[]): KeyObject {
  return intoKey(deriveBytes(key, purpose, ...parts));
}

/** Moves raw key bytes into a KeyObject; the buffer is zero afterwards. */
export function intoKey(raw: Buffer): KeyObject {
  const key = createSecretKey(raw);
  raw.fill(0);
  return key;
}
