import type { Actor, Role } from '../kernel/actor.js';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { Bundle } from './bundle.js';
import { actorOf, CASE_TENANT, statesIn } from './cases.js';
import { kindOf, type Where } from './condition.js';
import type { Decision, Facts, Finding, FieldView, PolicyAction } from './decision.js';
import type { PolicyEngine } from './engine.js';
import { compileCondition, SubjectRow } from './matcher.js';
import { describeFacts, planOf, rowClasses } from './row-classes.js';
import { SHOWING, type Permit } from './rule.js';
import { locateFact } from './sql.js';

/** Who asks what. */
export interface Question {
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
}

/**
 * Why a decision is what it is, in lines of text: the rules that take part with their conditions, consent clauses and masks;
 * with facts of a row, also which of them hold there, whether the row is reached or kept back, and what is shown of it.
 * Facts that the rules ask and that are not given are assumed to say no; the text names them. Throws RangeError for a fact
 * that does not exist or has a value of another kind.
 */
export function explain(bundle: Bundle, engine: PolicyEngine, question: Question, given: Facts | null): string[] {
  const { role, purpose, action, type } = question;
  const decision = engine.decide(actorOf(role), purpose, action, type);
  const head = `${role} for ${purpose}: ${action} ${type}`;
  if (!engine.purposesOf(role).includes(purpose)) {
    return [`${head}: refused`, `  ${purpose} is no purpose of ${role}: it has ${engine.purposesOf(role).join(', ')}.`];
  }
  if (!decision.allowed) return [`${head}: refused`, '  No rule permits it.'];
  const facts = given === null ? null : completed(decision, given);
  const lines = [`${head}: allowed`, ...rulesOf(bundle, decision, question, facts?.all ?? null)];
  if (facts === null) return [...lines, ...demands(decision), ...fieldLines(fieldStates(decision, role))];
  const assumed = facts.assumed.length === 0 ? '' : ` (assumed: ${facts.assumed.join(', ')})`;
  return [
    ...lines,
    `  the row: ${describeFacts(facts.all)}${assumed}`,
    ...rowLines(decision, facts.all),
    ...demands(decision),
  ];
}

/** What a role sees of one field of a type for a purpose, on all rows that it reaches; several states stand where it depends on the row. */
export interface SimulatedField {
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
  /** `*` for a type that is refused as a whole; of an action that shows nothing, the fields that may be set. */
  readonly field: string;
  readonly state: string;
}

/** What a role sees of every field, for one purpose or all of its own. */
export function simulate(
  engine: PolicyEngine,
  registry: AttributeRegistry,
  { role, purpose: stated, action }: { role: Role; purpose: string | null; action: PolicyAction },
): SimulatedField[] {
  const purposes = stated === null ? engine.purposesOf(role) : [stated];
  return purposes.flatMap((purpose) =>
    registry.all().flatMap(({ type }): SimulatedField[] => {
      const decision = engine.decide(actorOf(role), purpose, action, type);
      const asked = { purpose, action, type };
      if (!decision.allowed) return [{ ...asked, field: '*', state: 'REFUSED' }];
      if (!SHOWING.includes(action))
        return [{ ...asked, field: [...decision.writableFields()].join(' ') || '*', state: 'ALLOWED' }];
      return [...fieldStates(decision, role)].map(([field, states]) => ({
        ...asked,
        field,
        state: [...states].sort().join(' or '),
      }));
    }),
  );
}

/** What becomes of one row, by the names of rules, consent clauses and masks. */
export interface RowExplanation {
  readonly reached: boolean;
  /** Why consent alone keeps it back; null where it does not. */
  readonly keptBack: 'DENIED' | 'MISSING' | null;
  /** What each rule that takes part says of the row, in the words of {@link explain}. */
  readonly rules: readonly { readonly id: string; readonly verdict: string }[];
  /** Of a row that is reached, and an action that shows something. */
  readonly fields: ReadonlyMap<string, FieldView>;
}

/** What a decision makes of a row with these facts, which are all that its noun has. */
export function explainRow(bundle: Bundle, decision: Decision, actor: Actor, facts: Facts): RowExplanation {
  const reached = decision.allowed && decision.matches(facts);
  const row = new SubjectRow(decision.type, facts, actor);
  const shows = reached && SHOWING.includes(decision.action);
  return {
    reached,
    keptBack: decision.allowed ? decision.keptBack(facts) : null,
    rules: decision.ruleIds.map((id) => ({ id, verdict: verdictOf(bundle, id, row) })),
    fields: shows ? decision.visibility(decision.bitsOf(facts)).fields : new Map(),
  };
}

/** The value of a fact as it is written beside its name: `true`, `3`, `HIV`. */
export function factValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+$/.test(text) ? Number(text) : text;
}

