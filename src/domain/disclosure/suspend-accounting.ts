import { instantText } from '../../kernel/clock.js';
import type { Connection } from '../../operation/connection.js';
import { defineOperation } from '../../operation/operation.js';
import type { ListArguments } from '../../operation/reader.js';
import type { Scope } from '../../operation/scope.js';
import type { View } from '../../operation/view.js';
import { sameName } from './accounting.js';
import { suspensionsAbout } from './accounting.store.js';
import { instantOf, pastInstantOf, refuse } from './statement.js';

export interface SuspendAccountingArguments {
  readonly patientId: string;
  /** Named as the recipient of the disclosures is. */
  readonly agency: string;
  /** RFC 3339 with a zone: the end that the agency stated. */
  readonly until: string;
  /** True for a statement that nobody wrote down but the organisation: 30 days at most. */
  readonly oral: boolean;
  /** RFC 3339 with a zone, not in the future; now where it is left out. */
  readonly statedAt?: string | null;
}

const ORAL_MILLISECONDS = 30 * 86_400_000;

/**
 * Keeps disclosures to an agency out of a patient's accounting until an instant, as the agency demanded
 * (45 CFR 164.528(a)(2)). The record of it names the suspension and not the patient, whose access report would tell him.
 */
export const suspendAccounting = defineOperation<SuspendAccountingArguments, View>({
  name: 'suspendAccounting',
  kind: 'CREATE',
  action: 'create',
  type: 'AccountingSuspension',
  mode: 'write',
  handler: async (scope, { patientId, agency, oral, ...asked }) => {
    await scope.write.subject('Patient', patientId);
    if (sameName(agency) === '')
      throw refuse('AccountingSuspension.agency', 'is no name', 'Send the name of the agency.');
    const statedAt = pastInstantOf(
      'AccountingSuspension.statedAt',
      asked.statedAt ?? scope.now.toISOString(),
      scope.now,
    );
    const until = instantOf('AccountingSuspension.until', asked.until);
    if (until <= scope.now.toISOString()) {
      throw refuse('AccountingSuspension.until', 'is not in the future', 'Send the end that the agency stated.');
    }
    if (oral) await refuseLonger(scope, patientId, agency, statedAt, until);
    const statement = oral ? 'ORAL' : 'WRITTEN';
    const values = { patientId, agency, statement, statedAt, until };
    const key = await scope.write.newSubject();
    return scope.write.create('AccountingSuspension', values, { key, internal: { status: 'active' } }).view;
  },
});

/** An oral statement counts for 30 days, and another oral one does not make them more: that takes a written one. */
async function refuseLonger(
  scope: Scope,
  patientId: string,
  agency: string,
  statedAt: string,
  until: string,
): Promise<void> {
  const nextStep = 'Shorten it, or ask the agency for a written statement.';
  if (until > instantText(Date.parse(statedAt) + ORAL_MILLISECONDS)) {
    throw refuse('AccountingSuspension.until', 'is more than 30 days after an oral statement', nextStep);
  }
  const name = sameName(agency);
  const earlier = await suspensionsAbout(scope, patientId);
  if (earlier.some((one) => one.oral && sameName(one.agency) === name && one.until.toISOString() >= statedAt)) {
    throw refuse('AccountingSuspension.until', 'would prolong an oral statement by another', nextStep);
  }
}

export interface EndAccountingSuspensionArguments {
  readonly id: string;
  /** The version that the caller read: another one in the table is VERSION_CONFLICT. */
  readonly version: number;
}

/** Ends a suspension before its time: the disclosures are in the next accounting. The row stays. */
export const endAccountingSuspension = defineOperation<EndAccountingSuspensionArguments, View>({
  name: 'endAccountingSuspension',
  kind: 'UPDATE',
  action: 'update',
  type: 'AccountingSuspension',
  mode: 'write',
  handler: async (scope, { id, version }) => {
    const stored = await scope.write.stored('AccountingSuspension', id);
    if (stored.value('status') !== 'active') {
      throw refuse('AccountingSuspension.status', 'is ended', 'Read it again.');
    }
    const mark = { status: 'ended', endedAt: scope.now.toISOString() };
    return scope.write.update('AccountingSuspension', id, version, mark);
  },
});

/** The suspensions of the tenant, latest first: also those whose time is over. */
export const listAccountingSuspensions = defineOperation<ListArguments, Connection>({
  name: 'accountingSuspensions',
  kind: 'SEARCH',
  action: 'read',
  type: 'AccountingSuspension',
  mode: 'read',
  handler: (scope, input) => scope.list('AccountingSuspension', input),
});
