import 'graphql';
import { beforeAll, describe, expect, it } from '@jest/globals';
import '../domain/nouns.js';
import { registry } from '../kernel/attribute.js';
import { Vault } from '../vault/vault.js';
import { memoryRoot, MemoryVaultStore } from '../../test/support/memory-vault.js';
import { indexColumns, searchToken } from './row-indexes.js';

const noun = registry.noun('Patient');
const VALUES = { name: '王小明', phone: '138 1234 5678', nationalId: '11010519491231002X' };
let vault: Vault;
beforeAll(async () => {
  vault = new Vault(memoryRoot(), new MemoryVaultStore());
  await vault.load();
  for (const tenant of ['T-CN', 'T-US']) await vault.createTenantKey(tenant);
});

describe('the indexes of a row', () => {
  it('are made of all its values, by one spelling', () => {
    const made = indexColumns(vault, 'T-CN', noun, VALUES, 'CN', () => true);
    expect(Object.keys(made).sort()).toEqual(['index_key', 'national_id_index', 'phone_index', 'search_tokens']);
    expect(made['phone_index']).toEqual(vault.blindIndex('T-CN', 'Patient.phone', '+8613812345678'));
    const spelled = { ...VALUES, phone: '+86-138-1234-5678', nationalId: '110105 19491231 002x' };
    expect(indexColumns(vault, 'T-CN', noun, spelled, 'US', () => true)).toEqual(made);
  });

  it('are null without a value, and name no key where there are none', () => {
    const none = { index_key: null, national_id_index: null, phone_index: null, search_tokens: null };
    expect(indexColumns(vault, 'T-CN', noun, {}, 'CN', () => true)).toEqual(none);
    expect(indexColumns(vault, 'T-CN', noun, VALUES, 'CN', () => false)).toEqual(none);
    expect(indexColumns(vault, 'T-CN', noun, { name: null, phone: 'none' }, 'CN', () => true)).toEqual(none);
  });

  it('are those that are chosen', () => {
    const phone = indexColumns(vault, 'T-CN', noun, VALUES, 'CN', (_type, field) => field === 'phone');
    expect([phone['national_id_index'], (phone['search_tokens'] as number[]).length]).toEqual([null, 1]);
    const exact = indexColumns(vault, 'T-CN', noun, VALUES, 'CN', (_type, _field, kind) => kind === 'exact');
    expect([exact['search_tokens'], exact['index_key']]).toEqual([null, 1]);
  });

  it('have tokens of two bytes, of fewer bits where there are few values', () => {
    const [key] = vault.indexKeys('T-CN');
    const suffixes = Array.from({ length: 10_000 }, (_, digits) =>
      searchToken(key!, 'Patient', 'phone', 'suffix', String(digits).padStart(4, '0')),
    );
    // 12 bits: each output stands for more than two ends of a phone.
    expect(new Set(suffixes).size).toBeLessThanOrEqual(4_096);
    expect(suffixes.every((token) => token >= -32_768 && token <= 32_767)).toBe(true);
    const [foreign] = vault.indexKeys('T-US');
    const same = suffixes.filter((token, at) => {
      return token === searchToken(foreign!, 'Patient', 'phone', 'suffix', String(at).padStart(4, '0'));
    });
    expect(same.length).toBeLessThan(20);
  });
});
