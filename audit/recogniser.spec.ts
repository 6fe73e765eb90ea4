import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalize } from './canonical.mjs';
import { ACCESS_STATES, KINDS, OUTCOMES, type LedgerRecord } from './entry.mjs';
import { readRecord } from './record.mjs';
import { Recogniser } from './recogniser.mjs';
import { sampleRecord } from './sample-log.js';

const reference = fc.stringMatching(/^[0-9a-f]{32}$/);
const digest = fc.stringMatching(/^[0-9a-f]{64}$/);
const token = fc.stringMatching(/^[!-~]{1,40}$/);
const orNull = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: null });
const sealing = fc.option(fc.record({ key: token, sha256: digest }), { nil: undefined });
const some = fc.option(fc.array(token, { minLength: 1, maxLength: 3 }), { nil: undefined });
const common = KINDS.filter((kind) => !['START', 'WRITER', 'ERASE', 'ARCHIVE', 'VOID'].includes(kind));

const access = fc.record({
  type: fc.constantFrom('Patient', 'X', 'Diagnosis2'),
  rows: fc.nat(),
  fields: fc.dictionary(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.]{0,12}$/), fc.constantFrom(...ACCESS_STATES)),
  subjects: fc.array(reference, { maxLength: 3 }),
});
const records: fc.Arbitrary<LedgerRecord> = fc.record({
  v: fc.constant(1 as const),
  log: fc.constantFrom('T-CN', 'system', 'a'),
  incarnation: fc.integer({ min: 1, max: 12 }),
  writer: fc.stringMatching(/^[0-9a-f]{16}$/),
  number: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  time: fc
    .date({ min: new Date('2020-01-01'), max: new Date('2040-01-01'), noInvalidDate: true })
    .map((date) => date.toISOString()),
  request: token,
  operation: fc.stringMatching(/^[ -~]{1,30}$/),
  kind: fc.constantFrom(...common),
  outcome: fc.constantFrom(...OUTCOMES),
  code: orNull(fc.constantFrom('FORBIDDEN', 'X_1')),
  actor: orNull(reference),
  role: orNull(token),
  session: orNull(token),
  purpose: orNull(token),
  document: orNull(digest),
  policy: orNull(token),
  rules: fc.array(token, { maxLength: 3 }),
  reason: fc.boolean(),
  accesses: fc.array(access, { maxLength: 3 }),
  detail: sealing,
  sealed: sealing,
  acr: fc.option(token, { nil: undefined }),
  decision: fc.option(token, { nil: undefined }),
  consents: some,
  obligations: some,
});
const bytesOf = (record: LedgerRecord) =>
  Buffer.from(canonicalize(Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))));

const recogniser = new Recogniser();
function recognise(bytes: Uint8Array): boolean {
  recogniser.bytes.set(bytes, 64);
  return recogniser.read(64, 64 + bytes.length);
}

/** What the recogniser took in says the same as the record, read by the general rules. */
function expectSame(bytes: Uint8Array): void {
  const { record, problem } = readRecord(bytes);
  expect([problem, bytes.toString()]).toEqual(['', bytes.toString()]);
  const half = (value: number) => value.toString(16).padStart(8, '0');
  expect({
    log: recogniser.log,
    incarnation: recogniser.incarnation,
    number: recogniser.number,
    time: recogniser.time,
    writer: half(recogniser.writerHigh) + half(recogniser.writerLow),
  }).toEqual({
    log: record!.log,
    incarnation: record!.incarnation,
    number: record!.number,
    time: Date.parse(record!.time),
    writer: record!.writer,
  });
  const { sealedAt } = recogniser;
  const sha256 = Buffer.from(recogniser.bytes.subarray(sealedAt, sealedAt + 64)).toString();
  expect(sealedAt < 0 ? undefined : sha256).toBe(record!.sealed?.sha256);
}

describe('the recogniser of records', () => {
  it('takes every record of the common kinds in which nothing is escaped, and reads it as it is', () => {
    fc.assert(
      fc.property(records, (record) => {
        const bytes = bytesOf(record);
        const plain = !bytes.includes('\\') && record.number < 1e15;
        expect(recognise(bytes)).toBe(plain);
        if (plain) expectSame(bytes);
      }),
      { numRuns: 300 },
    );
    expect(recognise(bytesOf(sampleRecord(1)))).toBe(true);
    expect(recognise(bytesOf(sampleRecord(1, { kind: 'VOID', outcome: 'failed', accesses: [] })))).toBe(true);
  });

  it('takes nothing that the general rules refuse: any piece cut out, put in or changed', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      '"',
      ':',
      ' ',
      '0',
      '1',
      'a',
      'null',
      '\\u0041',
      '}{',
      '""',
      '\u00ff',
      '\0',
    ];
    fc.assert(
      fc.property(records, fc.nat(), fc.nat({ max: 3 }), fc.constantFrom(...pieces), (record, place, length, piece) => {
        const bytes = bytesOf(record);
        const at = place % bytes.length;
        for (const put of ['', piece]) {
          const spoilt = Buffer.concat([bytes.subarray(0, at), Buffer.from(put), bytes.subarray(at + length)]);
          if (recognise(spoilt)) expectSame(spoilt);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('takes no time that is none in place of the first one', () => {
    const bytes = bytesOf(sampleRecord(1));
    const at = bytes.indexOf('"time":"') + 8;
    bytes.fill(0, at, at + 16);
    const recogniser = new Recogniser();
    recogniser.bytes.set(bytes);
    expect([readRecord(bytes).record, recogniser.read(0, bytes.length)]).toEqual([null, false]);
  });

  it('leaves what has rules of its own to others', () => {
    for (const kind of ['START', 'WRITER', 'ERASE', 'ARCHIVE'] as const) {
      expect(recognise(bytesOf(sampleRecord(1, { kind })))).toBe(false);
    }
  });

  const text = bytesOf(
    sampleRecord(1, { accesses: [...sampleRecord(1).accesses, ...sampleRecord(2).accesses] }),
  ).toString();
  it.each([
    [text.replace('},{"fields"', '}{"fields"')],
    [text.replace('}],"actor"', '},],"actor"')],
    [text.replace('{"name":"CLEAR"}', '{"name":"CLEAR","name":"CLEAR"}')],
    [text.replace('{"name":"CLEAR"}', '{"name":"CLEAR","age":"CLEAR"}')],
    [text.replace('{"name":"CLEAR"}', '{"name":"CLEAR",}')],
    [text.replace('"rows":1', '"rows":01')],
    [text.replace('"number":1,', '"number":0,')],
    [text.replace('T08:00:01.000Z', 'T24:00:01.000Z')],
    [text.replace('2026-03-01', '2026-02-30')],
    [text.replace('08:00:01', '08:00:60')],
    [`${text} `],
    [text.slice(0, -1)],
  ])('refuses %s', (bad) => {
    expect(bad).not.toBe(text);
    expect(recognise(Buffer.from(bad))).toBe(false);
    expect(readRecord(Buffer.from(bad)).record).toBeNull();
  });
});
