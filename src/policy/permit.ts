import type { Role } from '../kernel/actor.js';
import { MASKS, type AttributeDeclaration, type IndexKind, type MaskName } from '../kernel/attribute.js';
import { readConsent } from './consent.js';
import type { PolicyAction } from './decision.js';
import type { DocumentPath } from './document.js';
import { readEnvironment } from './environment.js';
import { insteadOf } from './nearest.js';
import { readObligation, SMALLEST_GROUP, type Obligation } from './obligation.js';
import {
  checkAudience,
  factResolver,
  fieldsOfGroup,
  SHOWING,
  WRITING,
  type Permit,
  type RuleDocument,
  type RuleSetting,
  type Shown,
} from './rule.js';
import { isAtLeast, isMask } from './vocabulary.js';
import { readWhere } from './where.js';

/** Kinds of fields that put people into groups. An instant, a number or an id tells them apart. */
const COUNTED_BY: readonly AttributeDeclaration['kind'][] = ['code', 'year', 'text'];

type Refuse = (at: DocumentPath, message: string) => void;

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
    // What the schema says too: what decides does not rest on a file.
    if (rule.effect !== 'permit') this.no(['effect'], 'A rule permits: write "effect: permit". Guardrails forbid.');
    this.audience();
    this.parts();
    this.revealing();
    this.counting();
    if (rule.inherit !== undefined && rule.inherit !== parent?.type) {
      const instead = parent === null ? ' It has none.' : ` Write "inherit: ${parent.type}".`;
      this.no(['inherit'], `${rule.inherit} is not the parent of ${noun.type}.${instead}`);
    }
    const resolve = factResolver(noun, parent, setting.vocabulary);
    return {
      id: rule.id,
      type: noun.type,
      roles: new Set(rule.roles),
      purposes: new Set(rule.purposes),
      actions: new Set(rule.actions),
      inherits: rule.inherit !== undefined,
      when:
        rule.when === undefined
          ? null
          : readEnvironment(rule.when, setting.vocabulary.networks, [...this.at, 'when'], this.refuse),
      where: rule.where === undefined ? null : readWhere(rule.where, [...this.at, 'where'], resolve, this.refuse),
      consent:
        rule.consent === undefined
          ? null
          : readConsent(rule.consent, setting, (path, message) => this.no(path, message)),
      shows: this.shows(),
      writes: this.writes(),
      lookup: this.lookup(),
      search: this.search(),
      limits: rule.limits ?? null,
      obligations: this.obligations(),
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
        this.no([part], `"${part}" needs the action read or export, or reveal, aggregate or openLedgerDetail.`);
    }
    if (can(...SHOWING) && rule.show === undefined && rule.fields === undefined)
      this.no([], `A rule for ${SHOWING.find((one) => can(one))} shows something.`);
    if (can(...WRITING) !== (rule.write !== undefined)) {
      this.no([], 'The actions create, update and deactivate need "write", and only they have it.');
    }
    if (can('lookup') !== (rule.lookup !== undefined))
      this.no([], 'The action lookup needs "lookup", and only it has it.');
    if (can('search') !== (rule.search !== undefined))
      this.no([], 'The action search needs "search", and only it has it.');
  }

  /** A revealed value is in clear or not given at all; it costs a reason, and there is an end to it. */
  private revealing(): void {
    const { rule } = this;
    if (!rule.actions.includes('reveal')) {
      if (rule.limits !== undefined && !rule.actions.includes('aggregate'))
        this.no(['limits'], '"limits" needs the action reveal or aggregate.');
      return;
    }
    if (rule.actions.length > 1)
      this.no(['actions'], 'The action reveal stands alone: write a rule of its own for it.');
    for (const part of ['show', 'fields'] as const) {
      if (rule[part]?.masked !== undefined)
        this.no([part, 'masked'], 'What is revealed is in clear: write "clear" only.');
    }
    if (rule.limits === undefined) this.no([], 'A rule for reveal needs "limits: { perUserPerHour: 30 }".');
    if (rule.obligations?.some((one) => one.type === 'reason') !== true) {
      this.no([], 'A rule for reveal needs "obligations: [{ type: reason }]".');
    }
  }

  /**
   * Whoever may count sees numbers alone, of groups that are large enough. Everybody of a role counts the same people: two
   * counts of slightly different people, by the hour, the network or the account, would tell who makes the difference.
   */
  private counting(): void {
    const { rule, setting } = this;
    if (!rule.actions.includes('aggregate')) return;
    if (setting.noun.subject !== 'self') this.no(['actions'], `Only patients are counted, not ${setting.noun.type}.`);
    if (rule.actions.length > 1)
      this.no(['actions'], 'The action aggregate stands alone: write a rule of its own for it.');
    for (const part of ['show', 'fields'] as const) {
      if (rule[part]?.masked !== undefined)
        this.no([part, 'masked'], 'What is counted by is in clear: write "clear" only.');
    }
    if (rule.when !== undefined) this.no(['when'], 'What is counted depends neither on the hour nor on the network.');
    const by = [...this.shows().keys()].sort();
    for (const field of by) {
      const { column, kind, sealed, filter } = setting.noun.attributes.get(field) as AttributeDeclaration;
      if (column === null || sealed || filter === 'none' || !COUNTED_BY.includes(kind))
        this.no([], `Nobody is counted by "${field}": name facets with few values, one by one, in "fields".`);
    }
    if (rule.limits === undefined) this.no([], 'A rule for aggregate needs "limits: { perUserPerHour: 60 }".');
    const groups = rule.obligations?.find((one) => one.type === 'kAnonymity');
    if (groups === undefined) {
      const wanted = `{ type: kAnonymity, k: ${SMALLEST_GROUP}, quasi: [${by.join(', ')}], suppressMax: 1 }`;
      this.no([], `A rule for aggregate needs "obligations: [${wanted}]".`);
    } else if ([...groups.quasi].sort().join() !== by.join()) {
      this.no(['obligations'], `"quasi" names the fields that are counted by: write [${by.join(', ')}].`);
    } else if (groups.lDiversity !== undefined || groups.suppressMax !== 1) {
      this.no(
        ['obligations'],
        'Groups that are too small are always left out: write "suppressMax: 1", no "lDiversity".',
      );
    }
  }

  private obligations(): Obligation[] {
    const { obligations = [] } = this.rule;
    const kinds = obligations.map((one) => one.type);
    return obligations.map((one, index) => {
      const at = [...this.at, 'obligations', index];
      if (one.type !== 'fourEyes' && kinds.indexOf(one.type) < index) this.refuse(at, `"${one.type}" is named twice.`);
      return readObligation(one, this.setting.noun, at, this.refuse);
    });
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
      if (!isMask(mask)) this.no(at, `Unknown mask ${mask}.${insteadOf(mask, MASKS)}`);
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
    const { rule } = this;
    rule.lookup?.exact.forEach((field, index) => this.foundBy(field, ['exact'], ['lookup', 'exact', index]));
    return rule.lookup ?? null;
  }

  private search(): Permit['search'] {
    const { rule } = this;
    rule.search?.by.forEach((field, index) => this.foundBy(field, ['tokens', 'suffix'], ['search', 'by', index]));
    return rule.search ?? null;
  }

  /** Without an index nothing would ever be found, and nobody would be told why. */
  private foundBy(field: string, kinds: readonly IndexKind[], at: DocumentPath): void {
    const { indexes } = this.setting;
    const has = (name: string) => kinds.some((kind) => indexes.get(name)?.has(kind) === true);
    if (!this.known(field, at) || has(field)) return;
    const named = insteadOf(field, [...indexes.keys()].filter(has));
    this.no(at, `"${field}" has no index of the kind ${kinds.join(' or ')}: name it in "indexes".${named}`);
  }

  private known(field: string, at: DocumentPath): boolean {
    const { type, attributes } = this.setting.noun;
    const known = attributes.has(field);
    if (!known) this.no(at, `${type} has no field "${field}".${insteadOf(field, attributes.keys())}`);
    return known;
  }
}
