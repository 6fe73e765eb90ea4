import type { AttributeRegistry } from '../kernel/attribute.js';
import { ROLES } from '../kernel/actor.js';
import { maskStrength, type Vocabulary } from './vocabulary.js';
import type { Permit } from './rule.js';

/** A rule or a guardrail as its file says it. */
export type RawRule = Readonly<Record<string, unknown>>;

/** A rule made to say something else; null: the rule is gone. */
export interface Mutation {
  readonly name: string;
  readonly rule: RawRule | null;
}

/** What operators know besides the rule. */
export interface MutationSetting {
  readonly vocabulary: Vocabulary;
  readonly permits: readonly Permit[];
  readonly registry: AttributeRegistry;
  /** The type of a permit; null for a guardrail. */
  readonly type: string | null;
}

type Operator = (rule: RawRule, setting: MutationSetting) => Mutation[];

const FLIPPED: Readonly<Record<string, string>> = {
  $in: '$nin',
  $nin: '$in',
  $eq: '$ne',
  $ne: '$eq',
  $lt: '$gte',
  $gte: '$lt',
  $lte: '$gt',
  $gt: '$lte',
};

/** Every way in which one rule can be made to say more, less or something else. */
export function mutationsOf(rule: RawRule, setting: MutationSetting): Mutation[] {
  return [{ name: 'rule dropped', rule: null }, ...OPERATORS.flatMap((operator) => operator(rule, setting))];
}

const OPERATORS: readonly Operator[] = [
  (rule) =>
    ['where', 'consent', 'obligations', 'limits', 'unless', 'inherit', 'when'].flatMap((part) =>
      part in rule ? [{ name: `${part} dropped`, rule: without(rule, part) }] : [],
    ),
  (rule) =>
    rule['where'] === undefined
      ? []
      : flips(rule['where']).map(({ name, where }) => ({ name, rule: { ...rule, where } })),
  consents,
  (rule, setting) => (setting.type === null ? [] : widenedRoles(rule, setting)),
  // A guardrail without subjects says nothing: only one of several is taken out.
  (rule) => ['roles', 'purposes', 'actions', 'subjects'].flatMap((part) => listed(rule, [part])),
  (rule) => listed(rule, ['unless', 'roles'], ['unless', 'purposes'], ['fields'], ['groups']),
  (rule) => memberwise(rule, 'obligations'),
  (rule) =>
    Object.keys(record(rule['limits'])).flatMap((name) =>
      Object.keys(record(rule['limits'])).length < 2
        ? []
        : [{ name: `limit ${name} dropped`, rule: { ...rule, limits: without(record(rule['limits']), name) } }],
    ),
  masked,
  weakerMasks,
  (rule) =>
    listed(rule, ['write', 'fields'], ['write', 'groups'], ['lookup', 'exact'], ['search', 'by'], ['fields', 'hidden']),
];

function consents(rule: RawRule): Mutation[] {
  const consent = rule['consent'] as Record<string, string> | undefined;
  if (consent === undefined) return [];
  const said = (name: string, change: Record<string, string>) => ({
    name,
    rule: { ...rule, consent: { ...consent, ...change } },
  });
  return [
    ...(consent['onMissing'] === 'deny' ? [said('silence taken for consent', { onMissing: 'permit' })] : []),
    ...(consent['onDeny'] === 'deny' && consent['onMissing'] === 'deny'
      ? [said('a denial overruled', { onDeny: 'permit' })]
      : []),
    said('consent of another purpose', { scope: consent['scope'] === 'CAREMGT' ? 'PATRQT' : 'CAREMGT' }),
  ];
}

/** A comparison turned into its opposite, one at a time. */
function flips(where: unknown): { name: string; where: unknown }[] {
  if (Array.isArray(where)) {
    return where.flatMap((member, index) =>
      flips(member).map((flip) => ({ name: flip.name, where: where.with(index, flip.where) })),
    );
  }
  return Object.entries(record(where)).flatMap(([key, value]) => {
    const put = (name: string, inner: unknown) => ({ name, where: { ...record(where), [key]: inner } });
    if (key.startsWith('$')) return flips(value).map((flip) => put(flip.name, flip.where));
    if (typeof value !== 'object' || value === null) return [put(`${key} flipped`, { $ne: value })];
    return Object.entries(record(value)).flatMap(([operator, operand]) => {
      if (operator === '$exists') return [put(`${key} flipped`, { ...record(value), $exists: operand !== true })];
      const opposite = FLIPPED[operator];
      return opposite === undefined
        ? []
        : [put(`${key} flipped`, { ...without(record(value), operator), [opposite]: operand })];
    });
  });
}

