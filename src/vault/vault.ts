import { createHmac, type KeyObject } from 'node:crypto';
import type { DataGroup } from '../kernel/attribute.js';
import type { Database } from '../persistence/database.js';
import type { IndexKey } from './blind-indexes.js';
import type { AgentClient } from './agent-client.js';
import { AgentRootKey, AgentSubjectKeys } from './agent-provider.js';
import { BulkOpening, type SealedRow } from './bulk-opening.js';
import { canonical, deriveKey } from './derivation.js';
import { openDetailText, sealDetailText, tenantDetailKey } from './detail-key.js';
import { KeyRefresh } from './key-refresh.js';
import { FileRootKeyProvider, type RootKeyProvider } from './root-key.js';
import type { SealAddress } from './subject-key.js';
import { SubjectKeyCache } from './subject-key-cache.js';
import { LocalSubjectKeys, type KeyUse, type SubjectKeyProvider } from './subject-key-provider.js';
import { INTERNATIONAL } from './suite.js';
import { TenantKeyTable } from './tenant-key-table.js';
import { VaultRotation } from './vault-rotation.js';
import { VaultStore, type SubjectKeyRow, type TenantKeyRow } from './vault.store.js';

export type { KeyUse, SealAddress, SubjectKeyRow };

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

export interface VaultOptions {
  /** Subjects whose keys are held at once. */
  readonly maximumSubjects?: number;
  /** How many persons a tenant has at most, for the bits of its indexes; a change counts for index keys made after it. */
  readonly population?: number;
  /** Makes who wraps and unwraps subject keys, where this process must not, of what it needs: see `SubjectKeyProvider`. */
  readonly subjectKeys?: (wrapsOf: (tenant: string) => readonly TenantKeyRow[]) => SubjectKeyProvider;
}

/** Whose key the sealed tokens come from, and the digests of things that belong to no tenant. */
export const SYSTEM_TENANT = 'system';

const POPULATION = 1_000_000;
const SUBJECTS_HELD = 20_000;

/**
 * Keys and sealed values. The tree: root key (a provider's) → keys of a tenant, one for each purpose → subject key → group
 * key. Keys live here as KeyObjects only and leave never. Opening and sealing is synchronous; what they need is loaded
 * before, in one statement per list.
 */
export class Vault {
  /** For whoever rotates keys. */
  readonly rotation: VaultRotation;
  private readonly tenants: TenantKeyTable;
  private readonly subjects: SubjectKeyCache;
  private readonly provider: SubjectKeyProvider;
  private readonly bulk = new BulkOpening();
  private readonly refresh: KeyRefresh;

  constructor(root: RootKeyProvider, store: Pick<VaultStore, keyof VaultStore>, options: VaultOptions = {}) {
    this.tenants = new TenantKeyTable(root, store, {
      population: options.population ?? POPULATION,
      leaveSubjectWraps: options.subjectKeys !== undefined,
    });
    this.provider =
      options.subjectKeys?.((tenant) => this.tenants.subjectWraps(tenant)) ??
      new LocalSubjectKeys((tenant) => this.tenants.of(tenant).subjects);
    this.subjects = new SubjectKeyCache(this.provider, store, this.tenants, options.maximumSubjects ?? SUBJECTS_HELD);
    this.rotation = new VaultRotation(this.tenants, this.subjects, this.provider);
    this.refresh = new KeyRefresh({
      notices: () => store.notices(),
      reload: (tenant) => this.reloadKeys(tenant),
      forget: (tenant, subjectId) => this.forget(tenant, subjectId),
      forgetAll: () => this.subjects.forgetAll(),
    });
  }

  /** A loaded vault whose root key is the file `<keyDirectory>/root.key`. */
  static async withFileRoot(database: Database, keyDirectory: string, options: VaultOptions = {}): Promise<Vault> {
    const store = new VaultStore(database);
    const root = await FileRootKeyProvider.open(keyDirectory, (await store.tenantKeys()).length > 0);
    const vault = new Vault(root, store, options);
    await vault.load();
    return vault;
  }

