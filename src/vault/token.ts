import { randomBytes, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { canonical, deriveKey } from './derivation.js';
import { openBytes, sealBytes } from './sealed-value.js';

const SERIES_BYTES = 16;
const TOKENS_PER_SERIES = 2 ** 30;
const LONGEST_TOKEN = 8192;
const KEY_ID = 0;

/**
 * Opaque tokens for the outside, such as cursors: `series(16) sealed`, base64url. All processes share one root, but each
 * derives a key of its own from a random series: cursors are issued by the million, and random nonces under one key
 * last for 2^32 values only.
 */
export class TokenSealer {
  private readonly keys = new LRUCache<string, KeyObject>({ max: 1000 });
  private series = randomBytes(SERIES_BYTES);
  private issued = 0;

  constructor(private readonly root: KeyObject) {}

  seal(label: string, context: string, payload: string): string {
    if (++this.issued > TOKENS_PER_SERIES) {
      this.series = randomBytes(SERIES_BYTES);
      this.issued = 1;
    }
    const sealed = sealBytes(this.keyOf(this.series), KEY_ID, canonical([label, context]), payload);
    return Buffer.concat([this.series, sealed]).toString('base64url');
  }

  /** Null for everything that `seal` did not return for this label and context, other spellings of a token included. */
  open(label: string, context: string, token: string): string | null {
    if (token.length > LONGEST_TOKEN) return null;
    const bytes = Buffer.from(token, 'base64url');
    if (bytes.length <= SERIES_BYTES || bytes.toString('base64url') !== token) return null;
    const key = this.keyOf(bytes.subarray(0, SERIES_BYTES));
    const plain = openBytes(key, KEY_ID, canonical([label, context]), bytes.subarray(SERIES_BYTES));
    return plain === null ? null : plain.toString('utf8');
  }

  private keyOf(series: Buffer): KeyObject {
    const name = series.toString('hex');
    let key = this.keys.get(name);
    if (key === undefined) {
      key = deriveKey(this.root, 'token', name);
      this.keys.set(name, key);
    }
    return key;
  }
}
