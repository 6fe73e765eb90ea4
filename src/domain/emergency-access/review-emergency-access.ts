import { Failure } from '../../kernel/failure.js';
import type { Connection } from '../../operation/connection.js';
import type { Filter } from '../../operation/criteria.js';
import { defineOperation } from '../../operation/operation.js';
import type { PageArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';

export enum EmergencyOutcome {
  JUSTIFIED = 'JUSTIFIED',
  UNJUSTIFIED = 'UNJUSTIFIED',
}

export enum EmergencyState {
  OPEN = 'OPEN',
  DUE = 'DUE',
  OVERDUE = 'OVERDUE',
  REVIEWED = 'REVIEWED',
}

const CRITERIA: Readonly<Record<EmergencyState, (now: string) => Filter>> = {
  OPEN: (now) => ({ outcome: { eq: 'PENDING' }, expiresAt: { gt: now } }),
  DUE: (now) => ({ outcome: { eq: 'PENDING' }, expiresAt: { lte: now }, reviewDueAt: { gt: now } }),
  OVERDUE: (now) => ({ outcome: { eq: 'PENDING' }, reviewDueAt: { lte: now } }),
  REVIEWED: () => ({ outcome: { in: Object.values(EmergencyOutcome) } }),
};

/**
 * The accesses that are in a state now. Cursors know it by the state and not by the instants in it, which move with the
 * clock: a list that was begun goes on, and shows each page as it is then.
 */
function inState(state: EmergencyState, now: Date): Filter {
  return Object.defineProperty(CRITERIA[state](now.toISOString()), 'toJSON', { value: () => state });
}

export type ListEmergencyAccessesArguments = PageArguments & { readonly state?: EmergencyState | null };

/** Emergency accesses, latest first: all of the tenant for the privacy office, one's own for a clinician. */
export const listEmergencyAccesses = defineOperation<ListEmergencyAccessesArguments, Connection>({
  name: 'emergencyAccesses',
  kind: 'SEARCH',
  action: 'read',
  type: 'EmergencyAccess',
  mode: 'read',
  handler: (scope, { state, ...page }) =>
    scope.list('EmergencyAccess', { ...page, filter: state ? inState(state, scope.now) : null }),
});

export interface ReviewEmergencyAccessArguments {
  readonly id: string;
  readonly outcome: EmergencyOutcome;
  /** What was found, for the file: sealed. */
  readonly note: string;
}

/**
 * Notes what the privacy office found, once. An access that is still open ends with its review, and the account that an
 * overdue review has locked is open again. Nobody reviews an access of his own, also not after he became a privacy officer:
 * where the tenant has no other one, the operator makes one (`npm run organisation -- account`).
 */
export const reviewEmergencyAccess = defineOperation<ReviewEmergencyAccessArguments, View>({
  name: 'reviewEmergencyAccess',
  kind: 'UPDATE',
  action: 'update',
  type: 'EmergencyAccess',
  mode: 'write',
  handler: async (scope, { id, outcome, note }) => {
    const stored = await scope.write.stored('EmergencyAccess', id);
    if (stored.value('accountId') === scope.actor.id) {
      throw new Failure('FORBIDDEN', 'Nobody reviews an access of his own.', 'Ask another privacy officer.');
    }
    if (stored.value('outcome') !== 'PENDING') throw refuse('outcome', 'was noted before', 'Read it again.');
    if (note.trim().length < SHORTEST_NOTE)
      throw refuse('note', 'is too short', `Write what was found, at least ${SHORTEST_NOTE} characters.`);
    const end = stored.value('expiresAt');
    const now = scope.now.toISOString();
    return scope.write.update('EmergencyAccess', id, stored.version, {
      outcome,
      note,
      reviewedAt: now,
      reviewedBy: scope.actor.id,
      ...(end instanceof Date && end > scope.now ? { expiresAt: now } : {}),
    });
  },
});

const SHORTEST_NOTE = 10;

function refuse(field: string, what: string, nextStep: string): Failure {
  return new Failure('BAD_USER_INPUT', `EmergencyAccess.${field} ${what}.`, nextStep);
}
