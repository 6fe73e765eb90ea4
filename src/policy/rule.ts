import { ROLES, type Role } from '../kernel/actor.js';
import {
  DATA_GROUPS,
  type AttributeRegistry,
  type DataGroup,
  type MaskName,
  type NounDeclaration,
} from '../kernel/attribute.js';
import type { Where } from './condition.js';
import { readConsent, type ConsentClause, type ConsentDocument } from './consent.js';
import type { PolicyAction } from './decision.js';
import type { DocumentPath } from './document.js';
import { locateFact } from './sql.js';
import { isAtLeast, isMask, type FieldClass, type Vocabulary } from './vocabulary.js';
import { readWhere, type FactResolver } from './where.js';

type Refuse = (at: DocumentPath, message: string) => void;

/** The actions that set fields: a rule for them says which. */
export const WRITING: readonly PolicyAction[] = ['create', 'update', 'deactivate'];
/** The actions that show fields, in clear or masked: a rule for them says which. */
export const SHOWING: readonly PolicyAction[] = ['read', 'export', 'openLedgerDetail'];

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
  readonly where: Where | null;
  readonly consent: ConsentClause | null;
  readonly shows: ReadonlyMap<string, Shown>;
  readonly writes: ReadonlySet<string>;
  readonly lookup: { readonly exact: readonly string[]; readonly perMinute: number; readonly perDay: number } | null;
  readonly obligations: readonly { readonly type: string }[];
}

export interface RuleDocument {
  readonly id: string;
  readonly roles: readonly string[];
  readonly purposes: readonly string[];
  readonly actions: readonly PolicyAction[];
  readonly inherit?: string;
  readonly where?: unknown;
  readonly consent?: ConsentDocument;
  readonly show?: Readonly<Partial<Record<'clear' | 'masked', readonly string[]>>>;
  readonly fields?: Readonly<Partial<Record<'clear' | 'masked' | 'hidden', readonly string[]>>>;
  readonly masks?: Readonly<Record<string, string>>;
  readonly write?: { readonly groups?: readonly string[]; readonly fields?: readonly string[] };
  readonly lookup?: NonNullable<Permit['lookup']>;
  readonly obligations?: Permit['obligations'];
}

/** What rules of one noun are read against. */
export interface RuleSetting {
  readonly noun: NounDeclaration;
  readonly parent: NounDeclaration | null;
  readonly classes: ReadonlyMap<string, FieldClass>;
  readonly vocabulary: Vocabulary;
}

export function settingOf(
  noun: NounDeclaration,
  registry: AttributeRegistry,
  classes: ReadonlyMap<string, ReadonlyMap<string, FieldClass>>,
  vocabulary: Vocabulary,
): RuleSetting {
  const parent = typeof noun.subject === 'object' ? registry.noun(noun.subject.parent) : null;
  return { noun, parent, classes: classes.get(noun.type) ?? new Map(), vocabulary };
}

/** Facts that a condition on this noun may name; a consent only for a purpose that exists. */
export function factResolver(
  noun: NounDeclaration,
  parent: NounDeclaration | null,
  vocabulary: Vocabulary,
): FactResolver {
  return (name) => {
    const found = locateFact(noun, parent, name);
    return found === null || (found.scope !== null && !vocabulary.purposes.has(found.scope)) ? null : found.fact;
  };
}

/** Refuses roles and purposes that do not exist. */
export function checkAudience(
  rule: { readonly roles?: readonly string[]; readonly purposes?: readonly string[] },
  vocabulary: Vocabulary,
  at: DocumentPath,
  refuse: Refuse,
): void {
  rule.roles?.forEach((role, index) => {
    if (!(ROLES as readonly string[]).includes(role)) refuse([...at, 'roles', index], `Unknown role "${role}".`);
  });
  rule.purposes?.forEach((purpose, index) => {
    if (!vocabulary.purposes.has(purpose)) refuse([...at, 'purposes', index], `Unknown purpose "${purpose}".`);
  });
}

/** Fields of a group. An unknown group, or one that the noun has no field of, is refused. */
export function fieldsOfGroup(noun: NounDeclaration, group: string, at: DocumentPath, refuse: Refuse): string[] {
  const fields = [...noun.attributes.values()]
    .filter((one) => one.group === (group as DataGroup))
    .map((one) => one.field);
  if (!(DATA_GROUPS as readonly string[]).includes(group)) refuse(at, `Unknown group "${group}".`);
  else if (fields.length === 0) refuse(at, `${noun.type} has no field of the group "${group}".`);
  return fields;
}

/** Reads one permit. What is wrong is told to `refuse`; the result is used only when nothing was. */
export function readPermit(rule: RuleDocument, at: DocumentPath, setting: RuleSetting, refuse: Refuse): Permit {
  return new PermitReader(rule, at, setting, refuse).read();
}

class PermitReader {
  constructor(
    private readonly rule: RuleDocument,
    private readonly at: DocumentPath,
    private readonly setting: RuleSetting,
    private readonly refuse: Refuse,
  ) {}

  read(): Permit {
    const { rule, setting } = this;
    const { noun, parent } = setting;
    this.audience();
    this.parts();
    if (rule.inherit !== undefined && rule.inherit !== parent?.type) {
      this.no(['inherit'], `${rule.inherit} is not the parent of ${noun.type}.`);
    }
    const resolve = factResolver(noun, parent, setting.vocabulary);
    return {
      id: rule.id,
      type: noun.type,
      roles: new Set(rule.roles),
      purposes: new Set(rule.purposes),
      actions: new Set(rule.actions),
      inherits: rule.inherit !== undefined,
      where: rule.where === undefined ? null : readWhere(rule.where, [...this.at, 'where'], resolve, this.refuse),
      consent:
        rule.consent === undefined
          ? null
          : readConsent(rule.consent, setting, (path, message) => this.no(path, message)),
      shows: this.shows(),
      writes: this.writes(),
      lookup: this.lookup(),
      obligations: rule.obligations ?? [],
    };
  }

