import { Failure } from '../kernel/failure.js';
import type { BlobStore } from '../persistence/blob-store.js';
import { openFrames, sealFrames } from '../vault/sealed-stream.js';
import type { Vault } from '../vault/vault.js';

/** Where the content of a row belongs. It opens nowhere else. */
export interface ContentPlace {
  readonly tenant: string;
  /** Whose content it is (a patient's id): erasing the subject's key erases the content. */
  readonly subjectId: string;
  /** Type and id of the row. */
  readonly row: string;
  /** Name of the blob, new for every attempt to write one: what was sealed in two attempts never fits together. */
  readonly name: string;
}

/**
 * Contents of rows that are too large for a row: sealed under a key of their own that grows from the subject's, and kept in
 * the blob store. Bytes pass through in frames: memory does not depend on the size of a content.
 */
export class SealedContents {
  constructor(
    private readonly vault: Vault,
    private readonly blobs: BlobStore,
    /** Most bytes of one content that is taken. */
    readonly largest: number,
  ) {}

  /** Seals the source and stores it, whole or not at all. Reads it as fast as the store takes it. */
  async keep(place: ContentPlace, source: AsyncIterable<Uint8Array>): Promise<void> {
    await this.blobs.put(place.name, sealFrames(await this.key(place), contextOf(place), source));
  }

  /** The bytes, each checked before it is given out. Throws INTEGRITY_FAILED where the stored ones are not those that were kept. */
  async *open(place: ContentPlace): AsyncGenerator<Buffer> {
    yield* openFrames(await this.key(place), contextOf(place), this.blobs.get(place.name));
  }

  async discard(place: ContentPlace): Promise<void> {
    await this.blobs.delete(place.name);
  }

  private async key({ tenant, subjectId, row }: ContentPlace) {
    await this.vault.loadSubjectKeys(tenant, [subjectId]);
    if (this.vault.hasSubjectKey(tenant, subjectId)) return this.vault.subjectStreamKey(tenant, subjectId, row);
    throw new Failure('GONE', 'The content was erased.', 'It cannot be restored.');
  }
}

function contextOf({ tenant, subjectId, row, name }: ContentPlace): string {
  return JSON.stringify([tenant, subjectId, row, name]);
}
