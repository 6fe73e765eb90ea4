import { createHmac, type KeyObject } from 'node:crypto';
import type { Access } from '../../ledger/record.js';

/** The members of a ledger record (audit/FORMAT.md, section 1) that a security team's tools are told. */
export interface SecurityEvent {
  /** Place in the log: with the log's name it identifies the event for good. */
  readonly index: number;
  /** SHA-256 of the record, hexadecimal: leads from an alert back to the entry. */
  readonly recordHash: string;
  readonly log: string;
  readonly writer: string;
  readonly number: number;
  readonly time: string;
  readonly request: string;
  readonly operation: string;
  readonly kind: string;
  readonly outcome: 'success' | 'denied' | 'failed';
  readonly code: string | null;
  /** Reference of the account; the same in all events, so that volumes and habits can be watched. */
  readonly actor: string | null;
  readonly role: string | null;
  readonly session: string | null;
  readonly purpose: string | null;
  readonly policy: string | null;
  readonly rules: readonly string[];
  readonly reason: boolean;
  /** Absent where the record does not have them: see FORMAT.md. */
  readonly decision?: string;
  readonly acr?: string;
  readonly consents?: readonly string[];
  readonly obligations?: readonly string[];
  /** As in the record, but the subjects are tokens of this stream. */
  readonly accesses: readonly Access[];
}

const TOKEN_DIGITS = 32;
/**
 * What leaves of an entry. The recipient can tell that two events concern the same patient, but not which reference of the
 * ledger that is, nor the patient of another log: tokens are HMAC-SHA-256 under a key that stays here.
 */
export function toSecurityEvent(
  entry: { readonly index: number; readonly record: Buffer; readonly recordHash: string },
  tokenKey: KeyObject,
): SecurityEvent {
  const record = JSON.parse(entry.record.toString()) as SecurityEvent;
  const { log, writer, number, time, request, operation, kind, outcome, code, actor, role, session, purpose } = record;
  const { policy, rules, reason, decision, acr, consents, obligations } = record;
  const token = (subject: string) =>
    createHmac('sha256', tokenKey).update(`security event\n${log}\n${subject}`).digest('hex').slice(0, TOKEN_DIGITS);
  const what = {
    operation,
    kind,
    outcome,
    code,
    actor,
    role,
    session,
    purpose,
    policy,
    rules,
    reason,
    decision,
    acr,
    consents,
    obligations,
  };
  return {
    index: entry.index,
    recordHash: entry.recordHash,
    ...{ log, writer, number, time, request, ...what },
    accesses: record.accesses.map((access) => ({ ...access, subjects: access.subjects.map(token) })),
  };
}

/** How much an event deserves a look: what was refused, handed out, erased or done in an emergency stands out. */
export type Weight = 'routine' | 'notable' | 'serious';

/** The weight of an event, by its outcome, kind and purpose. */
export function weightOf({ outcome, kind, code, purpose }: SecurityEvent): Weight {
  if (code === 'INTEGRITY_FAILED' || kind === 'ERASE') return 'serious';
  if (purpose === 'ETREAT' || kind === 'EXPORT' || kind === 'DISCLOSE' || kind === 'KEY') return 'notable';
  return outcome === 'success' ? 'routine' : 'notable';
}

/** Rows that an event reached, over all types. */
export function rowsOf({ accesses }: SecurityEvent): number {
  return accesses.reduce((sum, { rows }) => sum + rows, 0);
}

/** Tokens of the patients that an event names, each once. */
export function subjectsOf({ accesses }: SecurityEvent): string[] {
  return [...new Set(accesses.flatMap(({ subjects }) => subjects))];
}
