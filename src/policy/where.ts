import type { FactDeclaration } from '../kernel/attribute.js';
import {
  ACTOR_ATTRIBUTES,
  bindPlaceholders,
  COMPARISONS,
  CONNECTIVES,
  isOfKind,
  kindOf,
  RANGES,
  type FactKind,
  type Where,
} from './condition.js';
import type { DocumentPath } from './document.js';
import { insteadOf } from './nearest.js';

type Refuse = (at: DocumentPath, message: string) => void;

/** Values of one list in a condition. */
const MOST_VALUES = 500;

/** Facts that a condition may name, by the name it uses; `known` are the names, for a message. */
export type FactResolver = ((name: string) => FactDeclaration | null) & { readonly known?: readonly string[] };

/**
 * Checks a condition of a policy file and replaces its placeholders. Only declared facts, known operators and operands
 * of the fact's kind pass; an empty condition is refused, because it would match everything. Null is refused too:
 * facts are never null.
 */
export function readWhere(where: unknown, at: DocumentPath, resolve: FactResolver, refuse: Refuse): Where {
  new WhereReader(resolve, refuse).group(where, at);
  return bindOrEmpty(where);
}

/** Where a placeholder is unknown the file is refused anyway: the value is not used. */
function bindOrEmpty(where: unknown): Where {
  try {
    return bindPlaceholders(where) as Where;
  } catch {
    return {};
  }
}

class WhereReader {
  constructor(
    private readonly resolve: FactResolver,
    private readonly refuse: Refuse,
  ) {}

  group(where: unknown, at: DocumentPath): void {
    if (!isMapping(where)) return this.refuse(at, 'A condition is a non-empty mapping of facts and operators.');
    for (const [key, value] of Object.entries(where)) {
      if ((CONNECTIVES as readonly string[]).includes(key)) this.connective(value, [...at, key]);
      else if (key.startsWith('$')) this.refuse([...at, key], `Unknown operator ${key}.${insteadOf(key, CONNECTIVES)}`);
      else this.fact(key, value, [...at, key]);
    }
  }

  private connective(members: unknown, at: DocumentPath): void {
    if (!Array.isArray(members) || members.length === 0)
      return this.refuse(at, 'Needs a non-empty list of conditions.');
    members.forEach((member, index) => this.group(member, [...at, index]));
  }

  private fact(name: string, value: unknown, at: DocumentPath): void {
    const fact = this.resolve(name);
    if (fact === null)
      return this.refuse(at, `"${name}" is not a declared fact.${insteadOf(name, this.resolve.known ?? [])}`);
    const kind = kindOf(fact);
    if (!isMapping(value)) return this.operand(kind, '$eq', value, at);
    for (const [operator, operand] of Object.entries(value)) {
      if ((COMPARISONS as readonly string[]).includes(operator))
        this.operand(kind, operator, operand, [...at, operator]);
      else this.refuse([...at, operator], `Unknown operator ${operator}.${insteadOf(operator, COMPARISONS)}`);
    }
  }

  private operand(kind: FactKind, operator: string, operand: unknown, at: DocumentPath): void {
    if (operator === '$exists') {
      if (typeof operand !== 'boolean') this.refuse(at, '$exists takes true or false.');
      return;
    }
    const list = operator === '$in' || operator === '$nin';
    if (typeof operand === 'string' && operand.startsWith('$'))
      return this.placeholder(kind, operator, operand, list, at);
    if (RANGES.includes(operator) && kind !== 'text' && kind !== 'integer') {
      return this.refuse(at, `${operator} needs a text or integer fact, this one is ${kind}.`);
    }
    if (list && (!Array.isArray(operand) || operand.length === 0)) {
      return this.refuse(at, `${operator} takes a non-empty list.`);
    }
    const values = list ? (operand as unknown[]) : [operand];
    // Every value is a class of rows of its own, and is looked at with all others.
    if (values.length > MOST_VALUES) return this.refuse(at, `${operator} takes ${MOST_VALUES} values at most.`);
    const placeholder = (value: unknown) => typeof value === 'string' && value.startsWith('$');
    if (!values.every((value) => isOfKind(value, kind) && !placeholder(value)))
      this.refuse(at, `The fact is ${kind}: the value is not.`);
  }

  private placeholder(kind: FactKind, operator: string, text: string, list: boolean, at: DocumentPath): void {
    const name = text.slice('$user.'.length);
    const known = text.startsWith('$user.') && Object.hasOwn(ACTOR_ATTRIBUTES, name);
    if (!known) {
      const placeholders = Object.keys(ACTOR_ATTRIBUTES).map((attribute) => `$user.${attribute}`);
      return this.refuse(at, `Unknown placeholder ${text}.${insteadOf(text, placeholders)}`);
    }
    const wanted = list ? `${kind}[]` : kind;
    const offered = ACTOR_ATTRIBUTES[name as keyof typeof ACTOR_ATTRIBUTES];
    if (RANGES.includes(operator) || wanted !== offered)
      this.refuse(at, `${text} is ${offered} and does not fit ${operator} here.`);
  }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
}
