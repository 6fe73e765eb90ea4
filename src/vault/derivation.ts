import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { INTERNATIONAL } from './suite.js';

/** Length of every key in the tree, in bytes: of encryption and of HMAC alike. */
export const KEY_BYTES = INTERNATIONAL.keyBytes;
const HASH = INTERNATIONAL.hash;

const NO_SALT = Buffer.alloc(0);

/**
 * What a derived key is for. Keys of different purposes are independent although they grow from one key, so a key
 * that leaks from one use opens nothing of another.
 */
export type KeyPurpose =
  | 'root-id'
  | 'root-wrap'
  | 'subject-wrap'
  | 'commitment'
  | 'group'
  | 'index'
  | 'digest'
  | 'token'
  | 'stream'
  | 'detail';

/**
 * One byte string for a list of texts, and for no other list: each text is preceded by its length in bytes
 * (`5:T-CN`, netstring without the comma), so `["ab", "c"]` and `["a", "bc"]` differ.
 */
export function canonical(parts: readonly string[]): Buffer {
  return Buffer.from(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''));
}

/** {@link KEY_BYTES} by HKDF (RFC 5869), without salt because the input is uniformly random; info names the purpose. */
export function deriveBytes(key: KeyObject, purpose: KeyPurpose, ...parts: string[]): Buffer {
  return Buffer.from(hkdfSync(HASH, key, NO_SALT, canonical(['custodia', purpose, ...parts]), KEY_BYTES));
}

export function deriveKey(key: KeyObject, purpose: KeyPurpose, ...parts: string[]): KeyObject {
  return intoKey(deriveBytes(key, purpose, ...parts));
}

/** A key of zeros: what HKDF extracts with where there is no salt (RFC 5869, 2.2). */
const ZERO_KEY = createSecretKey(Buffer.alloc(KEY_BYTES));
/** The number of the first and only block of the output (RFC 5869, 2.3). */
const FIRST_BLOCK = Buffer.of(1);

/**
 * The first step of HKDF, for a key from which several grow: {@link expandBytes} gives the same bytes as
 * {@link deriveBytes} of the raw key, and leaves this step to be done once. The buffer is zero afterwards.
 */
export function extractKey(raw: Buffer): KeyObject {
  const extracted = intoKey(createHmac(HASH, ZERO_KEY).update(raw).digest());
  raw.fill(0);
  return extracted;
}

/** The second step: 32 bytes for one purpose of an extracted key. */
export function expandBytes(extracted: KeyObject, purpose: KeyPurpose, ...parts: string[]): Buffer {
  const info = canonical(['custodia', purpose, ...parts]);
  return createHmac(HASH, extracted).update(info).update(FIRST_BLOCK).digest();
}

export function expandKey(extracted: KeyObject, purpose: KeyPurpose, ...parts: string[]): KeyObject {
  return intoKey(expandBytes(extracted, purpose, ...parts));
}

/** Moves raw key bytes into a KeyObject; the buffer is zero afterwards. */
export function intoKey(raw: Buffer): KeyObject {
  const key = createSecretKey(raw);
  raw.fill(0);
  return key;
}
