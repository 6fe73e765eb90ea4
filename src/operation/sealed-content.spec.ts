import { describe, expect, it } from '@jest/globals';
import { createSecretKey, randomBytes } from 'node:crypto';
import { TEST_USE } from '../../test/support/memory-vault.js';
import { newReference } from '../kernel/identifier.js';
import type { BlobStore } from '../persistence/blob-store.js';
import type { Vault } from '../vault/vault.js';
import { SealedContents, type ContentPlace } from './sealed-content.js';

/** Blobs in memory; `beforeEach` is called for every piece that a put takes. */
class MemoryBlobs implements BlobStore {
  readonly blobs = new Map<string, Uint8Array[]>();
  taken = 0;
  constructor(private readonly beforeEach: () => Promise<void> = () => Promise.resolve()) {}

  async put(name: string, source: AsyncIterable<Uint8Array>): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of source) {
      await this.beforeEach();
      pieces.push(piece);
      this.taken += piece.length;
    }
    this.blobs.set(name, pieces);
  }
  async *get(name: string): AsyncGenerator<Uint8Array> {
    for (const piece of this.blobs.get(name) ?? []) yield await Promise.resolve(piece);
  }
  delete(name: string): Promise<void> {
    this.blobs.delete(name);
    return Promise.resolve();
  }
}

/** The keys of a vault: one for every tenant, subject and label; none of a subject that was erased. */
function keys(): Vault & { erase(subjectId: string): void } {
  const erased = new Set<string>();
  const known = new Map<string, ReturnType<typeof createSecretKey>>();
  const vault = {
    loadSubjectKeys: () => Promise.resolve(),
    loadSubjectKeysOf: () => Promise.resolve(),
    hasSubjectKey: (_tenant: string, subjectId: string) => !erased.has(subjectId),
    subjectStreamKey: (tenant: string, subjectId: string, label: string) => {
      const name = [tenant, subjectId, label].join(' ');
      const key = known.get(name) ?? createSecretKey(randomBytes(32));
      known.set(name, key);
      return { keyId: 1, key };
    },
    erase: (subjectId: string) => erased.add(subjectId),
  };
  return vault as unknown as Vault & { erase(subjectId: string): void };
}

const place = (): ContentPlace => ({ tenant: 'T-CN', subjectId: 'p1', row: 'attachment a1', name: newReference() });

async function* pieces(bytes: Buffer, size: number, asked?: (at: number) => void): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    asked?.(at);
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

async function read(contents: SealedContents, from: ContentPlace): Promise<Buffer> {
  const found: Buffer[] = [];
  for await (const bytes of contents.open(from, TEST_USE)) found.push(bytes);
  return Buffer.concat(found);
}

describe('SealedContents', () => {
  it('gives back what was kept, at its place and nowhere else', async () => {
    const blobs = new MemoryBlobs();
    const contents = new SealedContents(keys(), blobs, 1_000);
    const bytes = randomBytes(300_000);
    const at = place();
    await contents.keep(at, pieces(bytes, 10_000), TEST_USE);
    expect((await read(contents, at)).equals(bytes)).toBe(true);
    const stored = blobs.blobs.get(at.name) ?? [];
    expect(Buffer.concat(stored).includes(bytes.subarray(0, 32))).toBe(false);
    const elsewhere: ContentPlace[] = [
      { ...at, tenant: 'T-US' },
      { ...at, subjectId: 'p2' },
      { ...at, row: 'attachment a2' },
      { ...at, name: newReference() },
    ];
    for (const other of elsewhere) {
      blobs.blobs.set(other.name, stored);
      await expect(read(contents, other)).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
    }
  });

  it('reads its source no faster than the store takes it', async () => {
    let most = 0;
    const blobs = new MemoryBlobs(() => new Promise((resolve) => setImmediate(resolve)));
    const contents = new SealedContents(keys(), blobs, 1_000);
    const source = pieces(randomBytes(3_000_000), 5_000, (at) => (most = Math.max(most, at - blobs.taken)));
    await contents.keep(place(), source, TEST_USE);
    expect(most).toBeLessThan(200_000);
  });

  it('opens nothing of a subject whose key is gone', async () => {
    const vault = keys();
    const contents = new SealedContents(vault, new MemoryBlobs(), 1_000);
    const at = place();
    await contents.keep(at, pieces(Buffer.from('x'), 1), TEST_USE);
    vault.erase('p1');
    await expect(read(contents, at)).rejects.toMatchObject({ code: 'GONE' });
    await expect(contents.keep(place(), pieces(Buffer.from('x'), 1), TEST_USE)).rejects.toMatchObject({ code: 'GONE' });
  });
});
