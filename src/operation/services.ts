import type { Challenges } from '../identity/challenges.js';
import type { Clock } from '../kernel/clock.js';
import type { LedgerEntry } from '../ledger/stored-entries.js';
import type { LogFiles } from '../ledger/log-files.js';
import type { LedgerReader } from '../ledger/reader.js';
import type { LedgerWriter } from '../ledger/writer.js';
import type { Database } from '../persistence/database.js';
import type { Policies } from '../policy/policies.js';
import type { ProofDesk } from '../policy/proof-desk.js';
import type { DecidingPolicy } from '../policy/shadow.js';
import type { Vault } from '../vault/vault.js';
import type { AccessVolume } from './access-volume.store.js';
import type { Details } from './details.js';
import type { IdempotencyStore } from './idempotency.store.js';
import type { LimitStore } from './limit.store.js';
import type { SealedContents } from './sealed-content.js';
import type { SubjectErasures } from './subject-erasure.js';

/** What an operation stands on. Made once by the composition root. */
export interface ScopeServices {
  readonly database: Database;
  /** Of the document: one engine from its beginning to its end. */
  readonly policy: DecidingPolicy;
  /** Which policies are in force now, for whoever puts others in force. */
  readonly policies: Policies;
  /** Tenants whose officers have a hand in the policies of the whole installation; null: those of every tenant. */
  readonly policyTenants: readonly string[] | null;
  readonly proofs: ProofDesk;
  readonly vault: Vault;
  readonly ledger: LedgerWriter;
  readonly clock: Clock;
  readonly limits: LimitStore;
  readonly volumes: AccessVolume;
  readonly idempotency: IdempotencyStore;
  readonly challenges: Challenges;
  readonly ledgerReader: LedgerReader;
  readonly contents: SealedContents;
  /** The ledger as the files that auditors fetch. */
  readonly files: LogFiles;
  readonly details: Details;
  readonly erasures: SubjectErasures;
  /** An entry as FHIR R4 AuditEvents, JSON. */
  readonly auditEvents: (entry: LedgerEntry) => readonly string[];
}

/** The same before a document has its policies: what the door is made of. */
export type DoorServices = Omit<ScopeServices, 'policy'>;
