import { ROLES, type Role } from '../kernel/actor.js';
import type { AttributeRegistry, NounDeclaration } from '../kernel/attribute.js';
import { actorOf } from './cases.js';
import type { Decision, Facts, PolicyAction, Visibility } from './decision.js';
import type { DocumentPath, PolicyDocument } from './document.js';
import { PolicyError, type PolicyProblem } from './error.js';
import { compileCondition, SubjectRow, type CompiledCondition } from './matcher.js';
import type { AllDecisions } from './all-decisions.js';
import { conditionsAsLeaves, describeFacts, rowClasses } from './row-classes.js';
import { checkAudience, factResolver, fieldsOfGroup, SHOWING_ROWS, WRITING } from './rule.js';
import type { PolicySource } from './source.js';
import type { Vocabulary } from './vocabulary.js';
import { readWhere } from './where.js';

type Refuse = (at: DocumentPath, message: string) => void;

interface Audience {
  readonly roles?: readonly string[];
  readonly purposes?: readonly string[];
}
export interface InvariantDocument {
  readonly id: string;
  readonly never: Audience & {
    readonly types: readonly string[];
    readonly groups?: readonly string[];
    readonly fields?: readonly string[];
    readonly state: 'clear' | 'masked' | 'visible' | 'written';
    readonly actions?: readonly PolicyAction[];
    readonly where?: unknown;
  };
  readonly unless?: readonly (Audience & { readonly facts?: unknown })[];
}

/** An exception on the rows of one type; without a condition it is one on all rows. */
interface Exception {
  readonly audience: Audience;
  readonly where: CompiledCondition | null;
}

/** A claim about the rows of one type. */
interface Claim {
  readonly type: string;
  /** Null: about the row as a whole. */
  readonly fields: readonly string[] | null;
  readonly where: CompiledCondition | null;
  readonly exceptions: readonly Exception[];
}

export interface Invariant {
  readonly id: string;
  readonly state: InvariantDocument['never']['state'];
  readonly actions: readonly PolicyAction[];
  readonly audience: Audience;
  readonly claims: readonly Claim[];
  /** Where it stands, for a message about it. */
  problem(message: string): PolicyProblem;
}

/** A row on which the policies do what an invariant says they never do. */
export interface CounterExample {
  readonly invariant: Invariant;
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
  readonly type: string;
  /** Null where the row as a whole is meant. */
  readonly field: string | null;
  /** What becomes of the field: `CLEAR`, `MASKED M_PHONE`, `WRITTEN`; of a row: `REACHED`. */
  readonly state: string;
  /** Facts of the row. */
  readonly facts: Facts;
  /** The rules that took part. */
  readonly ruleIds: readonly string[];
}

/**
 * The invariants of a source, and those of the software that it does not say in the same words: they hold whatever a release
 * leaves out or changes. Throws PolicyError with everything that is wrong with them.
 */
export function readInvariants(source: PolicySource, registry: AttributeRegistry, vocabulary: Vocabulary): Invariant[] {
  const problems: PolicyProblem[] = [];
  const said = new Set<string>();
  const invariants = [source, source.standard].flatMap((one) =>
    (one === null ? [] : writtenInvariants(one)).flatMap(({ document, invariant, index }) => {
      const words = JSON.stringify(invariant);
      if (said.has(words)) return [];
      said.add(words);
      return new InvariantReader(document, registry, vocabulary, problems).read(invariant, ['invariants', index]);
    }),
  );
  if (problems.length > 0) throw new PolicyError(problems);
  return invariants;
}

/** The invariants of a source as they are written. */
export function writtenInvariants(
  source: PolicySource,
): { document: PolicyDocument; invariant: InvariantDocument; index: number }[] {
  return source.policies().flatMap((document) => {
    const { kind, invariants } = document.value as { kind: string; invariants: InvariantDocument[] };
    return kind === 'Invariants' ? invariants.map((invariant, index) => ({ document, invariant, index })) : [];
  });
}

class InvariantReader {
  constructor(
    private readonly document: PolicyDocument,
    private readonly registry: AttributeRegistry,
    private readonly vocabulary: Vocabulary,
    private readonly problems: PolicyProblem[],
  ) {}

  read({ id, never, unless = [] }: InvariantDocument, at: DocumentPath): Invariant {
    const refuse: Refuse = (path, message) => this.problems.push(this.document.problem([...at, ...path], message));
    checkAudience(never, this.vocabulary, ['never'], refuse);
    unless.forEach((one, index) => checkAudience(one, this.vocabulary, ['unless', index], refuse));
    const known = new Map(this.registry.all().map((noun) => [noun.type, noun]));
    const claims = never.types.flatMap((type, index) => {
      const noun = known.get(type);
      if (noun === undefined) refuse(['never', 'types', index], `Unknown type "${type}".`);
      return noun === undefined ? [] : [this.claim(noun, { id, never, unless }, refuse)];
    });
    const actions = never.actions ?? (never.state === 'written' ? WRITING : SHOWING_ROWS);
    const problem = (message: string) => this.document.problem([...at, 'id'], message);
    return { id, state: never.state, actions, audience: never, claims, problem };
  }

