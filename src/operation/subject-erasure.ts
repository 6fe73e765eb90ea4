import { erasureVerifierKey, ERASURE_RECEIPT, openErasureNote, signErasureNote } from '../ledger/erasure-note.js';
import type { LedgerKeys } from '../ledger/keys.js';
import type { LedgerReader } from '../ledger/reader.js';
import type { BlobStore } from '../persistence/blob-store.js';
import type { Database } from '../persistence/database.js';
import type { Vault } from '../vault/vault.js';
import { ErasureStore, type ErasureRow } from './erasure.store.js';
import type { Exports } from './exports.js';
import { LARGEST_ERASURE, storedDetails } from './ledger-erasure.js';
import type { Tombstone, Tombstones } from './tombstones.js';

/** What was left on purpose, on which ground, and for how long where there is an end. */
export interface ErasureExclusion {
  readonly what: string;
  readonly ground: string;
  readonly until: string | null;
}

/** What a receipt says: every store that was touched, with counts. */
export interface ErasureReceipt extends Omit<Tombstone, 'blobs'> {
  readonly legalBasis: string;
  /** Of a repetition after a restore: the erasure that it repeats. */
  readonly replayOf: string | null;
  readonly stores: Readonly<Record<string, number>>;
  /** Columns of the person's own row that were emptied. */
  readonly columns: readonly string[];
  readonly blobs: number;
  readonly details: number;
  /** Versions of keys that were destroyed, with SHA-256 (hexadecimal) of the wrapped bytes. */
  readonly keys: readonly ErasedKey[];
  readonly exclusions: readonly ErasureExclusion[];
}
export interface ErasedKey {
  readonly subject: string;
  readonly key: number;
  readonly wrapped: string | null;
  readonly detail: string | null;
}

export interface SubjectErasureParts {
  readonly database: Database;
  readonly vault: Pick<Vault, 'forget'>;
  readonly blobs: BlobStore;
  readonly ledgerReader: LedgerReader;
  readonly keys: Pick<LedgerKeys, 'signer'>;
  readonly tombstones: Tombstones;
  readonly exports: Exports;
}

/** Backups are pruned after 35 days: see the command that makes them. */
const BACKUP_DAYS = 35;
export const DAY = 86_400_000;

/**
 * What follows the transaction that erased somebody: tombstone, details of the ledger that did not fit, blobs, files of
 * exports, receipt. Each step may be done twice, so that whoever comes after a crash begins from the top; the row in `erasure`
 * says what is owed.
 */
export class SubjectErasures {
  readonly store: ErasureStore;

  constructor(private readonly parts: SubjectErasureParts) {
    this.store = new ErasureStore(parts.database);
  }

  get tombstones(): Tombstones {
    return this.parts.tombstones;
  }

  /** Does what is owed for one erasure, and answers its row with the receipt. Null where there is no such erasure. */
  async finish(tenant: string, id: string): Promise<ErasureRow | null> {
    const row = await this.store.find(tenant, id);
    if (row === null || row.receipt !== null) return row;
    this.parts.vault.forget(tenant, row.patientId);
    if (row.tombstone === null && row.replayOf === null) await this.bury(row);
    await this.eraseDetails(row);
    for (const name of row.blobs) await this.parts.blobs.delete(name);
    await this.endExports(row);
    const counted = await this.store.find(tenant, id);
    if (counted === null) return null;
    const note = signErasureNote(this.parts.keys, tenant, ERASURE_RECEIPT, receiptOf(counted));
    await this.store.finish(tenant, id, note);
    return this.store.find(tenant, id);
  }

  /** The content of a receipt with the key that verifies it. Null for one that this installation did not sign. */
  opened(tenant: string, note: string): { receipt: ErasureReceipt; verifierKey: string } | null {
    const { keys, tombstones } = this.parts;
    const content = openErasureNote(keys, { log: tenant, kind: ERASURE_RECEIPT, note }, tombstones.signers.incarnation);
    if (content === null) return null;
    return { receipt: content as ErasureReceipt, verifierKey: erasureVerifierKey(keys, tenant) };
  }

  private async bury({ tenant, id, subject, erasedAt, blobs }: ErasureRow): Promise<void> {
    const content = { erasure: id, tenant, subject, erasedAt: erasedAt.toISOString(), blobs };
    await this.store.buried(tenant, id, await this.parts.tombstones.bury(content));
  }

  /**
   * Details of what was recorded before the erasure, as many as there are. Those of later records stay: no record says that
   * they may be gone, and they are under a key that nobody has.
   */
  private async eraseDetails({ tenant, id, subject }: ErasureRow): Promise<void> {
    const { database, ledgerReader } = this.parts;
    const end = await ledgerReader.end(tenant);
    const before = await this.recordOf(tenant, subject, end);
    for (;;) {
      const found = await storedDetails({ database, ledgerReader }, { log: tenant, subject, before }, LARGEST_ERASURE);
      if (found.length === 0) return;
      await this.store.eraseDetails(tenant, id, found);
    }
  }

  private async recordOf(tenant: string, subject: string, end: number): Promise<number> {
    const filter = { subject, kind: 'ERASE', outcome: 'success' };
    for (let before: number | null = end; before !== null;) {
      const page = await this.parts.ledgerReader.entries(tenant, filter, before, 1);
      const [entry] = page.entries;
      if (entry !== undefined) return entry.index;
      ({ before } = page);
    }
    throw new Error('The record of an erasure has no place in the log yet.');
  }

  /** Files that lie here to be fetched are closed; those that were fetched are the requesters', who are asked. */
  private async endExports({ tenant, id }: ErasureRow): Promise<void> {
    const { store, files } = this.parts.exports;
    for (const exported of await this.store.exportsOf(tenant, id)) {
      const job = await store.find(tenant, exported);
      if (job === null || (job.status !== 'READY' && job.status !== 'RUNNING')) continue;
      if (await store.end(job, job.status === 'READY' ? 'EXPIRED' : 'FAILED')) await files.remove(job);
    }
  }
}

function receiptOf(row: ErasureRow): ErasureReceipt {
  const { tenant, id, subject, legalBasis, replayOf, stores, columns, blobs, keys, details, notices } = row;
  return {
    ...{ erasure: id, tenant, subject, erasedAt: row.erasedAt.toISOString(), legalBasis, replayOf },
    ...{ stores, columns, blobs: blobs.length, details, keys },
    exclusions: exclusionsOf(row.erasedAt, notices),
  };
}

function exclusionsOf(erasedAt: Date, notices: number): ErasureExclusion[] {
  const until = new Date(erasedAt.getTime() + BACKUP_DAYS * DAY).toISOString();
  const always = [
    {
      what: 'entries of the ledger: references that nothing resolves any more',
      ground: 'GDPR 5(2), PIPL 51, 45 CFR 164.312(b)',
      until: null,
    },
    { what: 'the row of the person: id, reference, version and status', ground: 'GDPR 5(2)', until: null },
    { what: 'backups, until the last of them is pruned', ground: 'GDPR 32(1)(c), 45 CFR 164.308(a)(7)', until },
  ];
  if (notices === 0) return always;
  const ground = 'GDPR 19, PIPL 47';
  const what = 'what recipients and requesters of exports are told by, sealed, until each was told';
  return [...always, { what, ground, until: null }];
}
