import { Failure } from '../kernel/failure.js';
import type { BlobStore } from '../persistence/blob-store.js';
import { openFrames, sealFrames } from '../vault/sealed-stream.js';
import type { KeyUse, Vault } from '../vault/vault.js';

const HEAD_BYTES = 4;

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
  async keep(place: ContentPlace, source: AsyncIterable<Uint8Array>, use: KeyUse): Promise<void> {
    await this.load(place, use);
    const { keyId, key } = this.vault.subjectStreamKey(place.tenant, place.subjectId, place.row);
    await this.blobs.put(place.name, headed(keyId, sealFrames(key, contextOf(place), source)));
  }

  /** The bytes, each checked before it is given out. Throws INTEGRITY_FAILED where the stored ones are not those that were kept. */
  async *open(place: ContentPlace, use: KeyUse): AsyncGenerator<Buffer> {
    await this.load(place, use);
    const { keyId, frames } = await withoutHead(this.blobs.get(place.name));
    await this.vault.loadSubjectKeysOf(place.tenant, [{ subjectId: place.subjectId, keyIds: [keyId] }], use);
    const { key } = this.vault.subjectStreamKey(place.tenant, place.subjectId, place.row, keyId);
    yield* openFrames(key, contextOf(place), frames);
  }

  /** The version of the subject's key that the stored bytes name; null where there are none. */
  async keyIdOf(place: Pick<ContentPlace, 'name'>): Promise<number | null> {
    const pieces = this.blobs.get(place.name)[Symbol.asyncIterator]();
    try {
      const { keyId } = await withoutHead({ [Symbol.asyncIterator]: () => pieces });
      return keyId;
    } catch (error) {
      if (error instanceof Failure) return null;
      throw error;
    } finally {
      await pieces.return?.();
    }
  }

  async discard(place: Pick<ContentPlace, 'name'>): Promise<void> {
    await this.blobs.delete(place.name);
  }

  private async load({ tenant, subjectId }: ContentPlace, use: KeyUse): Promise<void> {
    await this.vault.loadSubjectKeys(tenant, [subjectId], use);
    if (this.vault.hasSubjectKey(tenant, subjectId)) return;
    throw new Failure('GONE', 'The content was erased.', 'It cannot be restored.');
  }
}

/** What is stored: which version of the subject's key it is sealed with (4 bytes, big-endian), then the frames. */
async function* headed(keyId: number, frames: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(keyId);
  yield head;
  yield* frames;
}

async function withoutHead(
  stored: AsyncIterable<Uint8Array>,
): Promise<{ readonly keyId: number; readonly frames: AsyncIterable<Uint8Array> }> {
  const pieces = stored[Symbol.asyncIterator]();
  let bytes = Buffer.alloc(0);
  while (bytes.length < HEAD_BYTES) {
    const { done, value } = await pieces.next();
    if (done === true) break;
    bytes = Buffer.concat([bytes, value]);
  }
  return {
    keyId: bytes.length < HEAD_BYTES ? 0 : bytes.readUInt32BE(),
    frames: after(bytes.subarray(HEAD_BYTES), pieces),
  };
}

async function* after(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

function contextOf({ tenant, subjectId, row, name }: ContentPlace): string {
  return JSON.stringify([tenant, subjectId, row, name]);
}
