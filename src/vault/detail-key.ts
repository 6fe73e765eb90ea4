import type { KeyObject } from 'node:crypto';
import { canonical, expandKey } from './derivation.js';
import { openBytes, sealBytes } from './sealed-value.js';

/**
 * Details of one record of the ledger, sealed: `nonce(12) ciphertext tag(16)`, AES-256-GCM. The head of a sealed value
 * (version, algorithm, key id) is not stored, as the record names the key.
 */
const HEAD = Buffer.from([1, 1, 0, 0, 0, 1]);
const KEY_ID = HEAD.readUInt32BE(2);

/**
 * A key for one place alone, from the tenant's: of what a whole tenant does, one key would see more values than random
 * nonces allow (NIST SP 800-38D, 8.3).
 */
export function tenantDetailKey(extracted: KeyObject, place: readonly string[]): KeyObject {
  return expandKey(extracted, 'detail', ...place);
}

export function sealDetailText(key: KeyObject, place: readonly string[], text: string): Buffer {
  return sealBytes(key, KEY_ID, canonical(['ledger detail', ...place]), text).subarray(HEAD.length);
}

/** The text, or null for anything that was not sealed under this key for this place. */
export function openDetailText(key: KeyObject, place: readonly string[], ciphertext: Buffer): string | null {
  const sealed = Buffer.concat([HEAD, ciphertext]);
  return openBytes(key, KEY_ID, canonical(['ledger detail', ...place]), sealed)?.toString('utf8') ?? null;
}
