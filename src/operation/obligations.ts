import { Failure } from '../kernel/failure.js';
import { SHORTEST_REASON, type Obligation } from '../policy/obligation.js';

/** What was done for an operation before its permits count. */
export interface Fulfilled {
  /** A second factor was given for it. */
  readonly steppedUp: boolean;
  /** Its record is about nothing else. */
  readonly recordedAlone: boolean;
  readonly reason: string | null;
  /** Every number that is shown is about so many people or more; null where rows are shown. */
  readonly smallestGroup: number | null;
  /** Gathers what was demanded, for the record. */
  readonly demanded: Set<string>;
}

/** Notes what is demanded of an operation. That it is recorded in some way shows in its record itself. */
export function noteDemanded(obligations: readonly Obligation[], demanded: Set<string>): void {
  for (const { type } of obligations) if (type !== 'audit') demanded.add(type);
}

/**
 * Throws FORBIDDEN for the first obligation that is not met. One that nothing here can meet, such as that somebody else
 * agrees, is not met.
 */
export function refuseUnmet(obligations: readonly Obligation[], fulfilled: Fulfilled): void {
  noteDemanded(obligations, fulfilled.demanded);
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

function meets(obligation: Obligation, fulfilled: Fulfilled): boolean {
  const { steppedUp, recordedAlone, reason, smallestGroup } = fulfilled;
  if (obligation.type === 'stepUp') return steppedUp;
  if (obligation.type === 'audit') return obligation.level === 'access' || recordedAlone;
  if (obligation.type === 'kAnonymity') {
    // Numbers of groups: what is too small is left out, however much it is, and no other field is looked at.
    const { k, lDiversity, suppressMax } = obligation;
    return smallestGroup !== null && smallestGroup >= k && lDiversity.length === 0 && suppressMax === 1;
  }
  return obligation.type === 'reason' && reason !== null && reason.length >= obligation.minChars;
}
