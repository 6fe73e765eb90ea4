import { timingSafeEqual, type KeyObject } from 'node:crypto';
import type { DataGroup } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { canonical, expandBytes, expandKey, extractKey, KEY_BYTES } from './derivation.js';
import { openBytes, sealBytes } from './sealed-value.js';
import type { SubjectKeyRow } from './vault.store.js';

/** Where a sealed value belongs. It opens nowhere else. */
export interface SealAddress {
  readonly tenant: string;
  readonly type: string;
  readonly rowId: string;
  /**
   * The version of the row, 0 where it has none: the values of a row are sealed again whenever it moves, so that one that
   * was put back from before does not open.
   */
  readonly version: number;
  /** Whose row it is: the patient's id. */
  readonly subjectId: string;
}

/** Version of what a group's JSON and its place mean. Part of the group key and of every place. */
const SCHEMA_VERSION = 2;

const MOST_REMEMBERED = 8;

interface GroupKey {
  readonly key: KeyObject;
  /** The tail of the place: subject, group, schema version, key id. */
  readonly tail: string;
}

/** Shared by all openings, which are synchronous: filled and consumed before anybody else can run. */
const place = Buffer.allocUnsafe(512);

/**
 * One version of the key of one subject with its group keys, derived (HKDF) when first needed. Never holds raw key bytes.
 */
export class SubjectKey {
  private readonly groups: Partial<Record<DataGroup, GroupKey>> = {};
  private detailKey: KeyObject | null = null;
  private readonly head: string;
  private readonly remembered = new Map<object, { address: SealAddress; sealed: Buffer; result: unknown }>();

  constructor(
    tenant: string,
    private readonly subjectId: string,
    readonly keyId: number,
    /** From {@link extractKey}. */
    private readonly key: KeyObject,
  ) {
    this.head = part(tenant);
  }

  /** The key of a stored row from its unwrapped bytes. INTEGRITY_FAILED when it is not the one that was committed to. */
  static of(row: SubjectKeyRow, raw: Buffer | null): SubjectKey {
    if (raw === null || raw.length !== KEY_BYTES) throw subjectKeyChanged();
    const key = extractKey(raw);
    const commitment = commitmentOf(key, row.keyId);
    if (row.commitment.length !== commitment.length || !timingSafeEqual(commitment, row.commitment)) {
      throw subjectKeyChanged();
    }
    return new SubjectKey(row.tenantId, row.subjectId, row.keyId, key);
  }

  seal(address: SealAddress, group: DataGroup, values: Readonly<Record<string, unknown>>): Buffer {
    const { key, tail } = this.groups[group] ?? this.derive(group);
    return sealBytes(key, this.keyId, this.placeOf(address, tail), JSON.stringify(values));
  }

  open(address: SealAddress, group: DataGroup, sealed: Buffer): Record<string, unknown> {
    return JSON.parse(this.openText(address, group, sealed)) as Record<string, unknown>;
  }

  /** The values of a group as the JSON text that was sealed. */
  openText(address: SealAddress, group: DataGroup, sealed: Buffer): string {
    const { key, tail } = this.groups[group] ?? this.derive(group);
    const plain = openBytes(key, this.keyId, this.placeOf(address, tail), sealed);
    if (plain === null) throw sealedValueChanged(address, group);
    return plain.toString('utf8');
  }

  /**
   * What `make` made of this very sealed value the last time, else made now. For results that hold no clear value: they
   * stay in memory as long as the key. Bytes that differ from those that were opened, or stand elsewhere, are opened again,
   * and so checked.
   */
  remember<Result>(
    slot: object,
    address: SealAddress,
    group: DataGroup,
    sealed: Buffer,
    make: (opened: Record<string, unknown>) => Result,
  ): Result {
    const known = this.remembered.get(slot);
    if (known !== undefined && sameRow(known.address, address) && known.sealed.equals(sealed))
      return known.result as Result;
    const result = make(this.open(address, group, sealed));
    if (this.remembered.size >= MOST_REMEMBERED) this.remembered.clear();
    this.remembered.set(slot, { address, sealed, result });
    return result;
  }

  /** The key of one sealed stream (see sealed-stream.ts): it is gone when this key is. */
  streamKey(label: string): KeyObject {
    return expandKey(this.key, 'stream', label, String(this.keyId));
  }

  /** The key of the sealed details of the ledger's records about this subject alone: it is gone when this key is. */
  ledgerKey(): KeyObject {
    return (this.detailKey ??= expandKey(this.key, 'detail', String(this.keyId)));
  }

  private derive(group: DataGroup): GroupKey {
    const derived: GroupKey = {
      key: expandKey(this.key, 'group', group, String(SCHEMA_VERSION)),
      tail: part(this.subjectId) + part(group) + part(String(SCHEMA_VERSION)) + part(String(this.keyId)),
    };
    this.groups[group] = derived;
    return derived;
  }

  /**
   * The canonical form (see `canonical`) of tenant, type, row, its version, subject, group, schema version and key id, in one
   * write. All parts are ASCII (codes, GraphQL names, UUIDs), so characters are bytes; anything else, or longer than the
   * buffer, would make two places look alike and is refused.
   */
  private placeOf(address: SealAddress, tail: string): Buffer {
    const text = this.head + part(address.type) + part(address.rowId) + part(String(address.version)) + tail;
    if (place.write(text) !== text.length) {
      throw new Failure('INTERNAL_SERVER_ERROR', 'A sealed value has no valid place.', 'Use ids made by this system.');
    }
    return place.subarray(0, text.length);
  }
}

function sameRow(one: SealAddress, other: SealAddress): boolean {
  return one.rowId === other.rowId && one.version === other.version && one.type === other.type;
}

/** What a wrapped key is, and whose. It unwraps under no other description. */
export interface SubjectKeyPlace {
  /** `subject key`, or `detail key`: what is left of a destroyed one, for the ledger's details. */
  readonly kind: 'subject key' | 'detail key';
  readonly tenant: string;
  readonly subjectId: string;
  readonly reference: string;
  readonly keyId: number;
}

/** What binds a wrapped key to its place. */
export function wrappingPlace({ kind, tenant, subjectId, reference, keyId }: SubjectKeyPlace): Buffer {
  return canonical([kind, tenant, subjectId, reference, String(keyId)]);
}

/** What tells whether an unwrapped key is the one that was made: GCM alone does not commit to its key. */
export function commitmentOf(extracted: KeyObject, keyId: number): Buffer {
  return expandBytes(extracted, 'commitment', String(keyId));
}

export function subjectKeyChanged(): Failure {
  return new Failure(
    'INTEGRITY_FAILED',
    'The key of a subject was changed in the database.',
    'Tell the security team: the table of subject keys must be restored.',
  );
}

export function sealedValueChanged({ type }: Pick<SealAddress, 'type'>, group: DataGroup): Failure {
  return new Failure(
    'INTEGRITY_FAILED',
    `A sealed value of ${type} (${group}) is not the one that was written.`,
    'Tell the security team: the row must be restored.',
  );
}

function part(text: string): string {
  return `${text.length}:${text}`;
}
