import path from 'node:path';
import { SystemClock } from '../src/kernel/clock.js';
import { newId } from '../src/kernel/identifier.js';
import { FileCheckpointStore } from '../src/ledger/checkpoint-store.js';
import { fileLedgerKeys } from '../src/ledger/keys.js';
import { Ledger } from '../src/ledger/ledger.js';
import { bareDraft, type RecordDraft } from '../src/ledger/record.js';
import { Database } from '../src/persistence/database.js';
import type { Installation } from './installation.js';

export const TENANT = 'T-CN';
export const CALLERS = 512;
export const CONNECTIONS = 16;

/** The ledger of one process over the governed database, without a server. */
export interface OpenLedger {
  readonly ledger: Ledger;
  readonly sequencer: Database;
}

export async function withOpenLedger<T>(
  installation: Installation,
  work: (open: OpenLedger) => Promise<T>,
): Promise<T> {
  const urls = await installation.migrated();
  const app = await Database.connect(urls.app, { maximum: CONNECTIONS });
  const sequencer = await Database.connect(urls.sequencer, { maximum: 2 });
  const ledger = await Ledger.open({
    app,
    sequencer,
    sequencerUrl: urls.sequencer,
    keys: fileLedgerKeys(path.join(installation.directory, 'keys')),
    store: new FileCheckpointStore(path.join(installation.directory, 'checkpoints')),
    clock: new SystemClock(),
  });
  try {
    await ledger.createLogs([TENANT]);
    return await work({ ledger, sequencer });
  } finally {
    await ledger.close();
    await Promise.all([app.close(), sequencer.close()]);
  }
}

const FIELDS = Object.freeze({ name: 'CLEAR', birthDate: 'CLEAR', phone: 'MASKED', nationalId: 'MASKED' } as const);
const RULES = ['physician-reads-patients-in-care', 'physician-reads-own-department'];
const HASH = 'ab'.repeat(32);
const SESSION = newId();
const REFERENCES = Array.from({ length: 64 }, () => newId().replaceAll('-', ''));
let made = 0;

/** A read of one or two patients, as most reads are. */
export function typicalRead(): RecordDraft {
  made += 1;
  const at = made % (REFERENCES.length - 1);
  return draft('patient', 'READ', REFERENCES.slice(at, at + 1 + (made % 2)));
}

/** A page of a list. */
export function pageOfTwenty(): RecordDraft {
  return draft('patients', 'SEARCH', REFERENCES.slice(0, 20));
}

function draft(operation: string, kind: 'READ' | 'SEARCH', subjects: readonly string[]): RecordDraft {
  return {
    ...bareDraft(TENANT, operation, kind, newId()),
    actor: REFERENCES[0] ?? null,
    role: 'physician',
    session: SESSION,
    purpose: 'TREAT',
    document: HASH,
    policy: HASH,
    rules: RULES,
    accesses: [{ type: 'Patient', rows: subjects.length, fields: FIELDS, subjects }],
  };
}
