import { createHash } from 'node:crypto';
import path from 'node:path';
import type { AttributeRegistry } from '../kernel/attribute.js';
import type { DocumentPath, PolicyDocument, PolicySchema } from './document.js';
import { PolicyError, type PolicyProblem } from './error.js';
import { readGuardrail, type Guardrail, type GuardrailDocument } from './guardrail.js';
import { readIndexes, type NamedIndexes } from './indexes.js';
import { readPermit } from './permit.js';
import { settingOf, WRITING, type Permit, type RuleDocument } from './rule.js';
import type { PolicySource } from './source.js';
import {
  readClassification,
  readOperations,
  readVocabulary,
  registryFaults,
  type FieldClass,
  type OperationGrant,
  type Vocabulary,
} from './vocabulary.js';

/** Everything the policy files say, checked. */
export interface Bundle {
  /** Of the source: what problems call it. */
  readonly name: string;
  readonly version: string;
  /** SHA-256 (hexadecimal) over the canonical content of all files but the cases, and the schema. */
  readonly hash: string;
  readonly files: number;
  readonly vocabulary: Vocabulary;
  readonly classes: ReadonlyMap<string, ReadonlyMap<string, FieldClass>>;
  readonly permits: readonly Permit[];
  readonly guardrails: readonly Guardrail[];
  readonly operations: ReadonlyMap<string, OperationGrant>;
  /** The indexes that are written, by type. */
  readonly indexes: ReadonlyMap<string, NamedIndexes>;
}

interface PolicyFile {
  readonly subject: string;
  readonly rules: readonly RuleDocument[];
  readonly indexes?: Readonly<Record<string, readonly string[]>>;
}

type Kind = 'Bundle' | 'Vocabulary' | 'Classification' | 'Policy' | 'Guardrails';

/**
 * Reads and checks all policy files of a source against the registry of fields. Throws PolicyError with everything
 * that is wrong; there is no partly loaded bundle.
 */
export function loadBundle(source: PolicySource, registry: AttributeRegistry): Bundle {
  return new BundleLoader(source, registry).load();
}

class BundleLoader {
  private readonly problems: PolicyProblem[] = [];
  private readonly ids = new Set<string>();
  private readonly indexes = new Map<string, NamedIndexes>();
  private readonly positions = new Map<string, (message: string) => void>();

  constructor(
    private readonly source: PolicySource,
    private readonly registry: AttributeRegistry,
  ) {}

  load(): Bundle {
    const schema = this.source.schema();
    const documents = this.source.policies();
    const head = this.only(documents, 'Bundle');
    const words = this.only(documents, 'Vocabulary');
    const classification = this.only(documents, 'Classification');
    const fences = this.only(documents, 'Guardrails');
    this.throwProblems();
    const vocabulary = readVocabulary(words.value, this.refusal(words));
    const classes = readClassification(classification.value, this.registry, this.refusal(classification));
    for (const { type, message } of registryFaults(this.registry)) this.note(`${type}: ${message}`);
    // Rules are read against the registry and the vocabulary: where those are wrong, what follows would be noise.
    this.throwProblems();
    const operations = readOperations(head.value, this.registry, this.refusal(head));
    const permits = this.permits(ofKind(documents, 'Policy'), vocabulary, classes);
    const guardrails = this.guardrails(fences, vocabulary);
    this.crossCheck(permits, vocabulary);
    this.throwProblems();
    return {
      name: this.source.name,
      version: String((head.value as { metadata: { version: number } }).metadata.version),
      hash: hashOf(documents, schema),
      files: documents.length,
      vocabulary,
      classes,
      permits,
      guardrails,
      operations,
      indexes: this.indexes,
    };
  }

  /** The one file of a kind. Without it nothing can be read: its absence is thrown before its value is used. */
  private only(documents: readonly PolicyDocument[], kind: Kind): PolicyDocument {
    const [first, ...others] = ofKind(documents, kind);
    if (first === undefined) throw new PolicyError([this.note(`There is no file of the kind ${kind}.`)]);
    for (const extra of others) {
      this.problems.push(extra.problem([], `There is more than one file of the kind ${kind}.`));
    }
    return first;
  }

  private permits(documents: readonly PolicyDocument[], vocabulary: Vocabulary, classes: Bundle['classes']): Permit[] {
    const subjects = new Set<string>();
    const nouns = new Map(this.registry.all().map((noun) => [noun.type, noun]));
    const permits = documents.flatMap((document) => {
      const refuse = this.refusal(document);
      const { subject, rules, indexes } = document.value as PolicyFile;
      const noun = nouns.get(subject);
      if (noun === undefined) refuse(['subject'], `Unknown type "${subject}".`);
      if (subjects.has(subject)) refuse(['subject'], `${subject} has more than one policy file.`);
      subjects.add(subject);
      if (noun === undefined) return [];
      const named = readIndexes(indexes, noun, refuse);
      this.indexes.set(subject, named);
      const setting = settingOf(noun, this.registry, classes, vocabulary, named);
      return rules.map((rule, index) => {
        this.claim(rule.id, ['rules', index], refuse);
        return readPermit(rule, ['rules', index], setting, refuse);
      });
    });
    for (const type of nouns.keys()) {
      if (!subjects.has(type))
        this.note(`${type} has no policy file. A type that nobody may see has one without rules.`);
    }
    return permits;
  }

