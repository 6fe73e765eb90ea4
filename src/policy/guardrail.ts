import type { AttributeRegistry, FactDeclaration } from '../kernel/attribute.js';
import type { Where } from './condition.js';
import type { DocumentPath } from './document.js';
import { checkAudience, fieldsOfGroup } from './rule.js';
import { locateFact } from './sql.js';
import type { Vocabulary } from './vocabulary.js';
import { readWhere, type FactResolver } from './where.js';

type Refuse = (at: DocumentPath, message: string) => void;

interface Audience {
  readonly roles?: readonly string[];
  readonly purposes?: readonly string[];
}

export interface GuardrailDocument extends Audience {
  readonly id: string;
  readonly subjects: readonly string[];
  readonly actions: readonly string[];
  readonly where?: unknown;
  readonly groups?: readonly string[];
  readonly fields?: readonly string[];
  readonly unless?: Audience;
}

/** A forbid that no permit can lift. */
export interface Guardrail {
  readonly id: string;
  readonly actions: ReadonlySet<string>;
  readonly where: Where | null;
  /** Per noun the fields that are forbidden; null where the whole row is. */
  readonly fields: ReadonlyMap<string, ReadonlySet<string> | null>;
  appliesTo(role: string, purpose: string): boolean;
}

/** Reads one guardrail. Its condition and its fields must make sense on every noun that it names. */
export function readGuardrail(
  rule: GuardrailDocument,
  at: DocumentPath,
  registry: AttributeRegistry,
  vocabulary: Vocabulary,
  refuse: Refuse,
): Guardrail {
  const known = new Map(registry.all().map((noun) => [noun.type, noun]));
  rule.subjects.forEach((type, index) => {
    if (!known.has(type)) refuse([...at, 'subjects', index], `Unknown type "${type}".`);
  });
  checkAudience(rule, vocabulary, at, refuse);
  if (rule.unless !== undefined) checkAudience(rule.unless, vocabulary, [...at, 'unless'], refuse);
  const nouns = rule.subjects.flatMap((type) => known.get(type) ?? []);
  const resolvers = nouns.map((noun): FactResolver => {
    const parent = typeof noun.subject === 'object' ? registry.noun(noun.subject.parent) : null;
    return (name) => locateFact(noun, parent, name)?.fact ?? null;
  });
  const fields = new Map(
    nouns.map((noun) => {
      if (rule.groups === undefined && rule.fields === undefined) return [noun.type, null] as const;
      const ofGroups = (rule.groups ?? []).flatMap((group, index) =>
        fieldsOfGroup(noun, group, [...at, 'groups', index], refuse),
      );
      rule.fields?.forEach((field, index) => {
        if (!noun.attributes.has(field)) refuse([...at, 'fields', index], `${noun.type} has no field "${field}".`);
      });
      return [noun.type, new Set([...ofGroups, ...(rule.fields ?? [])])] as const;
    }),
  );
  return {
    id: rule.id,
    actions: new Set(rule.actions),
    where: rule.where === undefined ? null : readWhere(rule.where, [...at, 'where'], sharedFact(resolvers), refuse),
    fields,
    appliesTo: (role, purpose) =>
      meets(rule, role, purpose) && (rule.unless === undefined || !meets(rule.unless, role, purpose)),
  };
}

/** A fact that all nouns have, of the same kind; null else. */
function sharedFact(resolvers: readonly FactResolver[]): FactResolver {
  return (name) => {
    const facts = resolvers.map((resolve) => resolve(name));
    const [first] = facts;
    const kindOf = (fact: FactDeclaration) => (fact.source === 'column' ? fact.kind : 'boolean');
    if (first === undefined || first === null) return null;
    return facts.every((fact) => fact !== null && kindOf(fact) === kindOf(first)) ? first : null;
  };
}

function meets(audience: Audience, role: string, purpose: string): boolean {
  return (audience.roles?.includes(role) ?? true) && (audience.purposes?.includes(purpose) ?? true);
}
