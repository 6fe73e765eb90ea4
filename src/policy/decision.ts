import type { DataGroup, MaskName } from '../kernel/attribute.js';
import type { Obligation } from './obligation.js';

/** Pushes a value as a parameter of the statement and returns its placeholder, such as `$3`. */
export type Bind = (value: unknown) => string;

/** SQL aliases of the noun's own table and of its subject's (the patient's) table; equal where the noun is the subject. */
export interface Aliases {
  readonly self: string;
  readonly subject: string;
}

/** What a predicate may depend on beside the row and the actor. */
export interface PolicyContext {
  readonly now: Date;
  /** IANA time zone that decides what "today" is. */
  readonly timeZone: string;
}

export const POLICY_ACTIONS = [
  'read',
  'create',
  'update',
  'deactivate',
  'lookup',
  'search',
  'reveal',
  'export',
  'aggregate',
  'accessReport',
  'explain',
  'readLedger',
  'openLedgerDetail',
  'proveRecord',
  'erase',
  'proposePolicy',
  'approvePolicy',
  'activatePolicy',
  'readPolicy',
] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

export interface FieldView {
  readonly state: 'CLEAR' | 'MASKED' | 'HIDDEN';
  /** The masking function of a MASKED field, else null. */
  readonly mask: MaskName | null;
}

/** The states of all fields of a noun for rows with one pattern of visibility bits. */
export interface Visibility {
  readonly fields: ReadonlyMap<string, FieldView>;
  /** Sealed groups of which a value is needed: at least one field is shown, and not as null. The others are never opened. */
  readonly openGroups: readonly DataGroup[];
}

/** Distinct patients that one account may see in an hour and in a day. */
export interface Volume {
  readonly patientsPerHour: number;
  readonly patientsPerDay: number;
}

/** Fields by which rows are found, and how often an account may try. Which index that takes, the action says. */
export interface Finding {
  readonly fields: ReadonlySet<string>;
  readonly perMinute?: number;
  readonly perHour?: number;
  readonly perDay: number;
}

/** Row facts by name, in memory. Facts are NOT NULL: a missing or null fact is refused, never guessed. */
export type Facts = Readonly<Record<string, unknown>>;

/**
 * The answer of the policy to "may this actor, for this purpose, do this to rows of this type, and what is shown?".
 * All SQL it gives out is two-valued (never NULL), has a text that is stable for the same rules and aliases, and binds
 * every value.
 */
export interface Decision {
  /** False: no rule for this role, purpose, action and type, so there is nothing to ask the database. */
  readonly allowed: boolean;
  readonly type: string;
  readonly action: PolicyAction;
  readonly purpose: string;
  /** The permits and guardrails that took part, in the order of their files. */
  readonly ruleIds: readonly string[];
  /** What does not depend on the actor: the same object for every decision of one role, purpose, action and type. */
  readonly shape: { visibility(bits: number): Visibility };
  /** True where the SQL names the alias of the subject, so that the statement has to join it. */
  readonly usesSubject: boolean;
  /** SQL boolean: the rows this action reaches. The tenant is always part of it. */
  rowPredicate(aliases: Aliases, bind: Bind, context: PolicyContext): string;
  /** True where a consent clause bounds a permit that took part, its own or one of the parent's. */
  readonly usesConsent: boolean;
  /** Purposes for which a rule that took part asks the patient's consent, in the order of their names. */
  readonly consents: readonly string[];
  /**
   * SQL boolean: rows that the actor would reach but for a consent clause: reached with all clauses lifted and not reached
   * now; tenant and guardrails hold on both sides. `FALSE` where no clause takes part.
   */
  butForConsentPredicate(aliases: Aliases, bind: Bind, context: PolicyContext): string;
  /**
   * SQL boolean, asked of such rows: the patient denied what a permit that would reach the row asks for. Else the consent
   * is missing. Denials that concern other permits, which do not reach the row anyway, are not told.
   */
  consentDeniedPredicate(aliases: Aliases, bind: Bind, context: PolicyContext): string;
  /**
   * The row predicate of a row that is not in a table yet: its own facts are given, only facts of the subject are left
   * as SQL over `subject`, an alias of the subject's table. For guarded inserts of child rows.
   */
  insertPredicate(facts: Facts, subject: string, bind: Bind, context: PolicyContext): string;
  /**
   * SQL integer: one bit per row-dependent condition; `0` when nothing depends on the row. It means nothing for a row that
   * the row predicate does not reach.
   */
  visibilityBits(aliases: Aliases, bind: Bind, context: PolicyContext): string;
  /** States of all fields for a row with these bits. The same object for the same bits. */
  visibility(bits: number): Visibility;
  /** SQL boolean: the rows on which the actor sees this field in clear. Guards client filters. */
  clearPredicate(field: string, aliases: Aliases, bind: Bind, context: PolicyContext): string;
  /** Whether the field is in clear on all, some or none of the rows that the action reaches. */
  clearFor(field: string): 'always' | 'sometimes' | 'never';
  /** In-memory twin of `rowPredicate`. */
  matches(facts: Facts): boolean;
  /** In-memory twin of the two consent predicates: why a row is kept back by consent alone; null where it is not. */
  keptBack(facts: Facts): 'DENIED' | 'MISSING' | null;
  /** In-memory twin of `visibilityBits`. */
  bitsOf(facts: Facts): number;
  /** Fields that a create, update or deactivate may set. Empty for every other action. */
  writableFields(): ReadonlySet<string>;
  /** Fields by which a lookup or a search finds rows, with the limits per actor; null where the actor finds none so. */
  readonly lookup: Finding | null;
  /** What must happen besides: an operation that does not know an obligation refuses. */
  readonly obligations: readonly Obligation[];
  /** Fields that some permit shows on some row: what does not depend on the row. Empty where the action shows none. */
  readonly shown: ReadonlySet<string>;
  /** How often an account may do this in an hour; null where no rule says. */
  readonly perUserPerHour: number | null;
  /** How many patients the role's accounts may see; null for machines. */
  readonly volume: Volume | null;
}
