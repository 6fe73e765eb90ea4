import { inheritedDetails } from './key-rewrap.js';
import type { SubjectKeyPlace } from './subject-key.js';
import type { SubjectKeyCache } from './subject-key-cache.js';
import type { KeyUse, SubjectKeyProvider, SubjectWraps } from './subject-key-provider.js';
import type { TenantKeyTable } from './tenant-key-table.js';
import type { SubjectKeyRow, TenantKeyPurpose, TenantKeyRow } from './vault.store.js';

/** What a vault does for whoever rotates keys. It stores nothing. */
export class VaultRotation {
  constructor(
    private readonly tenants: TenantKeyTable,
    private readonly subjects: SubjectKeyCache,
    private readonly provider: SubjectKeyProvider,
  ) {}

  /** The next version of a tenant's key, wrapped, pending. */
  nextTenantKey(tenant: string, purpose: TenantKeyPurpose): Promise<TenantKeyRow> {
    return this.tenants.next(tenant, purpose);
  }

  /** The next version of a subject's key, likewise. */
  nextSubjectKey(place: Omit<SubjectKeyPlace, 'kind'>): Promise<SubjectKeyRow> {
    return this.subjects.next(place);
  }

  /** The keys that subject keys of the tenant are wrapped under; null where another process keeps them. */
  subjectWraps(tenant: string): SubjectWraps | null {
    return this.provider.wraps(tenant);
  }

  /**
   * The keys of the ledger's details of these versions, wrapped under the tenant's primary, in order: what stays of a version
   * that is destroyed. INTEGRITY_FAILED where one does not unwrap.
   */
  inheritedDetails(
    tenant: string,
    versions: readonly SubjectKeyRow[],
    use: KeyUse,
  ): Promise<readonly Pick<SubjectKeyRow, 'wrapKeyId' | 'detail'>[]> {
    return inheritedDetails(this.provider, tenant, versions, use);
  }
}
