import { beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { newId, newReference } from '../kernel/identifier.js';
import { expandBytes, extractKey } from './derivation.js';
import { commitmentOf, SubjectKey } from './subject-key.js';
import { SubjectKeySet, type UnwrappedRow } from './subject-key-set.js';

const subjectId = newId();
const reference = newReference();
const address = { tenant: 'T-CN', type: 'Patient', rowId: subjectId, version: 3, subjectId };
let raws: Buffer[];

function stored(
  keyId: number,
  state: 'primary' | 'decrypt-only' | 'destroyed',
  detail: Buffer | null = null,
): UnwrappedRow {
  const raw = Buffer.from(raws[keyId - 1] ?? Buffer.alloc(0));
  const commitment = commitmentOf(extractKey(Buffer.from(raw)), keyId);
  const wrapped = state === 'destroyed' ? null : raw;
  const row = { tenantId: 'T-CN', subjectId, keyId, reference, state, wrapKeyId: 1, wrapped, detail, commitment };
  return { row, raw: wrapped, detail: detail === null ? null : Buffer.from(detail) };
}

beforeEach(() => {
  raws = [randomBytes(32), randomBytes(32)];
});

describe('the versions of a subject’s key', () => {
  it('seal with the primary and open what an older one sealed', () => {
    const before = SubjectKeySet.of([stored(1, 'primary')]);
    const old = before.seal(address, 'contact', { phone: '1' });
    const after = SubjectKeySet.of([stored(1, 'decrypt-only'), stored(2, 'primary')]);
    expect(after.open(address, 'contact', old)).toEqual({ phone: '1' });
    const fresh = after.seal(address, 'contact', { phone: '2' });
    expect([old, fresh].map((one) => one.readUInt32BE(2))).toEqual([1, 2]);
    expect(() => before.open(address, 'contact', fresh)).toThrow(/not the one that was written/);
    expect(after.streamKey('a', 1).equals(before.streamKey('a'))).toBe(true);
    expect(after.streamKey('a').equals(before.streamKey('a'))).toBe(false);
  });

  it('open nothing any more when they are destroyed, but for the details that they sealed', () => {
    const before = SubjectKeySet.of([stored(1, 'primary')]);
    const sealed = before.seal(address, 'contact', { phone: '1' });
    const raw = Buffer.from(raws[0] ?? Buffer.alloc(0));
    const detail = expandBytes(extractKey(raw), 'detail', '1');
    const after = SubjectKeySet.of([stored(1, 'destroyed', detail), stored(2, 'primary')]);
    expect(() => after.open(address, 'contact', sealed)).toThrow(/not the one that was written/);
    expect(() => after.streamKey('a', 1)).toThrow(/changed in the database/);
    const [old] = before.ledgerKeys();
    expect(after.ledgerKeys().map((key) => old !== undefined && key.equals(old))).toEqual([false, true]);
  });

  it('are refused without a primary, and with one that did not unwrap', () => {
    expect(() => SubjectKeySet.of([stored(1, 'decrypt-only')])).toThrow(/changed in the database/);
    expect(() => SubjectKeySet.of([{ ...stored(1, 'primary'), raw: null }])).toThrow(/changed in the database/);
    const kept = { ...stored(1, 'destroyed', randomBytes(32)), detail: null };
    expect(() => SubjectKeySet.of([kept, stored(2, 'primary')])).toThrow(/changed in the database/);
  });

  it('remember for one version of a row only', () => {
    const key = new SubjectKey('T-CN', subjectId, 1, extractKey(Buffer.from(raws[0] ?? Buffer.alloc(0))));
    const sealed = key.seal(address, 'contact', { phone: '1' });
    const slot = {};
    expect(key.remember(slot, address, 'contact', sealed, () => 'masked')).toBe('masked');
    expect(() => key.remember(slot, { ...address, version: 4 }, 'contact', sealed, () => 'masked')).toThrow(
      /not the one/,
    );
  });
});