  /** A loaded vault whose root key, and whose tenants' keys for subject keys, a key agent holds. */
  static async withAgent(database: Database, agent: AgentClient, options: VaultOptions = {}): Promise<Vault> {
    const root = new AgentRootKey(agent, await agent.rootId());
    const subjectKeys: VaultOptions['subjectKeys'] = (wrapsOf) => new AgentSubjectKeys(agent, wrapsOf);
    const vault = new Vault(root, new VaultStore(database), { ...options, subjectKeys });
    await vault.load();
    return vault;
  }

  /** Unwraps every tenant key, and makes the system's at the first start. Throws a Refusal on a wrong root key. */
  async load(): Promise<void> {
    await this.tenants.load();
    await this.tenants.create(SYSTEM_TENANT);
  }

  /** From now on this process hears of rotations and erasures by others within five seconds. */
  start(): void {
    this.refresh.start();
  }

  stop(): void {
    this.refresh.stop();
  }

  /** Makes the keys of a new tenant. Does nothing to a tenant that has them. */
  createTenantKey(tenant: string): Promise<void> {
    return this.tenants.create(tenant);
  }

  /** Takes a tenant's keys as they are stored now, and reads those of subjects again before they are used for other work. */
  async reloadKeys(tenant: string): Promise<void> {
    await this.tenants.reload(tenant);
    this.subjects.outdate();
  }

  /** A new subject's key, usable at once. The caller inserts the row in the statement that creates the subject. */
  createSubjectKey(tenant: string, subjectId: string, reference: string): Promise<SubjectKeyRow> {
    return this.subjects.create(tenant, subjectId, reference);
  }

  /**
   * Makes the keys of these subjects usable: one statement for those that are not cached. A subject without a key (there
   * is none, or it was destroyed) stays absent. A key that does not unwrap or is not the committed one: INTEGRITY_FAILED.
   */
  loadSubjectKeys(tenant: string, subjectIds: readonly string[], use: KeyUse): Promise<void> {
    return this.subjects.load(tenant, subjectIds, use);
  }

  /**
   * The same for rows as they were read: a key that is cached without the version that a value names is read again, for a
   * process that has not heard of a rotation.
   */
  loadSubjectKeysOf(
    tenant: string,
    rows: readonly { readonly subjectId: string; readonly keyIds: readonly number[] }[],
    use: KeyUse,
  ): Promise<void> {
    for (const { subjectId, keyIds } of rows) {
      if (keyIds.some((keyId) => this.subjects.lacks(tenant, subjectId, keyId))) this.forget(tenant, subjectId);
    }
    return this.subjects.load(tenant, [...new Set(rows.map((row) => row.subjectId))], use);
  }

  /** The version that a subject's values are sealed with now. The key must be loaded. */
  primaryVersion(tenant: string, subjectId: string): number {
    return this.subjects.of({ tenant, subjectId }).keyId;
  }

  hasSubjectKey(tenant: string, subjectId: string): boolean {
    return this.subjects.has(tenant, subjectId);
  }

  /** Drops a subject's key from this process: it was erased, or has another version. */
  forget(tenant: string, subjectId: string): void {
    this.subjects.forget(tenant, subjectId);
  }

  /** Seals the fields of one data group of one row. The subject's key must be loaded. */
  seal(address: SealAddress, group: DataGroup, values: Readonly<Record<string, unknown>>): Buffer {
    return this.subjects.of(address).seal(address, group, values);
  }

  /** Opens the groups of one row: the key is looked up once, when the first group is. */
  rowOpener(address: SealAddress): RowOpener {
    let key: ReturnType<SubjectKeyCache['of']> | null = null;
    return {
      open: (group, sealed) => (key ??= this.subjects.of(address)).open(address, group, sealed),
      remember: (slot, group, sealed, make) =>
        (key ??= this.subjects.of(address)).remember(slot, address, group, sealed, make),
    };
  }

  /** The fields that were sealed at this very place; any difference is INTEGRITY_FAILED and yields no value. */
  open(address: SealAddress, group: DataGroup, sealed: Buffer): Record<string, unknown> {
    return this.subjects.of(address).open(address, group, sealed);
  }

