import { registry } from '../kernel/attribute.js';
import type { Actor, Role } from '../kernel/actor.js';
import type { LedgerEntry } from '../ledger/reader.js';
import type { Access } from '../ledger/record.js';
import { actorOf } from '../policy/cases.js';
import { POLICY_ACTIONS, type Decision, type PolicyAction } from '../policy/decision.js';
import type { PolicyEngine } from '../policy/engine.js';
import { reachedPatterns } from '../policy/pattern.js';
import { networkRules } from '../policy/refusal.js';
import { declaredOperations, type AnyOperation } from './operation.js';
import { publicShape } from './view.js';

/** What a record says of the decision behind it. */
export interface RecordedDecision {
  readonly index: number;
  readonly time: string;
  readonly operation: string;
  readonly outcome: string;
  readonly code: string | null;
  readonly role: Role;
  readonly purpose: string;
  readonly policy: string;
  readonly rules: readonly string[];
  readonly accesses: readonly Access[];
  readonly obligations: readonly string[];
  /** False for a record from before decisions were named: of a refusal it does not say which rules took part. */
  readonly named: boolean;
}

/** What became of a decision that was made again. Where it cannot be, `incomparable` says why. */
export interface Verdict {
  readonly differences: readonly string[];
  readonly incomparable: string | null;
}

const SAME: Verdict = { differences: [], incomparable: null };
const ROWS = 'the facts of its row are not kept';
const ASKED = 'what was asked for is sealed';
/** Refusals in which the policy said no, by whether its rules alone decided, the row, or what was asked for. */
const REFUSALS: Readonly<Record<string, string | null>> = {
  FORBIDDEN: null,
  PURPOSE_NOT_PERMITTED: null,
  STEP_UP_REQUIRED: null,
  NOT_FOUND: ROWS,
  NO_CARE_RELATIONSHIP: ROWS,
  AMBIGUOUS: ROWS,
  CONSENT_REQUIRED: ROWS,
  CONSENT_WITHDRAWN: ROWS,
  GUARDIAN_CONSENT_REQUIRED: ROWS,
  FIELD_NOT_FILTERABLE: ASKED,
};
const SHOWN: readonly string[] = ['CLEAR', 'MASKED', 'HIDDEN'];

/**
 * Null for a record that no decision of a role stands behind: sign-ins, refusals before any rule was asked or for other reasons
 * than a rule, the ledger's own.
 */
export function recordedDecision({ index, record }: LedgerEntry): RecordedDecision | null {
  const said = record as unknown as RecordedDecision;
  const { time, operation, outcome, code, role, purpose, policy, rules, accesses, obligations = [] } = said;
  if (role == null || purpose == null || policy == null) return null;
  const refused = outcome === 'denied' && code !== null && Object.hasOwn(REFUSALS, code);
  if (outcome !== 'success' && !refused) return null;
  // A factor that the tenant demands of a role at sign-in is no rule's.
  if (code === 'STEP_UP_REQUIRED' && !obligations.includes('stepUp')) return null;
  const named = record['decision'] !== undefined;
  return { index, time, operation, outcome, code, role, purpose, policy, rules, accesses, obligations, named };
}

/**
 * Makes a recorded decision again with the policies of its time, and says what is not the same: rules that did not take part
 * or would have had to, fields in states that no row could be in. Rows are not looked at: they may have changed since.
 */
export class DecisionReplay {
  private readonly actor: Actor;

  constructor(
    private readonly engine: PolicyEngine,
    private readonly recorded: RecordedDecision,
  ) {
    this.actor = actorOf(recorded.role);
  }

  /** Whether these policies would decide the same again, a refusal too, as far as a record can tell. */
  verdict(): Verdict {
    const { recorded, engine } = this;
    const operations = this.operations();
    if (operations.length === 0) return SAME;
    const { role, purpose, outcome, code } = recorded;
    if (code === 'PURPOSE_NOT_PERMITTED') {
      return engine.purposesOf(role).includes(purpose) ? differing(`${purpose} is a purpose of ${role}`) : SAME;
    }
    const network = networkRules(engine.bundle, role, purpose, this.types(operations));
    if (network.length > 0) return incomparable(`the address is sealed, of which ${network.join(', ')} asks`);
    if (outcome === 'success') return { differences: this.differences(), incomparable: null };
    const [operation] = operations;
    return operation === undefined ? SAME : this.refusal(operation);
  }

  /** A refusal by its own rules. Where a rule permitted the operation, something else said no, which only its kind is known of. */
  private refusal({ name, action, type, alone }: AnyOperation): Verdict {
    const { code, rules, named } = this.recorded;
    if (alone) return incomparable(ASKED);
    const { allowed, ruleIds, obligations } = this.decide(action, type);
    if (code === 'STEP_UP_REQUIRED') {
      return obligations.some((one) => one.type === 'stepUp') ? SAME : differing(`${name} demands no second factor`);
    }
    if (code === 'FORBIDDEN' && !allowed && rules.length === 0) return SAME;
    const taken = allowed ? ruleIds : [];
    if (named && allowed && rules.length === 0 && code === 'FORBIDDEN') {
      return differing(`${name} is permitted by ${ruleIds.join(', ')}`);
    }
    const strange = named ? rules.filter((id) => !taken.includes(id)) : [];
    if (strange.length > 0) return differing(...strange.map((id) => `the rule ${id} is recorded and takes no part`));
    return incomparable(REFUSALS[code ?? ''] ?? ROWS);
  }