  private no(path: DocumentPath, message: string): void {
    this.refuse([...this.at, ...path], message);
  }

  /** Every role and every purpose of a rule must meet a partner that the vocabulary allows: else a part of it is dead. */
  private audience(): void {
    const { rule, setting } = this;
    const allowed = (role: string) => setting.vocabulary.purposesOf.get(role as Role) ?? [];
    checkAudience(rule, setting.vocabulary, this.at, this.refuse);
    rule.roles.forEach((role, index) => {
      if (!rule.purposes.some((purpose) => allowed(role).includes(purpose))) {
        this.no(['roles', index], `"${role}" has none of the purposes of this rule.`);
      }
    });
    rule.purposes.forEach((purpose, index) => {
      if (!rule.roles.some((role) => allowed(role).includes(purpose))) {
        this.no(['purposes', index], `"${purpose}" is a purpose of none of the roles of this rule.`);
      }
    });
  }

  /** What a rule says must fit what it allows: nothing is silently without effect. */
  private parts(): void {
    const { rule } = this;
    const can = (...actions: PolicyAction[]) => actions.some((action) => rule.actions.includes(action));
    for (const part of ['show', 'fields', 'masks'] as const) {
      if (rule[part] !== undefined && !can(...SHOWING))
        this.no([part], `"${part}" needs the action read or export, or openLedgerDetail.`);
    }
    if (can(...SHOWING) && rule.show === undefined && rule.fields === undefined)
      this.no([], `A rule for ${SHOWING.find((one) => can(one))} shows something.`);
    if (can(...WRITING) !== (rule.write !== undefined)) {
      this.no([], 'The actions create, update and deactivate need "write", and only they have it.');
    }
    if (can('lookup') !== (rule.lookup !== undefined))
      this.no([], 'The action lookup needs "lookup", and only it has it.');
  }

  private shows(): Map<string, Shown> {
    const { rule, setting } = this;
    const states = new Map<string, 'clear' | 'masked' | 'hidden'>();
    for (const state of ['clear', 'masked'] as const) {
      rule.show?.[state]?.forEach((group, index) => {
        const at = [...this.at, 'show', state, index];
        for (const field of fieldsOfGroup(setting.noun, group, at, this.refuse)) {
          if (states.has(field)) this.refuse(at, `The group "${group}" stands in clear and in masked.`);
          states.set(field, state);
        }
      });
    }
    const named = new Set<string>();
    for (const state of ['clear', 'masked', 'hidden'] as const) {
      rule.fields?.[state]?.forEach((field, index) => {
        const known = this.known(field, ['fields', state, index]);
        if (known && named.has(field)) this.no(['fields', state, index], `"${field}" is named twice.`);
        named.add(field);
        states.set(field, state);
      });
    }
    const masks = this.masks(states);
    const shown = [...states].filter(([field, state]) => state !== 'hidden' && setting.classes.has(field));
    return new Map(
      shown.map(([field, state]) => [
        field,
        { clear: state === 'clear', mask: masks.get(field) ?? setting.classes.get(field)?.mask ?? 'M_NULL' },
      ]),
    );
  }

  private masks(states: ReadonlyMap<string, string>): Map<string, MaskName> {
    const masks = new Map<string, MaskName>();
    for (const [field, mask] of Object.entries(this.rule.masks ?? {})) {
      const at = ['masks', field];
      if (!this.known(field, at)) continue;
      const weakest = this.setting.classes.get(field)?.mask ?? 'M_NULL';
      if (!isMask(mask)) this.no(at, `Unknown mask ${mask}.`);
      else if (!isAtLeast(mask, weakest))
        this.no(at, `${mask} is weaker than ${weakest}, the mask of ${this.setting.noun.type}.${field}.`);
      else if (states.get(field) !== 'masked') this.no(at, `This rule does not show "${field}" masked.`);
      else masks.set(field, mask);
    }
    return masks;
  }

  private writes(): Set<string> {
    const { rule, setting } = this;
    const writable = (field: string) => {
      const attribute = setting.noun.attributes.get(field);
      return attribute !== undefined && attribute.computed === null && attribute.derivedFrom.length === 0;
    };
    const fields = new Set<string>();
    rule.write?.groups?.forEach((group, index) => {
      const at = ['write', 'groups', index];
      if (group === 'public') this.no(at, 'Name the fields of the group "public" one by one.');
      fieldsOfGroup(setting.noun, group, [...this.at, ...at], this.refuse)
        .filter(writable)
        .forEach((field) => fields.add(field));
    });
    rule.write?.fields?.forEach((field, index) => {
      const at = ['write', 'fields', index];
      if (!this.known(field, at)) return;
      if (!writable(field) || field === 'id' || field === 'version')
        this.no(at, `"${field}" is never written by a client.`);
      fields.add(field);
    });
    return fields;
  }

  private lookup(): Permit['lookup'] {
    const { rule, setting } = this;
    rule.lookup?.exact.forEach((field, index) => {
      const at = ['lookup', 'exact', index];
      if (this.known(field, at) && setting.noun.attributes.get(field)?.blindIndex === null) {
        this.no(at, `"${field}" has no blind index.`);
      }
    });
    return rule.lookup ?? null;
  }

  private known(field: string, at: DocumentPath): boolean {
    const known = this.setting.noun.attributes.has(field);
    if (!known) this.no(at, `${this.setting.noun.type} has no field "${field}".`);
    return known;
  }
}