  /**
   * Opens many rows for one who goes through all of them, in a thread of its own where the wrapping keys are at hand: one
   * statement for their keys, which are not kept then. The result has the values of each row, in order; none where the
   * subject has no key any more.
   */
  async openRows(tenant: string, rows: readonly SealedRow[], use: KeyUse): Promise<Record<string, unknown>[]> {
    const sealed = rows.filter((row) => row.parts.length > 0);
    const subjects = [...new Set(sealed.map((row) => row.address.subjectId))];
    if (subjects.length === 0) return rows.map(() => ({}));
    const keys = await this.subjects.rows(tenant, subjects, use);
    const wraps = this.provider.wraps(tenant);
    if (wraps !== null) return this.bulk.open(wraps, keys, rows);
    await this.loadSubjectKeys(tenant, subjects, use);
    return rows.map(({ address, parts }) => this.openedParts(address, parts));
  }

  /** Equality index of a sealed field under the primary key: what is stored. The caller normalises. */
  blindIndex(tenant: string, attribute: string, normalised: string): Buffer {
    return this.tenants.of(tenant).indexes.primary.key.indexOf(attribute, normalised);
  }

  /** The index under every key that a stored one may have been made with: what is searched for. */
  blindIndexes(tenant: string, attribute: string, normalised: string): Buffer[] {
    return this.indexKeys(tenant).map((key) => key.indexOf(attribute, normalised));
  }

  /** The versions of the tenant's index key, the primary first. */
  indexKeys(tenant: string): readonly IndexKey[] {
    return this.tenants.of(tenant).indexes.readable.map((version) => version.key);
  }

  /** A 32-byte digest that only this installation can compute, and that tells nothing across tenants or labels. */
  keyedDigest(tenant: string, label: string, text: string): Buffer {
    return createHmac(INTERNATIONAL.hash, this.tenants.of(tenant).digest)
      .update(canonical([label]))
      .update(text)
      .digest();
  }

  /** The key of a sealed stream of the tenant (see sealed-stream.ts). `label` names the stream: each has its own key. */
  streamKey(tenant: string, label: string): KeyObject {
    return deriveKey(this.tenants.of(tenant).stream, 'stream', label);
  }

  /**
   * The key of a sealed stream of one subject, erased with the subject, and which version of the subject's key it grows
   * from: the one that is given, or the primary. The subject's key must be loaded.
   */
  subjectStreamKey(
    tenant: string,
    subjectId: string,
    label: string,
    keyId?: number,
  ): { readonly keyId: number; readonly key: KeyObject } {
    const set = this.subjects.of({ tenant, subjectId });
    return { keyId: keyId ?? set.keyId, key: set.streamKey(label, keyId) };
  }

  /**
   * Seals the details of a record of the ledger: under the key of the subject, which must be loaded, or of the tenant where
   * `subjectId` is null. Opens for the same place alone.
   */
  sealDetail(tenant: string, subjectId: string | null, place: readonly string[], text: string): Buffer {
    const [key] = this.detailKeys(tenant, subjectId, place);
    return sealDetailText(key as KeyObject, place, text);
  }

  /** The text of sealed details, or null for anything that was not sealed for this place. */
  openDetail(tenant: string, subjectId: string | null, place: readonly string[], ciphertext: Buffer): string | null {
    for (const key of this.detailKeys(tenant, subjectId, place)) {
      const text = openDetailText(key, place, ciphertext);
      if (text !== null) return text;
    }
    return null;
  }

  /** An opaque base64url token with `payload` inside, valid for this label and context only. */
  sealToken(label: string, context: string, payload: string): string {
    return this.tenants.of(SYSTEM_TENANT).tokens.seal(label, context, payload);
  }

  /** The payload, or null for everything that is not a token of this label and context. */
  openToken(label: string, context: string, token: string): string | null {
    return this.tenants.of(SYSTEM_TENANT).tokens.open(label, context, token);
  }

  private detailKeys(tenant: string, subjectId: string | null, place: readonly string[]): readonly KeyObject[] {
    if (subjectId !== null) return this.subjects.of({ tenant, subjectId }).ledgerKeys();
    return [tenantDetailKey(this.tenants.of(tenant).detail, place)];
  }

  private openedParts(address: SealAddress, parts: SealedRow['parts']): Record<string, unknown> {
    const opened: Record<string, unknown> = {};
    if (!this.hasSubjectKey(address.tenant, address.subjectId)) return opened;
    for (const { group, sealed } of parts) Object.assign(opened, this.open(address, group, sealed));
    return opened;
  }
}
