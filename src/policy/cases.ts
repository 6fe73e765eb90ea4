import { ROLES, type Actor, type Role } from '../kernel/actor.js';
import type { AttributeRegistry, NounDeclaration } from '../kernel/attribute.js';
import type { Decision, Facts, PolicyAction, Visibility } from './decision.js';
import type { PolicyEngine } from './engine.js';
import type { Environment } from './environment.js';
import { PolicyError, type PolicyProblem } from './error.js';
import { fieldsOfGroup, SHOWING } from './rule.js';
import type { PolicySource } from './source.js';

/** What a case expects of one row that is read: groups or fields by state. What is not named is expected to be hidden. */
interface ShownDocument {
  readonly clear?: readonly string[];
  readonly masked?: readonly string[];
  readonly hidden?: readonly string[];
  readonly masks?: Readonly<Record<string, string>>;
}
type Expectation =
  | 'refused'
  | {
      readonly rows: readonly string[];
      readonly show?: Readonly<Record<string, ShownDocument>>;
      readonly write?: readonly string[];
      readonly lookup?: readonly string[];
      readonly obligations?: readonly string[];
      readonly keptBack?: { readonly denied?: readonly string[]; readonly missing?: readonly string[] };
    };
interface CasesDocument {
  readonly subject: string;
  /** Facts of every row that does not say otherwise. */
  readonly defaults?: Facts;
  readonly rows: Readonly<Record<string, Facts>>;
  readonly cases: readonly CaseDocument[];
}
interface CaseDocument {
  readonly name: string;
  readonly roles: readonly string[];
  readonly purposes: readonly string[];
  readonly actions: readonly PolicyAction[];
  /** When, and from which address; without it every window of time is closed and every network foreign. */
  readonly environment?: { readonly at: string; readonly address?: string };
  readonly expect: Expectation;
}

/** One question with its expected answer: a case of a file for one role, one purpose and one action. */
export interface PolicyCase {
  /** File, line and name, for a message. */
  readonly place: string;
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
  readonly environment: Environment | undefined;
  /** Row facts by the row's name in the file. */
  readonly rows: ReadonlyMap<string, Facts>;
  /** Null: the decision allows nothing. */
  readonly expected: {
    readonly rows: ReadonlySet<string>;
    /** Per expected row `field: STATE` or `field: MASKED mask`, for every field. */
    readonly states: ReadonlyMap<string, ReadonlyMap<string, string>>;
    readonly write: ReadonlySet<string> | null;
    readonly lookup: ReadonlySet<string> | null;
    readonly obligations: ReadonlySet<string>;
    /** Rows that consent alone keeps back, with the reason. */
    readonly keptBack: ReadonlyMap<string, 'DENIED' | 'MISSING'>;
  } | null;
}

/** The tenant of every case; a row may say another one. */
export const CASE_TENANT = 'T-CN';
/** The one care team that the actor of a case belongs to. */
export const CASE_TEAM = '01900000-0000-7000-8000-0000000000ca';

/** The patients for whom the actor of a case may speak. A row that is one of them has `isRepresented: true`. */
export const CASE_PATIENTS: readonly string[] = Array.from(
  { length: 64 },
  (_, index) => `01900000-0000-7000-8000-0000000001${index.toString(16).padStart(2, '0')}`,
);

/** The patients to whom the actor of a case has an open emergency access. A row that is one of them has `isEmergency: true`. */
export const CASE_EMERGENCIES: readonly string[] = CASE_PATIENTS.map((id) => id.replace('-0000000001', '-0000000002'));

/** Stands in `show` for every expected row that is not named there. */
const EVERY_ROW = 'all';

