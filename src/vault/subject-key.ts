import { timingSafeEqual, type KeyObject } from 'node:crypto';
import type { DataGroup } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { canonical, expandBytes, expandKey, extractKey, KEY_BYTES } from './derivation.js';
import { openBytes, sealBytes } from './sealed-value.js';
import type { SubjectKeyRow } from './vault.store.js';

/** Where a sealed value belongs. It opens nowhere else. `subjectId` is the patient's id. */
export interface SealAddress {
  readonly tenant: string;
  readonly type: string;
  readonly rowId: string;
  readonly subjectId: string;
}

/** The key under which the subject keys of a tenant are wrapped. */
export interface SubjectWrap {
  readonly tenant: string;
  readonly keyId: number;
  readonly key: KeyObject;
}

/** Version of what a group's JSON means. Part of the group key and of every place. */
const SCHEMA_VERSION = 1;

const MOST_REMEMBERED = 8;

interface GroupKey {
  readonly key: KeyObject;
  /** The tail of the place: subject, group, schema version, key id. */
  readonly tail: string;
}

/** Shared by all openings, which are synchronous: filled and consumed before anybody else can run. */
const place = Buffer.allocUnsafe(512);

/** The key of one subject with its group keys, derived (HKDF-SHA-256) when first needed. Never holds raw key bytes. */
export class SubjectKey {
  private readonly groups: Partial<Record<DataGroup, GroupKey>> = {};
  private detailKey: KeyObject | null = null;
  private readonly head: string;
  private readonly remembered = new Map<object, { rowId: string; sealed: Buffer; result: unknown }>();

  constructor(
    tenant: string,
    private readonly subjectId: string,
    private readonly keyId: number,
    /** From {@link extractKey}. */
    private readonly key: KeyObject,
  ) {
    this.head = part(tenant);
  }

  /** The key of a stored row. INTEGRITY_FAILED when it does not unwrap or is not the one that was committed to. */
  static unwrap(wrap: SubjectWrap, row: SubjectKeyRow): SubjectKey {
    const raw = openBytes(wrap.key, wrap.keyId, subjectKeyPlace(wrap.tenant, row.subjectId, row.keyId), row.wrapped);
    if (raw === null || raw.length !== KEY_BYTES) throw subjectKeyChanged();
    const key = extractKey(raw);
    const commitment = commitmentOf(key, row.keyId);
    if (row.commitment.length !== commitment.length || !timingSafeEqual(commitment, row.commitment)) {
      throw subjectKeyChanged();
    }
    return new SubjectKey(wrap.tenant, row.subjectId, row.keyId, key);
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
    if (plain === null) {
      throw new Failure(
        'INTEGRITY_FAILED',
        `A sealed value of ${address.type} (${group}) is not the one that was written.`,
        'Tell the security team: the row must be restored.',
      );
    }
    return plain.toString('utf8');
  }

  /**
   * What `make` made of this very sealed value the last time, else made now. For results that hold no clear value: they
   * stay in memory as long as the key. Bytes that differ from those that were opened are opened again, and so checked.
   */
  remember<Result>(
    slot: object,
    address: SealAddress,
    group: DataGroup,
    sealed: Buffer,
    make: (opened: Record<string, unknown>) => Result,
  ): Result {
    const known = this.remembered.get(slot);
    if (known !== undefined && known.rowId === address.rowId && known.sealed.equals(sealed))
      return known.result as Result;
    const result = make(this.open(address, group, sealed));
    if (this.remembered.size >= MOST_REMEMBERED) this.remembered.clear();
    this.remembered.set(slot, { rowId: address.rowId, sealed, result });
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
   * The canonical form (see `canonical`) of tenant, type, row, subject, group, schema version and key id, in one write.
   * All parts are ASCII (codes, GraphQL names, UUIDs), so characters are bytes; anything else, or longer than the buffer,
   * would make two places look alike and is refused.
   */
  private placeOf(address: SealAddress, tail: string): Buffer {
    const text = this.head + part(address.type) + part(address.rowId) + tail;
    if (place.write(text) !== text.length) {
      throw new Failure('INTERNAL_SERVER_ERROR', 'A sealed value has no valid place.', 'Use ids made by this system.');
    }
    return place.subarray(0, text.length);
  }
}

/** What binds a wrapped key to its place. */
export function subjectKeyPlace(tenant: string, subjectId: string, keyId: number): Buffer {
  return canonical(['subject key', tenant, subjectId, String(keyId)]);
}

/** What tells whether an unwrapped key is the one that was made: GCM alone does not commit to its key. */
export function commitmentOf(extracted: KeyObject, keyId: number): Buffer {
  return expandBytes(extracted, 'commitment', String(keyId));
}

function subjectKeyChanged(): Failure {
  return new Failure(
    'INTEGRITY_FAILED',
    'The key of a subject was changed in the database.',
    'Tell the security team: the table of subject keys must be restored.',
  );
}

function part(text: string): string {
  return `${text.length}:${text}`;
}