  private types(operations: readonly AnyOperation[]): Set<string> {
    return new Set([...operations.map((one) => one.type), ...this.nouns().map((access) => access.type)]);
  }

  differences(): string[] {
    const operations = this.operations();
    if (operations.length === 0) return [];
    return [
      ...this.ruleDifferences(operations),
      ...this.recorded.accesses.flatMap((one) => this.stateDifferences(one)),
    ];
  }

  /** The states and masks that these policies could have given the fields of an access, as it is recorded. */
  masksOf(access: Access): Map<string, Set<string>> {
    const masks = new Map<string, Set<string>>();
    for (const [field, state] of Object.entries(access.fields)) {
      if (state !== 'MASKED') continue;
      const found = this.views(access).flatMap((view) => view.get(field)?.mask ?? []);
      masks.set(field, new Set(found));
    }
    return masks;
  }

  private operations(): AnyOperation[] {
    const declared = declaredOperations();
    return this.recorded.operation.split(' ').flatMap((name) => declared.get(name) ?? []);
  }

  private decide(action: PolicyAction, type: string): Decision {
    const { purpose, time } = this.recorded;
    return this.engine.decide(this.actor, purpose, action, type, { now: new Date(time), address: null });
  }

  private ruleDifferences(operations: readonly AnyOperation[]): string[] {
    const recorded = new Set(this.recorded.rules);
    const possible = new Set(
      [...this.types(operations)].flatMap((type) =>
        POLICY_ACTIONS.flatMap((action) => this.decide(action, type).ruleIds),
      ),
    );
    const missing = operations
      .filter((one) => one.mode === 'read')
      .flatMap((one) => (one.alone ? this.nouns().map(({ type }) => ({ ...one, type })) : [one]))
      .flatMap((one) => this.decide(one.action, one.type).ruleIds)
      .filter((id) => !recorded.has(id));
    const strange = [...recorded].filter((id) => !possible.has(id));
    return [
      ...[...new Set(missing)].map((id) => `the rule ${id} takes part and is not recorded`),
      ...strange.map((id) => `the rule ${id} is recorded and takes no part`),
    ];
  }

  private nouns(): Access[] {
    const types = new Set(registry.all().map((noun) => noun.type));
    return this.recorded.accesses.filter((access) => types.has(access.type));
  }

  private stateDifferences(access: Access): string[] {
    if (!this.nouns().includes(access)) return [];
    const fields = Object.entries(access.fields);
    const shown = fields.filter(([, state]) => SHOWN.includes(state));
    const written = fields.filter(([, state]) => state === 'WRITTEN').map(([field]) => field);
    const differences: string[] = [];
    if (shown.length > 0 && this.views(access).length === 0) {
      differences.push(`no row of ${access.type} could be shown as recorded`);
    }
    if (written.length > 0 && !POLICY_ACTIONS.some((action) => this.writes(action, access.type, written))) {
      differences.push(`nobody may write ${access.type} as recorded`);
    }
    return differences;
  }

  private writes(action: PolicyAction, type: string, fields: readonly string[]): boolean {
    const writable = this.decide(action, type).writableFields();
    return fields.every((field) => writable.has(field));
  }

  /** Every way in which these policies show a row so that its fields are in the recorded states. */
  private views({ type, fields, rows }: Access): ReadonlyMap<string, { state: string; mask: string | null }>[] {
    const shown = Object.entries(fields).filter(([, state]) => SHOWN.includes(state));
    const decisions = POLICY_ACTIONS.map((action) => this.decide(action, type)).filter((one) => one.allowed);
    const views = decisions.flatMap((one) => reachedPatterns(one).map((bits) => one.visibility(bits).fields));
    // One's own new row that one may not read shows what is public; a nested field that nobody may read shows nothing.
    const writes = this.operations().some((one) => one.mode === 'write');
    const own = writes ? [publicShape(registry.noun(type)).visibility(0).fields] : [];
    const nothing = rows === 0 && !this.decide('read', type).allowed ? [NOTHING] : [];
    return [...views, ...own, ...nothing].filter((view) =>
      shown.every(([field, state]) => (view.get(field)?.state ?? 'HIDDEN') === state),
    );
  }
}

const differing = (...differences: string[]): Verdict => ({ differences, incomparable: null });
const incomparable = (why: string): Verdict => ({ differences: [], incomparable: why });

const NOTHING: ReadonlyMap<string, { state: string; mask: string | null }> = new Map();
