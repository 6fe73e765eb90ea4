import { rowsOf, weightOf, type SecurityEvent, type Weight } from './event.js';

const SCHEMA_VERSION = '1.3.0';
const API_ACTIVITY = { category: 6, uid: 6003, name: 'API Activity' } as const;
const AUTHENTICATION = { category: 3, uid: 3002, name: 'Authentication' } as const;
const OTHER = 99;

/** `activity_id` of API Activity: create, read, update, delete. What is not in here is "other", with its name. */
const API_ACTIVITIES: Readonly<Record<string, number>> = {
  CREATE: 1,
  READ: 2,
  SEARCH: 2,
  LOOKUP: 2,
  LEDGER_READ: 2,
  EXPORT: 2,
  DISCLOSE: 2,
  UPDATE: 3,
  DELETE: 4,
  ERASE: 4,
};
const SIGN_IN_ACTIVITIES: Readonly<Record<string, number>> = { LOGIN: 1, LOGOUT: 2 };
const SEVERITY: Readonly<Record<Weight, number>> = { routine: 1, notable: 2, serious: 4 };
const UNKNOWN_USER = { uid: 'unknown', type_id: 0 } as const;

/**
 * An event in the Open Cybersecurity Schema Framework 1.3: Authentication (3002) for sign-ins and sign-outs, API Activity
 * (6003) for everything else. The caller's address is sealed in the ledger, so the source is told by its session.
 */
export function toOcsf(event: SecurityEvent): Record<string, unknown> {
  const signIn = SIGN_IN_ACTIVITIES[event.kind];
  const known = signIn === undefined ? API_ACTIVITY : AUTHENTICATION;
  const activity = signIn ?? API_ACTIVITIES[event.kind] ?? OTHER;
  const user = event.actor === null ? UNKNOWN_USER : { uid: event.actor, type_id: 1, groups: groupsOf(event) };
  const source = { uid: event.session ?? event.request };
  return {
    activity_id: activity,
    activity_name: event.kind,
    category_uid: known.category,
    class_uid: known.uid,
    class_name: known.name,
    type_uid: known.uid * 100 + activity,
    time: Date.parse(event.time),
    severity_id: SEVERITY[weightOf(event)],
    status_id: event.outcome === 'success' ? 1 : 2,
    status: event.outcome,
    ...(event.code === null ? {} : { status_code: event.code }),
    metadata: {
      version: SCHEMA_VERSION,
      product: { name: 'Custodia', vendor_name: 'Custodia' },
      log_name: event.log,
      log_provider: event.writer,
      sequence: event.index,
      uid: `${event.log}/${event.index}`,
      correlation_uid: event.request,
    },
    ...(signIn === undefined
      ? { actor: { user, ...sessionOf(event) }, api: apiOf(event), src_endpoint: source, resources: resourcesOf(event) }
      : { user, ...sessionOf(event), service: { name: 'Custodia' }, src_endpoint: source, is_remote: true }),
    unmapped: {
      purpose: event.purpose,
      policy: event.policy,
      rules: event.rules,
      reason: event.reason,
      decision: event.decision,
      acr: event.acr,
      consents: event.consents,
      obligations: event.obligations,
      rows: rowsOf(event),
      record_sha256: event.recordHash,
    },
  };
}

function groupsOf({ role }: SecurityEvent): { readonly name: string }[] {
  return role === null ? [] : [{ name: role }];
}

function sessionOf({ session }: SecurityEvent): { session?: { uid: string } } {
  return session === null ? {} : { session: { uid: session } };
}

function apiOf({ operation, request, code }: SecurityEvent): Record<string, unknown> {
  return {
    operation,
    request: { uid: request },
    ...(code === null ? {} : { response: { error: code } }),
  };
}

function resourcesOf({ accesses }: SecurityEvent): Record<string, unknown>[] {
  return accesses.map(({ type, rows, fields, subjects }) => ({
    type,
    labels: Object.entries(fields).map(([field, state]) => `${field}:${state}`),
    data: { rows, subjects },
  }));
}
