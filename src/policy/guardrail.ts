import type { AttributeRegistry } from '../kernel/attribute.js';
import { kindOf, type Where } from './condition.js';
import { POLICY_ACTIONS } from './decision.js';
import type { DocumentPath } from './document.js';
import { readEnvironment, type EnvironmentCondition, type EnvironmentDocument } from './environment.js';
import { insteadOf } from './nearest.js';
import { checkAudience, factResolver, fieldsOfGroup } from './rule.js';
import type { Vocabulary } from './vocabulary.js';
import { readWhere, type FactResolver } from './where.js';

type Refuse = (at: DocumentPath, message: string) => void;

interface Audience {
  readonly roles?: readonly string[];
  readonly purposes?: readonly string[];
}

export interface GuardrailDocument extends Audience {
  readonly id: string;
  readonly effect: string;
  readonly subjects: readonly string[];
  readonly actions: readonly string[];
  readonly where?: unknown;
  readonly groups?: readonly string[];
  readonly fields?: readonly string[];
  /** Lifts the guardrail where everything that it states is met. */
  readonly unless?: Audience & EnvironmentDocument;
}

/** A forbid that no permit can lift. */
export interface Guardrail {
  readonly id: string;
  /** Everything that is forbidden, written out; `<action>:clear` is the clear value of what the action shows. */
  readonly actions: ReadonlySet<string>;
  readonly where: Where | null;
  /** Per noun the fields that are forbidden; null where the whole row is. */
  readonly fields: ReadonlyMap<string, ReadonlySet<string> | null>;
  /** The condition on the request that lifts it; null where none does. */
  readonly lift: EnvironmentCondition | null;
  /** `holding`: ids of the rules whose condition on the request holds; without it, none does. */
  readonly appliesTo: (role: string, purpose: string, holding?: ReadonlySet<string>) => boolean;
}

/** Reads one guardrail. Its condition and its fields must make sense on every noun that it names. */
export function readGuardrail(
  rule: GuardrailDocument,
  at: DocumentPath,
  registry: AttributeRegistry,
  vocabulary: Vocabulary,
  refuse: Refuse,
): Guardrail {
  if (rule.effect !== 'forbid') refuse([...at, 'effect'], 'A guardrail forbids: write "effect: forbid".');
  const known = new Map(registry.all().map((noun) => [noun.type, noun]));
  rule.subjects.forEach((type, index) => {
    if (!known.has(type)) refuse([...at, 'subjects', index], `Unknown type "${type}".${insteadOf(type, known.keys())}`);
  });
  checkAudience(rule, vocabulary, at, refuse);
  if (rule.unless !== undefined) checkAudience(rule.unless, vocabulary, [...at, 'unless'], refuse);
  const nouns = rule.subjects.flatMap((type) => known.get(type) ?? []);
  const resolvers = nouns.map((noun): FactResolver => {
    const parent = typeof noun.subject === 'object' ? registry.noun(noun.subject.parent) : null;
    return factResolver(noun, parent, vocabulary);
  });
  const fields = new Map(
    nouns.map((noun) => {
      if (rule.groups === undefined && rule.fields === undefined) return [noun.type, null] as const;
      const ofGroups = (rule.groups ?? []).flatMap((group, index) =>
        fieldsOfGroup(noun, group, [...at, 'groups', index], refuse),
      );
      rule.fields?.forEach((field, index) => {
        if (noun.attributes.has(field)) return;
        const instead = insteadOf(field, noun.attributes.keys());
        refuse([...at, 'fields', index], `${noun.type} has no field "${field}".${instead}`);
      });
      return [noun.type, new Set([...ofGroups, ...(rule.fields ?? [])])] as const;
    }),
  );
  const { unless } = rule;
  const lift = unless === undefined ? null : readEnvironment(unless, vocabulary.networks, [...at, 'unless'], refuse);
  return {
    id: rule.id,
    actions: forbidden(rule.actions),
    where: rule.where === undefined ? null : readWhere(rule.where, [...at, 'where'], sharedFact(resolvers), refuse),
    fields,
    lift,
    appliesTo: (role, purpose, holding) => {
      if (!meets(rule, role, purpose)) return false;
      const lifted = unless !== undefined && meets(unless, role, purpose);
      return !lifted || (lift !== null && holding?.has(rule.id) !== true);
    },
  };
}

/**
 * What follows from forbidding an action: `*` is all of them; whoever may not read may not reveal, take the row out by an export,
 * search for it, find it in what the ledger sealed, count it, or learn who read it or would see it; what is not shown is not shown in clear.
 */
function forbidden(actions: readonly string[]): Set<string> {
  const set = new Set(actions);
  if (set.delete('*')) for (const action of POLICY_ACTIONS) set.add(action);
  if (set.has('read')) set.add('reveal').add('export').add('accessReport').add('openLedgerDetail').add('read:clear');
  if (set.has('read')) set.add('search').add('aggregate').add('explain');
  if (set.has('read:clear')) set.add('reveal:clear').add('aggregate:clear');
  if (set.has('aggregate')) set.add('aggregate:clear');
  if (set.has('export') || set.has('read:clear')) set.add('export:clear');
  if (set.has('openLedgerDetail') || set.has('read:clear')) set.add('openLedgerDetail:clear');
  return set;
}

/** A fact that all nouns have, of the same kind; null else. */
function sharedFact(resolvers: readonly FactResolver[]): FactResolver {
  const shared = (name: string) => {
    const facts = resolvers.map((resolve) => resolve(name));
    const [first] = facts;
    if (first === undefined || first === null) return null;
    return facts.every((fact) => fact !== null && kindOf(fact) === kindOf(first)) ? first : null;
  };
  return Object.assign(shared, { known: (resolvers[0]?.known ?? []).filter((name) => shared(name) !== null) });
}

function meets(audience: Audience, role: string, purpose: string): boolean {
  return (audience.roles?.includes(role) ?? true) && (audience.purposes?.includes(purpose) ?? true);
}
