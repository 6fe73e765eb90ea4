import { hash } from 'node:crypto';
import { Failure, notFound } from '../kernel/failure.js';
import type { LedgerFilter } from '../ledger/entry-filter.js';
import { subjectsOf } from '../ledger/entry-filter.js';
import { consistency, entryProof, notReady, signedHead } from '../ledger/entry-proof.js';
import type { Consistency, EntryProof, SignedHead } from '../ledger/entry-proof.js';
import type { LedgerEntry } from '../ledger/stored-entries.js';
import { Cursors } from './cursor.js';
import { readInstant } from './input.js';
import { entryView, nameable, noteReading, type LedgerEntryView } from './ledger-view.js';
import type { Limit } from './limit.store.js';
import { defineOperation } from './operation.js';
import { pageSize, type PageArguments } from './reader.js';
import type { Scope } from './scope.js';

export interface LedgerEntriesArguments extends PageArguments {
  readonly filter?: LedgerFilter | null;
}
export interface LedgerEntryConnection {
  readonly edges: readonly { readonly node: LedgerEntryView; readonly cursor: string }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
    /** True where the page ended before `first` entries were found, although older ones may match. */
    readonly partial: boolean;
  };
}
export interface LedgerProof extends EntryProof {
  readonly leaf: string;
  readonly recordHash: string;
  /** Null to who holds a receipt of what another account did. */
  readonly record: string | null;
}
export interface ReceiptArguments {
  readonly writer: string;
  readonly number: number;
  readonly recordHash: string;
}

const STANDARD_PAGE = 20;
const REFERENCE = /^[0-9a-f]{32}$/;
const WRITER = /^[0-9a-f]{16}$/;
/** A page looks through many entries in the worst case. */
const SEARCHES: Limit = { perMinute: 120, perDay: 10_000 };
const RECEIPTS: Limit = { perMinute: 60, perDay: 2_000 };
const QUERY = { kind: 'LEDGER_READ', action: 'readLedger', type: 'Organization', mode: 'read' } as const;

const ENTRY_FIELDS: readonly (keyof LedgerEntryView)[] = [
  ...(['index', 'leaf', 'recordHash', 'record', 'writer', 'number', 'incarnation', 'time', 'request'] as const),
  ...(['operation', 'kind', 'outcome', 'code', 'actor', 'role', 'session', 'purpose', 'document', 'policy'] as const),
  ...(['rules', 'reason', 'accesses', 'decision', 'acr', 'consents', 'obligations'] as const),
];
const PROOF_FIELDS = ['index', 'size', 'leaf', 'recordHash', 'hashes', 'checkpoint', 'proof'];

/**
 * The entries of the tenant's ledger, newest first. A page looks through a bounded part of the log and may be short:
 * `endCursor` goes on. Nobody sees the ledger of another tenant, or the system's.
 */
export const ledgerEntries = defineOperation<LedgerEntriesArguments, LedgerEntryConnection>({
  ...QUERY,
  name: 'ledgerEntries',
  handler: async (scope, { filter: asked, first, after }) => {
    const log = ownLog(scope);
    const size = pageSize(first, STANDARD_PAGE);
    const filter = checked(asked ?? {});
    const { services, actor } = scope;
    await services.limits.take(actor, 'ledgerEntries', SEARCHES, scope.now);
    const cursors = new Cursors(services.vault, {
      account: actor.id,
      purpose: scope.purpose,
      policy: services.policy.hash,
      list: ['LedgerEntry', filter],
    });
    const start = after == null ? await services.ledgerReader.size(log) : Number(cursors.open(after, 1)[0]);
    const page = await services.ledgerReader.entries(log, filter, start, size);
    const shown = page.entries.slice(0, nameable(page.entries));
    const before = shown.length < page.entries.length ? (shown.at(-1)?.index ?? null) : page.before;
    const subjects = new Set(shown.flatMap(({ record }) => [...subjectsOf(record)]));
    if (filter.subject != null) subjects.add(filter.subject);
    noteReading(scope, ledgerEntries, { type: 'LedgerEntry', fields: ENTRY_FIELDS, rows: shown.length }, subjects);
    const edges = shown.map((entry) => ({ node: entryView(entry), cursor: cursors.seal([entry.index]) }));
    return {
      edges,
      pageInfo: {
        hasNextPage: before !== null,
        hasPreviousPage: after != null,
        startCursor: edges[0]?.cursor ?? null,
        endCursor: before === null ? (edges.at(-1)?.cursor ?? null) : cursors.seal([before]),
        partial: before !== null && shown.length < size,
      },
    };
  },
});

export const ledgerEntry = defineOperation<{ readonly index: number }, LedgerEntryView>({
  ...QUERY,
  name: 'ledgerEntry',
  handler: async (scope, { index }) => {
    const entry = await entryAt(scope, index);
    noteReading(scope, ledgerEntry, { type: 'LedgerEntry', fields: ENTRY_FIELDS, rows: 1 }, subjectsOf(entry.record));
    return entryView(entry);
  },
});

