import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { Migrator } from '@mikro-orm/migrations';
import { defineConfig, MikroORM } from '@mikro-orm/postgresql';
import { migrations } from '../migrations/list.js';
import { nouns } from './domain/nouns.js';
import { CONNECTION_LIMITS } from './persistence/database.js';

/** Connections of the API's pool. PostgreSQL's own limit is 100; several API processes share it. */
export const POOL_SIZE = 16;

/** The ORM over one database role: every noun is an entity. `name` shows in pg_stat_activity. */
export function ormOptions(url: string, options: { maximum?: number; name?: string } = {}) {
  return defineConfig({
    clientUrl: url,
    driverOptions: { ...CONNECTION_LIMITS, connectionString: url, application_name: options.name ?? 'custodia' },
    entities: [...nouns],
    metadataProvider: ReflectMetadataProvider,
    pool: { min: 0, max: options.maximum ?? POOL_SIZE },
    extensions: [Migrator],
    migrations: { migrationsList: migrations, snapshot: false, allOrNothing: true, disableForeignKeys: false },
  });
}

/**
 * What migrations write by hand and model files cannot say: foreign keys that carry the tenant, partial indexes, triggers. Losing one
 * of them is seen by the tests of the walls.
 */
const HAND_WRITTEN =
  /drop constraint "\w+_(fkey|patient|care_team|practitioner|organization|visit)"|drop index "care_team_assignment_living"|^drop trigger if exists|^drop function if exists/;

/** The SQL that would make a database what the model files say; empty when it is so. Tables of no noun are not its business. */
export async function schemaDifference(ownerUrl: string): Promise<string> {
  const orm = new MikroORM(ormOptions(ownerUrl));
  try {
    const update = (await orm.schema.getUpdateSchemaSQL({ wrap: false, dropTables: false })).trim();
    return update
      .split('\n')
      .filter((line) => line !== '' && !HAND_WRITTEN.test(line))
      .join('\n');
  } finally {
    await orm.close(true);
  }
}