  private claim(noun: NounDeclaration, { never, unless = [] }: InvariantDocument, refuse: Refuse): Claim {
    const parent = typeof noun.subject === 'object' ? this.registry.noun(noun.subject.parent) : null;
    const resolve = factResolver(noun, parent, this.vocabulary);
    const condition = (where: unknown, at: DocumentPath) =>
      where === undefined ? null : compileCondition(readWhere(where, at, resolve, refuse));
    never.fields?.forEach((field, index) => {
      if (!noun.attributes.has(field)) refuse(['never', 'fields', index], `${noun.type} has no field "${field}".`);
    });
    const ofGroups = (never.groups ?? []).flatMap((group, index) =>
      fieldsOfGroup(noun, group, ['never', 'groups', index], refuse),
    );
    const whole = never.fields === undefined && never.groups === undefined;
    if (whole && never.state !== 'visible') refuse(['never', 'state'], 'A row without fields is visible or it is not.');
    return {
      type: noun.type,
      fields: whole ? null : [...new Set([...(never.fields ?? []), ...ofGroups])],
      where: condition(never.where, ['never', 'where']),
      exceptions: unless.map((one, index) => ({
        audience: one,
        where: condition(one.facts, ['unless', index, 'facts']),
      })),
    };
  }
}

/**
 * Looks at every role, purpose, action and class of rows that an invariant is about: without a counter-example it holds, for
 * no decision treats two rows of one class differently. At most one counter-example per invariant, role, purpose, action and
 * type is given.
 */
export function counterExamples(
  invariants: readonly Invariant[],
  { purposesOf }: Pick<Vocabulary, 'purposesOf'>,
  decisions: AllDecisions,
): CounterExample[] {
  const questions = ROLES.flatMap((role) => (purposesOf.get(role) ?? []).map((purpose) => ({ role, purpose })));
  return invariants.flatMap((invariant) =>
    questions
      .filter(({ role, purpose }) => meets(invariant.audience, role, purpose))
      .flatMap((question) =>
        invariant.claims.flatMap((claim) =>
          invariant.actions.flatMap(
            (action) => new Search(invariant, claim, { ...question, action }).first(decisions) ?? [],
          ),
        ),
      ),
  );
}

interface Question {
  readonly role: Role;
  readonly purpose: string;
  readonly action: PolicyAction;
}

/** The search for a counter-example to one claim, for one audience and action. */
class Search {
  private readonly exceptions: readonly Exception[];

  constructor(
    private readonly invariant: Invariant,
    private readonly claim: Claim,
    private readonly question: Question,
  ) {
    this.exceptions = claim.exceptions.filter((one) => meets(one.audience, question.role, question.purpose));
  }

  first(decisions: AllDecisions): CounterExample | null {
    const { role, purpose, action } = this.question;
    if (this.exceptions.some((one) => one.where === null)) return null;
    for (const decision of decisions.of(role, purpose, action, this.claim.type)) {
      const found = decision.allowed ? this.among(decision) : null;
      if (found !== null) return found;
    }
    return null;
  }

  private among(decision: Decision): CounterExample | null {
    const { invariant, claim, exceptions, question } = this;
    const actor = actorOf(question.role);
    const conditions = [claim.where, ...exceptions.map((one) => one.where)].filter((one) => one !== null);
    for (const facts of rowClasses([decision], actor, conditionsAsLeaves(conditions))) {
      const row = new SubjectRow(claim.type, facts, actor);
      if (claim.where?.matches(row) === false || !decision.matches(facts)) continue;
      if (exceptions.some((one) => one.where?.matches(row) === true)) continue;
      const shown = what(invariant.state, claim.fields, decision, facts);
      if (shown === null) continue;
      return { invariant, ...question, type: claim.type, ...shown, facts, ruleIds: decision.ruleIds };
    }
    return null;
  }
}

/** The first field that is in the state which an invariant forbids. */
function what(
  state: Invariant['state'],
  fields: Claim['fields'],
  decision: Decision,
  facts: Facts,
): { field: string | null; state: string } | null {
  if (fields === null) return { field: null, state: 'REACHED' };
  if (state === 'written') {
    const field = fields.find((one) => decision.writableFields().has(one));
    return field === undefined ? null : { field, state: 'WRITTEN' };
  }
  const visibility = decision.visibility(decision.bitsOf(facts));
  for (const field of fields) {
    const view = visibility.fields.get(field);
    if (view === undefined || !isForbidden(view, state)) continue;
    return { field, state: view.mask === null ? view.state : `${view.state} ${view.mask}` };
  }
  return null;
}

/** M_NULL shows that there is a field and nothing of it. */
function isForbidden(
  { state, mask }: NonNullable<ReturnType<Visibility['fields']['get']>>,
  forbidden: Invariant['state'],
): boolean {
  const masked = state === 'MASKED' && mask !== 'M_NULL';
  if (forbidden === 'visible') return state === 'CLEAR' || masked;
  return forbidden === 'clear' ? state === 'CLEAR' : masked;
}

/** A counter-example in words, at the place of its invariant. */
export function problemOf({ invariant, ...found }: CounterExample): PolicyProblem {
  const { role, purpose, action, type, field, state, facts, ruleIds } = found;
  return invariant.problem(
    `"${invariant.id}" does not hold: ${role} for ${purpose}, ${action}: ${type}${field === null ? '' : `.${field}`} is ${state} ` +
      `where ${describeFacts(facts)} (rules ${ruleIds.join(', ')}).`,
  );
}

function meets(audience: Audience, role: string, purpose: string): boolean {
  return (audience.roles?.includes(role) ?? true) && (audience.purposes?.includes(purpose) ?? true);
}
