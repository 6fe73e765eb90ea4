import type { KeyObject } from 'node:crypto';
import type { KeyRing } from './key-ring.js';
import { openBytes, sealBytes } from './sealed-value.js';
import { wrappingPlace, type SubjectKeyPlace } from './subject-key.js';

/** Work for which keys are unwrapped: a document, or a run of a job. */
export interface KeyUse {
  /** Names the work, in the ledger and to whoever unwraps. */
  readonly id: string;
  /** Hears whose keys were unwrapped for it, by their names in the ledger, before a value is opened with one. */
  used(references: readonly string[]): void;
}

/** A wrapped key and what it must turn out to be. */
export interface WrappedSubjectKey {
  readonly place: SubjectKeyPlace;
  readonly wrapKeyId: number;
  readonly wrapped: Buffer;
}

/** The keys of one tenant under which subject keys are wrapped. */
export type SubjectWraps = ReadonlyMap<number, KeyObject>;

/** Who wraps and unwraps the keys of subjects: this process, or another one that keeps the tenants' keys to itself. */
export interface SubjectKeyProvider {
  wrap(place: SubjectKeyPlace, raw: Buffer): Promise<Omit<WrappedSubjectKey, 'place'>>;
  /** The bytes of each, in order; null for one that is not what it is said to be. */
  unwrap(tenant: string, asked: readonly WrappedSubjectKey[], use: KeyUse): Promise<readonly (Buffer | null)[]>;
  /** The wrapping keys themselves, for another thread of this process; null where they are not at hand. */
  wraps(tenant: string): SubjectWraps | null;
}

/** Wraps and unwraps with the tenants' keys in the memory of this process. */
export class LocalSubjectKeys implements SubjectKeyProvider {
  constructor(private readonly ringOf: (tenant: string) => KeyRing<KeyObject>) {}

  wrap(place: SubjectKeyPlace, raw: Buffer): Promise<Omit<WrappedSubjectKey, 'place'>> {
    const { keyId, key } = this.ringOf(place.tenant).primary;
    return Promise.resolve({ wrapKeyId: keyId, wrapped: sealBytes(key, keyId, wrappingPlace(place), raw) });
  }

  unwrap(tenant: string, asked: readonly WrappedSubjectKey[]): Promise<readonly (Buffer | null)[]> {
    const wraps = this.wraps(tenant);
    return Promise.resolve(asked.map((one) => unwrapWith(wraps, one)));
  }

  wraps(tenant: string): SubjectWraps {
    return new Map(this.ringOf(tenant).all.map(({ keyId, key }) => [keyId, key]));
  }
}

export function unwrapWith(wraps: SubjectWraps, { place, wrapKeyId, wrapped }: WrappedSubjectKey): Buffer | null {
  const key = wraps.get(wrapKeyId);
  return key === undefined ? null : openBytes(key, wrapKeyId, wrappingPlace(place), wrapped);
}
