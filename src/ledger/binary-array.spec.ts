import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { bigintArray, byteaArray, instantArray, textArray } from './binary-array.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

async function read<Value>(type: string, array: Buffer): Promise<Value[]> {
  const rows = await database.app.query<{ value: Value }>(null, {
    text: `SELECT value FROM unnest($1::${type}[]) WITH ORDINALITY AS item (value, place) ORDER BY place`,
    values: [array],
  });
  return rows.map(({ value }) => value);
}

describe('an array in the binary format', () => {
  it('comes to PostgreSQL as it is', async () => {
    const numbers = fc.array(fc.maxSafeInteger());
    const texts = fc.array(fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')));
    const bytes = fc.array(fc.uint8Array({ maxLength: 40 }).map((item) => Buffer.from(item)));
    await fc.assert(
      fc.asyncProperty(numbers, texts, bytes, async (some, words, blobs) => {
        expect((await read<string>('bigint', bigintArray(some))).map(Number)).toEqual(some.map((one) => one + 0));
        expect(await read('text', textArray(words))).toEqual(words);
        expect(await read('bytea', byteaArray(blobs))).toEqual(blobs);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps microseconds, before 2000 too', async () => {
    const instants = [0, -1_000, 946_684_800_000_000, 946_684_799_999_999, 1_795_000_000_123_456];
    const rows = await database.app.query<{ at: string }>(null, {
      text: 'SELECT (extract(epoch FROM at) * 1000000)::bigint AS at FROM unnest($1::timestamptz[]) AS at',
      values: [instantArray(instants)],
    });
    expect(rows.map(({ at }) => Number(at))).toEqual(instants);
  });
});
