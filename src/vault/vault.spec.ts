import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DATA_GROUPS, type DataGroup } from '../kernel/attribute.js';
import { memoryRoot, MemoryVaultStore, TEST_USE } from '../../test/support/memory-vault.js';
import { Failure } from '../kernel/failure.js';
import { newId, newReference } from '../kernel/identifier.js';
import { SYSTEM_TENANT, Vault, type SealAddress, type SubjectKeyRow } from './vault.js';

const root = memoryRoot();
const TENANTS = ['T-CN', 'T-US'];
const one = newId();
const two = newId();
let store: MemoryVaultStore;
let vault: Vault;

async function started(): Promise<Vault> {
  const fresh = new Vault(root, store);
  await fresh.load();
  return fresh;
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof Failure) return error.code;
    throw error;
  }
  return 'none';
}

function patient(tenant: string, id: string): SealAddress {
  return { tenant, type: 'Patient', rowId: id, version: 1, subjectId: id };
}

beforeEach(async () => {
  store = new MemoryVaultStore();
  vault = await started();
  for (const tenant of TENANTS) {
    await vault.createTenantKey(tenant);
    for (const subject of [one, two])
      store.subjects.push(await vault.createSubjectKey(tenant, subject, newReference()));
  }
});

describe('sealed groups', () => {
  test('come back in another process, with every kind of JSON value', async () => {
    const values = { name: '王小明', birthDate: null, count: 3, nested: { a: ['x', true] } };
    const sealed = vault.seal(patient('T-CN', one), 'identity', values);
    expect(vault.open(patient('T-CN', one), 'identity', sealed)).toEqual(values);
    const other = await started();
    await other.loadSubjectKeys('T-CN', [one], TEST_USE);
    expect(other.open(patient('T-CN', one), 'identity', sealed)).toEqual(values);
  });

  test('open at no other place: tenant, type, row, version, subject and group all count', () => {
    const address = fc.record({
      tenant: fc.constantFrom(...TENANTS),
      type: fc.constantFrom('Patient', 'Visit', 'Diagnosis'),
      rowId: fc.constantFrom(one, two),
      version: fc.constantFrom(0, 1, 2, 11),
      subjectId: fc.constantFrom(one, two),
    });
    const group = fc.constantFrom<DataGroup[]>(...DATA_GROUPS);
    fc.assert(
      fc.property(address, group, address, group, (from, fromGroup, to, toGroup) => {
        const sealed = vault.seal(from, fromGroup, { canary: 'CANARY-9f3c' });
        const same = JSON.stringify([from, fromGroup]) === JSON.stringify([to, toGroup]);
        expect(codeOf(() => vault.open(to, toGroup, sealed))).toBe(same ? 'none' : 'INTEGRITY_FAILED');
      }),
      { numRuns: 2000 },
    );
  });

  test('are rejected with any single bit flipped, and the refusal tells no value', () => {
    const sealed = vault.seal(patient('T-CN', one), 'contact', { phone: '13812345678' });
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(codeOf(() => vault.open(patient('T-CN', one), 'contact', changed))).toBe('INTEGRITY_FAILED');
    }
    expect(() => vault.open(patient('T-CN', one), 'notes', sealed)).toThrow(
      'A sealed value of Patient (notes) is not the one that was written.',
    );
  });

  test('of another key id are rejected', () => {
    const sealed = vault.seal(patient('T-CN', one), 'contact', { phone: '13812345678' });
    for (const keyId of [0, 2, 0xffffffff]) {
      const changed = Buffer.from(sealed);
      changed.writeUInt32BE(keyId, 2);
      expect(codeOf(() => vault.open(patient('T-CN', one), 'contact', changed))).toBe('INTEGRITY_FAILED');
    }
  });

  test('are opened again whenever a byte, the row or the use differs from what is remembered', () => {
    const sealed = vault.seal(patient('T-CN', one), 'contact', { phone: '13812345678' });
    const slot = {};
    let opened = 0;
    const mask = () => `masked ${++opened}`;
    const ask = (bytes: Buffer, address = patient('T-CN', one), use: object = slot) =>
      vault.rowOpener(address).remember(use, 'contact', bytes, mask);
    expect([ask(sealed), ask(Buffer.from(sealed))]).toEqual(['masked 1', 'masked 1']);
    const changed = Buffer.from(sealed);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(codeOf(() => ask(changed))).toBe('INTEGRITY_FAILED');
    expect(codeOf(() => ask(sealed, { ...patient('T-CN', one), rowId: two }))).toBe('INTEGRITY_FAILED');
    expect(codeOf(() => ask(sealed, patient('T-CN', two)))).toBe('INTEGRITY_FAILED');
    expect(ask(sealed, patient('T-CN', one), {})).toBe('masked 2');
    expect(ask(vault.seal(patient('T-CN', one), 'contact', { phone: '13900000000' }))).toBe('masked 3');
  });

  test('have no place that is not plain ASCII or too long to be told apart', () => {
    for (const rowId of ['中', 'x'.repeat(600)]) {
      const address = { ...patient('T-CN', one), rowId };
      expect(codeOf(() => vault.seal(address, 'contact', {}))).toBe('INTERNAL_SERVER_ERROR');
    }
  });
});

