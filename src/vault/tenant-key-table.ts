import type { KeyObject } from 'node:crypto';
import { Refusal } from '../config/refusal.js';
import { Failure } from '../kernel/failure.js';
import { plannedBits } from './blind-indexes.js';
import { canonical, intoKey } from './derivation.js';
import type { RootKeyProvider } from './root-key.js';
import { TenantKeys, type UnwrappedTenantKey } from './tenant-keys.js';
import { KEY_PURPOSES, type TenantKeyPurpose, type TenantKeyRow, type VaultStore } from './vault.store.js';

const FIRST_KEY_ID = 1;

export interface TenantKeyRingOptions {
  /** How many persons a tenant has at most: bits of index keys made from now on. */
  readonly population: number;
  /** Whether the keys that wrap subject keys stay wrapped here. */
  readonly leaveSubjectWraps: boolean;
}

/** The keys of all tenants in this process, unwrapped once each. */
export class TenantKeyTable {
  private readonly tenants = new Map<string, TenantKeys>();
  private readonly unwrapped = new Map<string, KeyObject>();
  private readonly wraps = new Map<string, readonly TenantKeyRow[]>();

  constructor(
    private readonly root: RootKeyProvider,
    private readonly store: Pick<VaultStore, 'tenantKeys' | 'insertTenantKey'>,
    private readonly options: TenantKeyRingOptions,
  ) {}

  /** Unwraps the keys of every tenant. Throws a {@link Refusal} on a wrong root key. */
  async load(): Promise<void> {
    const byTenant = Map.groupBy(await this.store.tenantKeys(), (row) => row.tenantId);
    for (const [tenant, rows] of byTenant) await this.take(tenant, rows);
  }

  /** Makes the keys of a new tenant, one for each purpose. Does nothing to a tenant that has them. */
  async create(tenant: string): Promise<void> {
    if (this.tenants.has(tenant)) return;
    for (const purpose of KEY_PURPOSES) {
      const place = { tenantId: tenant, purpose, keyId: FIRST_KEY_ID };
      const wrapped = await this.root.wrapNew(tenantKeyContext(place));
      const bits = purpose === 'index' ? plannedBits(this.options.population) : null;
      await this.store.insertTenantKey({ ...place, state: 'primary', bits, wrapped });
    }
    await this.reload(tenant);
  }

  /** The next version of one of a tenant's keys, pending: wrapped and not stored yet. An id is never used again. */
  async next(tenant: string, purpose: TenantKeyPurpose): Promise<TenantKeyRow> {
    const rows = (await this.store.tenantKeys(tenant)).filter((row) => row.purpose === purpose);
    const keyId = Math.max(0, ...rows.map((row) => row.keyId)) + 1;
    const place = { tenantId: tenant, purpose, keyId };
    const wrapped = await this.root.wrapNew(tenantKeyContext(place));
    const bits = purpose === 'index' ? plannedBits(this.options.population) : null;
    return { ...place, state: 'pending', bits, wrapped };
  }

  /** Takes the keys of a tenant as they are stored now: new versions, other states, without those that were destroyed. */
  async reload(tenant: string): Promise<void> {
    const rows = await this.store.tenantKeys(tenant);
    if (rows.length > 0) await this.take(tenant, rows);
  }

  /** The same for a tenant that this process has not heard of, which another one may have made. */
  async reloadUnknown(tenant: string): Promise<void> {
    if (!this.tenants.has(tenant)) await this.reload(tenant);
  }

  /** INTERNAL_SERVER_ERROR for a tenant without keys. */
  of(tenant: string): TenantKeys {
    const found = this.tenants.get(tenant);
    if (found !== undefined) return found;
    throw new Failure('INTERNAL_SERVER_ERROR', 'The tenant has no key.', 'Create the tenant before its data.');
  }

  /** The stored versions of the key that wraps the tenant's subject keys, without those that were destroyed. */
  subjectWraps(tenant: string): readonly TenantKeyRow[] {
    return this.wraps.get(tenant) ?? [];
  }

  private async take(tenant: string, rows: readonly TenantKeyRow[]): Promise<void> {
    const keys: UnwrappedTenantKey[] = [];
    for (const row of rows) {
      const name = tenantKeyContext(row);
      if (row.wrapped === null) this.unwrapped.delete(name);
      else if (row.purpose === 'subject' && this.options.leaveSubjectWraps) keys.push({ row, key: null });
      else keys.push({ row, key: await this.unwrap(row, row.wrapped, name) });
    }
    const wraps = rows.filter(({ purpose, wrapped }) => purpose === 'subject' && wrapped !== null);
    this.wraps.set(tenant, wraps);
    this.tenants.set(tenant, new TenantKeys(tenant, keys));
  }

  private async unwrap(row: TenantKeyRow, wrapped: Buffer, name: string): Promise<KeyObject> {
    const known = this.unwrapped.get(name);
    if (known !== undefined) return known;
    const raw = await this.root.unwrap(wrapped, name);
    if (raw === null) {
      throw new Refusal(
        `The ${row.purpose} key of tenant ${row.tenantId} does not open under the root key ${this.root.id}: restore the root key that wrapped it.`,
      );
    }
    const key = intoKey(raw);
    this.unwrapped.set(name, key);
    return key;
  }
}

/** What binds a wrapped tenant key to its place. */
export function tenantKeyContext(place: Pick<TenantKeyRow, 'tenantId' | 'purpose' | 'keyId'>): string {
  return canonical(['tenant key', place.tenantId, place.purpose, String(place.keyId)]).toString();
}
