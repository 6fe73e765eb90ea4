import { randomBytes, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Failure } from '../kernel/failure.js';
import { extractKey, KEY_BYTES } from './derivation.js';
import type { KeyState } from './key-ring.js';
import { commitmentOf, SubjectKey, type SealAddress, type SubjectKeyPlace } from './subject-key.js';
import type { KeyUse, SubjectKeyProvider, WrappedSubjectKey } from './subject-key-provider.js';
import { SubjectKeySet, type UnwrappedRow } from './subject-key-set.js';
import type { TenantKeyTable } from './tenant-key-table.js';
import type { SubjectKeyRow, VaultStore } from './vault.store.js';

const FIRST_KEY_ID = 1;
/** The longest that a subject's key stays in memory, in use or not. */
const OLDEST_MILLISECONDS = 600_000;

interface HeldKeys {
  readonly set: SubjectKeySet;
  /** The turn in which they were read from the database. */
  readonly turn: number;
}

/** The subjects' keys that are unwrapped in this process: bounded in number and in age. */
export class SubjectKeyCache {
  private readonly subjects: LRUCache<string, HeldKeys>;
  /** Counts how often all keys became outdated. */
  private turn = 0;

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
    const { turn } = this;
    const { row, key } = await this.make({ tenant, subjectId, reference, keyId: FIRST_KEY_ID }, 'primary');
    const set = new SubjectKeySet(new SubjectKey(tenant, subjectId, row.keyId, key));
    this.subjects.set(cacheKey(tenant, subjectId), { set, turn });
    return row;
  }

  /** A further version of a subject's key, pending: to be stored, and usable by nobody before it was promoted. */
  async next(place: Omit<SubjectKeyPlace, 'kind'>): Promise<SubjectKeyRow> {
    return (await this.make(place, 'pending')).row;
  }

  private async make(
    place: Omit<SubjectKeyPlace, 'kind'>,
    state: KeyState,
  ): Promise<{ row: SubjectKeyRow; key: KeyObject }> {
    const raw = randomBytes(KEY_BYTES);
    const wrapping = await this.provider.wrap({ kind: 'subject key', ...place }, raw);
    const key = extractKey(raw);
    const { tenant: tenantId, ...rest } = place;
    const commitment = commitmentOf(key, place.keyId);
    return { row: { tenantId, ...rest, state, ...wrapping, detail: null, commitment }, key };
  }

  /** See `Vault.loadSubjectKeys`. */
  async load(tenant: string, subjectIds: readonly string[], use: KeyUse): Promise<void> {
    const { turn } = this;
    const missing = subjectIds.filter((subjectId) => this.subjects.get(cacheKey(tenant, subjectId))?.turn !== turn);
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
      this.subjects.set(cacheKey(tenant, subjectId), { set: SubjectKeySet.of(own), turn });
    }
    // What is outdated and was not found any more was erased since.
    const found = new Set(rows.map((row) => row.subjectId));
    for (const subjectId of missing) if (!found.has(subjectId)) this.forget(tenant, subjectId);
  }

  /** The stored keys of these subjects, with the tenant's keys that they are wrapped under at hand. */
  async rows(tenant: string, subjectIds: readonly string[], use: KeyUse): Promise<SubjectKeyRow[]> {
    await this.tenants.reloadUnknown(tenant);
    const rows = await this.store.subjectKeys(tenant, subjectIds);
    if (rows.length === 0) return rows;
    use.used([...new Set(rows.map((row) => row.reference))]);
    const wraps = new Set(this.tenants.subjectWraps(tenant).map(({ keyId }) => keyId));
    const needed = rows.filter((row) => (row.wrapped ?? row.detail) !== null);
    if (needed.some((row) => !wraps.has(row.wrapKeyId))) await this.tenants.reload(tenant);
    return rows;
  }

  has(tenant: string, subjectId: string): boolean {
    return this.subjects.has(cacheKey(tenant, subjectId));
  }

  /** True where a key is held, but not the version with this id: another process has made it since. */
  lacks(tenant: string, subjectId: string, keyId: number): boolean {
    return this.subjects.get(cacheKey(tenant, subjectId))?.set.has(keyId) === false;
  }

  /** INTERNAL_SERVER_ERROR for a key that is not loaded. */
  of({ tenant, subjectId }: Pick<SealAddress, 'tenant' | 'subjectId'>): SubjectKeySet {
    const held = this.subjects.get(cacheKey(tenant, subjectId));
    if (held !== undefined) return held.set;
    throw new Failure(
      'INTERNAL_SERVER_ERROR',
      'The key of a subject is not loaded.',
      'Load it, or treat it as erased.',
    );
  }

  forget(tenant: string, subjectId: string): void {
    this.subjects.delete(cacheKey(tenant, subjectId));
  }

  /**
   * From now on every key is read again before it is used for other work. Work that holds one already goes on with it: a key
   * that opened what it read opens it still.
   */
  outdate(): void {
    this.turn += 1;
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
