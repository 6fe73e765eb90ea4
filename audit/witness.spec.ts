import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as fileSystem from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { verifyCosignature } from './cosignature.mjs';
import { Cosigner } from './cosigner.mjs';
import { consistencyProof, EMPTY_ROOT } from './merkle.mjs';
import { checkpointText, parseCheckpoint, signNote, splitNote, verifyNote } from './note.mjs';
import { leavesOf, log, LOG, LOG_KEY, noteOf, ORIGIN, own, requestOf } from './sample-witness.js';
import { parseAddCheckpoint } from './witness-request.mjs';
import { WitnessState } from './witness-state.mjs';

const base = mkdtempSync(join(tmpdir(), 'custodia-witness-'));
afterAll(() => rmSync(base, { recursive: true }));

let directory: string;
let now: number;
beforeEach(() => {
  directory = mkdtempSync(join(base, 'state-'));
  now = 1_767_225_600;
});

function cosigner(files?: typeof fileSystem, where = directory): Cosigner {
  const logs = [LOG_KEY];
  return new Cosigner({ ...own, logs, state: new WitnessState(where, files), now: () => now });
}

const remembered = async () => {
  const { note } = await new WitnessState(directory).newest(LOG);
  return note === null ? 0 : parseCheckpoint(splitNote(note).text).size;
};

