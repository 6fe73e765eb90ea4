import { describe, expect, test } from '@jest/globals';
import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Failure } from '../kernel/failure.js';
import { LARGEST_FRAME, openFrames, sealFrame, sealFrames } from './sealed-stream.js';

const key = createSecretKey(randomBytes(32));
const CONTEXT = 'export T-CN 1';

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

/** The frames of a stream whose parts these are. */
function seal(parts: readonly Uint8Array[], context = CONTEXT): Buffer[] {
  return parts.map((part, index) => sealFrame(key, context, index, index === parts.length - 1, part));
}

async function open(sealed: Uint8Array, size = 1_000, context = CONTEXT, opener = key): Promise<Buffer> {
  const found: Buffer[] = [];
  for await (const plain of openFrames(opener, context, chunked(sealed, size))) found.push(plain);
  return Buffer.concat(found);
}

/** INTEGRITY_FAILED, with nothing given out that is not a beginning of the original. */
async function expectRefused(sealed: Uint8Array, original: Uint8Array, context = CONTEXT, opener = key): Promise<void> {
  const found: Buffer[] = [];
  let failure: unknown = null;
  try {
    for await (const plain of openFrames(opener, context, chunked(sealed, 777))) found.push(plain);
  } catch (error) {
    failure = error;
  }
  expect(failure).toBeInstanceOf(Failure);
  expect((failure as Failure).code).toBe('INTEGRITY_FAILED');
  const shown = Buffer.concat(found);
  expect(shown.equals(original.subarray(0, shown.length))).toBe(true);
}

const parts = fc.array(fc.uint8Array({ maxLength: 3_000 }), { minLength: 1, maxLength: 5 });

describe('a sealed stream', () => {
  test('opens to the same bytes, however it is cut on its way', async () => {
    await fc.assert(
      fc.asyncProperty(parts, fc.integer({ min: 1, max: 5_000 }), async (given, size) => {
        expect(await open(Buffer.concat(seal(given)), size)).toEqual(Buffer.concat(given));
      }),
    );
  });

  test('may be empty, and may have frames of up to 1 MiB, not more', async () => {
    expect(await open(Buffer.concat(seal([Buffer.alloc(0)])))).toEqual(Buffer.alloc(0));
    const large = randomBytes(LARGEST_FRAME);
    expect((await open(Buffer.concat(seal([large, large])), 65_536)).equals(Buffer.concat([large, large]))).toBe(true);
    expect(() => sealFrame(key, CONTEXT, 0, true, Buffer.alloc(LARGEST_FRAME + 1))).toThrow(RangeError);
  });

  test('sealFrames makes frames of any source', async () => {
    for (const length of [0, 1, 65_535, 65_536, 65_537, 131_072, 300_000]) {
      const plain = randomBytes(length);
      for (const size of [10_007, 400_000]) {
        const sealed: Buffer[] = [];
        for await (const frame of sealFrames(key, CONTEXT, chunked(plain, size))) sealed.push(frame);
        expect((await open(Buffer.concat(sealed))).equals(plain)).toBe(true);
        expect(sealed).toHaveLength(Math.max(1, Math.ceil(length / 65_536)));
      }
    }
  });

  test('is refused after a change of any bit', async () => {
    await fc.assert(
      fc.asyncProperty(parts, fc.nat(), fc.integer({ min: 0, max: 7 }), async (given, at, bit) => {
        const sealed = Buffer.concat(seal(given));
        sealed[at % sealed.length]! ^= 1 << bit;
        await expectRefused(sealed, Buffer.concat(given));
      }),
      { numRuns: 300 },
    );
  });

  test('is refused without its end, at any length, and with bytes after it', async () => {
    await fc.assert(
      fc.asyncProperty(parts, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 100 }), async (given, at, more) => {
        const sealed = Buffer.concat(seal(given));
        await expectRefused(sealed.subarray(0, at % sealed.length), Buffer.concat(given));
        await expectRefused(Buffer.concat([sealed, more]), Buffer.concat(given));
        await expectRefused(Buffer.concat([sealed, ...seal(given)]), Buffer.concat(given));
      }),
    );
  });

  test('is refused when frames are lost, swapped, repeated or moved', async () => {
    const given = ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text));
    const [one, two, three, four] = seal(given) as [Buffer, Buffer, Buffer, Buffer];
    const wrong = [[two, three, four], [one, three, four], [one, two, four], [one, two, three], [four], [one, four]];
    wrong.push(
      [two, one, three, four],
      [one, two, two, three, four],
      [one, two, four, three],
      [one, two, three, three],
    );
    for (const frames of wrong) await expectRefused(Buffer.concat(frames), Buffer.concat(given));
  });

  test('opens nowhere else: another context, another key', async () => {
    const sealed = Buffer.concat(seal([Buffer.from('secret')]));
    await expectRefused(sealed, Buffer.alloc(0), 'export T-CN 2');
    await expectRefused(sealed, Buffer.alloc(0), '');
    await expectRefused(sealed, Buffer.alloc(0), CONTEXT, createSecretKey(randomBytes(32)));
  });

  test('goes on after a crash: a frame that is sealed again is another one with the same meaning', async () => {
    const [first] = seal([Buffer.from('one'), Buffer.from('two')]) as [Buffer, Buffer];
    const again = sealFrame(key, CONTEXT, 1, true, Buffer.from('other'));
    expect((await open(Buffer.concat([first, again]))).toString()).toBe('oneother');
    expect(sealFrame(key, CONTEXT, 1, true, Buffer.from('other')).equals(again)).toBe(false);
  });

  test('never waits for a length that no frame has', async () => {
    const header = Buffer.alloc(34, 1);
    header.writeUInt32BE(0xffffffff, 2);
    await expectRefused(header, Buffer.alloc(0));
  });
});