describe('subject keys', () => {
  test('are fetched in one statement for those that are not cached, and only for those', async () => {
    const fresh = await started();
    await fresh.loadSubjectKeys('T-CN', [one], TEST_USE);
    await fresh.loadSubjectKeys('T-CN', [one, two, two], TEST_USE);
    await fresh.loadSubjectKeys('T-CN', [one, two], TEST_USE);
    expect(store.asked).toEqual([[one], [two]]);
  });

  test('that do not exist stay absent', async () => {
    const missing = newId();
    await vault.loadSubjectKeys('T-CN', [missing], TEST_USE);
    expect(vault.hasSubjectKey('T-CN', missing)).toBe(false);
    expect(codeOf(() => vault.open(patient('T-CN', missing), 'identity', Buffer.alloc(50)))).toBe(
      'INTERNAL_SERVER_ERROR',
    );
  });

  test('do not serve another tenant', async () => {
    const fresh = await started();
    await fresh.loadSubjectKeys('T-CN', [one], TEST_USE);
    expect(fresh.hasSubjectKey('T-US', one)).toBe(false);
  });

  test.each<[string, (rows: SubjectKeyRow[]) => SubjectKeyRow]>([
    ['another commitment', ([row, other]) => ({ ...row!, commitment: other!.commitment })],
    ['a short commitment', ([row]) => ({ ...row!, commitment: row!.commitment.subarray(1) })],
    ["another subject's key", ([row, other]) => ({ ...other!, subjectId: row!.subjectId })],
    ["another tenant's key", ([row, , other]) => ({ ...other!, tenantId: row!.tenantId })],
    ['another key id', ([row]) => ({ ...row!, keyId: 2 })],
    ["another's name in the ledger", ([row, other]) => ({ ...row!, reference: other!.reference })],
    ['the name of another key of the tenant', ([row]) => ({ ...row!, wrapKeyId: 2 })],
    ['a version that is not in use', ([row]) => ({ ...row!, state: 'decrypt-only' as const })],
    ['nothing', ([row]) => ({ ...row!, wrapped: Buffer.alloc(0) })],
  ])('replaced by %s are rejected', async (_what, forge) => {
    const forged = forge(store.subjects);
    store.subjects.splice(0, 1, forged);
    const fresh = await started();
    await expect(fresh.loadSubjectKeys('T-CN', [one], TEST_USE)).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
    expect(fresh.hasSubjectKey('T-CN', one)).toBe(false);
  });
});

describe('tenant keys', () => {
  test('of a tenant that another process made are found when first needed', async () => {
    const other = await started();
    await vault.createTenantKey('T-EU');
    store.subjects.push(await vault.createSubjectKey('T-EU', one, newReference()));
    await other.loadSubjectKeys('T-EU', [one], TEST_USE);
    expect(other.hasSubjectKey('T-EU', one)).toBe(true);
  });

  test('are never replaced', async () => {
    const sealed = vault.seal(patient('T-CN', one), 'contact', { phone: '1' });
    const before = [...store.tenants];
    await vault.createTenantKey('T-CN');
    expect(store.tenants).toEqual(before);
    const fresh = await started();
    await fresh.loadSubjectKeys('T-CN', [one], TEST_USE);
    expect(fresh.open(patient('T-CN', one), 'contact', sealed)).toEqual({ phone: '1' });
  });

  test('under another root key stop the start with a sentence', async () => {
    const other = new Vault({ ...root, id: 'other', unwrap: () => Promise.resolve(null) }, store);
    await expect(other.load()).rejects.toThrow('does not open under the root key other');
  });

  test('that are missing are named as what they are', async () => {
    await expect(vault.createSubjectKey('T-XX', one, newReference())).rejects.toMatchObject({
      code: 'INTERNAL_SERVER_ERROR',
    });
    expect(codeOf(() => vault.blindIndex('T-XX', 'Patient.phone', '1'))).toBe('INTERNAL_SERVER_ERROR');
  });
});

