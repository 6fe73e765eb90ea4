import { Failure } from '../kernel/failure.js';
import { SHORTEST_REASON, type Obligation } from '../policy/obligation.js';

/** What was done for an operation before its permits count. */
export interface Fulfilled {
  /** A second factor was given for it. */
  readonly steppedUp: boolean;
  /** Its record is about nothing else. */
  readonly recordedAlone: boolean;
  readonly reason: string | null;
}

/**
 * Throws FORBIDDEN for the first obligation that is not met. One that nothing here can meet, such as that somebody else
 * agrees, is not met.
 */
export function refuseUnmet(obligations: readonly Obligation[], fulfilled: Fulfilled): void {
  const unmet = obligations.find((one) => !meets(one, fulfilled));
  if (unmet === undefined) return;
  throw new Failure(
    'FORBIDDEN',
    `This needs more than a purpose: ${unmet.type}.`,
    unmet.type === 'reason'
      ? `Send the header X-Reason, ${Math.max(unmet.minChars, SHORTEST_REASON)} to 500 characters.`
      : 'Ask the security team.',
  );
}

function meets(obligation: Obligation, { steppedUp, recordedAlone, reason }: Fulfilled): boolean {
  if (obligation.type === 'stepUp') return steppedUp;
  if (obligation.type === 'audit') return obligation.level === 'access' || recordedAlone;
  return obligation.type === 'reason' && reason !== null && reason.length >= obligation.minChars;
}
