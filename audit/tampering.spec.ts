import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeEntry } from './entry.mjs';
import { leafHash } from './merkle.mjs';
import type { Report } from './report.mjs';
import { classes, flip, sampleDirectory } from './sample-directory.js';
import { checkpointOf, completeLog, dumpOf, logOf, rowsOf, sampleRecords } from './sample-log.js';

const SIZE = 600;
const K = 300;
const clean = logOf(sampleRecords(SIZE));
const log = sampleDirectory(clean);

describe('files that were changed', () => {
  beforeEach(() => log.write());
  const bundleOf = (index: number) => (index < 512 ? `tile/entries/00${index >> 8}` : 'tile/entries/002.p/88');
  const offsetOf = (index: number) =>
    clean.entries.slice(index & ~255, index).reduce((sum, entry) => sum + 2 + entry.length, 0);

  it.each([0, 1, K, 511, SIZE - 1])('one byte of entry %i, in any part of it: named', async (index) => {
    for (const part of [0, 1, 2, 33, 34, 35, 200, 1 + clean.entries[index]!.length]) {
      log.write();
      log.flipInFile(bundleOf(index), offsetOf(index) + part);
      const report = await log.verify();
      expect([part, report.first?.index]).toEqual([part, index]);
      if (part > 1) expect(report).toMatchObject({ first: { class: 'leaf' }, faultCount: 1 });
    }
  });

  it('a leaf hash in a tile: the tile is named, not the entry', async () => {
    log.flipInFile('tile/0/001', 32 * (K - 256) + 5);
    expect(await log.verify()).toMatchObject({ first: { index: K, class: 'tile' }, faultCount: 1 });
    log.write();
    log.flipInFile('tile/0/002.p/88', 32 * 87);
    expect(await log.verify()).toMatchObject({ first: { index: SIZE - 1, class: 'tile' }, faultCount: 1 });
  });

  it('a tile above the leaves', async () => {
    log.flipInFile('tile/1/000.p/2', 32 + 3);
    expect(await log.verify()).toMatchObject({ first: { index: 256, class: 'tile' }, faultCount: 1 });
  });

  it.each([
    ['tile/0/001', 256, 'tile'],
    ['tile/1/000.p/2', 0, 'tile'],
    ['tile/entries/000', 0, 'missing-entry'],
    ['tile/entries/001', 256, 'missing-entry'],
    ['tile/entries/002.p/88', 512, 'missing-entry'],
    ['checkpoint', null, 'signature'],
  ])('%s deleted', async (path, index, name) => {
    rmSync(log.file(path));
    const report = await log.verify();
    expect(report.first).toEqual({ index, class: name });
    expect(report.faultCount).toBe(1);
  });

  it('a bundle or a tile cut short', async () => {
    truncateSync(log.file('tile/entries/002.p/88'), offsetOf(550) + 40);
    expect(await log.verify()).toMatchObject({
      faultCount: 1,
      faults: [{ index: 550, last: 599, class: 'missing-entry' }],
    });
    log.write();
    truncateSync(log.file('tile/0/002.p/88'), 32 * 80 + 7);
    expect((await log.verify()).first).toEqual({ index: 592, class: 'tile' });
  });

  it('bytes after the last entry', async () => {
    writeFileSync(log.file('tile/entries/002.p/88'), Buffer.of(0, 1, 65), { flag: 'a' });
    expect((await log.verify()).first).toEqual({ index: SIZE, class: 'extra-entry' });
  });

  it('the checkpoint, in any byte', async () => {
    const small = logOf(sampleRecords(3));
    log.write(small);
    const bytes = Buffer.from(small.note);
    for (let at = 0; at < bytes.length; at++) {
      writeFileSync(log.file('checkpoint'), flip(bytes, at));
      const report = await log.verify();
      expect(report.ok).toBe(false);
      expect(classes(report)).toContain('signature');
    }
  });

  it('any one byte of any file is seen, also one that leaves the text readable', async () => {
    log.write(completeLog(12));
    const paths = ['checkpoint', 'tile/0/000.p/12', 'tile/entries/000.p/12', 'mac/000.p/12', 'detail/000.p/12'];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (path, at, mask) => {
          const bytes = readFileSync(log.file(path));
          writeFileSync(log.file(path), flip(bytes, at % bytes.length, mask));
          expect((await log.verify()).ok).toBe(false);
          writeFileSync(log.file(path), bytes);
        },
      ),
      { numRuns: 120 },
    );
  });
});