describe('a witness', () => {
  it('cosigns what goes on from what it cosigned last, and nothing else', async () => {
    const witness = cosigner();
    const leaves = leavesOf(20);
    for (const [old, size] of [
      [0, 3],
      [3, 4],
      [4, 4],
      [4, 20],
    ] as const) {
      now += 1;
      const answer = await witness.addCheckpoint(requestOf(old, leaves.slice(0, size)));
      expect(answer).toMatchObject({ status: 200 });
      const text = splitNote(noteOf(leaves.slice(0, size))).text;
      expect(verifyCosignature(text, answer.body, witness.vkey).time).toBe(now);
      const shown = (await witness.checkpoint(LOG))!;
      expect(verifyNote(shown, [LOG_KEY, witness.vkey]).verified).toHaveLength(2);
      expect(await remembered()).toBe(size);
    }
  });

  const other = generateKeyPairSync('ed25519').privateKey;
  const elsewhere = signNote(checkpointText({ origin: 'other', size: 1, root: EMPTY_ROOT }), { ...log, name: 'other' });
  const emptyLog = signNote(checkpointText({ origin: ORIGIN, size: 0, root: leavesOf(1)[0]! }), log);
  const hash = leavesOf(1)[0]!;
  it.each<[string, number, () => string]>([
    ['no old line', 400, () => requestOf(5, leavesOf(6)).replace('old 5\n', '')],
    ['an old size with a zero before', 400, () => requestOf(5, leavesOf(6)).replace('old 5', 'old 05')],
    ['a proof line of 31 bytes', 400, () => requestOf(5, leavesOf(6), { proof: [hash.subarray(1)] })],
    ['64 proof lines', 400, () => requestOf(5, leavesOf(6), { proof: Array.from({ length: 64 }, () => hash) })],
    ['no note', 400, () => requestOf(5, leavesOf(6), { note: '' })],
    ['a note that is no checkpoint', 400, () => requestOf(5, [], { note: signNote('text\n', log) })],
    ['an old size beyond the new one', 400, () => requestOf(5, leavesOf(4))],
    ['another origin', 404, () => requestOf(5, [], { note: elsewhere })],
    ['another key', 403, () => requestOf(5, leavesOf(6), { note: noteOf(leavesOf(6), { ...log, privateKey: other }) })],
    ['a changed text', 403, () => requestOf(5, leavesOf(6)).replace('\n6\n', '\n7\n')],
    ['another old size', 409, () => requestOf(3, leavesOf(6))],
    ['the old size 0', 409, () => requestOf(0, leavesOf(6))],
    ['another root of the same size', 409, () => requestOf(5, leavesOf(5, 4))],
    ['a proof that does not hold', 422, () => requestOf(5, leavesOf(9), { proof: [hash, hash] })],
    ['no proof', 422, () => requestOf(5, leavesOf(9), { proof: [] })],
    ['a fork', 422, () => requestOf(5, leavesOf(9, 2))],
    ['a proof between equal sizes', 422, () => requestOf(5, leavesOf(5), { proof: [hash] })],
  ])('refuses a request with %s: %d, and remembers what it had', async (_, status, request) => {
    const witness = cosigner();
    await witness.addCheckpoint(requestOf(0, leavesOf(5)));
    const answer = await witness.addCheckpoint(request());
    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain('\u2014');
    expect(await remembered()).toBe(5);
  });

  it('tells the size that it has, and keeps the proof of a fork', async () => {
    const witness = cosigner();
    await witness.addCheckpoint(requestOf(0, leavesOf(5)));
    expect(await witness.addCheckpoint(requestOf(2, leavesOf(6)))).toEqual({
      status: 409,
      type: 'text/x.tlog.size',
      body: '5\n',
    });
    expect((await witness.addCheckpoint(requestOf(5, leavesOf(5, 4)))).type).toContain('text/plain');
    expect(readdirSync(join(directory, LOG)).sort()).toEqual(['1', 'fork-5']);
    const evidence = readFileSync(join(directory, LOG, 'fork-5'), 'utf8');
    expect(evidence).toBe(`${await witness.checkpoint(LOG)}\n${noteOf(leavesOf(5, 4))}`);
  });

  it('begins with nothing: an empty log has one root, and from nothing there is no proof', async () => {
    const witness = cosigner();
    expect((await witness.addCheckpoint(requestOf(0, [], { note: emptyLog }))).status).toBe(422);
    expect((await witness.addCheckpoint(requestOf(0, leavesOf(2), { proof: [hash] }))).status).toBe(422);
    expect((await witness.addCheckpoint(requestOf(1, leavesOf(2)))).body).toBe('0\n');
    expect((await witness.addCheckpoint(requestOf(0, []))).status).toBe(200);
    expect((await witness.addCheckpoint(requestOf(0, leavesOf(2)))).status).toBe(200);
    expect(await witness.checkpoint('0'.repeat(64))).toBeNull();
  });

  it('never states an earlier time for a later tree', async () => {
    const witness = cosigner();
    await witness.addCheckpoint(requestOf(0, leavesOf(2)));
    const first = now;
    now -= 3_600;
    const { body } = await witness.addCheckpoint(requestOf(2, leavesOf(3)));
    expect(verifyCosignature(splitNote(noteOf(leavesOf(3))).text, body, witness.vkey).time).toBe(first);
  });

  it('of two views of one log sees only the first', async () => {
    // Two witnesses are fed the two sides of a fork: each cosigns one of them and refuses the other.
    const other = cosigner(undefined, mkdtempSync(join(base, 'state-')));
    const first = cosigner();
    expect((await first.addCheckpoint(requestOf(0, leavesOf(7)))).status).toBe(200);
    expect((await other.addCheckpoint(requestOf(0, leavesOf(7, 5)))).status).toBe(200);
    expect((await first.addCheckpoint(requestOf(7, leavesOf(9, 5)))).status).toBe(422);
    expect((await other.addCheckpoint(requestOf(7, leavesOf(9)))).status).toBe(422);
  });
});

describe('requests at once', () => {
  it('one takes the place, and the size never goes back; also with two processes on one directory', async () => {
    const leaves = leavesOf(40);
    const witnesses = [cosigner(), cosigner()];
    await witnesses[0]!.addCheckpoint(requestOf(0, leaves.slice(0, 10)));
    const sizes = Array.from({ length: 16 }, (_, at) => 10 + at);
    const answers = await Promise.all(
      sizes.map((size) => witnesses[size % 2]!.addCheckpoint(requestOf(10, leaves.slice(0, size)))),
    );
    // A request for 10 may come first and change nothing about the size; of the others exactly one holds.
    const cosigned = sizes.filter((size, at) => size > 10 && answers[at]!.status === 200);
    expect(cosigned).toHaveLength(1);
    expect(await remembered()).toBe(cosigned[0]);
    expect([...new Set(answers.map(({ status }) => status))].sort()).toEqual([200, 409]);
  });

  it('one that was held up while others went on takes no place that was cleaned up meanwhile', async () => {
    const leaves = leavesOf(9);
    const state = new WitnessState(directory);
    const slow = new WitnessState(directory);
    await state.advance(LOG, 0, noteOf(leaves.slice(0, 1)));
    const { version } = await slow.newest(LOG);
    for (let size = 2; size < 9; size++) await state.advance(LOG, size - 1, noteOf(leaves.slice(0, size)));
    expect(readdirSync(join(directory, LOG))).toHaveLength(2);
    expect(await slow.advance(LOG, version, noteOf(leavesOf(2, 1)))).toBe(false);
    expect(await remembered()).toBe(8);
  });
});

