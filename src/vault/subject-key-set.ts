import type { KeyObject } from 'node:crypto';
import type { DataGroup } from '../kernel/attribute.js';
import { intoKey } from './derivation.js';
import { keyIdOf } from './sealed-value.js';
import { sealedValueChanged, subjectKeyChanged, SubjectKey, type SealAddress } from './subject-key.js';
import type { SubjectKeyRow } from './vault.store.js';

/** A stored row with the bytes that it unwraps to; null where it holds none, or they did not unwrap. */
export interface UnwrappedRow {
  readonly row: SubjectKeyRow;
  readonly raw: Buffer | null;
  readonly detail: Buffer | null;
}

/** All living versions of the key of one subject: new values are sealed with the primary, old ones open with their own. */
export class SubjectKeySet {
  constructor(
    private readonly primary: SubjectKey,
    private readonly others: ReadonlyMap<number, SubjectKey> = new Map(),
    /** Keys of details whose version was destroyed. */
    private readonly inherited: readonly KeyObject[] = [],
  ) {}

  /** Of one subject's rows. INTEGRITY_FAILED for one that did not unwrap, or where no version is the primary. */
  static of(rows: readonly UnwrappedRow[]): SubjectKeySet {
    let primary: SubjectKey | null = null;
    const others = new Map<number, SubjectKey>();
    const inherited: KeyObject[] = [];
    for (const { row, raw, detail } of rows) {
      if (row.detail !== null) {
        if (detail === null) throw subjectKeyChanged();
        inherited.push(intoKey(detail));
      }
      if (row.state === 'destroyed') continue;
      const key = SubjectKey.of(row, raw);
      if (row.state === 'primary') primary = key;
      else others.set(row.keyId, key);
    }
    if (primary === null) throw subjectKeyChanged();
    return new SubjectKeySet(primary, others, inherited);
  }

  /** The version that new values are sealed with. */
  get keyId(): number {
    return this.primary.keyId;
  }

  has(keyId: number): boolean {
    return this.version(keyId) !== undefined;
  }

  seal(address: SealAddress, group: DataGroup, values: Readonly<Record<string, unknown>>): Buffer {
    return this.primary.seal(address, group, values);
  }

  open(address: SealAddress, group: DataGroup, sealed: Buffer): Record<string, unknown> {
    return this.sealerOf(address, group, sealed).open(address, group, sealed);
  }

  remember<Result>(
    slot: object,
    address: SealAddress,
    group: DataGroup,
    sealed: Buffer,
    make: (opened: Record<string, unknown>) => Result,
  ): Result {
    return this.sealerOf(address, group, sealed).remember(slot, address, group, sealed, make);
  }

  /** The key of a sealed stream, of the primary or of the version that sealed it. INTEGRITY_FAILED where that is gone. */
  streamKey(label: string, keyId: number = this.primary.keyId): KeyObject {
    const key = this.version(keyId);
    if (key === undefined) throw subjectKeyChanged();
    return key.streamKey(label);
  }

  /** Keys of the ledger's details: the one that new details are sealed with comes first. */
  ledgerKeys(): readonly KeyObject[] {
    return [this.primary.ledgerKey(), ...[...this.others.values()].map((key) => key.ledgerKey()), ...this.inherited];
  }

  private sealerOf(address: SealAddress, group: DataGroup, sealed: Buffer): SubjectKey {
    const key = this.version(keyIdOf(sealed));
    if (key === undefined) throw sealedValueChanged(address, group);
    return key;
  }

  private version(keyId: number): SubjectKey | undefined {
    return keyId === this.primary.keyId ? this.primary : this.others.get(keyId);
  }
}
