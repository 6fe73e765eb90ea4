import { registry, type NounDeclaration } from '../kernel/attribute.js';
import type { Decision, FieldView } from '../policy/decision.js';
import { applyMask } from '../policy/mask.js';
import type { DetailDocument, Plain, RowChange } from './detail-text.js';
import { declaredOperations } from './operation.js';
import { readFacts } from './row-facts.js';
import type { Scope } from './scope.js';
import { fetchStored } from './stored-row.js';
import { maskFacts } from './view.js';

/** One field of a row that a write changed. What the caller may not see is null before and after. */
export interface LedgerDetailChange {
  readonly type: string;
  readonly id: string;
  readonly field: string;
  readonly state: FieldView['state'];
  readonly before: string | null;
  readonly after: string | null;
}

const HIDDEN: FieldView = { state: 'HIDDEN', mask: null };
const CLEAR: FieldView = { state: 'CLEAR', mask: null };
/** Texts of an input that are nobody's value: ids, cursors, words of the schema; and why the caller asked. */
const PLAIN_NAMES = /^(id|.*Ids?|tenant|after|before|field|direction|format|type|locale|fieldSet|reason)$/;

/**
 * Opened details as the policy lets the caller see them: every value by the decision `openLedgerDetail` of its own type. A
 * row that is withheld from the caller now, such as one of a compartment, shows the names of its fields and nothing else.
 */
export class DetailView {
  private readonly rows = new Map<string, Promise<ReadonlyMap<string, FieldView>>>();

  constructor(private readonly scope: Scope) {}

  async changes({ changes }: DetailDocument): Promise<LedgerDetailChange[]> {
    // Where the changes were too large to keep, their digest stands for them.
    const rows: readonly RowChange[] = Array.isArray(changes) ? changes : [];
    const shown = rows.map(async ({ type, id, before = {}, after }) => {
      const views = await this.viewsOf(type, id);
      const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
      return fields.map((field): LedgerDetailChange => {
        const view = views.get(field) ?? HIDDEN;
        const text = (value: unknown) => this.textOf(view, value);
        return { type, id, field, state: view.state, before: text(before[field]), after: text(after[field]) };
      });
    });
    return (await Promise.all(shown)).flat();
  }

  /** What was asked, as JSON text. No row says what may be seen of an input: only what is clear in every row is clear. */
  variables({ variables }: DetailDocument): string {
    if (!Array.isArray(variables)) return JSON.stringify(variables);
    const shown = variables.map(({ operation, input }) => {
      const noun = nounOf(declaredOperations().get(operation)?.type);
      return { input: this.inputOf(input, noun, null), operation };
    });
    return JSON.stringify(shown);
  }

  private viewsOf(type: string, id: string): Promise<ReadonlyMap<string, FieldView>> {
    const key = `${type} ${id}`;
    let views = this.rows.get(key);
    if (views === undefined) this.rows.set(key, (views = this.lookAt(type, id)));
    return views;
  }

  private async lookAt(type: string, id: string): Promise<ReadonlyMap<string, FieldView>> {
    const noun = nounOf(type);
    const decision = noun === null ? null : this.decide(type);
    const row = noun === null || decision === null ? null : await fetchStored(this.scope, noun, id);
    if (noun === null || decision === null || row === null) return new Map();
    const facts = readFacts(noun, row);
    return decision.matches(facts) ? decision.visibility(decision.bitsOf(facts)).fields : new Map();
  }

  private inputOf(value: Plain, noun: NounDeclaration | null, view: FieldView | null): Plain {
    if (Array.isArray(value)) return value.map((one) => this.inputOf(one, noun, view));
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value).map(([name, member]) => [
          name,
          this.inputOf(member, noun, this.named(noun, name) ?? view),
        ]),
      );
    }
    if (view === null) return typeof value === 'string' ? null : value;
    const { state, mask } = view;
    if (state === 'CLEAR' || value === null) return value;
    return state === 'MASKED' && typeof value !== 'boolean' ? this.masked(mask, value) : null;
  }

  /** How an input of this name is shown; null where the name says nothing of its own, such as an operator of a filter. */
  private named(noun: NounDeclaration | null, name: string): FieldView | null {
    if (noun?.attributes.has(name) !== true || name === 'id') return PLAIN_NAMES.test(name) ? CLEAR : null;
    const decision = this.decide(noun.type);
    const view = decision?.visibility(0).fields.get(name) ?? HIDDEN;
    return view.state === 'CLEAR' && decision?.clearFor(name) !== 'always' ? HIDDEN : view;
  }

  private decide(type: string): Decision | null {
    const decision = this.scope.obliged('openLedgerDetail', type);
    return decision.allowed ? decision : null;
  }

  private textOf({ state, mask }: FieldView, value: unknown): string | null {
    if (value === null || value === undefined || state === 'HIDDEN') return null;
    if (typeof value !== 'string' && typeof value !== 'number') return state === 'CLEAR' ? JSON.stringify(value) : null;
    const shown = state === 'MASKED' ? this.masked(mask, value) : value;
    return shown === null ? null : String(shown);
  }

  private masked(mask: FieldView['mask'], value: string | number): string | number | null {
    return applyMask(mask ?? 'M_NULL', value, maskFacts({}, this.scope.circumstances));
  }
}

function nounOf(type: string | undefined): NounDeclaration | null {
  return registry.all().find((noun) => noun.type === type) ?? null;
}
