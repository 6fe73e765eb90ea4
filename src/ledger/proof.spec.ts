import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as naive from '../../audit/merkle.mjs';
import { TILE_WIDTH, tilePath, tilesOf } from '../../audit/tiles.mjs';
import { consistencyProof, type HashTiles, inclusionProof, rootAt } from './proof.js';

const LARGEST = 600;
const leaves = Array.from({ length: 70_000 }, (_, index) => naive.leafHash(Buffer.from(`entry ${index}`)));

/** The tiles of a log with all these leaves, as a store of full tiles gives them out; counts what is read. */
class Tiles implements HashTiles {
  readonly read: string[] = [];
  private readonly files: Map<string, Uint8Array>;

  constructor(count: number) {
    this.files = tilesOf(leaves.slice(0, count));
  }

  hashes(_: string, level: number, index: number, width: number): Promise<Buffer[]> {
    this.read.push(`${level} ${index}`);
    const [, file] =
      [...this.files].find(
        ([path]) => path === tilePath(level, index) || path.startsWith(`${tilePath(level, index)}.p/`),
      ) ?? [];
    const bytes = Buffer.from(file ?? []);
    const hashes = Array.from({ length: bytes.length / 32 }, (__, at) => bytes.subarray(at * 32, (at + 1) * 32));
    return Promise.resolve(hashes.slice(0, width));
  }
}

function rootOf(size: number): Uint8Array {
  const range = new naive.CompactRange();
  for (const leaf of leaves.slice(0, size)) range.append(leaf);
  return range.root();
}

const hex = (hashes: readonly Uint8Array[]) => hashes.map((hash) => Buffer.from(hash).toString('hex'));

describe('proofs from tiles', () => {
  const tiles = new Tiles(LARGEST);
  const sizes = Array.from({ length: LARGEST }, (_, at) => at + 1);

  it('lead from every size to its root, and from its first, last and middle entries', async () => {
    for (const size of sizes) {
      const root = await rootAt(tiles, 'T', size);
      expect(root.equals(rootOf(size))).toBe(true);
      for (const index of new Set([0, size >> 1, size - 1])) {
        const proof = await inclusionProof(tiles, 'T', index, size);
        naive.verifyInclusion({ index, size, leafHash: leaves[index] as Buffer, proof, root });
      }
    }
    expect((await rootAt(tiles, 'T', 0)).equals(naive.EMPTY_ROOT)).toBe(true);
  });

  it('are those of the naive tree for any index and sizes', async () => {
    const pair = fc.integer({ min: 1, max: LARGEST }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)));
    await fc.assert(
      fc.asyncProperty(pair, async ([size, index]) => {
        expect(hex(await inclusionProof(tiles, 'T', index, size))).toEqual(
          hex(naive.inclusionProof(leaves, index, size)),
        );
        const from = index + 1;
        const proof = await consistencyProof(tiles, 'T', from, size);
        expect(hex(proof)).toEqual(hex(naive.consistencyProof(leaves, from, size)));
        naive.verifyConsistency({ from, to: size, fromRoot: rootOf(from), toRoot: rootOf(size), proof });
      }),
      { numRuns: 150 },
    );
  });

  it('read two tiles a level at most, also where the tree has three levels of tiles', async () => {
    const size = 70_000;
    const root = Buffer.from(rootOf(size));
    for (const index of [0, 255, 256, 65_535, 65_536, 69_888, 69_999]) {
      const large = new Tiles(size);
      const proof = await inclusionProof(large, 'T', index, size);
      naive.verifyInclusion({ index, size, leafHash: leaves[index] as Buffer, proof, root });
      expect(large.read.length).toBeLessThanOrEqual(6);
      expect(new Set(large.read).size).toBe(large.read.length);
    }
    const from = 65_800;
    const proof = await consistencyProof(new Tiles(size), 'T', from, size);
    naive.verifyConsistency({ from, to: size, fromRoot: rootOf(from), toRoot: root, proof });
  });

  it('are refused outside of the tree, and where a hash is missing', async () => {
    for (const [index, size] of [
      [5, 5],
      [-1, 5],
      [0, 0],
      [0.5, 5],
      [Number.NaN, 5],
    ] as const) {
      await expect(inclusionProof(tiles, 'T', index, size)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    for (const [from, to] of [
      [0, 5],
      [6, 5],
      [1.5, 5],
    ] as const) {
      await expect(consistencyProof(tiles, 'T', from, to)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    }
    await expect(inclusionProof(new Tiles(100), 'T', 3, 101)).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
    const half: HashTiles = { hashes: () => Promise.resolve([]) };
    await expect(consistencyProof(half, 'T', 1, TILE_WIDTH)).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
  });
});
