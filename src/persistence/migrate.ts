import { Migrator } from '@mikro-orm/migrations';
import type { Options } from '@mikro-orm/postgresql';
import { MikroORM } from '@mikro-orm/postgresql';

/** Migration classes in the order in which they run. */
export type MigrationList = NonNullable<NonNullable<Options['migrations']>['migrationsList']>;

/**
 * Brings the database of the owner's URL to the newest state, all pending migrations in one transaction. Two of these
 * at once are kept apart by the caller.
 * @returns the names of the migrations that ran
 */
export async function migrate(ownerUrl: string, migrations: MigrationList): Promise<string[]> {
  const orm = new MikroORM({
    clientUrl: ownerUrl,
    driverOptions: { connectionString: ownerUrl, application_name: 'custodia migration' },
    entities: [],
    discovery: { warnWhenNoEntities: false },
    extensions: [Migrator],
    migrations: {
      migrationsList: migrations,
      snapshot: false,
      allOrNothing: true,
      disableForeignKeys: false,
      silent: true,
    },
  });
  try {
    return (await orm.migrator.up()).map((migration) => migration.name);
  } finally {
    await orm.close(true);
  }
}
