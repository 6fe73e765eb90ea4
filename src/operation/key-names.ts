import { hash } from 'node:crypto';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import { bareDraft, type RecordDraft } from '../ledger/record.js';
import type { RootKeyProvider, RotatingRootKey } from '../vault/root-key.js';
import type { RotationKind } from '../vault/rotation.store.js';

/** What the ledger says of a key: before it happens, so that no key changes without a record. */
export function keyDraft(step: string, tenant: string, key: string): RecordDraft {
  return { ...bareDraft(tenant, `keys.${step}`, 'KEY', newId()), detail: { key, sha256: hash('sha256', key) } };
}

/** Name of a key in the ledger. */
export function nameOf(kind: RotationKind, keyId: number | null): string {
  if (kind === 'subject') return keyId === null ? 'subject-key' : `subject-key:${keyId}`;
  return kind === 'root' ? `root-key:${keyId}` : `tenant-key:${purposeOf(kind)}:${keyId}`;
}

/** The purpose of the tenant's key that is meant. */
export function purposeOf(kind: 'tenant' | 'index'): 'subject' | 'index' {
  return kind === 'tenant' ? 'subject' : 'index';
}

export function rotates(root: RootKeyProvider | null): root is RotatingRootKey {
  return root !== null && 'rewrap' in root;
}

export function rotating(root: RootKeyProvider | null): RotatingRootKey {
  if (rotates(root)) return root;
  throw new Failure('BAD_USER_INPUT', 'The root key is kept elsewhere.', 'Rotate it there.');
}