/** The actor of a case. */
export function actorOf(role: Role): Actor {
  return {
    id: '01900000-0000-7000-8000-0000000000ac',
    tenant: CASE_TENANT,
    role,
    sessionId: '01900000-0000-7000-8000-0000000000ab',
    reference: '0'.repeat(32),
    careTeamIds: [CASE_TEAM],
    patientIds: CASE_PATIENTS,
    emergencyPatientIds: CASE_EMERGENCIES,
    compartmentGrants: [],
    factorMissing: false,
    country: 'CN',
    timeZone: 'Asia/Shanghai',
  };
}

/** Reads the cases of a source. Throws PolicyError with everything that is wrong. */
export function loadCases(source: PolicySource, registry: AttributeRegistry, engine: PolicyEngine): PolicyCase[] {
  const documents = source.cases();
  const problems: PolicyProblem[] = [];
  const cases = documents.flatMap((document) => {
    const refuse = (at: readonly (string | number)[], message: string) => problems.push(document.problem(at, message));
    const value = document.value as CasesDocument;
    const noun = registry.all().find((one) => one.type === value.subject);
    if (noun === undefined) {
      refuse(['subject'], `Unknown type "${value.subject}".`);
      return [];
    }
    const base = { tenant: CASE_TENANT, ...value.defaults };
    const rows = new Map(Object.entries(value.rows).map(([name, facts]) => [name, { ...base, ...facts }]));
    return value.cases.flatMap((one, index) => {
      const at = ['cases', index];
      one.roles.forEach((role, position) => {
        if (!(ROLES as readonly string[]).includes(role)) refuse([...at, 'roles', position], `Unknown role "${role}".`);
      });
      const expected = expectationOf(one.expect, noun, engine, rows, (part, message) =>
        refuse([...at, ...part], message),
      );
      const environment = environmentOf(one.environment, (message) => refuse([...at, 'environment', 'at'], message));
      const { file, line } = document.problem(at, '');
      return combinations(one, expected !== null, engine).map((combination) => {
        return { place: `${file}:${line} ${one.name}`, type: noun.type, environment, rows, expected, ...combination };
      });
    });
  });
  if (problems.length > 0) throw new PolicyError(problems);
  return cases;
}

function environmentOf(
  document: CaseDocument['environment'],
  refuse: (message: string) => void,
): Environment | undefined {
  if (document === undefined) return undefined;
  const milliseconds = Date.parse(document.at);
  if (Number.isNaN(milliseconds)) refuse('Write the time like 2026-11-20T11:00:00+08:00.');
  return { now: new Date(milliseconds), address: document.address ?? null };
}

/** Roles × purposes × actions. Where something is expected, purposes that a role does not have are left out. */
function combinations(one: CaseDocument, allowed: boolean, engine: PolicyEngine) {
  return (one.roles as readonly Role[]).flatMap((role) =>
    one.purposes
      .filter((purpose) => !allowed || engine.purposesOf(role).includes(purpose))
      .flatMap((purpose) => one.actions.map((action) => ({ role, purpose, action }))),
  );
}

type Refuse = (at: readonly (string | number)[], message: string) => void;

function expectationOf(
  expect: Expectation,
  noun: NounDeclaration,
  engine: PolicyEngine,
  rows: ReadonlyMap<string, Facts>,
  refuse: Refuse,
): PolicyCase['expected'] {
  if (expect === 'refused') return null;
  const { denied = [], missing = [] } = expect.keptBack ?? {};
  for (const name of [...expect.rows, ...denied, ...missing, ...Object.keys(expect.show ?? {})]) {
    if (!rows.has(name) && name !== EVERY_ROW) refuse(['expect'], `There is no row "${name}".`);
  }
  const shown = expect.show ?? {};
  const states = expect.rows.map((name) => {
    const document = shown[name] ?? shown[EVERY_ROW];
    return [name, document === undefined ? new Map() : statesOf(document, noun, engine, refuse)] as const;
  });
  return {
    rows: new Set(expect.rows),
    states: new Map(states),
    write: expect.write === undefined ? null : new Set(expect.write),
    lookup: expect.lookup === undefined ? null : new Set(expect.lookup),
    obligations: new Set(expect.obligations),
    keptBack: new Map([
      ...denied.map((name) => [name, 'DENIED'] as const),
      ...missing.map((name) => [name, 'MISSING'] as const),
    ]),
  };
}

