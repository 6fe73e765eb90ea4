import { Failure } from '../kernel/failure.js';

/**
 * The ledger is not what it should be: no chance event, so nothing retries it. `index` is the entry concerned (or the
 * one that would come next), `kind` one of the verifier's classes or the state of the log as a whole.
 */
export class LedgerFault extends Failure {
  constructor(
    readonly log: string,
    readonly index: number,
    readonly kind: 'record' | 'leaf' | 'missing-entry' | 'root' | 'consistency' | 'signature',
    message: string,
  ) {
    super('INTEGRITY_FAILED', message, 'Stop writing, keep the database as it is, and run the verifier.');
  }
}

/** Somebody without the writers' key wrote the head: what it covers beyond `index` entries is nothing to rely on. */
export function headForged(log: string, index: number): LedgerFault {
  return new LedgerFault(
    log,
    index,
    'consistency',
    `The head of log ${log} was not written with the ledger-mac.key of this installation.`,
  );
}

/** The database holds less than was signed: a restore of an older state, or a truncated log. */
export function rollbackDetected(log: string, stored: number, found: number, holder = 'the store'): LedgerFault {
  const checkpoint = holder === 'the store' ? 'the stored checkpoint' : `the checkpoint that ${holder} holds`;
  return new LedgerFault(
    log,
    found,
    'consistency',
    `ledger rollback detected: ${checkpoint} of log ${log} covers ${stored} entries, the database has ${found}.`,
  );
}
