import { createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { StateStore } from './incremental.mjs';
import { flip, sampleDirectory } from './sample-directory.js';
import { checkpointOf, completeLog, type Files, logOf, VKEY, WRITERS } from './sample-log.js';
import { verifyDirectory } from './verify.mjs';

const SIZE = 900;
const whole = completeLog(SIZE);
const log = sampleDirectory(whole);

/** The log when it had so many entries. */
function at(size: number, of: Files = whole): Partial<Files> {
  const cut = <Item>(items: readonly Item[] | undefined) => items?.slice(0, size);
  const { entries, leaves, macs, details } = of;
  const small = { entries: cut(entries)!, leaves: cut(leaves)!, macs: cut(macs), details: cut(details) };
  return { ...small, note: checkpointOf(small.leaves) };
}

class Memory implements StateStore {
  text: string | null = null;
  read = () => Promise.resolve(this.text);
  write(text: string): Promise<void> {
    this.text = text;
    return Promise.resolve();
  }
}
const verify = (state: StateStore, checkpoints: string[] = []) =>
  verifyDirectory(log.directory, { vkeys: [VKEY], state, checkpoints });

describe('a verification that goes on from the last one', () => {
  it('comes to what a whole one comes to, over any steps, and reads new entries only', async () => {
    const steps = fc.uniqueArray(fc.integer({ min: 1, max: SIZE }), { minLength: 2, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(steps, async (sizes) => {
        const state = new Memory();
        let before = 0;
        for (const size of sizes.sort((a, b) => a - b)) {
          log.write(at(size));
          const report = await verify(state);
          expect([report.faults, report.checked.entries]).toEqual([[], size - before]);
          before = size;
        }
        const alone = new Memory();
        await verify(alone);
        expect(JSON.parse(state.text!)).toEqual(JSON.parse(alone.text!));
      }),
      { numRuns: 6, examples: [[[1, 2]], [[255, 256, 257]], [[512, 768, 900]], [[300, 301, 899]]] },
    );
  });

  async function after(size: number): Promise<Memory> {
    const state = new Memory();
    log.write(at(size));
    expect((await verify(state)).ok).toBe(true);
    return state;
  }

  it('knows the registrations of before: no other key passes for that of a writer', async () => {
    const state = await after(300);
    const key = Buffer.alloc(32, 7);
    const macs = whole.macs.map((mac, index) =>
      index % 2 === 0 ? createHmac('sha256', key).update(whole.entries[index]!.subarray(32)).digest() : mac,
    );
    log.write({ macs, writerKeys: `${WRITERS[0]} ${key.toString('hex')}\n` });
    expect((await verify(state)).first).toEqual({ index: null, class: 'mac' });
  });

  it('finds in the new part what a whole one finds, and keeps the old state then', async () => {
    for (const [size, index] of [
      [300, 300],
      [300, 700],
      [512, 512],
    ] as const) {
      const state = await after(size);
      const before = state.text;
      log.write({ entries: whole.entries.with(index, flip(whole.entries[index]!, 60)) });
      expect((await verify(state)).first).toEqual({ index, class: 'leaf' });
      expect(state.text).toBe(before);
    }
    const state = await after(400);
    log.write({ macs: whole.macs.with(700, Buffer.alloc(32, 1)) });
    expect((await verify(state)).first).toEqual({ index: 700, class: 'mac' });
  });

  it('a log that was rolled back, or whose history was replaced', async () => {
    const state = await after(700);
    log.write(at(600));
    expect((await verify(state)).first).toEqual({ index: 600, class: 'consistency' });
    const other = completeLog(SIZE, { 650: { role: 'physician' } });
    log.write(other);
    expect((await verify(state)).first).toEqual({ index: null, class: 'consistency' });
    log.write({ ...whole, note: other.note });
    expect((await verify(state)).first).toEqual({ index: null, class: 'root' });
    log.write();
    expect((await verify(state)).ok).toBe(true);
  });

  it('kept checkpoints below it are compared as well', async () => {
    const state = await after(700);
    const kept = (size: number, of = whole) => checkpointOf(of.leaves.slice(0, size));
    log.write();
    expect((await verify(state, [kept(1), kept(300), kept(800)])).ok).toBe(true);
    const other = completeLog(SIZE, { 7: { role: 'physician' } });
    expect((await verify(await after(700), [kept(300, other)])).first).toEqual({ index: null, class: 'consistency' });
  });

  it('a number used twice, once before and once after', async () => {
    const records = whole.entries.map((entry) => Buffer.from(entry.subarray(32)));
    const state = await after(300);
    const bare = { macs: undefined, details: undefined, writerKeys: undefined };
    log.write({ ...bare, ...logOf(records.with(400, records[20]!)) });
    const report = await verify(state);
    expect(report.faults.map(({ index, class: name }) => [index, name])).toContainEqual([400, 'writer-duplicate']);
  });

  it('refuses a state that is none, and one that contradicts itself', async () => {
    const state = await after(300);
    const good = state.text!;
    log.write();
    for (const bad of [
      '',
      '{}',
      good.replace('"version":1', '"version":2'),
      good.replace(/"root":"../, '"root":"00'),
    ]) {
      state.text = bad;
      await expect(verify(state)).rejects.toThrow(Error);
    }
    const options = { vkeys: [VKEY], state, hashesOnly: true };
    await expect(verifyDirectory(log.directory, options)).rejects.toThrow('needs the records');
  });
});
