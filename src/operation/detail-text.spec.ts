import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hash } from 'node:crypto';
import { canonicalize } from '../../audit/canonical.mjs';
import { detailText, LARGEST_DETAIL, type Asked, type DetailDocument, type RowChange } from './detail-text.js';

const asked = (input: unknown, name = 'updatePatient', withheld?: readonly string[]): Asked => ({
  operation: { name, withheld },
  input,
});
const textOf = (some: readonly Asked[], changes: readonly RowChange[] = [], address: string | null = null) =>
  detailText({ address, asked: some, changes });
const read = (text: string | null) => JSON.parse(text ?? 'null') as DetailDocument;

describe('the text of details', () => {
  it('is nothing where there is nothing to tell', () => {
    expect(textOf([])).toBeNull();
    expect(textOf([asked({}, 'patients')])).not.toBeNull();
    expect(read(textOf([], [], '192.0.2.1'))).toEqual({ address: '192.0.2.1', changes: [], v: 1, variables: [] });
  });

  it('is canonical, whatever order and kind of object the values come in', () => {
    const value = fc.jsonValue({ maxDepth: 3, noUnicodeString: false });
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), value), (input) => {
        const text = textOf([asked(Object.assign(Object.create(null), input))]) ?? '';
        expect(canonicalize(JSON.parse(text))).toBe(text);
      }),
      { numRuns: 200 },
    );
  });

  it('never holds a value whose name is that of a secret or of the content of a file, at any depth', () => {
    const names = [
      'password',
      'challengeId',
      'refreshToken',
      'clientSecret',
      'totp',
      'recoveryCode',
      'content',
      'base64',
    ];
    const input = Object.fromEntries(names.map((name) => [name, 'CANARY']));
    const nested = { list: [{ deep: { ...input, kept: 'kept' } }], ...input };
    const text = textOf([asked(nested)], [{ type: 'Attachment', id: '1', after: { content: 'CANARY' } }]);
    expect(text).not.toContain('CANARY');
    expect(text).toContain('kept');
    expect(textOf([asked({ text: 'CANARY', careTeamId: '7' }, 'importBundle', ['text'])])).not.toContain('CANARY');
    expect(textOf([asked({ bytes: Buffer.from('CANARY'), blob: new Uint8Array(9) })])).toBe(textOf([asked({})]));
  });

  it('holds no row that was read before: its id in a root field, nothing in a nested list', () => {
    const patient = { __typename: 'Patient', id: 'p1', name: 'CANARY' };
    expect(read(textOf([asked({ patient }, 'assign')])).variables).toEqual([
      { operation: 'assign', input: { patient: 'p1' } },
    ]);
    const parents = Array.from({ length: 20 }, (_, at) =>
      asked({ patient: { ...patient, id: at }, first: 5 }, 'Patient.visits'),
    );
    const others = [asked({ patient }, 'Patient.diagnoses'), asked({ patient, first: 2 }, 'Patient.visits')];
    expect(read(textOf([...parents, ...others])).variables).toEqual([
      { operation: 'Patient.visits', input: { first: 5 } },
      { operation: 'Patient.visits', input: { first: 2 } },
    ]);
  });

  it('replaces the largest texts by digest and size, and keeps the rest', () => {
    const notes = '记'.repeat(12_000);
    const change = { type: 'Patient', id: '1', before: { notes: null, phone: '138' }, after: { notes, phone: '139' } };
    const text = textOf([asked({ id: '1', input: { notes, phone: '139' } })], [change]) ?? '';
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LARGEST_DETAIL);
    const { changes, variables } = read(text);
    const quoted = JSON.stringify(notes);
    const digest = { bytes: Buffer.byteLength(quoted), sha256: hash('sha256', quoted, 'hex') };
    expect(changes[0]).toMatchObject({ before: { phone: '138' }, after: { notes: digest, phone: '139' } });
    expect(variables[0]).toMatchObject({ input: { id: '1', input: { notes: digest, phone: '139' } } });
  });

  it('is never larger than its bound, of whatever it is made', () => {
    const list = fc.array(fc.string({ maxLength: 40 }), { minLength: 200, maxLength: 1_500 });
    fc.assert(
      fc.property(
        fc.array(list, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 0, max: 60_000 }),
        (lists, size) => {
          const changes = lists.map((items, at) => ({
            type: 'Visit',
            id: String(at),
            after: { items, long: 'x'.repeat(size) },
          }));
          const text =
            textOf(
              lists.map((items) => asked({ items })),
              changes,
            ) ?? '';
          expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LARGEST_DETAIL);
          expect(read(text).v).toBe(1);
        },
      ),
      { numRuns: 30 },
    );
  });
});
