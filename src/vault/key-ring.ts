import { Failure } from '../kernel/failure.js';

/**
 * The life of a key. `pending`: every process has it before it is used. `primary`: what is sealed now is sealed with it.
 * `decrypt-only`: what was sealed with it still opens. `destroyed`: its bytes are gone.
 */
export const KEY_STATES = ['pending', 'primary', 'decrypt-only', 'destroyed'] as const;
export type KeyState = (typeof KEY_STATES)[number];

/** One version of a key. Ids count from 1 and are never used again. */
export interface KeyVersion<Key> {
  readonly keyId: number;
  readonly state: KeyState;
  readonly key: Key;
}

/** The versions of one key that are not destroyed. Immutable: a change is another ring. */
export class KeyRing<Key> {
  private readonly versions: ReadonlyMap<number, KeyVersion<Key>>;

  constructor(
    /** Names the ring in errors, such as `index key of T-CN`. */
    private readonly name: string,
    versions: readonly KeyVersion<Key>[],
  ) {
    this.versions = new Map(versions.map((version) => [version.keyId, version]));
  }

  /** The version that new values are made with. INTERNAL_SERVER_ERROR where there is none. */
  get primary(): KeyVersion<Key> {
    for (const version of this.versions.values()) if (version.state === 'primary') return version;
    throw new Failure('INTERNAL_SERVER_ERROR', `There is no primary ${this.name}.`, 'See npm run keys -- status.');
  }

  /**
   * Every version that a stored value may have been made with, the primary first: the one that it most likely was. A pending
   * one is among them: another process may have heard earlier that it is the primary.
   */
  get readable(): readonly KeyVersion<Key>[] {
    return [...this.versions.values()].sort(
      (one, other) => Number(other.state === 'primary') - Number(one.state === 'primary'),
    );
  }

  get all(): readonly KeyVersion<Key>[] {
    return [...this.versions.values()];
  }

  /** The version with this id in any state, or undefined: it was destroyed, or this process has not heard of it. */
  get(keyId: number): KeyVersion<Key> | undefined {
    return this.versions.get(keyId);
  }
}
