import type { KeyObject } from 'node:crypto';
import { IndexKey } from './blind-indexes.js';
import { deriveKey } from './derivation.js';
import { KeyRing, type KeyVersion } from './key-ring.js';
import { TokenSealer } from './token.js';
import type { TenantKeyPurpose, TenantKeyRow } from './vault.store.js';

/** A version of a tenant's key with its key; null where another process keeps it (see `SubjectKeyProvider`). */
export interface UnwrappedTenantKey {
  readonly row: TenantKeyRow;
  readonly key: KeyObject | null;
}

/** The keys of one tenant. */
export class TenantKeys {
  /** Wrap the keys of subjects; without versions where another process keeps them. */
  readonly subjects: KeyRing<KeyObject>;
  readonly indexes: KeyRing<IndexKey>;
  readonly digest: KeyObject;
  /** Extracted: the key of each place expands from it. */
  readonly detail: KeyObject;
  readonly stream: KeyObject;
  readonly tokens: TokenSealer;

  constructor(tenant: string, unwrapped: readonly UnwrappedTenantKey[]) {
    const ring = <Key>(purpose: TenantKeyPurpose, make: (key: KeyObject, row: TenantKeyRow) => Key): KeyRing<Key> => {
      const versions = unwrapped.flatMap(({ row, key }): KeyVersion<Key>[] => {
        if (row.purpose !== purpose || key === null) return [];
        return [{ keyId: row.keyId, state: row.state, key: make(key, row) }];
      });
      return new KeyRing(`${purpose} key of ${tenant}`, versions);
    };
    this.subjects = ring('subject', (key) => deriveKey(key, 'subject-wrap'));
    this.indexes = ring('index', (key, { keyId, bits }) => new IndexKey(keyId, bits ?? 0, key));
    this.digest = ring('digest', (key) => deriveKey(key, 'digest')).primary.key;
    this.detail = ring('detail', (key) => deriveKey(key, 'detail')).primary.key;
    this.stream = ring('stream', (key) => key).primary.key;
    this.tokens = new TokenSealer(ring('token', (key) => key).primary.key);
  }
}
