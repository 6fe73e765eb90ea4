import type { MigrationList } from '../src/persistence/migrate.js';
import { Migration20261121000100_foundation } from './Migration20261121000100_foundation.js';
import { Migration20261121000200_vault } from './Migration20261121000200_vault.js';
import { Migration20261121000300_identity } from './Migration20261121000300_identity.js';
import { Migration20261121000400_ledger } from './Migration20261121000400_ledger.js';
import { Migration20261121000500_nouns } from './Migration20261121000500_nouns.js';
import { Migration20261121000600_operation } from './Migration20261121000600_operation.js';
import { Migration20261121000700_factor } from './Migration20261121000700_factor.js';
import { Migration20261121000800_consent } from './Migration20261121000800_consent.js';
import { Migration20261121000900_appointment } from './Migration20261121000900_appointment.js';
import { Migration20261121001000_attachment } from './Migration20261121001000_attachment.js';
import { Migration20261121001100_export } from './Migration20261121001100_export.js';
import { Migration20261121001200_announcer } from './Migration20261121001200_announcer.js';
import { Migration20261121001300_ledger_months } from './Migration20261121001300_ledger_months.js';
import { Migration20261121001500_ledger_references } from './Migration20261121001500_ledger_references.js';
import { Migration20261121001400_ledger_archive } from './Migration20261121001400_ledger_archive.js';
import { Migration20261121001600_disclosure } from './Migration20261121001600_disclosure.js';
import { Migration20261121001700_ledger_details } from './Migration20261121001700_ledger_details.js';
import { Migration20261121001900_access_volume } from './Migration20261121001900_access_volume.js';
import { Migration20261121002000_policy_releases } from './Migration20261121002000_policy_releases.js';
import { Migration20261121002100_visit_grants } from './Migration20261121002100_visit_grants.js';
import { Migration20261121002200_aggregate_snapshot } from './Migration20261121002200_aggregate_snapshot.js';
import { Migration20261121002300_vault_versions } from './Migration20261121002300_vault_versions.js';
import { Migration20261121002400_key_rotation } from './Migration20261121002400_key_rotation.js';
import { Migration20261121002500_search } from './Migration20261121002500_search.js';
import { Migration20261121001800_emergency } from './Migration20261121001800_emergency.js';
import { Migration20261121002600_erasure } from './Migration20261121002600_erasure.js';
import { Migration20261121002700_inherited_labels } from './Migration20261121002700_inherited_labels.js';

/** Every migration, oldest first. A new one is appended; one that was released is never changed. */
export const migrations: MigrationList = [
  Migration20261121000100_foundation,
  Migration20261121000200_vault,
  Migration20261121000300_identity,
  Migration20261121000400_ledger,
  Migration20261121000500_nouns,
  Migration20261121000600_operation,
  Migration20261121000700_factor,
  Migration20261121000800_consent,
  Migration20261121000900_appointment,
  Migration20261121001000_attachment,
  Migration20261121001100_export,
  Migration20261121001200_announcer,
  Migration20261121001300_ledger_months,
  Migration20261121001400_ledger_archive,
  Migration20261121001500_ledger_references,
  Migration20261121001600_disclosure,
  Migration20261121001700_ledger_details,
  Migration20261121001800_emergency,
  Migration20261121001900_access_volume,
  Migration20261121002000_policy_releases,
  Migration20261121002100_visit_grants,
  Migration20261121002200_aggregate_snapshot,
  Migration20261121002300_vault_versions,
  Migration20261121002400_key_rotation,
  Migration20261121002500_search,
  Migration20261121002600_erasure,
  Migration20261121002700_inherited_labels,
];
