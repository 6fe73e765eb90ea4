import { createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Refusal } from '../config/refusal.js';
import type { DataGroup } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import type { Database } from '../persistence/database.js';
import { BulkOpening, type SealedRow } from './bulk-opening.js';
import { canonical, deriveKey, extractKey, intoKey, KEY_BYTES } from './derivation.js';
import { openDetailText, sealDetailText, tenantDetailKey } from './detail-key.js';
import { FileRootKeyProvider, type RootKeyProvider } from './root-key.js';
import { sealBytes } from './sealed-value.js';
import { commitmentOf, SubjectKey, subjectKeyPlace, type SealAddress, type SubjectWrap } from './subject-key.js';
import { TokenSealer } from './token.js';
import { VaultStore, type SubjectKeyRow, type TenantKeyRow } from './vault.store.js';

export type { SealAddress, SubjectKeyRow };

/** Opens the sealed groups of one row. `remember` is for results without a clear value, see SubjectKey. */
export interface RowOpener {
  open(group: DataGroup, sealed: Buffer): Record<string, unknown>;
  remember<Result>(
    slot: object,
    group: DataGroup,
    sealed: Buffer,
    make: (opened: Record<string, unknown>) => Result,
  ): Result;
}

/** Whose key the sealed tokens come from, and the digests of things that belong to no tenant. */
export const SYSTEM_TENANT = 'system';

const FIRST_KEY_ID = 1;
const BLIND_INDEX_BYTES = 8;

interface TenantKey {
  readonly keyId: number;
  readonly key: KeyObject;
  readonly subjectWrap: KeyObject;
  readonly digest: KeyObject;
  readonly detail: KeyObject;
  readonly indexes: Map<string, KeyObject>;
}

/**
 * Keys and sealed values. The tree: root key (a provider's) → tenant key → subject key → group key; index, digest and
 * token keys grow from the tenant key by labels of their own. Keys live here as KeyObjects only and leave never.
 * Opening and sealing is synchronous; what they need is loaded before, in one statement per list.
 */
export class Vault {
  private readonly tenants = new Map<string, TenantKey>();
  private readonly subjects: LRUCache<string, SubjectKey>;
  private readonly bulk = new BulkOpening();
  private tokens: TokenSealer;

  constructor(
    private readonly root: RootKeyProvider,
    private readonly store: Pick<VaultStore, keyof VaultStore>,
    options: { maximumSubjects?: number } = {},
  ) {
    this.subjects = new LRUCache({ max: options.maximumSubjects ?? 20_000 });
  }

  /** A loaded vault whose root key is the file `<keyDirectory>/root.key`. */
  static async withFileRoot(database: Database, keyDirectory: string): Promise<Vault> {
    const store = new VaultStore(database);
    const root = await FileRootKeyProvider.open(keyDirectory, (await store.tenantKeys()).length > 0);
    const vault = new Vault(root, store);
    await vault.load();
    return vault;
  }

  /** Unwraps every tenant key, and makes the system's at the first start. Throws a {@link Refusal} on a wrong root key. */
  async load(): Promise<void> {
    for (const row of await this.store.tenantKeys()) await this.unwrapTenantKey(row);
    if (!this.tenants.has(SYSTEM_TENANT)) await this.createTenantKey(SYSTEM_TENANT);
    this.tokens = new TokenSealer(this.tenant(SYSTEM_TENANT).key);
  }

  /** Makes the key of a new tenant. Does nothing to a tenant that has one. */
  async createTenantKey(tenant: string): Promise<void> {
    const raw = randomBytes(KEY_BYTES);
    const wrapped = await this.root.wrap(raw, tenantKeyContext(tenant, FIRST_KEY_ID));
    raw.fill(0);
    await this.store.insertTenantKey({ tenantId: tenant, keyId: FIRST_KEY_ID, wrapped });
    await this.loadTenantKey(tenant);
  }