export const ledgerCheckpoint = defineOperation<object, SignedHead>({
  ...QUERY,
  name: 'ledgerCheckpoint',
  handler: async (scope) => {
    const head = await signedHead(scope.services.files, ownLog(scope));
    const fields = ['origin', 'size', 'root', 'note', 'vkey'];
    noteReading(scope, ledgerCheckpoint, { type: 'LedgerCheckpoint', fields, rows: 1 }, []);
    return head;
  },
});

export const ledgerProof = defineOperation<{ readonly index: number }, LedgerProof>({
  ...QUERY,
  name: 'ledgerProof',
  handler: async (scope, { index }) => {
    const entry = await entryAt(scope, index);
    const proof = await entryProof(scope.services.files, ownLog(scope), index);
    const fields = [...PROOF_FIELDS, 'record'];
    noteReading(scope, ledgerProof, { type: 'LedgerProof', fields, rows: 1 }, subjectsOf(entry.record));
    return { ...proof, leaf: entry.leaf, recordHash: entry.recordHash, record: entry.bytes.toString() };
  },
});

export const ledgerConsistency = defineOperation<{ readonly from: number; readonly to?: number | null }, Consistency>({
  ...QUERY,
  name: 'ledgerConsistency',
  handler: async (scope, { from, to }) => {
    const proof = await consistency(scope.services.files, ownLog(scope), from, to ?? null);
    const fields = ['from', 'to', 'hashes'];
    noteReading(scope, ledgerConsistency, { type: 'LedgerConsistency', fields, rows: 1 }, []);
    return proof;
  },
});

/** An entry as FHIR R4 AuditEvents in the form of IHE BALP, JSON: one for each patient that it names. */
export const auditEvent = defineOperation<{ readonly index: number }, readonly string[]>({
  ...QUERY,
  name: 'auditEvent',
  handler: async (scope, { index }) => {
    const entry = await entryAt(scope, index);
    const events = scope.services.auditEvents(entry);
    const shown = { type: 'AuditEvent', fields: ['json'], rows: events.length };
    noteReading(scope, auditEvent, shown, subjectsOf(entry.record));
    return events;
  },
});

/**
 * The proof of a record whose receipt the caller holds: writer, number and hash together are the right to it, whoever
 * asks. Without all three there is no such record. What the record says is told to nobody but its actor.
 */
export const ledgerReceipt = defineOperation<ReceiptArguments, LedgerProof>({
  name: 'ledgerReceipt',
  kind: 'LEDGER_READ',
  action: 'proveRecord',
  type: 'Organization',
  mode: 'read',
  handler: async (scope, { writer, number, recordHash }) => {
    const log = ownLog(scope, 'proveRecord');
    const { services, actor } = scope;
    await services.limits.take(actor, 'ledgerReceipt', RECEIPTS, scope.now);
    const found = WRITER.test(writer) ? await services.ledgerReader.receipted(log, writer, number) : null;
    if (found === null || hash('sha256', found.bytes, 'hex') !== recordHash) throw notFound();
    if (found.index === null) throw notReady();
    const entry = await services.ledgerReader.entry(log, found.index);
    if (entry === null) throw notFound();
    const proof = await entryProof(services.files, log, entry.index);
    const own = entry.record['actor'] === actor.reference;
    const fields = own ? [...PROOF_FIELDS, 'record'] : PROOF_FIELDS;
    noteReading(scope, ledgerReceipt, { type: 'LedgerProof', fields, rows: 1 }, own ? subjectsOf(entry.record) : []);
    return { ...proof, leaf: entry.leaf, recordHash, record: own ? entry.bytes.toString() : null };
  },
});

/** The log of the caller's tenant, where the policy lets him at it. */
function ownLog(scope: Scope, action: 'readLedger' | 'proveRecord' = 'readLedger'): string {
  const { tenant } = scope.actor;
  if (scope.obliged(action, 'Organization').matches({ tenant })) return tenant;
  throw new Failure('FORBIDDEN', 'You may not read this ledger.', 'Ask the security team.');
}

async function entryAt(scope: Scope, index: number): Promise<LedgerEntry> {
  const log = ownLog(scope);
  const entry = index < 0 ? null : await scope.services.ledgerReader.entry(log, index);
  if (entry === null) throw notFound();
  return entry;
}

function checked(filter: LedgerFilter): LedgerFilter {
  for (const name of ['subject', 'actor'] as const) {
    const value = filter[name];
    if (value != null && !REFERENCE.test(value)) {
      throw unusable(name, 'a reference', 'Send 32 hexadecimal digits, as entries have them.');
    }
  }
  const { from, to } = filter;
  return { ...filter, from: instant('from', from), to: instant('to', to) };
}

function instant(name: string, value: string | null | undefined): string | null {
  if (value == null) return null;
  const read = readInstant(value);
  if (read !== null) return read;
  throw unusable(name, 'an instant with a zone', 'Send RFC 3339, such as 2026-01-31T08:00:00Z.');
}

function unusable(name: string, kind: string, next: string): Failure {
  return new Failure('BAD_USER_INPUT', `The filter ${name} is not ${kind}.`, next);
}
