import { ROLES, type Role } from '../kernel/actor.js';
import type { NounDeclaration } from '../kernel/attribute.js';
import type { DocumentPath } from './document.js';
import { insteadOf } from './nearest.js';

type Refuse = (at: DocumentPath, message: string) => void;

/** Characters of the shortest reason that is one. */
export const SHORTEST_REASON = 10;

/** People of the smallest group that a number may be about (minimum cell of CMS and PCORnet). A policy raises it, and never lowers it. */
export const SMALLEST_GROUP = 11;

/** How an operation is recorded, weakest first: in the record of its document, or in a record that is about it alone. */
export const AUDIT_LEVELS = ['access', 'disclosure'] as const;
export type AuditLevel = (typeof AUDIT_LEVELS)[number];

/** At least `l` different values of a field in every group of rows that look alike. */
interface Diversity {
  readonly on: string;
  readonly l: number;
}

export interface KAnonymity {
  readonly type: 'kAnonymity';
  /** Rows that must look alike in the fields of `quasi`. */
  readonly k: number;
  readonly quasi: readonly string[];
  readonly lDiversity: readonly Diversity[];
  /** The largest share of rows that may be left out to get there, 0 to 1. */
  readonly suppressMax: number;
}

/** What must happen before a permit counts. The set is closed: what is not here is refused at load. */
export type Obligation =
  /** A second factor for this operation, given `maxAge` seconds ago at most. */
  | { readonly type: 'stepUp'; readonly maxAge?: number }
  /** A reason in words. */
  | { readonly type: 'reason'; readonly minChars: number }
  /** Somebody else, of this role, agrees. */
  | { readonly type: 'fourEyes'; readonly role: Role }
  | KAnonymity
  | { readonly type: 'audit'; readonly level: AuditLevel };

/** As it stands in a file, after the schema. */
export type ObligationDocument =
  | { readonly type: 'stepUp'; readonly maxAge?: number }
  | { readonly type: 'reason'; readonly minChars?: number }
  | { readonly type: 'fourEyes'; readonly role: string }
  | {
      readonly type: 'kAnonymity';
      readonly k: number;
      readonly quasi: readonly string[];
      readonly lDiversity?: Diversity;
      readonly suppressMax: number;
    }
  | { readonly type: 'audit'; readonly level: AuditLevel };

/** Reads one obligation of a rule about a noun: its role and its fields must exist. */
export function readObligation(
  document: ObligationDocument,
  noun: NounDeclaration,
  at: DocumentPath,
  refuse: Refuse,
): Obligation {
  if (document.type === 'reason') return { type: 'reason', minChars: document.minChars ?? SHORTEST_REASON };
  if (document.type === 'fourEyes') {
    if (!(ROLES as readonly string[]).includes(document.role)) {
      refuse([...at, 'role'], `Unknown role "${document.role}".${insteadOf(document.role, ROLES)}`);
    }
    return { type: 'fourEyes', role: document.role as Role };
  }
  if (document.type !== 'kAnonymity') return document;
  const { k, quasi, lDiversity, suppressMax } = document;
  const known = (field: string, path: DocumentPath) => {
    if (noun.attributes.has(field)) return;
    refuse([...at, ...path], `${noun.type} has no field "${field}".${insteadOf(field, noun.attributes.keys())}`);
  };
  if (k < SMALLEST_GROUP) refuse([...at, 'k'], `A group of ${k} is too small: write ${SMALLEST_GROUP} or more.`);
  quasi.forEach((field, index) => known(field, ['quasi', index]));
  if (lDiversity !== undefined) known(lDiversity.on, ['lDiversity', 'on']);
  return { type: 'kAnonymity', k, quasi, lDiversity: lDiversity === undefined ? [] : [lDiversity], suppressMax };
}

/** All of them at once: of two of one kind the stricter, member by member. The order is that of their first mention. */
export function joinObligations(all: readonly Obligation[]): Obligation[] {
  const joined = new Map<string, Obligation>();
  for (const one of all) {
    const key = one.type === 'fourEyes' ? `${one.type} ${one.role}` : one.type;
    const before = joined.get(key);
    joined.set(key, before === undefined ? one : stricter(before, one));
  }
  return [...joined.values()];
}

function stricter(left: Obligation, right: Obligation): Obligation {
  if (left.type === 'stepUp' && right.type === 'stepUp') {
    const ages = [left.maxAge, right.maxAge].filter((age) => age !== undefined);
    return ages.length === 0 ? left : { type: 'stepUp', maxAge: Math.min(...ages) };
  }
  if (left.type === 'reason' && right.type === 'reason') {
    return { type: 'reason', minChars: Math.max(left.minChars, right.minChars) };
  }
  if (left.type === 'audit' && right.type === 'audit') {
    return AUDIT_LEVELS.indexOf(left.level) >= AUDIT_LEVELS.indexOf(right.level) ? left : right;
  }
  if (left.type !== 'kAnonymity' || right.type !== 'kAnonymity') return left;
  const diversity = new Map<string, number>();
  for (const { on, l } of [...left.lDiversity, ...right.lDiversity]) {
    diversity.set(on, Math.max(l, diversity.get(on) ?? 0));
  }
  return {
    type: 'kAnonymity',
    k: Math.max(left.k, right.k),
    quasi: [...new Set([...left.quasi, ...right.quasi])],
    lDiversity: [...diversity].map(([on, l]) => ({ on, l })),
    suppressMax: Math.min(left.suppressMax, right.suppressMax),
  };
}