  /** A new subject's key, usable at once. The caller inserts the row in the statement that creates the subject. */
  createSubjectKey(tenant: string, subjectId: string): SubjectKeyRow {
    const { keyId: tenantKeyId, subjectWrap } = this.tenant(tenant);
    const raw = randomBytes(KEY_BYTES);
    const place = subjectKeyPlace(tenant, subjectId, FIRST_KEY_ID);
    const wrapped = sealBytes(subjectWrap, tenantKeyId, place, raw);
    const key = extractKey(raw);
    this.subjects.set(cacheKey(tenant, subjectId), new SubjectKey(tenant, subjectId, FIRST_KEY_ID, key));
    const commitment = commitmentOf(key, FIRST_KEY_ID);
    return { tenantId: tenant, subjectId, keyId: FIRST_KEY_ID, wrapped, commitment };
  }

  /**
   * Makes the keys of these subjects usable: one statement for those that are not cached. A subject without a key (there
   * is none, or it was destroyed) stays absent. A key that does not unwrap or is not the committed one: INTEGRITY_FAILED.
   */
  async loadSubjectKeys(tenant: string, subjectIds: readonly string[]): Promise<void> {
    const missing = subjectIds.filter((subjectId) => this.subjects.get(cacheKey(tenant, subjectId)) === undefined);
    if (missing.length === 0) return;
    if (!this.tenants.has(tenant)) await this.loadTenantKey(tenant);
    for (const row of await this.store.subjectKeys(tenant, [...new Set(missing)])) this.unwrapSubjectKey(tenant, row);
  }

  hasSubjectKey(tenant: string, subjectId: string): boolean {
    return this.subjects.has(cacheKey(tenant, subjectId));
  }

  /** Seals the fields of one data group of one row. The subject's key must be loaded. */
  seal(address: SealAddress, group: DataGroup, values: Readonly<Record<string, unknown>>): Buffer {
    return this.subjectKey(address).seal(address, group, values);
  }

  /** Opens the groups of one row: the key is looked up once, when the first group is. */
  rowOpener(address: SealAddress): RowOpener {
    let key: SubjectKey | null = null;
    return {
      open: (group, sealed) => (key ??= this.subjectKey(address)).open(address, group, sealed),
      remember: (slot, group, sealed, make) =>
        (key ??= this.subjectKey(address)).remember(slot, address, group, sealed, make),
    };
  }

  /** The fields that were sealed at this very place; any difference is INTEGRITY_FAILED and yields no value. */
  open(address: SealAddress, group: DataGroup, sealed: Buffer): Record<string, unknown> {
    return this.subjectKey(address).open(address, group, sealed);
  }

  /**
   * Opens many rows for one who goes through all of them, in a thread of its own: one statement for their keys, which are
   * not kept. The result has the values of each row, in order; none where the subject has no key any more.
   */
  async openRows(tenant: string, rows: readonly SealedRow[]): Promise<Record<string, unknown>[]> {
    if (!this.tenants.has(tenant)) await this.loadTenantKey(tenant);
    const subjects = new Set(rows.filter((row) => row.parts.length > 0).map((row) => row.address.subjectId));
    const keys = subjects.size === 0 ? [] : await this.store.subjectKeys(tenant, [...subjects]);
    return this.bulk.open(this.wrapOf(tenant), keys, rows);
  }

  /**
   * Equality index of a sealed field: HMAC-SHA-256 under a key of tenant and attribute (`Patient.phone`), cut to 8 bytes.
   * Equal input in two tenants or two attributes gives unrelated output. The caller normalises.
   */
  blindIndex(tenant: string, attribute: string, normalised: string): Buffer {
    const { key, indexes } = this.tenant(tenant);
    let index = indexes.get(attribute);
    if (index === undefined) {
      index = deriveKey(key, 'index', attribute);
      indexes.set(attribute, index);
    }
    return createHmac('sha256', index).update(normalised).digest().subarray(0, BLIND_INDEX_BYTES);
  }

  /** A 32-byte digest that only this installation can compute, and that tells nothing across tenants or labels. */
  keyedDigest(tenant: string, label: string, text: string): Buffer {
    return createHmac('sha256', this.tenant(tenant).digest)
      .update(canonical([label]))
      .update(text)
      .digest();
  }

