import { hash } from 'node:crypto';
import type { Actor } from '../../kernel/actor.js';
import { Failure } from '../../kernel/failure.js';
import type { Limit } from '../../operation/limit.store.js';
import { defineOperation } from '../../operation/operation.js';
import type { Scope } from '../../operation/scope.js';
import { entriesOf, type AccountingEntry } from './accounting.js';
import { accountingPeriod, feePeriodStart, type AccountingMode, type AccountingPeriod } from './accounting-period.js';
import {
  accountableDisclosures,
  accountedSince,
  protocolsIn,
  suspensionsAbout,
  type StoredProtocol,
} from './accounting.store.js';

export interface AccountForDisclosuresArguments {
  readonly patientId: string;
  /** RFC 3339 with a zone; the whole period that the law gives where it is left out. */
  readonly from?: string | null;
  readonly to?: string | null;
  readonly mode: AccountingMode;
}

/** A protocol as an accounting names it: instants in UTC, the last disclosure within the period. */
export type AccountingProtocol = Omit<StoredProtocol, 'disclosedFrom' | 'disclosedTo'> & {
  readonly disclosedFrom: string;
  readonly disclosedTo: string;
};
/** What of an accounting is digested. */
interface AccountingContent {
  readonly mode: AccountingMode;
  readonly period: AccountingPeriod;
  readonly generatedAt: string;
  readonly entries: readonly AccountingEntry[];
  readonly protocols: readonly AccountingProtocol[];
  readonly protocolStatement: string;
}
export interface Accounting extends AccountingContent {
  /** The request that this answers. */
  readonly id: string;
  readonly feeMayApply: boolean;
  /** Of the content as it was given out, hexadecimal. */
  readonly sha256: string;
}

type Requester = 'PATIENT' | 'GUARDIAN' | 'PRIVACY_OFFICE' | 'COMPLIANCE';

/** 45 CFR 164.528(b)(4)(i)(F). */
const PROTOCOL_STATEMENT =
  'Your health information may or may not have been disclosed for a protocol or other research activity in this list.';
/** An accounting is one answer: what does not fit is refused, never cut. */
const LARGEST_ACCOUNTING = 2_000;
const LARGEST_PROTOCOLS = 500;
const LIMIT: Limit = { perMinute: 60, perDay: 1_000 };

/**
 * To whom a patient's data went (45 CFR 164.528; 42 CFR 2.25), oldest first. It is given out by making the request a row:
 * its ledger record is in the statement of that row and carries the digest of what is answered, so that there is no
 * accounting that was not counted and not recorded.
 */
export const accountForDisclosures = defineOperation<AccountForDisclosuresArguments, Accounting>({
  name: 'accountingOfDisclosures',
  kind: 'LEDGER_READ',
  action: 'create',
  type: 'AccountingRequest',
  mode: 'write',
  handler: async (scope, { patientId, mode, ...asked }) => {
    const { actor, now } = scope;
    const subject = await scope.write.subject('Patient', patientId);
    const period = accountingPeriod(mode, asked, now, actor.timeZone);
    await scope.services.limits.take(actor, 'accountingOfDisclosures', LIMIT, now);
    const requester = requesterOf(actor, scope.purpose);
    const content: AccountingContent = {
      mode,
      period,
      generatedAt: now.toISOString(),
      entries: await entriesFor(scope, patientId, mode, period, requester),
      protocols: mode === 'HIPAA' ? await protocolsFor(scope, period) : [],
      protocolStatement: PROTOCOL_STATEMENT,
    };
    const sha256 = hash('sha256', JSON.stringify(content), 'hex');
    const feeMayApply =
      requester !== 'COMPLIANCE' && (await accountedSince(scope, patientId, mode, feePeriodStart(now, actor.timeZone)));
    const { id } = scope.write.create(
      'AccountingRequest',
      { mode, periodFrom: period.from, periodTo: period.to },
      { subject, internal: { requested_at: now, requester, account_id: actor.id, sha256 } },
    );
    scope.write.detail = { key: `accounting:${id}`, sha256 };
    return { ...content, id, feeMayApply, sha256 };
  },
});

/** On whose behalf an accounting is asked for. Oversight is no request of the patient, and is not counted as one. */
function requesterOf({ role }: Actor, purpose: string): Requester {
  if (role === 'patient') return 'PATIENT';
  if (role === 'guardian') return 'GUARDIAN';
  return purpose === 'HCOMPL' ? 'COMPLIANCE' : 'PRIVACY_OFFICE';
}

/**
 * A suspension is about the right of the individual: whoever asks for him gets what he would get. A guardian is not told
 * of reports of abuse: he may be whom they are about (45 CFR 164.502(g)(5), 164.512(c)(2)).
 */
async function entriesFor(
  scope: Scope,
  patientId: string,
  mode: AccountingMode,
  period: AccountingPeriod,
  requester: Requester,
): Promise<AccountingEntry[]> {
  const found = await accountableDisclosures(scope, patientId, mode, period, LARGEST_ACCOUNTING + 1);
  refuseLarger(found.length, LARGEST_ACCOUNTING, 'disclosures');
  const told = requester === 'GUARDIAN' ? found.filter((one) => one.category !== 'ABUSE_REPORT') : found;
  if (requester === 'COMPLIANCE') return entriesOf(told, []);
  const suspensions = await suspensionsAbout(scope, patientId);
  const living = suspensions.filter(({ ended, until }) => !ended && until > scope.now);
  return entriesOf(
    told,
    living.map((one) => one.agency),
  );
}

async function protocolsFor(scope: Scope, period: AccountingPeriod): Promise<AccountingProtocol[]> {
  const found = await protocolsIn(scope, period, LARGEST_PROTOCOLS + 1);
  refuseLarger(found.length, LARGEST_PROTOCOLS, 'research protocols');
  return found.map((one) => {
    const last = one.disclosedTo.toISOString();
    const disclosedTo = last > period.to ? period.to : last;
    return { ...one, disclosedFrom: one.disclosedFrom.toISOString(), disclosedTo };
  });
}

function refuseLarger(found: number, largest: number, what: string): void {
  if (found <= largest) return;
  throw new Failure(
    'QUERY_COST_EXCEEDED',
    `The period has more than ${largest} ${what}.`,
    'Ask for a shorter period, and for the rest with another request.',
  );
}