/** The states of each field over all rows that are reached. */
function fieldStates(decision: Decision, role: Role): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  if (!SHOWING.includes(decision.action)) return found;
  for (const facts of rowClasses([decision], actorOf(role))) {
    if (!decision.matches(facts)) continue;
    for (const [field, state] of statesIn(decision.visibility(decision.bitsOf(facts)))) {
      found.set(field, (found.get(field) ?? new Set()).add(state));
    }
  }
  return found;
}

function fieldLines(states: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  return [...states].map(([field, all]) => `  ${field}: ${[...all].sort().join(' or ')}`);
}

/** The permits and guardrails that took part. With facts: whether the row meets each. */
function rulesOf(bundle: Bundle, decision: Decision, { role, type }: Question, facts: Facts | null): string[] {
  const row = facts === null ? null : new SubjectRow(type, facts, actorOf(role));
  return decision.ruleIds.map((id) => {
    const verdict = `  ${verdictOf(bundle, id, row)} ${id}`;
    const permit = bundle.permits.find((one) => one.id === id);
    if (permit !== undefined) return `${verdict}${conditionOf(permit)}`;
    const guardrail = bundle.guardrails.find((one) => one.id === id);
    const where = guardrail?.where ?? null;
    const fields = guardrail?.fields.get(type) ?? null;
    return `${verdict}${fields === null ? '' : ` on ${[...fields].join(', ')}`}${where === null ? '' : ` where ${text(where)}`}`;
  });
}

/** Its own condition and consent; what it inherits shows in whether the row is reached. Without a row: what it is. */
function verdictOf(bundle: Bundle, id: string, row: SubjectRow | null): string {
  const meets = (where: Where | null) => row === null || where === null || compileCondition(where).matches(row);
  const permit = bundle.permits.find((one) => one.id === id);
  if (permit === undefined) {
    if (row === null) return 'guardrail';
    const where = bundle.guardrails.find((one) => one.id === id)?.where ?? null;
    return meets(where) ? 'forbidden by' : 'not forbidden by';
  }
  if (row === null) return 'permit';
  if (!meets(permit.where)) return 'not permitted by';
  return meets(permit.consent?.kept ?? null) ? 'permitted by' : 'kept back by the consent clause of';
}

function conditionOf({ where, consent, inherits }: Permit): string {
  return [
    inherits ? ' on rows whose patient may be read' : '',
    where === null ? '' : ` where ${text(where)}`,
    consent === null ? '' : ` with consent ${text(consent.kept)}`,
  ].join('');
}

function rowLines(decision: Decision, facts: Facts): string[] {
  if (!decision.matches(facts)) {
    const keptBack = decision.keptBack(facts);
    const why =
      keptBack === null ? '' : keptBack === 'DENIED' ? ': the patient denied consent' : ': a consent is missing';
    return [`  the row is not reached${why}`];
  }
  const states = SHOWING.includes(decision.action) ? statesIn(decision.visibility(decision.bitsOf(facts))) : new Map();
  return ['  the row is reached', ...[...states].map(([field, state]) => `  ${field}: ${state}`)];
}

function demands(decision: Decision): string[] {
  const { lookup, obligations } = decision;
  const written = [...decision.writableFields()];
  return [
    ...(written.length === 0 ? [] : [`  may write ${written.join(', ')}`]),
    ...(lookup === null
      ? []
      : [`  finds by ${[...lookup.fields].join(', ')}, ${tries(lookup)}, ${lookup.perDay} a day`]),
    ...obligations.map((one) => `  must give ${text(one as never)}`),
  ];
}

function tries({ perMinute, perHour }: Finding): string {
  return perMinute === undefined ? `${perHour ?? 0} an hour` : `${perMinute} a minute`;
}

/** The facts that the decision reads: those that were given, the others as no. */
function completed(decision: Decision, given: Facts): { all: Facts; assumed: string[] } {
  const { noun, parent } = planOf(decision).setting;
  for (const [name, value] of Object.entries(given)) {
    const fact = locateFact(noun, parent, name)?.fact;
    if (fact === undefined) throw new RangeError(`${noun.type} has no fact "${name}".`);
    const kind = kindOf(fact);
    const fits =
      kind === 'boolean'
        ? typeof value === 'boolean'
        : kind === 'integer'
          ? typeof value === 'number'
          : typeof value === 'string';
    if (!fits) throw new RangeError(`The fact "${name}" is ${kind}: the value is not.`);
  }
  const [standard = {}] = rowClasses([decision], actorOf('auditor')).slice(-1);
  const missing = Object.entries(standard).filter(([name]) => name !== 'tenant' && !Object.hasOwn(given, name));
  const all = { ...Object.fromEntries(missing), ...given, tenant: CASE_TENANT };
  return { all, assumed: missing.map(([name]) => name) };
}

const text = (value: unknown): string => JSON.stringify(value).replaceAll('"', '');