  /** The key of a sealed stream of the tenant (see sealed-stream.ts). `label` names the stream: each has its own key. */
  streamKey(tenant: string, label: string): KeyObject {
    return deriveKey(this.tenant(tenant).key, 'stream', label);
  }

  /** The key of a sealed stream of one subject: erased with the subject. The subject's key must be loaded. */
  subjectStreamKey(tenant: string, subjectId: string, label: string): KeyObject {
    return this.subjectKey({ tenant, subjectId }).streamKey(label);
  }

  /**
   * Seals the details of a record of the ledger: under the key of the subject, which must be loaded, or of the tenant where
   * `subjectId` is null. Opens for the same place alone.
   */
  sealDetail(tenant: string, subjectId: string | null, place: readonly string[], text: string): Buffer {
    return sealDetailText(this.detailKey(tenant, subjectId, place), place, text);
  }

  /** The text of sealed details, or null for anything that was not sealed for this place. */
  openDetail(tenant: string, subjectId: string | null, place: readonly string[], ciphertext: Buffer): string | null {
    return openDetailText(this.detailKey(tenant, subjectId, place), place, ciphertext);
  }

  /** An opaque base64url token with `payload` inside, valid for this label and context only. */
  sealToken(label: string, context: string, payload: string): string {
    return this.tokens.seal(label, context, payload);
  }

  /** The payload, or null for everything that is not a token of this label and context. */
  openToken(label: string, context: string, token: string): string | null {
    return this.tokens.open(label, context, token);
  }

  private detailKey(tenant: string, subjectId: string | null, place: readonly string[]): KeyObject {
    if (subjectId !== null) return this.subjectKey({ tenant, subjectId }).ledgerKey();
    return tenantDetailKey(this.tenant(tenant).detail, place);
  }

  private tenant(tenant: string): TenantKey {
    const found = this.tenants.get(tenant);
    if (found === undefined) {
      throw new Failure('INTERNAL_SERVER_ERROR', 'The tenant has no key.', 'Create the tenant before its data.');
    }
    return found;
  }

  private subjectKey(owner: Pick<SealAddress, 'tenant' | 'subjectId'>): SubjectKey {
    const key = this.subjects.get(cacheKey(owner.tenant, owner.subjectId));
    if (key === undefined) {
      throw new Failure(
        'INTERNAL_SERVER_ERROR',
        'The key of a subject is not loaded.',
        'Load it, or treat it as erased.',
      );
    }
    return key;
  }

  private async loadTenantKey(tenant: string): Promise<void> {
    const row = await this.store.tenantKey(tenant);
    if (row !== undefined) await this.unwrapTenantKey(row);
  }

  private async unwrapTenantKey(row: TenantKeyRow): Promise<void> {
    const raw = await this.root.unwrap(row.wrapped, tenantKeyContext(row.tenantId, row.keyId));
    if (raw === null) {
      throw new Refusal(
        `The key of tenant ${row.tenantId} does not open under the root key ${this.root.id}: restore the root key that wrapped it.`,
      );
    }
    const key = intoKey(raw);
    this.tenants.set(row.tenantId, {
      keyId: row.keyId,
      key,
      subjectWrap: deriveKey(key, 'subject-wrap'),
      digest: deriveKey(key, 'digest'),
      detail: deriveKey(key, 'detail'),
      indexes: new Map(),
    });
  }

  private unwrapSubjectKey(tenant: string, row: SubjectKeyRow): void {
    this.subjects.set(cacheKey(tenant, row.subjectId), SubjectKey.unwrap(this.wrapOf(tenant), row));
  }

  private wrapOf(tenant: string): SubjectWrap {
    const { keyId, subjectWrap } = this.tenant(tenant);
    return { tenant, keyId, key: subjectWrap };
  }
}

function cacheKey(tenant: string, subjectId: string): string {
  return `${subjectId}${tenant}`;
}

function tenantKeyContext(tenant: string, keyId: number): string {
  return canonical(['tenant key', tenant, String(keyId)]).toString();
}
