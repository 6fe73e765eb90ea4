import { rmSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { verifyCheckpoints } from './consistency.mjs';
import { LogDirectory } from './directory.mjs';
import { consistencyProof, CompactRange } from './merkle.mjs';
import { TiledTree } from './roots.mjs';
import { sampleDirectory } from './sample-directory.js';
import { checkpointAs, checkpointOf, logOf, ORIGIN, sampleRecords, VKEY } from './sample-log.js';
import { FileSource } from './source.mjs';
import { itWithVectors, vectors } from './vectors.js';

const SIZE = 1_400;
const clean = logOf(sampleRecords(SIZE));
const log = sampleDirectory(clean);
const source = new LogDirectory(log.directory);
const at = (size: number, of = clean) => checkpointOf(of.leaves.slice(0, size));
const verify = (from: string, to: string) => verifyCheckpoints(source, from, to, { vkeys: [VKEY] });

it('roots and consistency proofs come from tiles as from leaves', async () => {
  log.write();
  const tree = new TiledTree(source, SIZE);
  const size = fc.integer({ min: 1, max: SIZE });
  await fc.assert(
    fc.asyncProperty(size, size, async (a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      expect(await tree.consistencyProof(from, to)).toEqual(consistencyProof(clean.leaves, from, to));
      const range = new CompactRange();
      for (const leaf of clean.leaves.slice(0, from)) range.append(leaf);
      expect(await tree.rootAt(from)).toEqual(range.root());
    }),
    {
      numRuns: 60,
      examples: [
        [1, 1],
        [256, 512],
        [255, 257],
        [SIZE, SIZE],
        [1024, 1280],
        [768, SIZE],
      ],
    },
  );
});

describe('two checkpoints', () => {
  it('of one history, and entries are not even looked at', async () => {
    log.write();
    rmSync(log.file('tile/entries'), { recursive: true });
    for (const [from, to] of [
      [0, 5],
      [1, 2],
      [256, 512],
      [700, SIZE],
      [SIZE, SIZE],
      [3, 1_000],
    ] as const) {
      expect(await verify(at(from), at(to))).toMatchObject({ ok: true, origin: ORIGIN, size: to });
    }
  });

  it('of two histories, or in the wrong order', async () => {
    const other = logOf(sampleRecords(SIZE, { 650: { role: 'physician' } }));
    log.write();
    const consistency = { first: { index: null, class: 'consistency' }, faultCount: 1 };
    expect(await verify(at(700, other), at(SIZE))).toMatchObject(consistency);
    expect(await verify(at(700), at(SIZE, other))).toMatchObject(consistency);
    expect(await verify(at(700), at(700, other))).toMatchObject(consistency);
    expect(await verify(at(650, other), at(SIZE))).toMatchObject({ ok: true });
    expect(await verify(at(700), at(699))).toMatchObject(consistency);
    log.flipInFile('tile/0/002', 32 * 3);
    expect(await verify(at(516), at(SIZE))).toMatchObject(consistency);
  });

  it('of two logs, not signed, or without the tiles', async () => {
    log.write();
    const stranger = checkpointAs('ledger.example.org/T-US', clean.leaves.slice(0, 9));
    expect((await verify(stranger, at(SIZE))).first).toEqual({ index: null, class: 'signature' });
    expect((await verify(at(9).replace('\n9\n', '\n8\n'), at(SIZE))).first?.class).toBe('signature');
    rmSync(log.file('tile/0/001'));
    expect((await verify(at(300), at(SIZE))).first).toEqual({ index: null, class: 'tile' });
  });
});

describe('a log of others', () => {
  interface Tessera {
    vkey: string;
    checkpointsBySize: string[];
    tilesHex: Record<string, string>;
  }
  class Published extends FileSource {
    constructor(private readonly log: Tessera) {
      super();
    }
    override read(path: string): Promise<Uint8Array | null> {
      if (path === 'checkpoint') return Promise.resolve(Buffer.from(this.log.checkpointsBySize.at(-1)!));
      const hex = this.log.tilesHex[path];
      return Promise.resolve(hex === undefined ? null : Buffer.from(hex, 'hex'));
    }
    highestBundle = () => Promise.resolve(-1);
    hasDetails = () => Promise.resolve(false);
  }

  itWithVectors('every pair of its published checkpoints is decided from its published tiles', async () => {
    const published = JSON.parse(vectors.text('tessera-log/log.json')) as Tessera;
    const tiles = new Published(published);
    const notes = published.checkpointsBySize;
    expect(notes).toHaveLength(16);
    for (const [from, older] of notes.entries()) {
      for (const [to, newer] of notes.entries()) {
        const report = await verifyCheckpoints(tiles, older, newer, { vkeys: [published.vkey] });
        expect([from, to, report.first?.class]).toEqual([from, to, from <= to ? undefined : 'consistency']);
      }
    }
  });
});
