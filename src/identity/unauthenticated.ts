import { Failure } from '../kernel/failure.js';

/**
 * Why nobody was let in. For the ledger only: outside, all of them are the same bytes. But for REVIEW_OVERDUE, which is for
 * who has shown all that the account asks for: he is told what it waits for.
 */
export type RefusalReason =
  | 'UNKNOWN_TENANT'
  | 'UNKNOWN_ACCOUNT'
  | 'BAD_PASSWORD'
  | 'DISABLED'
  | 'LOCKED'
  | 'ADDRESS_LOCKED'
  | 'BAD_TOKEN'
  | 'SESSION_ENDED'
  | 'REFRESH_REUSED'
  | 'FACTOR_REQUIRED'
  | 'FACTOR_LOCKED'
  | 'BAD_CODE'
  | 'CODE_REUSED'
  | 'REVIEW_OVERDUE';

/** Who was meant, as far as the database knows: nothing in here is copied from what the caller sent. */
export interface Suspect {
  /** The tenant whose log records the failure; null when there is no such tenant: then it belongs to the system log. */
  readonly tenant: string | null;
  /** The account's 128-bit reference. */
  readonly actor: string | null;
  readonly session: string | null;
}

const NOBODY: Suspect = { tenant: null, actor: null, session: null };

const REFUSED = [
  'The credentials were not accepted.',
  'Sign in again; after repeated failures, wait 15 minutes.',
] as const;
const LOCKED = [
  'The account is locked: an emergency access of it was not reviewed in time.',
  'Ask a privacy officer to review it, then sign in again.',
] as const;

/** The one shape in which every failed sign-in, refresh and access token is answered. */
export class Unauthenticated extends Failure {
  constructor(
    recordedAs: RefusalReason,
    readonly suspect: Suspect = NOBODY,
  ) {
    const [message, nextStep] = recordedAs === 'REVIEW_OVERDUE' ? LOCKED : REFUSED;
    super('UNAUTHENTICATED', message, nextStep, { recordedAs });
  }
}
