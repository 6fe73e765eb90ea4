import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TEST_USE } from '../../test/support/memory-vault.js';
import { testDatabase, type TestDatabase } from '../../test/support/postgres.js';
import { newId, newReference } from '../kernel/identifier.js';
import { Vault, type SubjectKeyRow } from './vault.js';

let database: TestDatabase;
let vault: Vault;
const subject = newId();
let row: SubjectKeyRow;

function keyDirectory(): string {
  return join(database.directory, 'keys');
}

async function insertSubjectKey(tenant: string, key: SubjectKeyRow): Promise<void> {
  await database.app.query(tenant, {
    text:
      'INSERT INTO subject_key (tenant_id, subject_id, key_id, subject_reference, state, wrap_key_id, wrapped, commitment) ' +
      'VALUES ($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [
      key.tenantId,
      key.subjectId,
      key.keyId,
      key.reference,
      key.state,
      key.wrapKeyId,
      key.wrapped,
      key.commitment,
    ],
  });
}

beforeAll(async () => {
  database = await testDatabase();
  vault = await Vault.withFileRoot(database.app, keyDirectory());
  await vault.createTenantKey('T-CN');
  await vault.createTenantKey('T-US');
  row = await vault.createSubjectKey('T-CN', subject, newReference());
  await insertSubjectKey('T-CN', row);
});
afterAll(() => database.close());

describe('the tables of keys', () => {
  test('give another process the same keys', async () => {
    const address = { tenant: 'T-CN', type: 'Patient', rowId: subject, version: 1, subjectId: subject };
    const sealed = vault.seal(address, 'identity', { name: '王小明' });
    const token = vault.sealToken('cursor', 'x', 'payload');
    const other = await Vault.withFileRoot(database.app, keyDirectory());
    await other.loadSubjectKeys('T-CN', [subject, newId()], TEST_USE);
    expect(other.open(address, 'identity', sealed)).toEqual({ name: '王小明' });
    expect(other.openToken('cursor', 'x', token)).toBe('payload');
  });

  test('are not joined by a new root key when the old one is lost', async () => {
    await expect(Vault.withFileRoot(database.app, join(database.directory, 'elsewhere'))).rejects.toThrow(/missing/);
  });

  test('keep the first of two keys that are made at once', async () => {
    const vaults = await Promise.all([1, 2, 3].map(() => Vault.withFileRoot(database.app, keyDirectory())));
    await Promise.all(vaults.map((one) => one.createTenantKey('T-EU')));
    const digests = vaults.map((one) => one.keyedDigest('T-EU', 'x', 'y').toString('hex'));
    expect(new Set(digests).size).toBe(1);
  });

  test("do not show one tenant the other tenant's subject keys", async () => {
    const other = await Vault.withFileRoot(database.app, keyDirectory());
    await other.loadSubjectKeys('T-US', [subject], TEST_USE);
    expect(other.hasSubjectKey('T-US', subject)).toBe(false);
    const text = 'SELECT 1 FROM subject_key';
    expect(await database.app.query('T-US', { text, values: [] })).toEqual([]);
    expect(await database.app.query(null, { text, values: [] })).toEqual([]);
    expect(await database.app.query('T-CN', { text, values: [] })).toHaveLength(1);
  });

  test('take no key for another tenant, and let nobody change or delete one', async () => {
    await expect(insertSubjectKey('T-US', { ...row, subjectId: newId() })).rejects.toThrow();
    const statements = [
      'UPDATE subject_key SET key_id = 2',
      'DELETE FROM subject_key',
      "UPDATE tenant_key SET wrapped = ''",
      'DELETE FROM tenant_key',
      "INSERT INTO tenant_key (tenant_id, purpose, key_id, state, wrapped) VALUES ('T-XX', 'digest', 1, 'primary', '')",
      "INSERT INTO tenant_key (tenant_id, purpose, key_id, state, wrapped) VALUES ('T-CN', 'digest', 2, 'pending', '')",
    ];
    for (const text of statements) {
      await expect(database.app.query('T-CN', { text, values: [] })).rejects.toThrow();
    }
    for (const table of ['subject_key', 'tenant_key']) {
      const text = `SELECT 1 FROM ${table}`;
      await expect(database.sequencer.query('T-CN', { text, values: [] })).rejects.toThrow();
      await expect(database.auditor.query('T-CN', { text, values: [] })).rejects.toThrow();
    }
  });

  test('show a changed wrapped key', async () => {
    const forged = newId();
    await insertSubjectKey('T-CN', { ...row, subjectId: forged });
    const other = await Vault.withFileRoot(database.app, keyDirectory());
    await expect(other.loadSubjectKeys('T-CN', [subject, forged], TEST_USE)).rejects.toMatchObject({
      code: 'INTEGRITY_FAILED',
    });
  });
});

test('no sealed value is found in the files of PostgreSQL, where a clear one is', async () => {
  const canary = `CANARY-${newId()}`;
  const decoy = `DECOY-${newId()}`;
  const address = { tenant: 'T-CN', type: 'Patient', rowId: subject, version: 1, subjectId: subject };
  const sealed = vault.seal(address, 'notes', { notes: canary });
  await database.owner.query('CREATE TABLE scratch (sealed bytea, clear text)');
  await database.owner.query('INSERT INTO scratch VALUES ($1, $2)', [sealed, decoy]);
  await database.owner.query('CHECKPOINT');
  const shown = await database.owner.query<{ data_directory: string }>('SHOW data_directory');
  const here = await database.owner.query<{ oid: string }>(
    'SELECT oid::text FROM pg_database WHERE datname = current_database()',
  );
  const data = shown.rows[0]!.data_directory;
  for (const folder of [join('base', here.rows[0]!.oid), 'pg_wal']) {
    const files = readdirSync(join(data, folder), { withFileTypes: true }).filter((entry) => entry.isFile());
    const holding = (text: string) =>
      files.filter((file) => readFileSync(join(data, folder, file.name)).includes(text)).length;
    expect([folder, holding(decoy) > 0, holding(canary)]).toEqual([folder, true, 0]);
  }
});
