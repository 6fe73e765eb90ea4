import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { schemaDifference } from '../../src/mikro-orm.config.js';
import { testDatabase, type TestDatabase } from '../support/postgres.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

describe('the model files and the migrations', () => {
  it('describe the same tables', async () => {
    expect(await schemaDifference(database.urls.owner)).toBe('');
  });

  it.each([
    ['a column is missing', 'ALTER TABLE patient DROP COLUMN birth_year', /add.*"birth_year"/],
    ['a column is of another type', 'ALTER TABLE patient ALTER COLUMN region TYPE varchar(10)', /"region"/],
    [
      'a column may be null and must not',
      'ALTER TABLE patient ALTER COLUMN version DROP NOT NULL',
      /"version" set not null/,
    ],
    ['an index is missing', 'DROP INDEX patient_tenant_id_phone_index_index', /create index/],
    ['the wall is not forced', 'ALTER TABLE patient NO FORCE ROW LEVEL SECURITY', /force row level security/],
    ['a column is in no model file', 'ALTER TABLE patient ADD COLUMN shoe_size int', /drop column "shoe_size"/],
  ])('are told apart when %s', async (_what, change, expected) => {
    const changed = await testDatabase();
    try {
      await changed.owner.query(change);
      expect(await schemaDifference(changed.urls.owner)).toMatch(expected);
    } finally {
      await changed.close();
    }
  });
});