describe('entries that were deleted, moved, inserted', () => {
  const without = <Item>(items: readonly Item[], index: number): Item[] => items.toSpliced(index, 1);
  const swapped = <Item>(items: readonly Item[], index: number): Item[] =>
    items.with(index, items[index + 1]!).with(index + 1, items[index]!);

  it('one deleted from the bundles', async () => {
    const report = await log.verifyLog({ entries: without(clean.entries, K) });
    expect(report.first).toEqual({ index: K, class: 'chain' });
    expect(classes(report)).toContain('missing-entry');
  });

  it('one deleted from the bundles and the tiles', async () => {
    const report = await log.verifyLog({ entries: without(clean.entries, K), leaves: without(clean.leaves, K) });
    expect(report.first).toEqual({ index: K, class: 'chain' });
    expect(classes(report)).toEqual(['chain', 'missing-entry', 'writer-gap'].slice(0, classes(report).length));
  });

  it('two swapped, with and without their leaf hashes', async () => {
    const entries = swapped(clean.entries, K);
    expect((await log.verifyLog({ entries })).first).toEqual({ index: K, class: 'chain' });
    expect((await log.verifyLog({ entries, leaves: swapped(clean.leaves, K) })).first).toEqual({
      index: K,
      class: 'chain',
    });
  });

  it('one inserted, with its leaf hash', async () => {
    const extra = encodeEntry(clean.leaves[K - 1]!, Buffer.from(clean.entries[5]!.subarray(32)));
    const entries = clean.entries.toSpliced(K, 0, extra);
    const report = await log.verifyLog({ entries, leaves: clean.leaves.toSpliced(K, 0, leafHash(extra)) });
    expect(report.first).toEqual({ index: K + 1, class: 'chain' });
    expect(classes(report)).toContain('root');
  });

  it('one replayed: the same record once more, with its leaf hash and a checkpoint over it', async () => {
    const records = sampleRecords(SIZE);
    const report = await log.verifyLog(logOf(records.toSpliced(K, 0, records[20]!)));
    expect(report).toMatchObject({ first: { index: K, class: 'writer-duplicate' }, faultCount: 1 });
    const batch = await log.verifyLog(logOf(records.toSpliced(K, 0, ...records.slice(20, 30))));
    expect(batch).toMatchObject({ first: { index: K, class: 'writer-duplicate' }, faultCount: 10 });
  });

  it('the tail rewritten below an old checkpoint', async () => {
    const rewritten = logOf(sampleRecords(SIZE, { [SIZE - 3]: { role: 'physician' } }));
    const entries = [...clean.entries.slice(0, SIZE - 3), ...rewritten.entries.slice(SIZE - 3)];
    expect((await log.verifyLog({ entries })).first).toEqual({ index: SIZE - 3, class: 'leaf' });
    const leaves = [...clean.leaves.slice(0, SIZE - 3), ...rewritten.leaves.slice(SIZE - 3)];
    expect(await log.verifyLog({ entries, leaves })).toMatchObject({
      first: { index: null, class: 'root' },
      faultCount: 1,
    });
  });

  it('the tail cut off below the checkpoint', async () => {
    for (const size of [0, 1, 256, 511, 512, 599]) {
      const report = await log.verifyLog({
        entries: clean.entries.slice(0, size),
        leaves: clean.leaves.slice(0, size),
      });
      expect(report).toMatchObject({ faults: [{ index: size, last: 599, class: 'missing-entry' }], faultCount: 1 });
    }
  });

  it('history rewritten to the end: the root, or without the old checkpoint the kept one', async () => {
    const records = sampleRecords(SIZE, { [K]: { role: 'physician' } });
    const rewritten = logOf(records);
    expect(await log.verifyLog({ ...rewritten, note: clean.note })).toMatchObject({
      first: { index: null, class: 'root' },
      faultCount: 1,
    });
    expect(await log.verifyLog(rewritten)).toMatchObject({ ok: true });
    const before = checkpointOf(clean.leaves.slice(0, K));
    const after = checkpointOf(clean.leaves.slice(0, K + 1));
    expect(await log.verifyLog(rewritten, { checkpoints: [before] })).toMatchObject({ ok: true });
    expect(await log.verifyLog(rewritten, { checkpoints: [before, after] })).toMatchObject({
      first: { index: null, class: 'consistency' },
      faultCount: 1,
    });
  });

  it('signed again by another key', async () => {
    const other = generateKeyPairSync('ed25519').privateKey;
    const report = await log.verifyLog(logOf(sampleRecords(SIZE), other));
    expect(report).toMatchObject({ first: { index: null, class: 'signature' }, faultCount: 1, verified: [] });
  });

  it('rolled back below a kept checkpoint', async () => {
    expect(await log.verifyLog(logOf(sampleRecords(500)), { checkpoints: [clean.note] })).toMatchObject({
      first: { index: 500, class: 'consistency' },
      faultCount: 1,
    });
  });
});

