import { Failure } from '../../kernel/failure.js';
import { instantText } from '../../kernel/clock.js';
import type { Connection } from '../../operation/connection.js';
import { readInstant } from '../../operation/input.js';
import { defineOperation } from '../../operation/operation.js';
import type { ListArguments } from '../../operation/reader.js';
import type { View } from '../../operation/view.js';
import { grantableRole, isVisitOf } from './compartment-grant.store.js';

export enum GrantableCompartment {
  HIV_STD = 'HIV_STD',
  MENTAL = 'MENTAL',
  SUD = 'SUD',
  GENETIC = 'GENETIC',
  REPRO = 'REPRO',
  ABUSE = 'ABUSE',
}

export enum GrantReason {
  TREATING_TEAM = 'TREATING_TEAM',
  CONSULTATION = 'CONSULTATION',
  PATIENT_REQUEST = 'PATIENT_REQUEST',
  COVER = 'COVER',
}

export interface GrantCompartmentArguments {
  /** The account of a physician or a nurse of the tenant (its `me.id`). */
  readonly accountId: string;
  readonly patientId: string;
  readonly compartment: GrantableCompartment;
  readonly reasonCode: GrantReason;
  /** Of that patient: then it opens this visit alone, and what was diagnosed there. */
  readonly visitId?: string | null;
  /** RFC 3339 with a zone; now where it is left out. */
  readonly validFrom?: string | null;
  /** RFC 3339 with a zone; 30 days after its beginning where it is left out, 365 at most. */
  readonly validUntil?: string | null;
  readonly challengeId?: string | null;
}

const DAY = 86_400_000;
const STANDARD_DAYS = 30;
const MOST_DAYS = 365;

/**
 * Lets a clinician who treats a patient see a special compartment of that patient. Nothing of the patient is looked at but
 * that there is one, and the visit that is named, so the answer tells the granter nothing clinical. Open sessions of the account know it within a second.
 */
export const grantCompartment = defineOperation<GrantCompartmentArguments, View>({
  name: 'grantCompartment',
  kind: 'CREATE',
  action: 'create',
  type: 'CompartmentGrant',
  mode: 'write',
  handler: async (scope, { accountId, patientId, compartment, reasonCode, visitId = null, ...period }) => {
    await scope.write.subject('Patient', patientId);
    const accountRole = await grantableRole(scope, accountId);
    if (accountRole === null) throw refuse('accountId', 'is no clinician', 'Send the id that "me" shows a clinician.');
    if (visitId !== null && !(await isVisitOf(scope, patientId, visitId)))
      throw refuse('visitId', 'is no visit of the patient', 'Send one of his, or none for all of the compartment.');
    const validFrom = instantOf('validFrom', period.validFrom) ?? scope.now.toISOString();
    const standard = instantText(Date.parse(validFrom) + STANDARD_DAYS * DAY);
    const validUntil = instantOf('validUntil', period.validUntil) ?? standard;
    if (validUntil <= validFrom || validUntil <= scope.now.toISOString())
      throw refuse('validUntil', 'is over before it begins', 'Send an instant that is still to come.');
    if (validUntil > instantText(Date.parse(validFrom) + MOST_DAYS * DAY))
      throw refuse('validUntil', `is more than ${MOST_DAYS} days after the beginning`, 'Shorten it.');
    return scope.write.create(
      'CompartmentGrant',
      { accountId, patientId, compartment, visitId, reasonCode, validFrom, validUntil },
      {
        key: await scope.write.newSubject(),
        internal: { account_role: accountRole, granted_by: scope.actor.id, status: 'active' },
      },
    ).view;
  },
});

export interface RevokeCompartmentGrantArguments {
  readonly id: string;
  readonly challengeId?: string | null;
}

/** Takes a grant back. Sessions that are open know it within a second. The row stays. */
export const revokeCompartmentGrant = defineOperation<RevokeCompartmentGrantArguments, View>({
  name: 'revokeCompartmentGrant',
  kind: 'UPDATE',
  action: 'update',
  type: 'CompartmentGrant',
  mode: 'write',
  handler: async (scope, { id }) => {
    const stored = await scope.write.stored('CompartmentGrant', id);
    if (stored.value('status') !== 'active') throw refuse('status', 'is revoked', 'Read it again.');
    const mark = { status: 'revoked', revokedAt: scope.now.toISOString() };
    return scope.write.update('CompartmentGrant', id, stored.version, mark);
  },
});

/** The grants of the tenant, latest first: also those that are over or revoked. */
export const listCompartmentGrants = defineOperation<ListArguments, Connection>({
  name: 'compartmentGrants',
  kind: 'SEARCH',
  action: 'read',
  type: 'CompartmentGrant',
  mode: 'read',
  handler: (scope, input) => scope.list('CompartmentGrant', input),
});

function instantOf(field: string, text: string | null | undefined): string | null {
  if (text === null || text === undefined) return null;
  const instant = readInstant(text);
  if (instant !== null) return instant;
  throw refuse(field, 'is not an instant with a zone', 'Send RFC 3339, such as 2027-01-31T08:00:00Z.');
}

function refuse(field: string, what: string, nextStep: string): Failure {
  return new Failure('BAD_USER_INPUT', `CompartmentGrant.${field} ${what}.`, nextStep);
}
