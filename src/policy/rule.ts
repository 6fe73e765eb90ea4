import { ROLES } from '../kernel/actor.js';
import {
  DATA_GROUPS,
  type AttributeRegistry,
  type DataGroup,
  type MaskName,
  type NounDeclaration,
} from '../kernel/attribute.js';
import type { Where } from './condition.js';
import type { ConsentClause, ConsentDocument } from './consent.js';
import type { PolicyAction } from './decision.js';
import type { DocumentPath } from './document.js';
import type { EnvironmentCondition, EnvironmentDocument } from './environment.js';
import type { NamedIndexes } from './indexes.js';
import { insteadOf } from './nearest.js';
import type { Obligation, ObligationDocument } from './obligation.js';
import { locateFact } from './sql.js';
import type { FieldClass, Vocabulary } from './vocabulary.js';
import type { FactResolver } from './where.js';

type Refuse = (at: DocumentPath, message: string) => void;

/** The actions that set fields: a rule for them says which. */
export const WRITING: readonly PolicyAction[] = ['create', 'update', 'deactivate'];
/** The actions that show fields of single rows, in clear or masked: a rule for them says which. */
export const SHOWING_ROWS: readonly PolicyAction[] = ['read', 'reveal', 'export', 'openLedgerDetail'];
/** The actions that show fields. What `aggregate` shows is shown of groups alone: the fields by which people are counted. */
export const SHOWING: readonly PolicyAction[] = [...SHOWING_ROWS, 'aggregate'];

export interface Shown {
  readonly clear: boolean;
  /** What the field looks like when it is not in clear. */
  readonly mask: MaskName;
}

/** A permit of a policy file with groups resolved to fields. */
export interface Permit {
  readonly id: string;
  readonly type: string;
  readonly roles: ReadonlySet<string>;
  readonly purposes: ReadonlySet<string>;
  readonly actions: ReadonlySet<PolicyAction>;
  /** True where the rule reaches only rows whose parent the same role may read for the same purpose. */
  readonly inherits: boolean;
  /** The condition on the request; null where the permit holds at any time from anywhere. */
  readonly when: EnvironmentCondition | null;
  readonly where: Where | null;
  readonly consent: ConsentClause | null;
  readonly shows: ReadonlyMap<string, Shown>;
  readonly writes: ReadonlySet<string>;
  readonly lookup: { readonly exact: readonly string[]; readonly perMinute: number; readonly perDay: number } | null;
  readonly search: { readonly by: readonly string[]; readonly perHour: number; readonly perDay: number } | null;
  readonly limits: { readonly perUserPerHour: number } | null;
  readonly obligations: readonly Obligation[];
}

export interface RuleDocument {
  readonly id: string;
  readonly effect: string;
  readonly roles: readonly string[];
  readonly purposes: readonly string[];
  readonly actions: readonly PolicyAction[];
  readonly inherit?: string;
  readonly when?: EnvironmentDocument;
  readonly where?: unknown;
  readonly consent?: ConsentDocument;
  readonly show?: Readonly<Partial<Record<'clear' | 'masked', readonly string[]>>>;
  readonly fields?: Readonly<Partial<Record<'clear' | 'masked' | 'hidden', readonly string[]>>>;
  readonly masks?: Readonly<Record<string, string>>;
  readonly write?: { readonly groups?: readonly string[]; readonly fields?: readonly string[] };
  readonly lookup?: NonNullable<Permit['lookup']>;
  readonly search?: NonNullable<Permit['search']>;
  readonly limits?: NonNullable<Permit['limits']>;
  readonly obligations?: readonly ObligationDocument[];
}

/** What rules of one noun are read against. */
export interface RuleSetting {
  readonly noun: NounDeclaration;
  readonly parent: NounDeclaration | null;
  readonly classes: ReadonlyMap<string, FieldClass>;
  readonly vocabulary: Vocabulary;
  /** The indexes that the file names for its noun. */
  readonly indexes: NamedIndexes;
}

export function settingOf(
  noun: NounDeclaration,
  registry: AttributeRegistry,
  classes: ReadonlyMap<string, ReadonlyMap<string, FieldClass>>,
  vocabulary: Vocabulary,
  indexes: NamedIndexes | undefined,
): RuleSetting {
  const parent = typeof noun.subject === 'object' ? registry.noun(noun.subject.parent) : null;
  return { noun, parent, classes: classes.get(noun.type) ?? new Map(), vocabulary, indexes: indexes ?? new Map() };
}

/** Facts that a condition on this noun may name; a consent only for a purpose that exists. */
export function factResolver(
  noun: NounDeclaration,
  parent: NounDeclaration | null,
  vocabulary: Vocabulary,
): FactResolver {
  const resolve = (name: string) => {
    const found = locateFact(noun, parent, name);
    return found === null || (found.scope !== null && !vocabulary.purposes.has(found.scope)) ? null : found.fact;
  };
  const own = noun.facts.map((fact) => fact.name);
  return Object.assign(resolve, { known: [...own, ...(parent?.facts ?? []).map((fact) => `subject.${fact.name}`)] });
}

/** Refuses roles and purposes that do not exist. */
export function checkAudience(
  rule: { readonly roles?: readonly string[]; readonly purposes?: readonly string[] },
  vocabulary: Vocabulary,
  at: DocumentPath,
  refuse: Refuse,
): void {
  rule.roles?.forEach((role, index) => {
    if (!(ROLES as readonly string[]).includes(role))
      refuse([...at, 'roles', index], `Unknown role "${role}".${insteadOf(role, ROLES)}`);
  });
  rule.purposes?.forEach((purpose, index) => {
    if (vocabulary.purposes.has(purpose)) return;
    refuse([...at, 'purposes', index], `Unknown purpose "${purpose}".${insteadOf(purpose, vocabulary.purposes)}`);
  });
}

/** Fields of a group. An unknown group, or one that the noun has no field of, is refused. */
export function fieldsOfGroup(noun: NounDeclaration, group: string, at: DocumentPath, refuse: Refuse): string[] {
  const fields = [...noun.attributes.values()]
    .filter((one) => one.group === (group as DataGroup))
    .map((one) => one.field);
  if (!(DATA_GROUPS as readonly string[]).includes(group))
    refuse(at, `Unknown group "${group}".${insteadOf(group, DATA_GROUPS)}`);
  else if (fields.length === 0) {
    const own = new Set([...noun.attributes.values()].map((one) => one.group));
    refuse(at, `${noun.type} has no field of the group "${group}".${insteadOf(group, own)}`);
  }
  return fields;
}
