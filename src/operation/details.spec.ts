import { beforeEach, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import { memoryRoot, MemoryVaultStore, TEST_USE } from '../../test/support/memory-vault.js';
import { bareDraft, encodeRecord, type RecordDraft } from '../ledger/record.js';
import { Vault } from '../vault/vault.js';
import { Details, subjectOfKey, type SealedRecord } from './details.js';

const LOG = 'T-CN';
const [ANNA, BERT] = ['a'.repeat(32), 'b'.repeat(32)];
const IDS = new Map([
  [ANNA, '01900000-0000-7000-8000-00000000000a'],
  [BERT, '01900000-0000-7000-8000-00000000000b'],
]);
const CONTENT = {
  address: '192.0.2.7',
  asked: [],
  changes: [{ type: 'Patient', id: '1', after: { phone: 'CANARY' } }],
};

let store: MemoryVaultStore;
let vault: Vault;
let details: Details;
const root = memoryRoot();
const restarted = async () => {
  const other = new Vault(root, store);
  await other.load();
  return other;
};

beforeEach(async () => {
  store = new MemoryVaultStore();
  vault = await restarted();
  await vault.createTenantKey(LOG);
  await vault.createTenantKey('T-US');
  for (const [reference, id] of IDS) store.subjects.push(await vault.createSubjectKey(LOG, id, reference));
  details = new Details(vault);
});

function draft(subjects: readonly string[], more: Partial<RecordDraft> = {}): RecordDraft {
  const accesses = [{ type: 'Patient', rows: 1, fields: {}, subjects }];
  return { ...bareDraft(LOG, 'updatePatient', 'UPDATE', 'request-1'), accesses, ...more };
}
/** The record as it is read back from the ledger, with the ciphertext beside it. */
function recorded(attached: RecordDraft): { record: SealedRecord; ciphertext: Buffer } {
  const stamp = { incarnation: 1, writer: '0'.repeat(16), number: 1, time: '2026-11-21T00:00:00.000Z' };
  const record = JSON.parse(encodeRecord(attached, stamp).toString()) as SealedRecord;
  return { record, ciphertext: attached.sealed?.ciphertext ?? Buffer.alloc(0) };
}

describe('details', () => {
  it('are sealed under the key of the one person that the record names, else under the tenant’s', () => {
    const keyOf = (subjects: string[], known = IDS) => details.attach(draft(subjects), CONTENT, known).sealed?.key;
    expect(keyOf([ANNA])).toBe(`subject:${ANNA}`);
    expect(keyOf([ANNA, ANNA])).toBe(`subject:${ANNA}`);
    expect(keyOf([ANNA, BERT])).toBe('tenant');
    expect(keyOf([])).toBe('tenant');
    expect(keyOf([ANNA], new Map())).toBe('tenant');
    expect([subjectOfKey(`subject:${ANNA}`), subjectOfKey('tenant')]).toEqual([ANNA, null]);
  });

  it('open again in another process, and are gone with the key of the person', async () => {
    const one = recorded(details.attach(draft([ANNA]), CONTENT, IDS));
    const several = recorded(details.attach(draft([ANNA, BERT]), CONTENT, IDS));
    const id = IDS.get(ANNA) ?? '';
    const later = await restarted();
    const opening = new Details(later);
    await later.loadSubjectKeys(LOG, [id], TEST_USE);
    expect(opening.open(one.record, one.ciphertext, id)).toMatchObject({
      address: '192.0.2.7',
      changes: CONTENT.changes,
    });
    expect(opening.open(several.record, several.ciphertext, null)).toMatchObject({ changes: CONTENT.changes });
    store.subjects.splice(0);
    const after = await restarted();
    await after.loadSubjectKeys(LOG, [id], TEST_USE);
    expect(after.hasSubjectKey(LOG, id)).toBe(false);
    expect(() => new Details(after).open(one.record, one.ciphertext, null)).toThrow(/not those that were recorded/);
  });

  it('open for no other record, log, key or bytes', () => {
    for (const subjects of [[ANNA], []]) {
      const { record, ciphertext } = recorded(details.attach(draft(subjects), CONTENT, IDS));
      const id = subjects.length === 0 ? null : (IDS.get(ANNA) ?? '');
      expect(details.open(record, ciphertext, id).address).toBe('192.0.2.7');
      const sha256 = (bytes: Buffer) => hash('sha256', bytes, 'hex');
      for (const other of [
        { request: 'request-2' },
        { operation: 'createPatient' },
        { kind: 'CREATE' },
        { sealed: { key: 'tenant2', sha256: record.sealed.sha256 } },
        ...(id === null ? [{ log: 'T-US' }, { log: 'system' }] : []),
      ]) {
        expect(() => details.open({ ...record, ...other }, ciphertext, id)).toThrow(/not those/);
      }
      expect(() => details.open(record, ciphertext, id === null ? (IDS.get(BERT) ?? '') : null)).toThrow(/not those/);
      for (let at = 0; at < ciphertext.length; at += 7) {
        const changed = Buffer.from(ciphertext);
        changed[at] = (changed[at] ?? 0) ^ 1;
        expect(() => details.open(record, changed, id)).toThrow(/not those/);
        const named = { ...record, sealed: { ...record.sealed, sha256: sha256(changed) } };
        expect(() => details.open(named, changed, id)).toThrow(/not those/);
      }
    }
  });

  it('leave no clear value in the record or the ciphertext, and no two ciphertexts are alike', () => {
    const [one, other] = [0, 1].map(() => details.attach(draft([ANNA]), CONTENT, IDS));
    const { record, ciphertext } = recorded(one ?? draft([]));
    expect(JSON.stringify(record)).not.toContain('CANARY');
    expect(ciphertext.includes('CANARY')).toBe(false);
    expect(ciphertext.equals(other?.sealed?.ciphertext ?? ciphertext)).toBe(false);
    expect(ciphertext.length).toBe(
      12 + 16 + JSON.stringify({ ...CONTENT, asked: undefined, v: 1, variables: [] }).length,
    );
  });

  it('are nothing where there is nothing to tell', () => {
    const bare = draft([ANNA]);
    expect(details.attach(bare, { address: null, asked: [], changes: [] }, IDS)).toBe(bare);
  });

  it('ask for the key of the person where it is not at hand, and for no other', async () => {
    const cold = await restarted();
    await new Details(cold).prepare(draft([ANNA]), IDS, TEST_USE);
    expect([...IDS.values()].map((id) => cold.hasSubjectKey(LOG, id))).toEqual([true, false]);
    await new Details(cold).prepare(draft([ANNA, BERT]), IDS, TEST_USE);
    expect(cold.hasSubjectKey(LOG, IDS.get(BERT) ?? '')).toBe(false);
  });
});