/** Every role that may state one of the purposes, unless the bundle would refuse the rule for it. */
function widenedRoles(rule: RawRule, { vocabulary, permits, registry, type }: MutationSetting): Mutation[] {
  const roles = rule['roles'] as readonly string[];
  const purposes = rule['purposes'] as readonly string[];
  const actions = rule['actions'] as readonly string[];
  const { subject } = registry.noun(type as string);
  const parent = typeof subject === 'object' ? subject.parent : null;
  return ROLES.filter((role) => !roles.includes(role)).flatMap((role) => {
    const stated = purposes.filter((purpose) => vocabulary.purposesOf.get(role)?.includes(purpose) === true);
    const meets = (permit: Permit, purpose: string) => permit.roles.has(role) && permit.purposes.has(purpose);
    const loads = stated.every(
      (purpose) =>
        (rule['inherit'] === undefined ||
          permits.some((one) => one.type === parent && one.actions.has('read') && meets(one, purpose))) &&
        (rule['write'] === undefined ||
          !permits.some(
            (one) =>
              one.type === type && meets(one, purpose) && actions.some((action) => one.actions.has(action as never)),
          )),
    );
    return stated.length === 0 || !loads
      ? []
      : [{ name: `${role} added to the roles`, rule: { ...rule, roles: [...roles, role] } }];
  });
}

/** What is masked made clear, a group or a field at a time. */
function masked(rule: RawRule): Mutation[] {
  return ['show', 'fields'].flatMap((part) => {
    const shown = record(rule[part]) as Record<string, readonly string[]>;
    return (shown['masked'] ?? []).map((name) => {
      const rest = (shown['masked'] ?? []).filter((other) => other !== name);
      const clear = [...(shown['clear'] ?? []), name];
      const made = { ...without(shown, 'masked'), clear, ...(rest.length === 0 ? {} : { masked: rest }) };
      const masks = without(record(rule['masks']), name);
      return {
        name: `${name} made clear`,
        rule: { ...without(rule, 'masks'), ...(Object.keys(masks).length === 0 ? {} : { masks }), [part]: made },
      };
    });
  });
}

/** The next weaker mask that the class of the field allows; the class's own is what stands when nothing is said. */
function weakerMasks(rule: RawRule, { registry, type }: MutationSetting): Mutation[] {
  const masks = record(rule['masks']) as Record<string, 'M_NULL'>;
  return Object.entries(masks).flatMap(([field, mask]) => {
    const own = type === null ? undefined : registry.noun(type).attributes.get(field)?.mask;
    if (own === undefined || own === mask || maskStrength(own) >= maskStrength(mask)) return [];
    const next =
      maskStrength('M_TEXT') > maskStrength(own) && maskStrength('M_TEXT') < maskStrength(mask) ? 'M_TEXT' : own;
    return [{ name: `the mask of ${field} weakened`, rule: { ...rule, masks: { ...masks, [field]: next } } }];
  });
}

/** One member of a list taken out, where another one stays; the last one takes its list along where that may be absent. */
function listed(rule: RawRule, ...paths: readonly (readonly string[])[]): Mutation[] {
  return paths.flatMap(([part = '', inner]) => {
    const holder = inner === undefined ? rule : record(rule[part]);
    const key = inner ?? part;
    const members = holder[key];
    const needed = inner === undefined || part === 'lookup' || part === 'search';
    if (!Array.isArray(members) || (members.length < 2 && needed)) return [];
    return members.map((member: unknown, index): Mutation => {
      const rest = members.toSpliced(index, 1);
      const changed = rest.length === 0 ? without(holder, key) : { ...holder, [key]: rest };
      const name = `${[part, inner].filter(Boolean).join('.')} without ${String(member)}`;
      if (inner === undefined) return { name, rule: changed };
      return { name, rule: Object.keys(changed).length === 0 ? without(rule, part) : { ...rule, [part]: changed } };
    });
  });
}

function memberwise(rule: RawRule, part: string): Mutation[] {
  const members = rule[part];
  if (!Array.isArray(members) || members.length < 2) return [];
  return members.map((member: { type?: string }, index) => ({
    name: `${part} without ${member.type ?? index}`,
    rule: { ...rule, [part]: members.toSpliced(index, 1) },
  }));
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function without<Value>(from: Readonly<Record<string, Value>>, key: string): Record<string, Value> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => name !== key));
}
