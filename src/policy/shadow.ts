import type { Aliases, Bind, Decision, FieldView, PolicyContext } from './decision.js';
import type { PolicyEngine } from './engine.js';
import { reachedPatterns } from './pattern.js';

/** What a document asks of the policies: an engine, or one with another beside it. */
export type DecidingPolicy = Pick<
  PolicyEngine,
  | 'decide'
  | 'purposesOf'
  | 'knowsPurpose'
  | 'classOf'
  | 'version'
  | 'hash'
  | 'files'
  | 'ruleIds'
  | 'consentScopes'
  | 'operations'
  | 'emergencyAccess'
  | 'indexes'
>;

/** How a decision of the shadow differs from the one in force: names of code and policy, no values. */
export interface ShadowDifference {
  readonly type: string;
  readonly action: string;
  readonly purpose: string;
  readonly role: string;
  /** Rules that took part in one of the two decisions alone. */
  readonly rules: readonly string[];
  /** Fields that would be shown otherwise on some row; `rows` where other rows would be reached, `write` and `lookup` likewise. */
  readonly fields: readonly string[];
}

type Question = Parameters<PolicyEngine['decide']>;
type Told = Pick<ShadowDifference, 'rules' | 'fields'>;

const ALIASES: Aliases = { self: 'a', subject: 'b' };
const CONTEXT: PolicyContext = { now: new Date(0), timeZone: 'UTC' };
const HIDDEN: FieldView = { state: 'HIDDEN', mask: null };

/** What two shapes differ in. A shape stands for all actors of a role: it is compared once. */
const compared = new WeakMap<object, WeakMap<object, Told | null>>();

/** The policies in force, for one document. Each decision is made beside it by the shadow, which changes nothing. */
export class ShadowedPolicy implements DecidingPolicy {
  private readonly told = new Set<string>();

  constructor(
    private readonly engine: PolicyEngine,
    private readonly shadow: PolicyEngine,
    private readonly tell: (difference: ShadowDifference) => void,
  ) {}

  decide(...question: Question): Decision {
    const decision = this.engine.decide(...question);
    const [actor, purpose, action, type] = question;
    const key = `${type} ${action} ${purpose}`;
    if (this.told.has(key)) return decision;
    const difference = differenceOf(decision, () => this.shadow.decide(...question));
    if (difference !== null) {
      this.told.add(key);
      this.tell({ type, action, purpose, role: actor.role, ...difference });
    }
    return decision;
  }

  get version(): string {
    return this.engine.version;
  }
  get hash(): string {
    return this.engine.hash;
  }
  get files(): number {
    return this.engine.files;
  }
  get ruleIds(): readonly string[] {
    return this.engine.ruleIds;
  }
  get consentScopes(): readonly string[] {
    return this.engine.consentScopes;
  }
  get operations(): PolicyEngine['operations'] {
    return this.engine.operations;
  }
  get indexes(): PolicyEngine['indexes'] {
    return this.engine.indexes;
  }
  get emergencyAccess(): PolicyEngine['emergencyAccess'] {
    return this.engine.emergencyAccess;
  }
  purposesOf(...question: Parameters<PolicyEngine['purposesOf']>): readonly string[] {
    return this.engine.purposesOf(...question);
  }
  knowsPurpose(purpose: string): boolean {
    return this.engine.knowsPurpose(purpose);
  }
  classOf(...question: Parameters<PolicyEngine['classOf']>): ReturnType<PolicyEngine['classOf']> {
    return this.engine.classOf(...question);
  }
}

/** Null where the two say the same. A shadow that fails differs in everything, and the failure stays here. */
export function differenceOf(active: Decision, ask: () => Decision): Told | null {
  let shadow: Decision;
  try {
    shadow = ask();
  } catch {
    return { rules: active.ruleIds, fields: ['rows'] };
  }
  let known = compared.get(active.shape);
  if (known === undefined) compared.set(active.shape, (known = new WeakMap()));
  const before = known.get(shadow.shape);
  if (before !== undefined) return before;
  const made = compare(active, shadow);
  known.set(shadow.shape, made);
  return made;
}

function compare(active: Decision, shadow: Decision): Told | null {
  const [left, right] = [described(active), described(shadow)];
  const fields = [...new Set([...left.keys(), ...right.keys()])].filter((name) => left.get(name) !== right.get(name));
  const rules = [
    ...active.ruleIds.filter((id) => !shadow.ruleIds.includes(id)),
    ...shadow.ruleIds.filter((id) => !active.ruleIds.includes(id)),
  ];
  return fields.length === 0 ? null : { rules, fields };
}

/** All that a decision says, by what it says it of. */
function described(decision: Decision): Map<string, string> {
  const { shape, lookup } = decision;
  const said = new Map<string, string>();
  said.set('rows', decision.allowed ? sql((bind) => decision.rowPredicate(ALIASES, bind, CONTEXT)) : '');
  said.set('write', [...decision.writableFields()].sort().join(' '));
  said.set('lookup', lookup === null ? '' : JSON.stringify({ ...lookup, fields: [...lookup.fields] }));
  said.set('obligations', JSON.stringify(decision.obligations));
  if (!decision.allowed) return said;
  const patterns = reachedPatterns(decision).map((bits) => shape.visibility(bits).fields);
  for (const field of patterns[0]?.keys() ?? []) {
    const views = patterns.map((fields) => fields.get(field) ?? HIDDEN).map(({ state, mask }) => `${state} ${mask}`);
    const clear = sql((bind) => decision.clearPredicate(field, ALIASES, bind, CONTEXT));
    if (views.some((view) => view !== 'HIDDEN null')) said.set(field, `${[...new Set(views)].sort().join()} ${clear}`);
  }
  return said;
}

function sql(write: (bind: Bind) => string): string {
  const values: unknown[] = [];
  const text = write((value) => `$${values.push(value)}`);
  return `${text} ${JSON.stringify(values)}`;
}
