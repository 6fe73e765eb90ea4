import type { AttributeDeclaration, DataGroup, MaskName, NounDeclaration } from '../kernel/attribute.js';
import { sealedColumn } from '../persistence/attribute.js';
import type { Decision, FieldView } from '../policy/decision.js';
import { ageBand, applyMask, type MaskFacts } from '../policy/mask.js';
import type { SealAddress, Vault } from '../vault/vault.js';
import type { Selection } from './selection.js';

/** What leaves the scope: plain values, already masked. A hidden field is null, like an empty one. */
export type View = { readonly __typename: string; readonly id: string } & Readonly<Record<string, unknown>>;

export interface FieldReport {
  readonly field: string;
  readonly state: 'CLEAR' | 'MASKED' | 'HIDDEN' | 'ERASED';
  readonly mask: string | null;
}

/** What a mask depends on beside the value. */
export interface Circumstances {
  readonly now: Date;
  /** The tenant's country: how a number without a country code is read. */
  readonly country: string;
}

/** A row as the database gave it: columns by name, sealed groups unopened. */
export type Row = Readonly<Record<string, unknown>> & {
  readonly id: string;
  readonly bits: number;
  /** Of a person's row: nothing is left but that there was one. */
  readonly erased?: boolean;
};

interface Step {
  readonly attribute: AttributeDeclaration;
  readonly view: FieldView;
}

/** How rows with one pattern of visibility bits become views: computed once per decision, selection and pattern. */
export interface Pattern {
  readonly type: string;
  /** States of the selected fields: what the ledger records. */
  readonly selected: Readonly<Record<string, FieldReport['state']>>;
  readonly masked: readonly FieldReport[];
  readonly hidden: readonly FieldReport[];
  readonly access: readonly FieldReport[];
  readonly steps: readonly Step[];
  /** Sealed groups that are opened for it, with their columns. */
  readonly groups: readonly SealedPart[];
}

interface SealedPart {
  readonly group: DataGroup;
  readonly column: string;
  /** Set where every shown field is masked by a mask that time does not change: the result may be remembered. */
  readonly masks: readonly (readonly [field: string, mask: MaskName])[] | null;
}

const LASTING: ReadonlySet<MaskName> = new Set<MaskName>(['M_PHONE', 'M_EMAIL', 'M_ADDR', 'M_ID4', 'M_MRN4', 'M_NAME']);

const HIDDEN: FieldView = { state: 'HIDDEN', mask: null };

/** One type, one shape of decision, one selection: which columns to fetch and how to show them. Shared by all actors of a role. */
export class Reading {
  readonly attributes: readonly AttributeDeclaration[];
  readonly columns: readonly string[];
  private readonly patterns = new Map<number, Pattern>();
  private erased: Pattern | null = null;

  constructor(
    readonly noun: NounDeclaration,
    private readonly shape: Decision['shape'],
    private readonly selection: Selection,
  ) {
    this.attributes = [...noun.attributes.values()].filter((one) => selection.fields.has(one.field));
    const columns = new Set<string>();
    for (const attribute of this.attributes) {
      if (attribute.column !== null) columns.add(attribute.column);
      else columns.add(sealedColumn(attribute.group));
    }
    columns.delete('id');
    this.columns = [...columns];
  }

  pattern(bits: number): Pattern {
    const known = this.patterns.get(bits);
    if (known !== undefined) return known;
    const made = this.describe(bits);
    this.patterns.set(bits, made);
    return made;
  }

  /** How a row is shown: one of an erased person the same to everybody who may see it, whatever was hidden before. */
  patternOf({ bits, erased }: Row): Pattern {
    return erased === true ? (this.erased ??= this.describeErased()) : this.pattern(bits);
  }

  private describeErased(): Pattern {
    const report = ({ field, group }: AttributeDeclaration): FieldReport => ({
      field,
      state: group === 'public' ? 'CLEAR' : 'ERASED',
      mask: null,
    });
    const reports = this.attributes.map(report);
    return {
      type: this.noun.type,
      selected: Object.freeze(Object.fromEntries(reports.map((one) => [one.field, one.state]))),
      masked: [],
      hidden: [],
      access: this.selection.fieldAccess ? [...this.noun.attributes.values()].map(report) : [],
      steps: this.attributes.map((attribute) => ({
        attribute,
        view: attribute.group === 'public' ? { state: 'CLEAR', mask: null } : HIDDEN,
      })),
      groups: [],
    };
  }

