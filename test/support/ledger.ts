import path from 'node:path';
import { FileCheckpointStore } from '../../src/ledger/checkpoint-store.js';
import { fileLedgerKeys } from '../../src/ledger/keys.js';
import { Ledger, type LedgerOptions } from '../../src/ledger/ledger.js';
import { bareDraft, type RecordDraft } from '../../src/ledger/record.js';
import { SystemClock } from '../../src/kernel/clock.js';
import type { TestDatabase } from './postgres.js';

/** What `Ledger.open` needs, over a test database; keys and checkpoints lie in the test's directory. */
export function ledgerOptions(database: TestDatabase): LedgerOptions & { store: FileCheckpointStore } {
  return {
    app: database.app,
    sequencer: database.sequencer,
    sequencerUrl: database.urls.sequencer,
    keys: fileLedgerKeys(path.join(database.directory, 'keys')),
    store: new FileCheckpointStore(path.join(database.directory, 'checkpoints')),
    clock: new SystemClock(),
  };
}

/** An open ledger with these logs. The caller closes it. */
export async function testLedger(database: TestDatabase, logs: readonly string[] = ['T-CN']): Promise<Ledger> {
  const ledger = await Ledger.open(ledgerOptions(database));
  await ledger.createLogs(logs);
  return ledger;
}

/** A read of one patient, as the smallest useful record. */
export function readDraft(log = 'T-CN', request = 'request-1'): RecordDraft {
  return {
    ...bareDraft(log, 'patients', 'READ', request),
    actor: 'a'.repeat(32),
    role: 'physician',
    purpose: 'TREAT',
    accesses: [{ type: 'Patient', rows: 1, fields: { name: 'CLEAR', phone: 'MASKED' }, subjects: ['b'.repeat(32)] }],
  };
}

/** What PostgreSQL's superuser does who wants to change the past: switches the fence off first. */
export async function tamper(database: TestDatabase, ...statements: readonly string[]): Promise<void> {
  const client = await database.owner.connect();
  try {
    await client.query('SET session_replication_role = replica');
    for (const statement of statements) await client.query(statement);
  } finally {
    client.release(true);
  }
}
