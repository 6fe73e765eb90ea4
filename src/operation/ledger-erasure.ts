import { registry } from '../kernel/attribute.js';
import { notFound } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';
import type { LedgerEntry } from '../ledger/reader.js';
import type { Access } from '../ledger/record.js';
import { defineOperation } from './operation.js';
import { readFacts } from './row-facts.js';
import type { ScopeServices } from './services.js';
import { fetchStored } from './stored-row.js';
import type { Unit } from './unit.js';

export interface EraseLedgerDetailsArguments {
  readonly patientId: string;
  readonly challengeId?: string | null;
}

/** Where the details of a record lie. */
export interface DetailKey {
  readonly writer: string;
  readonly number: number;
  /** The record's time: RFC 3339, UTC, milliseconds. */
  readonly time: string;
}

/** Details that one statement deletes. More are deleted by the next call. */
export const LARGEST_ERASURE = 2_000;
const PAGE = 1_000;
/** What becomes of the parts of details, as the record of the erasure says it. */
const ERASED: Access['fields'] = Object.freeze({ address: 'ERASED', changes: 'ERASED', variables: 'ERASED' });

/**
 * Deletes the sealed details of what the ledger says about a patient, the newest first, at most {@link LARGEST_ERASURE} a
 * call: none are left when it answers 0. The records stay; the record of this erasure names the patient and is committed
 * with the deletion, so that a verifier can tell what was erased from what went missing. The archive's copies go with its
 * next run, which reads that record.
 */
export const eraseLedgerDetails = defineOperation<EraseLedgerDetailsArguments, number>({
  name: 'eraseLedgerDetails',
  kind: 'ERASE',
  action: 'erase',
  type: 'Patient',
  mode: 'write',
  handler: async (scope, { patientId }) => {
    const { actor, document, services } = scope;
    const decision = scope.obliged('erase', 'Patient');
    const noun = registry.noun('Patient');
    const row = isId(patientId) ? await fetchStored(scope, noun, patientId) : null;
    if (row === null) throw notFound();
    if (!decision.matches(readFacts(noun, row))) throw notFound('NO_CARE_RELATIONSHIP');
    const reference = String(row['subject_reference']);
    const { ledgerReader } = services;
    const before = await ledgerReader.end(actor.tenant);
    const keys = await storedDetails(services, { log: actor.tenant, subject: reference, before }, LARGEST_ERASURE);
    if (keys.length === 0) return 0;
    await services.vault.loadSubjectKeys(actor.tenant, [patientId], document.keyUse);
    document.know(reference, patientId);
    stageDeletion(scope.write.unit, actor.tenant, keys);
    const access = { type: 'LedgerDetail', rows: keys.length, fields: ERASED, subjects: [reference] };
    scope.write.record.noteOther(access, decision);
    return keys.length;
  },
});

/**
 * Details of records below an index that name the patient, but for those of erasures: they tell who erased, and that a
 * patient was meant whose id by then is nobody's.
 */
export async function storedDetails(
  services: Pick<ScopeServices, 'database' | 'ledgerReader'>,
  { log, subject, before: top }: { readonly log: string; readonly subject: string; readonly before: number },
  limit: number,
): Promise<DetailKey[]> {
  const found: DetailKey[] = [];
  let before: number | null = top;
  while (before !== null && found.length < limit) {
    const page = await services.ledgerReader.entries(log, { subject }, before, PAGE);
    found.push(...(await stillThere(services.database, log, page.entries.flatMap(keyOf))));
    ({ before } = page);
  }
  return found.slice(0, limit);
}

function keyOf({ record }: LedgerEntry): DetailKey[] {
  if (record['sealed'] === undefined || record['kind'] === 'ERASE') return [];
  return [{ writer: String(record['writer']), number: Number(record['number']), time: String(record['time']) }];
}

/** Those of the details that were not deleted before. */
async function stillThere(
  database: ScopeServices['database'],
  log: string,
  keys: readonly DetailKey[],
): Promise<DetailKey[]> {
  if (keys.length === 0) return [];
  const rows = await database.query<{ place: string }>(log, {
    name: 'ledger_details_there',
    text:
      'SELECT place - 1 AS place FROM unnest($2::text[], $3::bigint[], $4::timestamptz[]) WITH ORDINALITY ' +
      'AS sought (writer, number, recorded_at, place) JOIN ledger_detail AS detail ON detail.log = $1 ' +
      'AND detail.writer = sought.writer AND detail.number = sought.number AND detail.recorded_at = sought.recorded_at',
    values: [log, ...detailColumns(keys)],
  });
  return rows.flatMap(({ place }) => keys[Number(place)] ?? []);
}

export function stageDeletion(unit: Unit, log: string, keys: readonly DetailKey[]): void {
  unit.change((bind, happened) => {
    const [writers, numbers, times] = detailColumns(keys);
    return (
      `DELETE FROM ledger_detail AS detail USING unnest(${bind(writers)}::text[], ${bind(numbers)}::bigint[], ` +
      `${bind(times)}::timestamptz[]) AS gone (writer, number, recorded_at) WHERE detail.log = ${bind(log)} ` +
      `AND detail.writer = gone.writer AND detail.number = gone.number AND detail.recorded_at = gone.recorded_at ` +
      `AND ${happened}`
    );
  });
}

export function detailColumns(keys: readonly DetailKey[]) {
  return [keys.map(({ writer }) => writer), keys.map(({ number }) => number), keys.map(({ time }) => time)] as const;
}
