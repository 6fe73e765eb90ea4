import { Failure } from '../kernel/failure.js';
import type { Receipt } from '../ledger/record.js';
import type { LedgerWriter } from '../ledger/writer.js';
import type { Details } from './details.js';
import type { Document } from './document.js';

/** What must be true before an answer leaves, for every transport. */
export class Answering {
  constructor(
    private readonly ledger: LedgerWriter,
    private readonly details: Details,
  ) {}

  /**
   * Makes the records of a document durable. A document of a known caller that failed before any operation began (it did
   * not fit the schema, or was too large) is recorded as refused. Rejects with AUDIT_UNAVAILABLE: then no data may leave.
   */
  async settle(document: Document, firstCode: string | null): Promise<readonly Receipt[]> {
    if (firstCode !== null && document.untouched && document.actor !== null) {
      document.record({
        ...document.frame(),
        operation: '(document)',
        kind: 'READ',
        outcome: 'denied',
        code: firstCode,
        accesses: [],
      });
    }
    return document.flush(this.ledger, this.details);
  }

  /** `extensions.policy` of an answer; null where no governed type was read and there is nothing to offer. */
  policyReport(document: Document): Record<string, unknown> | null {
    const { masked, hidden, any } = document.report();
    const offers = document.offersEmergencyAccess;
    if (!any && !offers) return null;
    const { decisionId, policyVersion, facts } = document;
    const report = { decisionId, policyVersion, purpose: facts.purpose, masked, hidden };
    return offers ? { ...report, emergencyAccess: 'AVAILABLE' } : report;
  }
}

export function auditUnavailable(cause: unknown): Failure {
  if (cause instanceof Failure && cause.code === 'AUDIT_UNAVAILABLE') return cause;
  return new Failure(
    'AUDIT_UNAVAILABLE',
    'The request could not be recorded.',
    'No data was released. Try again later.',
    { cause },
  );
}
