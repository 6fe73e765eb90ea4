import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Failure } from '../kernel/failure.js';
import { extractKey, KEY_BYTES } from './derivation.js';
import { commitmentOf, SubjectKey, type SealAddress } from './subject-key.js';
import type { KeyUse, SubjectKeyProvider, WrappedSubjectKey } from './subject-key-provider.js';
import { SubjectKeySet, type UnwrappedRow } from './subject-key-set.js';
import type { TenantKeyTable } from './tenant-key-table.js';
import type { SubjectKeyRow, VaultStore } from './vault.store.js';

const FIRST_KEY_ID = 1;
/** The longest that a subject's key stays in memory, in use or not. */
const OLDEST_MILLISECONDS = 600_000;

/** The subjects' keys that are unwrapped in this process: bounded in number and in age. */
export class SubjectKeyCache {
  private readonly subjects: LRUCache<string, SubjectKeySet>;

  constructor(
    private readonly provider: SubjectKeyProvider,
    private readonly store: Pick<VaultStore, 'subjectKeys'>,
    private readonly tenants: TenantKeyTable,
    maximum: number,
  ) {
    this.subjects = new LRUCache({ max: maximum, ttl: OLDEST_MILLISECONDS });
  }

  /** A new subject's key, usable at once. The caller inserts the row in the statement that creates the subject. */
  async create(tenant: string, subjectId: string, reference: string): Promise<SubjectKeyRow> {
    const raw = randomBytes(KEY_BYTES);
    const keyId = FIRST_KEY_ID;
    const wrapping = await this.provider.wrap({ kind: 'subject key', tenant, subjectId, reference, keyId }, raw);
    const key = extractKey(raw);
    this.subjects.set(cacheKey(tenant, subjectId), new SubjectKeySet(new SubjectKey(tenant, subjectId, keyId, key)));
    const commitment = commitmentOf(key, keyId);
    return { tenantId: tenant, subjectId, keyId, reference, state: 'primary', ...wrapping, detail: null, commitment };
  }

  /** See `Vault.loadSubjectKeys`. */
  async load(tenant: string, subjectIds: readonly string[], use: KeyUse): Promise<void> {
    const missing = subjectIds.filter((subjectId) => this.subjects.get(cacheKey(tenant, subjectId)) === undefined);
    if (missing.length === 0) return;
    const rows = await this.rows(tenant, [...new Set(missing)], use);
    const unwrapped = await this.provider.unwrap(
      tenant,
      rows.flatMap((row) => wrappedIn(row)),
      use,
    );
    let at = 0;
    const taken = rows.map((row): UnwrappedRow => {
      const raw = row.wrapped === null ? null : (unwrapped[at++] ?? null);
      return { row, raw, detail: row.detail === null ? null : (unwrapped[at++] ?? null) };
    });
    for (const [subjectId, own] of Map.groupBy(taken, ({ row }) => row.subjectId)) {
      this.subjects.set(cacheKey(tenant, subjectId), SubjectKeySet.of(own));
    }
  }

  /** The stored keys of these subjects, with the tenant's keys that they are wrapped under at hand. */
  async rows(tenant: string, subjectIds: readonly string[], use: KeyUse): Promise<SubjectKeyRow[]> {
    await this.tenants.reloadUnknown(tenant);
    const rows = await this.store.subjectKeys(tenant, subjectIds);
    if (rows.length === 0) return rows;
    use.used([...new Set(rows.map((row) => row.reference))]);
    const wraps = this.provider.wraps(tenant);
    if (wraps !== null && rows.some((row) => !wraps.has(row.wrapKeyId))) await this.tenants.reload(tenant);
    return rows;
  }

  has(tenant: string, subjectId: string): boolean {
    return this.subjects.has(cacheKey(tenant, subjectId));
  }

  /** INTERNAL_SERVER_ERROR for a key that is not loaded. */
  of({ tenant, subjectId }: Pick<SealAddress, 'tenant' | 'subjectId'>): SubjectKeySet {
    const key = this.subjects.get(cacheKey(tenant, subjectId));
    if (key !== undefined) return key;
    throw new Failure(
      'INTERNAL_SERVER_ERROR',
      'The key of a subject is not loaded.',
      'Load it, or treat it as erased.',
    );
  }

  forget(tenant: string, subjectId: string): void {
    this.subjects.delete(cacheKey(tenant, subjectId));
  }

  forgetAll(): void {
    this.subjects.clear();
  }
}

function wrappedIn(row: SubjectKeyRow): WrappedSubjectKey[] {
  const { tenantId: tenant, subjectId, reference, keyId, wrapKeyId, wrapped, detail } = row;
  const place = { tenant, subjectId, reference, keyId };
  return [
    ...(wrapped === null ? [] : [{ place: { kind: 'subject key', ...place } as const, wrapKeyId, wrapped }]),
    ...(detail === null ? [] : [{ place: { kind: 'detail key', ...place } as const, wrapKeyId, wrapped: detail }]),
  ];
}

function cacheKey(tenant: string, subjectId: string): string {
  return `${subjectId}${tenant}`;
}
