import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CompactRange, leafHash } from './merkle.mjs';
import { entriesPath, tilePath, tilesOf, TileWriter } from './tiles.mjs';

const leaves = Array.from({ length: 256 * 256 + 600 }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));

function rootOf(hashes: readonly Buffer[]): Buffer {
  const range = new CompactRange();
  for (const hash of hashes) range.append(hash);
  return range.root();
}

describe('paths', () => {
  it.each([
    [tilePath(0, 0), 'tile/0/000'],
    [tilePath(2, 999), 'tile/2/999'],
    [tilePath(1, 1000), 'tile/1/x001/000'],
    [tilePath(63, 1_234_067), 'tile/63/x001/x234/067'],
    [tilePath(0, 5, 256), 'tile/0/005'],
    [tilePath(0, 1_234_067, 112), 'tile/0/x001/x234/067.p/112'],
    [entriesPath(0, 1), 'tile/entries/000.p/1'],
    [entriesPath(1_000_000), 'tile/entries/x001/x000/000'],
  ])('%s is %s', (path, expected) => {
    expect(path).toBe(expected);
  });

  it.each([
    ['a width of 0', () => tilePath(0, 0, 0)],
    ['a width of 257', () => tilePath(0, 0, 257)],
    ['a negative number', () => entriesPath(-1)],
    ['a level of 64', () => tilePath(64, 0)],
  ])('refuses %s', (_, path) => {
    expect(path).toThrow(Error);
  });
});

describe('tiles', () => {
  it('hold what tlog-tiles says they do, at every size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: leaves.length }), (size) => {
        const tiles = tilesOf(leaves.slice(0, size));
        let expected = 0;
        for (let level = 0; 256 ** level <= size; level++) {
          const covered = 256 ** level;
          const hashes = Math.floor(size / covered);
          for (let index = 0; index * 256 < hashes; index++) {
            const width = Math.min(256, hashes - index * 256);
            const tile = tiles.get(tilePath(level, index, width));
            expect(tile?.length).toBe(width * 32);
            const at = width - 1;
            const first = (index * 256 + at) * covered;
            expect(tile?.subarray(at * 32)).toEqual(rootOf(leaves.slice(first, first + covered)));
            expected += 1;
          }
        }
        expect(tiles.size).toBe(expected);
      }),
      { numRuns: 8, examples: [[0], [1], [255], [256], [257], [65_535], [65_536], [leaves.length]] },
    );
  });

  it('keep the tree over all leaves in constant memory', () => {
    const writer = new TileWriter();
    leaves.forEach((leaf, index) => {
      writer.append(leaf);
      if (index % 9_973 === 0) expect(writer.tree().root()).toEqual(rootOf(leaves.slice(0, index + 1)));
    });
    expect(writer.open.map(({ width }) => width)).toEqual([88, 2, 1]);
  });
});