describe('a database that was changed and dumped as it is', () => {
  const dump = (change: (rows: ReturnType<typeof rowsOf>) => ReturnType<typeof rowsOf>): Promise<Report> =>
    log.verifyLog(dumpOf(change(rowsOf(clean)), clean));

  it('is OK unchanged', async () => {
    expect(await dump((rows) => rows)).toMatchObject({ ok: true });
  });

  it.each([0, 1, K, SIZE - 1])('one byte of record %i changed', async (index) => {
    const report = await dump((rows) => rows.with(index, { ...rows[index]!, record: flip(rows[index]!.record!, 50) }));
    expect(report).toMatchObject({ first: { index, class: 'leaf' }, faultCount: 1 });
  });

  it.each([0, 1, K, SIZE - 1])('record %i deleted, its leaf left or deleted too', async (index) => {
    const left = await dump((rows) => rows.with(index, { ...rows[index]!, record: null }));
    expect(left).toMatchObject({ first: { index, class: 'missing-entry' }, faultCount: 1 });
    const both = await dump((rows) => rows.with(index, { record: null, leaf: null }));
    expect(both.first).toEqual({ index, class: 'missing-entry' });
  });

  it('a record deleted and the rest moved up', async () => {
    const report = await dump((rows) => rows.toSpliced(K, 1));
    expect(report.first?.index).toBe(K);
    expect(classes(report)).toContain('missing-entry');
  });

  it('the tail deleted', async () => {
    expect(await dump((rows) => rows.slice(0, 555))).toMatchObject({
      faults: [{ index: 555, last: 599, class: 'missing-entry' }],
    });
    const holes = await dump((rows) => rows.map((row, index) => (index < 555 ? row : { record: null, leaf: null })));
    expect(holes).toMatchObject({ faults: [{ index: 555, last: 599, class: 'missing-entry' }] });
  });

  it('a stored leaf changed', async () => {
    const report = await dump((rows) => rows.with(K, { ...rows[K]!, leaf: flip(rows[K]!.leaf!, 3) }));
    expect(report.first?.index).toBe(K);
  });

  it('two records swapped', async () => {
    const report = await dump((rows) =>
      rows
        .with(K, { ...rows[K]!, record: rows[K + 1]!.record })
        .with(K + 1, { ...rows[K + 1]!, record: rows[K]!.record }),
    );
    expect(report.first).toEqual({ index: K, class: 'leaf' });
  });
});
