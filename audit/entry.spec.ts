import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeBundle,
  decodeEntry,
  encodeBundle,
  encodeEntry,
  LARGEST_RECORD,
  splitBundle,
  validateRecord,
  ZERO_LEAF,
} from './entry.mjs';
import { sampleRecord } from './sample-log.js';

describe('entry and bundle', () => {
  const bytes = (maxLength: number) => fc.uint8Array({ minLength: 1, maxLength }).map((array) => Buffer.from(array));

  it('give back what went in', () => {
    const leaf = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(fc.array(fc.tuple(leaf, bytes(700))), (items) => {
        const entries = items.map(([previous, record]) => encodeEntry(previous, record));
        const read = decodeBundle(encodeBundle(entries));
        expect(read).toEqual(entries);
        expect(read.map(decodeEntry)).toEqual(
          items.map(([previous, record]) => ({ previousLeaf: Buffer.from(previous), record })),
        );
      }),
    );
  });

  it('tell how much of a bundle cut short is whole', () => {
    fc.assert(
      fc.property(fc.array(bytes(40), { minLength: 1 }), fc.nat(), (entries, pick) => {
        const bundle = encodeBundle(entries);
        const cut = pick % bundle.length;
        const { entries: whole, rest } = splitBundle(bundle.subarray(0, cut));
        expect(whole).toEqual(entries.slice(0, whole.length));
        expect(encodeBundle(whole).length + rest).toBe(cut);
        if (rest > 0) expect(() => decodeBundle(bundle.subarray(0, cut))).toThrow('cut short');
      }),
    );
  });

  it('keep to their limits', () => {
    const largest = encodeEntry(ZERO_LEAF, Buffer.alloc(LARGEST_RECORD));
    expect(largest).toHaveLength(65_535);
    expect(decodeBundle(encodeBundle([largest, Buffer.alloc(0), largest]))).toEqual([
      largest,
      Buffer.alloc(0),
      largest,
    ]);
    expect(() => encodeEntry(ZERO_LEAF, Buffer.alloc(LARGEST_RECORD + 1))).toThrow(Error);
    expect(() => encodeEntry(ZERO_LEAF, Buffer.alloc(0))).toThrow(Error);
    expect(() => encodeEntry(Buffer.alloc(31), Buffer.alloc(1))).toThrow(Error);
    expect(() => encodeBundle([Buffer.alloc(65_536)])).toThrow(Error);
    expect(() => decodeEntry(ZERO_LEAF)).toThrow(Error);
  });
});

describe('record', () => {
  const record = { ...sampleRecord(1) };
  const changed = (changes: Record<string, unknown>) => validateRecord({ ...record, ...changes });

  it('is valid as it comes, in any order of its members', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(Object.entries(record), { minLength: Object.keys(record).length }), (members) => {
        expect(validateRecord(Object.fromEntries(members))).toEqual([]);
      }),
    );
    expect(changed({ detail: { key: 'k-1', sha256: 'a'.repeat(64) } })).toEqual([]);
  });

  it('needs every member and takes no other', () => {
    for (const name of Object.keys(record)) {
      const rest = Object.fromEntries(Object.entries(record).filter(([member]) => member !== name));
      expect(validateRecord(rest)).toEqual([`The member ${name} is missing.`]);
    }
    expect(changed({ patientName: 'x' })).toEqual(['The record has an unknown member.']);
    expect(changed({ constructor: 1 })).toHaveLength(1);
  });

  it('never repeats a value in a problem', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(record)), fc.uuid(), (name, canary) => {
        expect(changed({ [name]: { [canary]: canary } }).join()).not.toContain(canary);
        expect(changed({ [canary]: canary }).join()).not.toContain(canary);
      }),
    );
  });

  const access = { type: 'Patient', rows: 1, fields: { name: 'CLEAR' }, subjects: [] };
  it.each([
    { v: 2 },
    { v: '1' },
    { log: '' },
    { log: '../T-CN' },
    { log: '.hidden' },
    { incarnation: 0 },
    { writer: 'A'.repeat(16) },
    { number: 0 },
    { number: 1.5 },
    { number: 2 ** 53 },
    { time: '2026-02-30T08:00:00.000Z' },
    { time: '2026-03-01T08:00:00Z' },
    { time: '2026-03-01T08:00:00.000+00:00' },
    { request: 'two words' },
    { request: 'x'.repeat(129) },
    { operation: 'line\nfeed' },
    { kind: 'read' },
    { kind: 'toString' },
    { outcome: 'ok' },
    { code: 'lower' },
    { actor: '王小明' },
    { role: null, rules: null },
    { session: '' },
    { document: 'ab' },
    { rules: [1] },
    { reason: 'because' },
    { accesses: {} },
    { accesses: [{ ...access, rows: -1 }] },
    { accesses: [{ ...access, more: 1 }] },
    { accesses: [{ ...access, fields: { name: 'SEEN' } }] },
    { accesses: [{ ...access, fields: { 'a name': 'CLEAR' } }] },
    { accesses: [{ ...access, subjects: ['patient-7'] }] },
    { detail: { key: 'k' } },
    { suite: 'sha256-ed25519' },
    { origin: 'ledger.example.org/T-CN' },
    { kind: 'START', suite: 'sha256-ed25519' },
    { kind: 'VOID', outcome: 'failed' },
    { kind: 'VOID', accesses: [] },
  ])('is refused with %j', (changes) => {
    expect(changed(changes)).toHaveLength(1);
  });

  it.each([null, [], 'text', 7])('is refused as %j', (value) => {
    expect(validateRecord(value)).toEqual(['The record is not an object.']);
  });
});
