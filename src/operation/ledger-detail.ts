import { registry } from '../kernel/attribute.js';
import { Failure, notFound } from '../kernel/failure.js';
import { subjectsOf } from '../ledger/entry-filter.js';
import type { LedgerEntry } from '../ledger/reader.js';
import type { AccessState } from '../ledger/record.js';
import { DetailView, type LedgerDetailChange } from './detail-view.js';
import type { DetailDocument } from './detail-text.js';
import { changedDetail, subjectOfKey, type SealedRecord } from './details.js';
import { MOST_NAMED, noteReading } from './ledger-view.js';
import { defineOperation } from './operation.js';
import type { Scope } from './scope.js';

export interface LedgerDetailArguments {
  readonly index: number;
  readonly challengeId?: string | null;
}

export interface OpenedLedgerDetail {
  readonly index: number;
  /** ERASED: an erasure on record, or the end of the key, took it away. NONE: the record has no details. */
  readonly state: 'CLEAR' | 'ERASED' | 'NONE';
  /** Of the peer; null for commands and jobs. */
  readonly address: string | null;
  /** JSON: a list of `{"operation": …, "input": …}`. */
  readonly variables: string | null;
  readonly changes: readonly LedgerDetailChange[];
}

type Opened = DetailDocument | Exclude<OpenedLedgerDetail['state'], 'CLEAR'>;

/**
 * What one entry sealed, for whoever must find out what happened: one entry at a time, with a reason and a second factor.
 * Reading it is an entry that names the persons of the opened one, and the fields that were seen.
 */
export const ledgerDetail = defineOperation<LedgerDetailArguments, OpenedLedgerDetail>({
  name: 'ledgerDetail',
  kind: 'LEDGER_READ',
  action: 'openLedgerDetail',
  type: 'Organization',
  mode: 'read',
  handler: async (scope, { index }) => {
    const { tenant } = scope.actor;
    if (!scope.obliged('openLedgerDetail', 'Organization').matches({ tenant })) {
      throw new Failure('FORBIDDEN', 'You may not open this ledger.', 'Ask the security team.');
    }
    const entry = index < 0 ? null : await scope.services.ledgerReader.entry(tenant, index);
    if (entry === null) throw notFound();
    const opened = await open(scope, entry);
    if (typeof opened === 'string') {
      noteReading(scope, ledgerDetail, { type: 'LedgerDetail', fields: ['state'], rows: 1 }, subjectsOf(entry.record));
      return { index, state: opened, address: null, variables: null, changes: [] };
    }
    const view = new DetailView(scope);
    const changes = await view.changes(opened);
    note(scope, entry, changes);
    return { index, state: 'CLEAR', address: opened.address, variables: view.variables(opened), changes };
  },
});

/** INTEGRITY_FAILED where the details are gone without an erasure on record, or are not those of the record. */
async function open(scope: Scope, entry: LedgerEntry): Promise<Opened> {
  const { actor, document, services } = scope;
  const record = entry.record as unknown as SealedRecord;
  if (entry.record['sealed'] === undefined) return 'NONE';
  if (await wasErased(scope, entry, await services.ledgerReader.size(actor.tenant))) return 'ERASED';
  const [row] = await services.files.rows(actor.tenant, entry.index, 1);
  const ciphertext = row?.detail ?? null;
  if (ciphertext === null) {
    // The erasure may have been committed a moment ago and have no place in the log yet.
    if (await wasErased(scope, entry, await services.ledgerReader.end(actor.tenant))) return 'ERASED';
    throw changedDetail();
  }
  const reference = subjectOfKey(record.sealed.key);
  if (reference === null) return services.details.open(record, ciphertext, null);
  const patientId = await patientOf(scope, reference);
  if (patientId === null) return 'ERASED';
  await services.vault.loadSubjectKeys(actor.tenant, [patientId], document.keyUse);
  if (!services.vault.hasSubjectKey(actor.tenant, patientId)) return 'ERASED';
  document.know(reference, patientId);
  return services.details.open(record, ciphertext, patientId);
}

/** Whether a later entry is the erasure of one of the persons whom this one names. */
async function wasErased(scope: Scope, { index, record }: LedgerEntry, end: number): Promise<boolean> {
  const { actor, services } = scope;
  for (const subject of subjectsOf(record)) {
    let before: number | null = end;
    while (before !== null && before > index) {
      const filter = { subject, kind: 'ERASE', outcome: 'success' };
      const page = await services.ledgerReader.entries(actor.tenant, filter, before, 1);
      const [found] = page.entries;
      if (found !== undefined) return found.index > index;
      ({ before } = page);
    }
  }
  return false;
}

async function patientOf(scope: Scope, reference: string): Promise<string | null> {
  const { tenant } = scope.actor;
  const [row] = await scope.services.database.query<{ id: string }>(tenant, {
    name: 'ledger_detail_patient',
    text: `SELECT id FROM ${registry.noun('Patient').table} WHERE tenant_id = $1 AND subject_reference = $2 AND assert_tenant($1)`,
    values: [tenant, reference],
  });
  return row?.id ?? null;
}

/** What the record of the opening says: the parts that were shown, and of each type of rows the fields and their states. */
function note(scope: Scope, { record }: LedgerEntry, changes: readonly LedgerDetailChange[]): void {
  const subjects = subjectsOf(record);
  const fields = ['state', 'address', 'variables', 'changes'];
  noteReading(scope, ledgerDetail, { type: 'LedgerDetail', fields, rows: 1 }, subjects);
  const named = [...subjects].slice(0, MOST_NAMED);
  for (const [type, ofType] of Map.groupBy(changes, (change) => change.type)) {
    const states: Record<string, AccessState> = {};
    for (const { field, state } of ofType) if (states[field] !== 'CLEAR') states[field] = state;
    const rows = new Set(ofType.map(({ id }) => id)).size;
    scope.document.note({ type, rows, fields: states, subjects: named });
  }
}
