import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalize } from '../../audit/canonical.mjs';
import { validateRecord } from '../../audit/entry.mjs';
import { type Access, bareDraft, encodeRecord, type RecordDraft, type RecordStamp } from './record.js';

const hex = (length: number) =>
  fc.array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length }).map((all) => all.join(''));
const token = fc.stringMatching(/^[!-~]{1,40}$/);
const states = fc.constantFrom('CLEAR', 'MASKED', 'HIDDEN', 'ERASED', 'WRITTEN' as const);
const fieldName = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.]{0,20}$/);

const accesses: fc.Arbitrary<Access> = fc.record({
  type: fc.stringMatching(/^[A-Za-z][A-Za-z0-9]{0,20}$/),
  rows: fc.nat(),
  fields: fc.dictionary(fieldName, states, { noNullPrototype: true }).map((fields) => Object.freeze(fields)),
  subjects: fc.array(hex(32), { maxLength: 4 }),
}) as fc.Arbitrary<Access>;

const drafts = fc.record({
  log: fc.constantFrom('T-CN', 'system'),
  operation: fc.stringMatching(/^[ -~]{1,40}$/),
  kind: fc.constantFrom('READ', 'SEARCH', 'UPDATE', 'LOGIN'),
  outcome: fc.constantFrom('success', 'denied', 'failed'),
  code: fc.option(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,20}$/)),
  actor: fc.option(hex(32)),
  role: fc.option(token),
  session: fc.option(token),
  purpose: fc.option(fc.oneof(token, fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }))),
  request: fc.oneof(token, fc.string({ unit: 'binary', maxLength: 200 }), fc.constant('\ud800"\\')),
  document: fc.option(hex(64)),
  policy: fc.option(token),
  rules: fc.array(token, { maxLength: 4 }),
  reason: fc.boolean(),
  accesses: fc.array(accesses, { maxLength: 3 }),
  decision: fc.option(token, { nil: undefined }),
  acr: fc.option(token),
  consents: fc.option(fc.array(token, { maxLength: 2 }), { nil: undefined }),
  obligations: fc.option(fc.array(token, { maxLength: 2 }), { nil: undefined }),
}) as fc.Arbitrary<RecordDraft>;

const stamp: RecordStamp = {
  incarnation: 1,
  writer: '0123456789abcdef',
  number: 7,
  time: '2026-11-21T08:00:00.123Z',
};

/** Members of a decision are left away where there is nothing to say. */
const saysNothing = (name: string, value: unknown) =>
  ['decision', 'acr', 'consents', 'obligations'].includes(name) && (value == null || (value as string).length === 0);

describe('encodeRecord', () => {
  it('writes the bytes of canonicalize, and a valid record whatever a client sent', () => {
    fc.assert(
      fc.property(drafts, (draft) => {
        const text = encodeRecord(draft, stamp).toString();
        const record = JSON.parse(text) as Record<string, unknown>;
        expect(canonicalize(record)).toBe(text);
        expect(validateRecord(record)).toEqual([]);
        const { purpose, request, ...unchanged } = draft;
        const said = Object.entries(unchanged).filter(([name, value]) => !saysNothing(name, value));
        expect(record).toEqual({
          ...Object.fromEntries(said),
          ...stamp,
          ...{ v: 1, purpose: expect.anything(), request: expect.anything() },
          ...(purpose === null ? { purpose } : {}),
        });
        if (/^[!-~]{1,128}$/.test(request)) expect(record.request).toBe(request);
      }),
      { numRuns: 1_000 },
    );
  });

  it('says of the decision no more than 80 bytes in a read as it is made all day', () => {
    const read: RecordDraft = {
      ...bareDraft('T-CN', 'patients', 'SEARCH', 'r'),
      policy: 'p',
      rules: ['agent-hoperat'],
    };
    const decided = { ...read, decision: '0195507c-a8f4-7000-8000-000000000002', acr: 'pwd+otp', consents: [] };
    expect(encodeRecord(decided, stamp).length - encodeRecord(read, stamp).length).toBeLessThan(80);
    const nothing = { ...read, acr: null, consents: [], obligations: [] };
    expect(encodeRecord(nothing, stamp)).toEqual(encodeRecord(read, stamp));
  });

  it('names suite and origin in a START record, in canonical order', () => {
    const start = { suite: 'sha256-ed25519', origin: 'crm.example/T-CN' };
    const text = encodeRecord(bareDraft('T-CN', 'start', 'START', '-'), stamp, start).toString();
    expect(canonicalize(JSON.parse(text))).toBe(text);
    expect(validateRecord(JSON.parse(text))).toEqual([]);
  });

  it('refuses a record that no entry can hold', () => {
    const subjects = Array.from({ length: 2_000 }, (_, index) => index.toString(16).padStart(32, '0'));
    const draft: RecordDraft = {
      ...bareDraft('T-CN', 'patients', 'READ', 'r'),
      accesses: [{ type: 'Patient', rows: subjects.length, fields: { name: 'CLEAR' }, subjects }],
    };
    expect(() => encodeRecord(draft, stamp)).toThrow(/an entry of the ledger holds 65503/);
  });
});