  private describe(bits: number): Pattern {
    const visibility = this.shape.visibility(bits);
    const viewOf = (field: string) => visibility.fields.get(field) ?? HIDDEN;
    const report = (one: AttributeDeclaration): FieldReport => ({ field: one.field, ...viewOf(one.field) });
    const reports = this.attributes.map(report);
    const steps = this.attributes.map((attribute) => ({ attribute, view: viewOf(attribute.field) }));
    const shown = steps.filter((step) => step.view.state !== 'HIDDEN' && step.attribute.column === null);
    return {
      type: this.noun.type,
      selected: Object.freeze(Object.fromEntries(reports.map((one) => [one.field, one.state]))),
      masked: reports.filter((one) => one.state === 'MASKED'),
      hidden: reports.filter((one) => one.state === 'HIDDEN'),
      access: this.selection.fieldAccess ? [...this.noun.attributes.values()].map(report) : [],
      steps,
      groups: [...new Set(shown.map((step) => step.attribute.group))].map((group) => ({
        group,
        column: sealedColumn(group),
        masks: lastingMasks(shown.filter((step) => step.attribute.group === group)),
      })),
    };
  }

  /**
   * Makes the view of a row. Opens the sealed groups of which at least one selected field is shown, and no other.
   * The subject's key must be loaded. Throws INTEGRITY_FAILED when a sealed value was changed or moved.
   */
  show(row: Row, address: SealAddress, vault: Vault, circumstances: Circumstances): View {
    const pattern = this.patternOf(row);
    const opened: Record<string, unknown> = {};
    const masked: Record<string, unknown> = {};
    const opener = vault.rowOpener(address);
    for (const part of pattern.groups) {
      const sealed = row[part.column];
      if (!(sealed instanceof Buffer)) continue;
      const { masks } = part;
      if (masks === null) Object.assign(opened, opener.open(part.group, sealed));
      else {
        const make = (clear: Record<string, unknown>) => maskedValues(masks, clear, circumstances);
        Object.assign(masked, opener.remember(part, part.group, sealed, make));
      }
    }
    return this.render(pattern, row, opened, circumstances, masked);
  }

  /** Makes the view of values that are at hand unsealed: the answer to a write. */
  render(
    pattern: Pattern,
    row: Row,
    opened: Readonly<Record<string, unknown>>,
    circumstances: Circumstances,
    masked: Readonly<Record<string, unknown>> = {},
  ): View {
    const { now } = circumstances;
    const facts = maskFacts(opened, circumstances);
    const view: Record<string, unknown> = { __typename: this.noun.type, id: row.id };
    for (const { attribute, view: shown } of pattern.steps) {
      if (shown.state === 'HIDDEN') {
        view[attribute.field] = null;
        continue;
      }
      if (attribute.field in masked) {
        view[attribute.field] = masked[attribute.field];
        continue;
      }
      const value = valueOf(attribute, row, opened, now);
      view[attribute.field] =
        shown.state === 'MASKED' && value !== null ? applyMask(shown.mask ?? 'M_NULL', value, facts) : value;
    }
    view['fieldAccess'] = pattern.access;
    return view as View;
  }
}

function lastingMasks(steps: readonly Step[]): SealedPart['masks'] {
  const masks: (readonly [string, MaskName])[] = [];
  for (const { attribute, view } of steps) {
    if (view.state !== 'MASKED' || view.mask === null || !LASTING.has(view.mask) || !attribute.sealed) return null;
    masks.push([attribute.field, view.mask]);
  }
  return masks;
}

function maskedValues(
  masks: NonNullable<SealedPart['masks']>,
  clear: Readonly<Record<string, unknown>>,
  circumstances: Circumstances,
): Record<string, unknown> {
  const facts = maskFacts(clear, circumstances);
  return Object.fromEntries(
    masks.map(([field, mask]) => {
      const value = plain(clear[field]);
      return [field, value === null ? null : applyMask(mask, value, facts)];
    }),
  );
}

export function maskFacts(opened: Readonly<Record<string, unknown>>, circumstances: Circumstances): MaskFacts {
  return { ...circumstances, birthDate: typeof opened['birthDate'] === 'string' ? opened['birthDate'] : null };
}

function valueOf(
  attribute: AttributeDeclaration,
  row: Row,
  opened: Readonly<Record<string, unknown>>,
  now: Date,
): string | number | null {
  if (attribute.column !== null) return plain(row[attribute.column]);
  if (attribute.computed === 'ageBand') {
    const birthDate = opened['birthDate'];
    return typeof birthDate === 'string' ? ageBand(birthDate, now) : null;
  }
  return plain(opened[attribute.field]);
}

function plain(value: unknown): string | number | null {
  if (typeof value === 'string' || typeof value === 'number') return value;
  return value instanceof Date ? value.toISOString() : null;
}

/** The view of one's own new row that one may not read: what is public, and nothing of its content. */
export function publicShape(noun: NounDeclaration): Decision['shape'] {
  const fields = new Map<string, FieldView>();
  for (const { field, group, sealed } of noun.attributes.values()) {
    if (group === 'public' && !sealed) fields.set(field, { state: 'CLEAR', mask: null });
  }
  return { visibility: () => ({ fields, openGroups: [] }) };
}
