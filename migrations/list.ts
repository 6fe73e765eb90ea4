import type { MigrationList } from '../src/persistence/migrate.js';
import { Migration20261121000100_foundation } from './Migration20261121000100_foundation.js';
import { Migration20261121000200_vault } from './Migration20261121000200_vault.js';
import { Migration20261121000300_identity } from './Migration20261121000300_identity.js';
import { Migration20261121000400_ledger } from './Migration20261121000400_ledger.js';
import { Migration20261121000500_nouns } from './Migration20261121000500_nouns.js';
import { Migration20261121000600_operation } from './Migration20261121000600_operation.js';

/** Every migration, oldest first. A new one is appended; one that was released is never changed. */
export const migrations: MigrationList = [
  Migration20261121000100_foundation,
  Migration20261121000200_vault,
  Migration20261121000300_identity,
  Migration20261121000400_ledger,
  Migration20261121000500_nouns,
  Migration20261121000600_operation,
];
