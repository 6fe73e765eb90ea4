import { Refusal } from '../config/refusal.js';
import { ROLES } from '../kernel/actor.js';
import { FAILURE_STATUS, Failure } from '../kernel/failure.js';

/** What may be logged beside the event: nothing else exists, and nothing whose form a personal value could have. */
export interface LogFacts {
  readonly requestId?: string;
  readonly operation?: string;
  readonly outcome?: string;
  readonly code?: string;
  readonly status?: number;
  readonly milliseconds?: number;
  readonly count?: number;
  readonly rejected?: number;
  readonly attempt?: number;
  readonly port?: number;
  readonly process?: number;
  readonly tenant?: string;
  readonly role?: string;
  readonly purpose?: string;
  readonly policyHash?: string;
  readonly decisionId?: string;
  /** A random name for a person, by which the ledger knows him. */
  readonly reference?: string;
  readonly type?: string;
  readonly action?: string;
  /** Ids of policy rules. */
  readonly rules?: readonly string[];
  readonly fields?: readonly string[];
  readonly room?: string;
  readonly error?: unknown;
}

type Check = (value: unknown) => unknown;

const text =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value) ? value : undefined;
const oneOf =
  (allowed: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && allowed.includes(value) ? value : undefined;
/** Eight digits at most: shorter than any telephone, national or insurance number. */
const count: Check = (value) =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 100_000_000 ? value : undefined;
const duration: Check = (value) =>
  typeof value === 'number' && value >= 0 && value < 100_000_000 ? Math.round(value * 100) / 100 : undefined;
/** Names that code gave: letters only, so no number, date, address or e-mail passes, and no name outside ASCII. */
const name = text(/^[A-Za-z][A-Za-z_]{1,47}$/);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const listOf =
  (check: Check): Check =>
  (values) =>
    Array.isArray(values) ? values.map(check).filter((one) => one !== undefined) : undefined;

const CHECKS: Readonly<Record<keyof LogFacts, Check>> = {
  requestId: text(UUID),
  operation: name,
  outcome: oneOf(['success', 'denied', 'failed']),
  code: oneOf(Object.keys(FAILURE_STATUS)),
  status: (value) => (typeof value === 'number' && value >= 100 && value <= 599 ? value : undefined),
  milliseconds: duration,
  count,
  rejected: count,
  attempt: count,
  port: (value) => (typeof value === 'number' && value <= 65_535 ? value : undefined),
  process: count,
  tenant: text(/^(?!.*\d{3})[A-Z][A-Z0-9]{0,7}(-[A-Z0-9]{1,8}){0,2}$|^system$/),
  role: oneOf(ROLES),
  purpose: text(/^[A-Z]{3,12}$/),
  policyHash: text(/^[0-9a-f]{64}$/),
  decisionId: text(UUID),
  reference: text(/^[0-9a-f]{32}$/),
  type: name,
  action: name,
  rules: listOf(text(/^[a-z][a-z-]{1,79}$/)),
  fields: listOf(name),
  room: name,
  error: (value) => (value === undefined ? undefined : safeError(value)),
};

/** Lets the facts through whose key is on the list and whose value has the form that the list demands. */
export function safeFacts(facts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(facts)) {
    const check = Object.hasOwn(CHECKS, key) ? CHECKS[key as keyof LogFacts] : undefined;
    const checked = check?.(value);
    if (checked !== undefined) safe[key] = checked;
  }
  return safe;
}

/**
 * An error without its message, which may quote what a user typed: class, public code, SQLSTATE and where in our own
 * files it was thrown. A Refusal's sentence is written for the operator's screen and not repeated here either.
 */
export function safeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { class: typeof error };
  const fields = error as unknown as Readonly<Record<string, unknown>>;
  const sqlstate = [fields.sqlstate, fields.code].find(
    (value) => typeof value === 'string' && /^[0-9A-Z]{5}$/.test(value),
  );
  const safe: Record<string, unknown> = { class: classOf(error), at: framesOf(error) };
  if (error instanceof Failure) safe.code = CHECKS.code(error.code);
  else if (sqlstate !== undefined && !(error instanceof Refusal)) safe.sqlstate = sqlstate;
  if (error.cause instanceof Error) safe.cause = { class: classOf(error.cause), at: framesOf(error.cause) };
  return safe;
}

function classOf(error: Error): string {
  const constructor = error.constructor.name;
  return /^[A-Z][A-Za-z]{2,40}$/.test(constructor) ? constructor : 'Error';
}

/** `file:line` of the innermost frames. The stack's head repeats the message; where it cannot be cut off, no frames. */
function framesOf(error: Error): string[] {
  const stack = error.stack ?? '';
  const end = error.message === '' ? 0 : stack.indexOf(error.message) + error.message.length;
  if (error.message !== '' && !stack.includes(error.message)) return [];
  const frames = stack
    .slice(end)
    .matchAll(/\/((?:src|audit)\/[a-z/-]+(?:\.[a-z]+)*\.(?:js|mjs|ts):\d{1,5}):\d{1,5}\)?$/gm);
  return [...frames].slice(0, 5).map((frame) => frame[1] ?? '');
}