  private guardrails(document: PolicyDocument, vocabulary: Vocabulary): Guardrail[] {
    const refuse = this.refusal(document);
    const { guardrails } = document.value as { guardrails: GuardrailDocument[] };
    return guardrails.map((rule, index) => {
      const at = ['guardrails', index];
      this.claim(rule.id, at, refuse);
      return readGuardrail(rule, at, this.registry, vocabulary, refuse);
    });
  }

  /** A rule id names one rule: the ledger and explanations quote it. */
  private claim(id: string, at: DocumentPath, refuse: (at: DocumentPath, message: string) => void): void {
    if (this.ids.has(id)) refuse([...at, 'id'], `The rule id "${id}" is taken.`);
    this.ids.add(id);
    this.positions.set(id, (message) => refuse([...at, 'id'], message));
  }

  /** What can be seen only with all rules at hand. */
  private crossCheck(permits: readonly Permit[], vocabulary: Vocabulary): void {
    const writers = new Map<string, string>();
    for (const permit of permits) {
      for (const { role, purpose } of audienceOf(permit, vocabulary)) {
        if (permit.inherits && !this.parentIsRead(permit, permits, role, purpose)) {
          this.positions.get(permit.id)?.(`Never applies to ${role} for ${purpose}, who may not read the parent.`);
        }
        for (const field of permit.search?.by ?? []) this.searchedIsClear(permit, field, permits, role, purpose);
        for (const action of WRITING) {
          if (!permit.actions.has(action)) continue;
          const key = `${permit.type} ${action} ${role} ${purpose}`;
          const other = writers.get(key);
          // Writable fields do not depend on the row, so that two rules must not meet in one decision.
          if (other !== undefined)
            this.positions.get(permit.id)?.(
              `"${other}" already says what ${role} may ${action} for ${purpose}: merge the two.`,
            );
          writers.set(key, permit.id);
        }
      }
    }
  }

  /** Whoever could search by a value that he sees masked would guess it. A field that is never clear finds nothing. */
  private searchedIsClear(
    { id, type }: Permit,
    field: string,
    permits: readonly Permit[],
    role: string,
    purpose: string,
  ): void {
    const clear = permits.some(
      (one) =>
        one.type === type &&
        one.actions.has('read') &&
        one.roles.has(role) &&
        one.purposes.has(purpose) &&
        one.shows.get(field)?.clear === true,
    );
    if (!clear)
      this.positions.get(id)?.(`${role} never sees "${field}" in clear for ${purpose}, and so may not search by it.`);
  }

  private parentIsRead(permit: Permit, permits: readonly Permit[], role: string, purpose: string): boolean {
    const { subject } = this.registry.noun(permit.type);
    if (typeof subject !== 'object') return false;
    return permits.some(
      (one) =>
        one.type === subject.parent && one.actions.has('read') && one.roles.has(role) && one.purposes.has(purpose),
    );
  }

  private refusal(document: PolicyDocument): (at: DocumentPath, message: string) => void {
    return (at, message) => {
      this.problems.push(document.problem(at, message));
    };
  }

  /** A problem of the source as a whole. */
  private note(message: string): PolicyProblem {
    const problem = { file: this.source.name, line: 1, message };
    this.problems.push(problem);
    return problem;
  }

  private throwProblems(): void {
    if (this.problems.length > 0) throw new PolicyError(this.problems);
  }
}

/** The pairs of role and purpose that a permit applies to: a purpose that is not the role's own is no pair. */
export function audienceOf(permit: Permit, vocabulary: Vocabulary): { role: string; purpose: string }[] {
  return [...vocabulary.purposesOf].flatMap(([role, purposes]) =>
    permit.roles.has(role)
      ? purposes.filter((purpose) => permit.purposes.has(purpose)).map((purpose) => ({ role, purpose }))
      : [],
  );
}

function ofKind(documents: readonly PolicyDocument[], kind: Kind): PolicyDocument[] {
  return documents.filter((document) => (document.value as { kind: string }).kind === kind);
}

function hashOf(documents: readonly PolicyDocument[], schema: PolicySchema): string {
  const content = documents.map((document) => [path.basename(document.file), document.value]);
  return createHash('sha256')
    .update(canonical([...content, schema.text]))
    .digest('hex');
}

/** JSON with sorted keys: layout and comments of a file do not change its hash, every value does. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`;
}