describe('faults', () => {
  /** File calls of which the n-th fails, before or after its effect. */
  function failing(at: number, after: boolean): { files: typeof fileSystem; calls: () => number } {
    let count = 0;
    const wrap = <Target extends object>(target: Target): Target =>
      new Proxy(target, {
        get(object, name) {
          const value: unknown = Reflect.get(object, name);
          if (typeof value !== 'function') return value;
          return async (...words: unknown[]) => {
            count += 1;
            const mine = count === at;
            // Node itself complains of a handle that is left open.
            if (mine && !after && name !== 'close') throw new Error('EIO before');
            const result: unknown = await Reflect.apply(value, object, words);
            if (mine) {
              if (name === 'open') await (result as fileSystem.FileHandle).close();
              throw new Error('EIO after');
            }
            return name === 'open' ? wrap(result as object) : result;
          };
        },
      });
    return { files: wrap({ ...fileSystem }), calls: () => count };
  }

  it.each([false, true])(
    'of every file call, its effect having happened: %s. No cosignature without a memory',
    async (after) => {
      const leaves = leavesOf(12);
      let reached = true;
      let at = 0;
      while (reached) {
        at += 1;
        directory = mkdtempSync(join(base, 'state-'));
        await cosigner().addCheckpoint(requestOf(0, leaves.slice(0, 5)));
        const { files, calls: counted } = failing(at, after);
        const answer = await cosigner(files)
          .addCheckpoint(requestOf(5, leaves))
          .catch(() => null);
        reached = counted() >= at;
        // A restart: whoever got a cosignature finds it remembered, and the log can go on from what is remembered.
        const size = await remembered();
        expect(answer?.status === 200 ? size : [5, 12].includes(size) && 12).toBe(12);
        expect((await cosigner().addCheckpoint(requestOf(size, leaves))).status).toBe(200);
        expect((await cosigner().addCheckpoint(requestOf(12, leavesOf(13, 4)))).status).toBe(422);
      }
      expect(at).toBeGreaterThan(10);
    },
  );

  it('an old state directory: the witness asks for a proof from there, and the log can give it', async () => {
    const leaves = leavesOf(12);
    await cosigner().addCheckpoint(requestOf(0, leaves.slice(0, 4)));
    cpSync(directory, `${directory}-old`, { recursive: true });
    await cosigner().addCheckpoint(requestOf(4, leaves.slice(0, 9)));
    const old = cosigner(undefined, `${directory}-old`);
    expect(await old.addCheckpoint(requestOf(9, leaves))).toMatchObject({ status: 409, body: '4\n' });
    expect((await old.addCheckpoint(requestOf(4, leavesOf(12, 2)))).status).toBe(422);
    expect((await old.addCheckpoint(requestOf(4, leaves))).status).toBe(200);
  });

  it('a state that is not its own is no memory', async () => {
    mkdirSync(join(directory, LOG));
    writeFileSync(join(directory, LOG, '7'), noteOf(leavesOf(3)));
    await expect(cosigner().addCheckpoint(requestOf(3, leavesOf(4)))).rejects.toThrow('no signature by a known key');
  });
});

describe('the request', () => {
  it('is read as it was written', () => {
    const leaves = leavesOf(9);
    const read = parseAddCheckpoint(requestOf(5, leaves));
    expect(read).toEqual({ old: 5, proof: consistencyProof(leaves, 5, 9), note: noteOf(leaves) });
  });
});
