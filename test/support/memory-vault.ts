import { randomBytes } from 'node:crypto';
import type { RootKeyProvider } from '../../src/vault/root-key.js';
import type { SubjectKeyRow, TenantKeyRow, VaultNotice, VaultStore } from '../../src/vault/vault.store.js';
import type { KeyUse } from '../../src/vault/vault.js';

/** The tables of the vault, in memory; notes which subjects' keys were asked for. */
export class MemoryVaultStore implements Pick<VaultStore, keyof VaultStore> {
  tenants: TenantKeyRow[] = [];
  readonly subjects: SubjectKeyRow[] = [];
  readonly asked: (readonly string[])[] = [];
  readonly heard: VaultNotice[] = [];

  tenantKeys(tenant: string | null = null): Promise<TenantKeyRow[]> {
    return Promise.resolve(this.tenants.filter((row) => tenant === null || row.tenantId === tenant));
  }

  insertTenantKey(row: TenantKeyRow): Promise<void> {
    const names = ({ tenantId, purpose, keyId }: TenantKeyRow) => `${tenantId} ${purpose} ${keyId}`;
    if (!this.tenants.some((one) => names(one) === names(row))) this.tenants.push(row);
    return Promise.resolve();
  }

  subjectKeys(tenant: string, subjectIds: readonly string[]): Promise<SubjectKeyRow[]> {
    this.asked.push(subjectIds);
    return Promise.resolve(
      this.subjects.filter((row) => row.tenantId === tenant && subjectIds.includes(row.subjectId)),
    );
  }

  notices(): Promise<VaultNotice[]> {
    return Promise.resolve(this.heard);
  }
}

/** A root key that binds what it wraps to its context and hides its bytes. */
export function memoryRoot(): RootKeyProvider {
  const mask = randomBytes(32);
  const masked = (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => byte ^ (mask[at] ?? 0)));
  return {
    id: 'memory',
    wrap: (plain, context) => Promise.resolve(Buffer.concat([masked(plain), Buffer.from(context)])),
    wrapNew: (context) => Promise.resolve(Buffer.concat([randomBytes(32), Buffer.from(context)])),
    unwrap: (wrapped, context) =>
      Promise.resolve(wrapped.subarray(32).toString() === context ? masked(wrapped.subarray(0, 32)) : null),
  };
}

/** Work of a test for which keys are unwrapped; nobody records it. */
export const TEST_USE: KeyUse = { id: 'test', used: () => undefined };
