import type { Actor } from '../kernel/actor.js';
import type { FactDeclaration } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import { isId } from '../kernel/identifier.js';

/** Comparisons that are equal in memory and in SQL, by construction and by test. Everything else is refused at load. */
export const COMPARISONS = ['$eq', '$ne', '$in', '$nin', '$lt', '$lte', '$gt', '$gte', '$exists'] as const;
export const CONNECTIVES = ['$and', '$or', '$nor'] as const;
export const RANGES: readonly string[] = ['$lt', '$lte', '$gt', '$gte'];

/** Attributes of the actor that a condition may name as `$user.<attribute>`, with their kinds. */
export const ACTOR_ATTRIBUTES = {
  id: 'uuid',
  tenant: 'text',
  careTeamIds: 'uuid[]',
  patientIds: 'uuid[]',
  emergencyPatientIds: 'uuid[]',
  compartmentGrants: 'text[]',
} as const;
export type ActorAttributeName = keyof typeof ACTOR_ATTRIBUTES;
/** All that a rule may know of who asks, beside role and purpose. */
export type ActorAttributes = Pick<Actor, ActorAttributeName>;

/** What a patient decided for a purpose. An entry that has expired is NONE, like none at all. */
export const CONSENT_STATES = ['PERMIT', 'DENY', 'NONE'] as const;
export type ConsentState = (typeof CONSENT_STATES)[number];

/** What the values of a fact are. */
export type FactKind = 'text' | 'integer' | 'boolean' | 'uuid' | 'consent';

export function kindOf(fact: FactDeclaration): FactKind {
  if (fact.source === 'column') return fact.kind;
  return fact.source === 'consent' ? 'consent' : 'boolean';
}

/** True where a value is one of the fact's kind: null never is. */
export function isOfKind(value: unknown, kind: FactKind): boolean {
  if (kind === 'integer') return Number.isSafeInteger(value);
  if (kind === 'boolean') return typeof value === 'boolean';
  if (kind === 'consent') return (CONSENT_STATES as readonly unknown[]).includes(value);
  return typeof value === 'string' && (kind === 'text' || isId(value));
}

/** Both of them, all of them: a null member is no restriction, and null is the conjunction of none. */
export function conjunction(members: readonly (Where | null)[]): Where | null {
  const present = members.filter((member) => member !== null);
  if (present.length === 0) return null;
  return present.length === 1 ? (present[0] as Where) : { $and: present };
}

/** A condition over row facts in the query form of the policy files, with placeholders replaced. */
export type Where = { readonly [key: string]: unknown };

/** A comparison or a connective as CASL's parser gives it: `not`, `and`, `or`, `nor`, or an operator on a fact. */
export interface ConditionNode {
  readonly operator: string;
  readonly value: unknown;
  readonly field?: string;
}

/** Stands in a condition for an attribute of whoever asks: bound to a value as late as the row is compared. */
export class ActorAttribute {
  constructor(readonly attribute: ActorAttributeName) {}

  /** The actor's value. Throws FORBIDDEN when the actor has none: an unbound placeholder never matches anything. */
  of(actor: ActorAttributes): string | readonly string[] {
    const value: unknown = actor[this.attribute];
    const bound = Array.isArray(value) ? value.every((item) => typeof item === 'string') : typeof value === 'string';
    if (!bound) {
      throw new Failure(
        'FORBIDDEN',
        `The policy needs $user.${this.attribute}, which this account does not have.`,
        'Ask an administrator to complete the account.',
      );
    }
    return value as string | readonly string[];
  }

  /** Gives placeholders a stable text, so that equal conditions have equal keys. */
  toJSON(): unknown {
    return { $user: this.attribute };
  }
}

/** The value that a comparison compares with, for one actor. */
export function operandOf(value: unknown, actor: ActorAttributes): unknown {
  return value instanceof ActorAttribute ? value.of(actor) : value;
}

/** Replaces every `$user.x` of a condition that was checked; throws for an attribute that does not exist. */
export function bindPlaceholders(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith('$user.')) {
    const attribute = value.slice('$user.'.length);
    if (!Object.hasOwn(ACTOR_ATTRIBUTES, attribute)) throw new Error(`There is no actor attribute ${value}.`);
    return new ActorAttribute(attribute as ActorAttributeName);
  }
  if (Array.isArray(value)) return value.map(bindPlaceholders);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, bindPlaceholders(inner)]));
}

/** The same condition seen from a child row: facts of its subject carry the prefix `subject.`. */
export function asSubject(where: Where): Where {
  return Object.fromEntries(
    Object.entries(where).map(([key, value]) =>
      key.startsWith('$') ? [key, (value as Where[]).map(asSubject)] : [`subject.${key}`, value],
    ),
  );
}

/** All facts that a condition names. */
export function factsOf(node: ConditionNode): string[] {
  if (node.field !== undefined) return [node.field];
  return (node.value as ConditionNode[]).flatMap(factsOf);
}
