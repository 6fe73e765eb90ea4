import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import * as fileSystem from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CompactRange, leafHash } from '../../audit/merkle.mjs';
import { parseCheckpoint, splitNote, verifyNote, vkey } from '../../audit/note.mjs';
import { Checkpointer, type CheckpointerOptions } from './checkpoint.js';
import { type FileSystem, FileCheckpointStore } from './checkpoint-store.js';
import { headMac } from './head.js';
import { fileLedgerKeys } from './keys.js';

const LOG = 'T-CN';
// Hundreds of syncs: in memory where that is possible.
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const base = mkdtempSync(path.join(memory, 'custodia-checkpoint-faults-'));
afterAll(() => rmSync(base, { recursive: true }));
const keys = fileLedgerKeys(path.join(base, 'keys'));
const { name, privateKey } = keys.signer(LOG);
const key = vkey(name, privateKey);
const leaves = Array.from({ length: 40 }, (_, index) => leafHash(Buffer.from(`${index}`)));

/** A database with the first entries of the log, or of another history that departs from it. */
function databaseOf(size: number, departs = size): CheckpointerOptions['database'] {
  const own = leaves.slice(0, size).map((leaf, index) => (index < departs ? leaf : leafHash(leaf)));
  const range = new CompactRange();
  for (const leaf of own) range.append(leaf);
  const head = { log: LOG, size, lastLeaf: own.at(-1)!, range: Buffer.concat(range.hashes) };
  const mac = headMac(keys.macKey, head);
  const row = { log: LOG, size: String(size), last_leaf: head.lastLeaf, compact_range: head.range, mac };
  return {
    query: async <Row>(_: null, { name, values }: { name?: string; values: readonly unknown[] }) => {
      if (name === 'ledger_heads') return [row] as Row[];
      const [from, to] = [Number(values[1]), Number(values[2])];
      return own.slice(from, to).map((leaf, at) => ({ idx: String(from + at), leaf })) as Row[];
    },
  };
}

/** Calls of which the n-th fails, before or after it has its effect; once failed, the process is dead and all of them fail. */
function failing(at: number, after: boolean): { files: FileSystem; calls: () => number } {
  let count = 0;
  const wrap = <Target extends object>(target: Target): Target =>
    new Proxy(target, {
      get(object, name) {
        const value: unknown = Reflect.get(object, name);
        if (typeof value !== 'function') return value;
        return async (...words: unknown[]) => {
          count += 1;
          // Node itself complains of a handle that is left open.
          if ((count > at || (count === at && !after)) && name !== 'close') throw new Error('EIO');
          const result: unknown = await Reflect.apply(value, object, words);
          if (count >= at) {
            if (name === 'open') await (result as fileSystem.FileHandle).close();
            throw new Error('EIO');
          }
          return name === 'open' ? wrap(result as object) : result;
        };
      },
    });
  return { files: wrap({ ...fileSystem }), calls: () => count };
}

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(base, 'store-'));
});

async function sign(size: number, files?: FileSystem, departs?: number): Promise<void> {
  const store = new FileCheckpointStore(directory, files);
  const checkpointer = new Checkpointer({ database: databaseOf(size, departs), store, keys });
  await checkpointer.verify();
  await checkpointer.publish();
}

/** Every note that lies in the store, under whatever name, is this log's and of one history. */
function inspect(): number {
  const folder = path.join(directory, LOG);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sizes = files.flatMap((file) => {
    if (!/^(checkpoint|history\/\d+)$/.test(file)) return [];
    const { size, root } = parseCheckpoint(verifyNote(readFileSync(path.join(folder, file), 'utf8'), [key]).text);
    const range = new CompactRange();
    for (const leaf of leaves.slice(0, size)) range.append(leaf);
    expect(root).toEqual(range.root());
    if (file !== 'checkpoint') expect(file).toBe(`history/${size}`);
    return file === 'checkpoint' ? [size] : [];
  });
  return sizes[0] ?? 0;
}

describe.each([
  ['before its effect', false],
  ['after its effect', true],
])('every file call that fails %s, and a restart', (_, after) => {
  it.each([
    ['the first checkpoint', 0, 7],
    ['a later one', 7, 20],
  ])('%s: old or new, never another for one size, and the log goes on', async (__, before, size) => {
    let reached = true;
    let at = 0;
    const outcomes = new Set<number>();
    while (reached) {
      at += 1;
      directory = mkdtempSync(path.join(base, 'store-'));
      mkdirSync(path.join(directory, LOG));
      if (before > 0) await sign(before);
      const { files, calls } = failing(at, after);
      const done = await sign(size, files).then(
        () => true,
        () => false,
      );
      reached = calls() >= at;
      const stored = inspect();
      outcomes.add(stored);
      expect([before, size]).toContain(stored);
      if (done) expect(stored).toBe(size);
      // What was signed may be known outside: another history of any length is refused from here on …
      if (stored === size) {
        await expect(sign(size + 3, undefined, before)).rejects.toThrow(/does not extend|not have the root/);
      }
      // … and for a size for which a note was signed there is no other, even where the checkpoint never got its place.
      const kept = readdirSync(path.join(directory, LOG)).includes('history')
        ? readdirSync(path.join(directory, LOG, 'history'))
        : [];
      if (stored === before && kept.includes(String(size))) {
        await expect(sign(size, undefined, before)).rejects.toThrow('was signed before');
      }
      await sign(size);
      await sign(size + 5);
      expect(inspect()).toBe(size + 5);
    }
    expect(at).toBeGreaterThan(15);
    expect([...outcomes].sort((a, b) => a - b)).toEqual([before, size]);
  });
});

describe('two processes that both believe to lead', () => {
  it('do not sign two histories: the second finds another checkpoint than it expects', async () => {
    await sign(7);
    const stores = [new FileCheckpointStore(directory), new FileCheckpointStore(directory)];
    const [one, two] = stores.map((store, at) => {
      const database = databaseOf(20 - at, at === 0 ? 20 : 9);
      return new Checkpointer({ database, store, keys });
    });
    await one!.verify();
    await two!.verify();
    await one!.publish();
    await expect(two!.publish()).rejects.toThrow('is not the one that was read last');
    expect(inspect()).toBe(20);
  });
});

describe('what is published', () => {
  it('is the signed checkpoint where the file was lost or torn', async () => {
    await sign(7);
    const store = new FileCheckpointStore(directory);
    const note = (await store.read(LOG))!;
    await store.publish(LOG, `${note}more\n`);
    expect(await store.readPublished(LOG)).toBe(`${note}more\n`);
    for (const torn of ['', note.slice(0, 40), note.slice(0, -1)]) {
      await fileSystem.writeFile(path.join(directory, LOG, 'published'), torn);
      expect(await store.readPublished(LOG)).toBe(note);
    }
    expect(splitNote(note).text.split('\n')[1]).toBe('7');
  });
});
