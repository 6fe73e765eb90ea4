import type { Configuration } from '../config/configuration.js';
import { SystemClock } from '../kernel/clock.js';
import { newId } from '../kernel/identifier.js';
import { FileCheckpointStore } from '../ledger/checkpoint-store.js';
import { fileLedgerKeys } from '../ledger/keys.js';
import { bareDraft } from '../ledger/record.js';
import type { Session } from '../ledger/session.js';
import type { LedgerWriter } from '../ledger/writer.js';
import { ErasureStore, stageKeyDeletion } from '../operation/erasure.store.js';
import { Tombstones, type Tombstone } from '../operation/tombstones.js';
import { Unit } from '../operation/unit.js';
import { FileBlobStore } from '../persistence/blob-store.js';
import type { Statement } from '../persistence/statement.js';
import { TombstoneStore } from '../persistence/tombstone-store.js';

const ERASED = Object.freeze({ row: 'ERASED', children: 'ERASED', keys: 'ERASED', indexes: 'ERASED' } as const);

/** The owner's session as a database of tenants: the wall of the tables stands for the owner too. */
function tenantsOf(owner: Session) {
  return {
    async query<Row>(tenant: string | null, statement: Statement): Promise<Row[]> {
      await owner.query({ text: `SELECT set_config('custodia.tenant', $1, false)`, values: [tenant ?? ''] });
      return owner.query<Row>(statement);
    },
  };
}

/**
 * Erases again everybody who has a tombstone and is in the database all the same. Each in a statement of its own with its
 * record: after a crash the rest is done by the next run.
 *
 * @param owner of the database: the application may erase nobody without looking for holds and terms
 */
export async function replayTombstones(
  configuration: Configuration,
  owner: Session,
  writer: LedgerWriter,
): Promise<{ readonly tombstones: number; readonly replayed: number }> {
  const checkpoints = new FileCheckpointStore(configuration.checkpointDirectory);
  const incarnation = await checkpoints.incarnation();
  const keys = fileLedgerKeys(configuration.keyDirectory, configuration.origin, incarnation);
  const database = tenantsOf(owner);
  const files = new TombstoneStore(configuration.tombstoneDirectory);
  const tombstones = new Tombstones({ keys, incarnation }, files, new ErasureStore(database));
  const all = await tombstones.all();
  const back = await tombstones.resurrected(all);
  for (const tombstone of back) await replay(tombstone, database, writer);
  // A backup brings files back too, whether or not it brought the key that opens them.
  const blobs = await FileBlobStore.open(configuration.blobDirectory, new SystemClock());
  for (const tombstone of all) for (const name of tombstone.blobs) await blobs.delete(name);
  return { tombstones: all.length, replayed: back.length };
}

/** Erases and records in one statement. Holds and terms are not looked at: they were, when the person was erased. */
async function replay(
  { tenant, subject, erasure, erasedAt, blobs }: Tombstone,
  database: ReturnType<typeof tenantsOf>,
  writer: LedgerWriter,
): Promise<void> {
  const person = await new ErasureStore(database).personNamed(tenant, subject);
  const unit = new Unit();
  if (person !== null) {
    unit.insert('erasure', {
      ...{ tenant_id: tenant, id: newId(), patient_id: person, subject_reference: subject, legal_basis: 'REPLAY' },
      ...{ erased_at: new Date(erasedAt), replay_of: erasure, blobs },
    });
  } else {
    stageKeyDeletion(unit, tenant, subject);
  }
  await writer.register(tenant);
  const accesses = [{ type: 'Patient', rows: 1, fields: ERASED, subjects: [subject] }];
  const record = writer.prepare({ ...bareDraft(tenant, 'restore.replay', 'ERASE', newId()), accesses });
  try {
    await database.query(
      tenant,
      unit.statement((bind, from) => writer.insertion(record, bind, from)),
    );
  } catch (error) {
    writer.void(record);
    throw error;
  }
}