/** Groups first, then single fields, so that a field refines its group. */
function statesOf(
  document: ShownDocument,
  noun: NounDeclaration,
  engine: PolicyEngine,
  refuse: Refuse,
): Map<string, string> {
  const states = new Map([...noun.attributes.keys()].map((field) => [field, 'HIDDEN']));
  for (const single of [false, true]) {
    for (const state of ['clear', 'masked', 'hidden'] as const) {
      document[state]?.forEach((name, index) => {
        if (noun.attributes.has(name) !== single) return;
        const at = ['expect', 'show', state, index];
        for (const field of single ? [name] : fieldsOfGroup(noun, name, at, refuse)) {
          const mask = document.masks?.[field] ?? engine.classOf(noun.type, field).mask;
          states.set(field, state === 'masked' ? `MASKED ${mask}` : state.toUpperCase());
        }
      });
    }
  }
  return states;
}

/** The states of a visibility in the words of a case. */
export function statesIn(visibility: Visibility): Map<string, string> {
  return new Map(
    [...visibility.fields].map(([field, { state, mask }]) => [field, mask === null ? state : `${state} ${mask}`]),
  );
}

/** Asks the engine in memory. Returns what differs from the expectation, in words; nothing where the case holds. */
export function judge(one: PolicyCase, engine: PolicyEngine): string[] {
  const decision = engine.decide(actorOf(one.role), one.purpose, one.action, one.type, one.environment);
  const { expected } = one;
  if (expected === null) return decision.allowed ? ['is allowed'] : [];
  if (!decision.allowed) return ['is refused'];
  const differences = [...one.rows].flatMap(([name, facts]) => {
    const missing = missingFact(decision, facts);
    if (missing !== null) return [`row ${name}: ${missing}`];
    const matched = decision.matches(facts);
    if (matched !== expected.rows.has(name)) return [`row ${name} is ${matched ? 'reached' : 'not reached'}`];
    const keptBack = decision.keptBack(facts);
    if (keptBack !== (expected.keptBack.get(name) ?? null)) return [`row ${name} is ${keptBack ?? 'not'} kept back`];
    if (!matched || !SHOWING.includes(one.action)) return [];
    return stateDifferences(name, expected.states.get(name), statesIn(decision.visibility(decision.bitsOf(facts))));
  });
  return [...differences, ...grantDifferences(decision, expected)];
}

/** A row that does not say all that the rules ask cannot show that they are right. */
function missingFact(decision: Decision, facts: Facts): string | null {
  try {
    decision.matches(facts);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Field states that differ from those a case expects. A row without expected states is compared with none at all. */
export function stateDifferences(
  row: string,
  expected: ReadonlyMap<string, string> | undefined,
  actual: ReadonlyMap<string, string>,
): string[] {
  if (expected === undefined || expected.size === 0) return [`row ${row} has no expected states`];
  return [...actual]
    .filter(([field, state]) => expected.get(field) !== state)
    .map(([field, state]) => `${row}.${field} is ${state}, not ${expected.get(field)}`);
}

function grantDifferences(decision: Decision, expected: NonNullable<PolicyCase['expected']>): string[] {
  const pairs = [
    ['writes', decision.writableFields(), expected.write],
    ['looks up by', decision.lookup?.fields ?? new Set<string>(), expected.lookup],
    ['obliges to', new Set(decision.obligations.map((one) => one.type)), expected.obligations],
  ] as const;
  return pairs.flatMap(([verb, actual, wanted]) => {
    const same = [...actual].sort().join(', ');
    const other = [...(wanted ?? [])].sort().join(', ');
    return same === other ? [] : [`${verb} (${same}), not (${other})`];
  });
}
