import type { Actor } from '../kernel/actor.js';
import { DATA_GROUPS, registry, type DataGroup } from '../kernel/attribute.js';
import { notFound } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';
import type { Access, AccessState } from '../ledger/record.js';
import type { EntryPage } from '../ledger/reader.js';
import type { LedgerEntry } from '../ledger/stored-entries.js';
import { CLINICAL, tellingOf } from './coarse-access.js';
import { Cursors } from './cursor.js';
import type { Limit } from './limit.store.js';
import { aliasesOf } from './noun-table.js';
import { Parameters } from './parameters.js';
import { pageSize, type PageArguments } from './reader.js';
import { UNWRAPPED } from './key-use.js';
import type { Scope } from './scope.js';

/** What became of one field in one access. */
export interface AccessedField {
  readonly type: string;
  readonly field: string;
  readonly state: AccessState;
}
/** One operation that named the patient. Names nobody of the staff. */
export interface AccessEntry {
  /** RFC 3339, UTC. */
  readonly at: string;
  /** Name of the organisation whose staff or machine it was: the tenant. */
  readonly organization: string;
  readonly role: string | null;
  /** Stands for the account: the same in every report on this patient, another in reports on others. */
  readonly agent: string | null;
  readonly purpose: string | null;
  readonly operation: string;
  readonly kind: string;
  readonly outcome: string;
  /** True for access in an emergency. */
  readonly emergency: boolean;
  /** Groups of data that were shown or written; `access` for reports and entries of the ledger about the patient. */
  readonly categories: readonly DataGroup[];
  readonly fields: readonly AccessedField[];
}
export interface AccessReport {
  readonly entries: readonly AccessEntry[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
}

/** What the ledger says of a report: its fields are always all of them. */
const FIELDS: Access['fields'] = Object.freeze(
  Object.fromEntries(
    [
      ...['at', 'organization', 'role', 'agent', 'purpose', 'operation', 'kind', 'outcome', 'emergency', 'categories'],
      'fields',
    ].map((field) => [field, 'CLEAR' as const]),
  ),
);
const TYPE = 'AccessReport';
const STANDARD_PAGE = 20;
const EMERGENCY = 'ETREAT';
/** A page looks through the newest entries one by one. */
const LIMIT: Limit = { perMinute: 120, perDay: 3_000 };
/** Where accesses of one record differ in a field, what shows the most stands. */
const STATES: readonly AccessState[] = ['WRITTEN', 'CLEAR', 'MASKED', 'ERASED', 'HIDDEN'];

/**
 * Who reached a patient's data, when, why and which fields (GDPR 15(1)(c), EHDS 9), newest first: every entry of the
 * tenant's ledger that names the patient, up to the call. The report is an access itself, and in the next one. Somebody else
 * than the patient gets less of it: see coarse-access.ts.
 */
export async function accessReport(scope: Scope, patientId: string, input: PageArguments): Promise<AccessReport> {
  const { actor, document, services } = scope;
  const size = pageSize(input.first, STANDARD_PAGE);
  const { subject, organization } = await reported(scope, patientId);
  await services.limits.take(actor, 'accessReport', LIMIT, scope.now);
  const cursors = new Cursors(services.vault, {
    account: actor.id,
    purpose: scope.purpose,
    policy: services.policy.hash,
    list: [TYPE, patientId],
  });
  const after = input.after ?? null;
  const before = after === null ? await services.ledgerReader.end(actor.tenant) : Number(cursors.open(after, 1)[0]);
  const { told, more, end, rest } = await toldBelow(scope, subject, before, size);
  document.note({ type: TYPE, rows: told.length, fields: FIELDS, subjects: [subject] });
  const [first] = told;
  return {
    entries: told.map((entry) => toAccess(scope, { subject, organization }, entry)),
    pageInfo: {
      hasNextPage: more || rest,
      hasPreviousPage: after !== null,
      startCursor: first === undefined ? null : cursors.seal([first.index]),
      endCursor: end === null ? null : cursors.seal([end]),
    },
  };
}

/** Searches that one page takes: what is not told leaves no gap in it, except where there is much of that. */
const MOST_SEARCHES = 8;

/** The newest entries below an index that are told to the caller, and whether the search is to go on below `end`. */
async function toldBelow(scope: Scope, subject: string, before: number, size: number) {
  const { actor, services } = scope;
  const told: LedgerEntry[] = [];
  let next: number | null = before;
  for (let search = 0; search < MOST_SEARCHES && next !== null && told.length <= size; search += 1) {
    // One more than asked for tells whether there is a next page.
    const found: EntryPage = await services.ledgerReader.entries(actor.tenant, { subject }, next, size + 1);
    told.push(...found.entries.filter((entry) => isTold(scope, entry, subject)));
    next = found.entries.length > size ? (found.entries.at(-1)?.index ?? null) : found.before;
    if (found.entries.length <= size) break;
  }
  const more = told.length > size;
  const shown = told.slice(0, size);
  const last = shown.at(-1)?.index ?? null;
  return { told: shown, more, rest: next !== null, end: more ? last : (next ?? last) };
}

/** Not where a key was opened and nothing was shown, and to others not what the patient alone is told. */
function isTold({ actor }: Scope, entry: LedgerEntry, subject: string): boolean {
  if (!showsData(entry.record.accesses, subject)) return false;
  return isOneself(actor) || tellingOf(entry, subject) !== 'NONE';
}

/** An account of the role patient speaks for itself alone: a relation of another kind is refused to it. */
function isOneself({ role }: Actor): boolean {
  return role === 'patient';
}

interface Reported {
  /** The patient's name in the ledger. */
  readonly subject: string;
  readonly organization: string;
}

/** Whom the report is about, where the policy lets the caller have it. */
async function reported(scope: Scope, patientId: string): Promise<Reported> {
  const { tenant } = scope.actor;
  const decision = scope.obliged('accessReport', 'Patient');
  const noun = registry.noun('Patient');
  const parameters = new Parameters();
  const { bind } = parameters;
  const named = bind(tenant);
  const [row] = isId(patientId)
    ? await scope.services.database.query<{ subject_reference: string; organization: string; visible: boolean }>(
        tenant,
        parameters.statement(
          `SELECT s.subject_reference, (SELECT name FROM tenant WHERE id = ${named}) AS organization, ${decision.rowPredicate(aliasesOf(noun), bind, scope.context())} AS visible ` +
            `FROM ${noun.table} s WHERE assert_tenant(${named}) AND s.tenant_id = ${named} AND s.id = ${bind(patientId)}::uuid`,
        ),
      )
    : [];
  if (row === undefined) throw notFound();
  if (!row.visible) throw notFound('NO_CARE_RELATIONSHIP');
  scope.document.know(row.subject_reference, patientId);
  return { subject: row.subject_reference, organization: row.organization };
}

function toAccess(scope: Scope, { subject, organization }: Reported, entry: LedgerEntry): AccessEntry {
  const { record } = entry;
  const telling = isOneself(scope.actor) ? 'WHOLE' : tellingOf(entry, subject);
  const text = (member: string) => (typeof record[member] === 'string' ? record[member] : null);
  const actor = text('actor');
  const pseudonym = (reference: string) =>
    scope.services.vault
      .keyedDigest(scope.actor.tenant, 'access-report-agent', `${subject} ${reference}`)
      .toString('hex')
      .slice(0, 16);
  const fields = telling === 'WHOLE' ? fieldsOf(record.accesses, subject) : [];
  return {
    at: text('time') ?? '',
    organization,
    role: text('role'),
    agent: actor === null ? null : pseudonym(actor),
    purpose: text('purpose'),
    operation: text('operation') ?? '',
    kind: text('kind') ?? '',
    outcome: text('outcome') ?? '',
    emergency: text('purpose') === EMERGENCY,
    categories: telling === 'ACCESS' ? ['access'] : categoriesOf(fields),
    fields,
    ...(telling === 'CLINICAL' ? CLINICAL : {}),
  };
}

/** Not where a key was opened and nothing was shown. */
function showsData(accesses: readonly Access[], subject: string): boolean {
  return accesses.some(({ type, subjects }) => type !== UNWRAPPED && subjects.includes(subject));
}

function fieldsOf(accesses: readonly Access[], subject: string): AccessedField[] {
  const fields = new Map<string, AccessedField>();
  for (const { type, fields: states, subjects } of accesses) {
    if (!subjects.includes(subject)) continue;
    for (const [field, state] of Object.entries(states)) {
      const known = fields.get(`${type}.${field}`);
      if (known !== undefined && STATES.indexOf(known.state) <= STATES.indexOf(state)) continue;
      fields.set(`${type}.${field}`, { type, field, state });
    }
  }
  return [...fields.values()];
}

/** The groups of the fields of which anything was given or set, in the order of their declaration. */
function categoriesOf(fields: readonly AccessedField[]): AccessEntry['categories'] {
  const nouns = new Map(registry.all().map((noun) => [noun.type, noun]));
  const reached = fields.filter(({ state }) => state !== 'HIDDEN');
  const groups = new Set<DataGroup>(
    reached.map(({ type, field }) => nouns.get(type)?.attributes.get(field)?.group ?? 'access'),
  );
  return DATA_GROUPS.filter((group) => groups.has(group));
}