describe('indexes and digests', () => {
  test('repeat in another process, and in no other tenant, attribute or label', async () => {
    const index = vault.blindIndex('T-CN', 'Patient.phone', '+8613812345678');
    expect(index).toHaveLength(5);
    expect((await started()).blindIndex('T-CN', 'Patient.phone', '+8613812345678')).toEqual(index);
    const digest = vault.keyedDigest('T-CN', 'a', 'text');
    expect(digest).toHaveLength(32);
    const all = [
      index,
      vault.blindIndex('T-US', 'Patient.phone', '+8613812345678'),
      vault.blindIndex('T-CN', 'Patient.nationalId', '+8613812345678'),
      digest,
      vault.keyedDigest('T-US', 'a', 'text'),
      vault.keyedDigest('T-CN', 'b', 'text'),
      vault.keyedDigest('T-CN', 'at', 'ext'),
      vault.keyedDigest(SYSTEM_TENANT, 'a', 'text'),
    ];
    expect(new Set(all.map((bytes) => bytes.toString('hex', 0, 8))).size).toBe(all.length);
  });
});

describe('tokens', () => {
  test('open in another process, for their label and context only', async () => {
    const token = vault.sealToken('cursor', 'principal 1', '王小明,5');
    expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
    const other = await started();
    expect(other.openToken('cursor', 'principal 1', token)).toBe('王小明,5');
    expect(other.openToken('cursor', 'principal 2', token)).toBeNull();
    expect(other.openToken('export', 'principal 1', token)).toBeNull();
    expect(other.openToken('cursorp', 'rincipal 1', token)).toBeNull();
  });

  test('never repeat, and do not open with one character changed, added or spelled otherwise', () => {
    const token = vault.sealToken('cursor', 'x', 'payload');
    expect(vault.sealToken('cursor', 'x', 'payload')).not.toBe(token);
    for (let at = 0; at < token.length; at += 1) {
      const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      expect(vault.openToken('cursor', 'x', changed)).toBeNull();
    }
    for (const spelling of [`${token}=`, ` ${token}`, `${token}A`, `${token}\n`]) {
      expect(vault.openToken('cursor', 'x', spelling)).toBeNull();
    }
  });

  test('made up by others are null', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String({ maxLength: 200 })), (text) => {
        expect(vault.openToken('cursor', 'x', text)).toBeNull();
      }),
    );
    expect(vault.openToken('cursor', 'x', 'A'.repeat(1_000_000))).toBeNull();
  });
});

describe('keys of streams', () => {
  test('repeat in another process, and in no other tenant, subject or label', async () => {
    const other = await started();
    await other.loadSubjectKeys('T-CN', [one], TEST_USE);
    expect(other.streamKey('T-CN', 'export 1').equals(vault.streamKey('T-CN', 'export 1'))).toBe(true);
    expect(other.subjectStreamKey('T-CN', one, 'a').key.equals(vault.subjectStreamKey('T-CN', one, 'a').key)).toBe(
      true,
    );
    const all = [
      vault.streamKey('T-CN', 'a'),
      vault.streamKey('T-CN', 'b'),
      vault.streamKey('T-US', 'a'),
      vault.subjectStreamKey('T-CN', one, 'a').key,
      vault.subjectStreamKey('T-CN', one, 'b').key,
      vault.subjectStreamKey('T-CN', two, 'a').key,
      vault.subjectStreamKey('T-US', one, 'a').key,
    ];
    expect(new Set(all.map((key) => key.export().toString('hex'))).size).toBe(all.length);
  });

  test('of a subject are gone with its key', () => {
    expect(codeOf(() => vault.subjectStreamKey('T-CN', newId(), 'a'))).toBe('INTERNAL_SERVER_ERROR');
  });
});
