import { Failure } from './failure.js';

/** The data groups: a decision shows, masks or hides a whole group, and a group is sealed as one value. */
export const DATA_GROUPS = [
  'public',
  'identity',
  'contact',
  'government',
  'record',
  'clinical',
  'compartment',
  'biometric',
  'payment',
  'notes',
  'feedback',
  'marketing',
  'consent',
  'access',
] as const;
export type DataGroup = (typeof DATA_GROUPS)[number];

/** Sensitivity levels of GB/T 39725-2020, 6.2: L1 public to L5 special diseases. */
export const LEVELS = ['L1', 'L2', 'L3', 'L4', 'L5'] as const;
export type Level = (typeof LEVELS)[number];

export const MASKS = [
  'M_NAME',
  'M_PHONE',
  'M_EMAIL',
  'M_ADDR',
  'M_DOB',
  'M_ID4',
  'M_MRN4',
  'M_DX',
  'M_TEXT',
  'M_NULL',
  'M_SAME',
] as const;
/** Masking functions; `M_NULL` yields null, `M_SAME` leaves a value that is already as coarse as its mask. */
export type MaskName = (typeof MASKS)[number];

export const INDEX_KINDS = ['exact', 'suffix', 'tokens'] as const;
export type IndexKind = (typeof INDEX_KINDS)[number];

/**
 * How a sealed field is indexed. A model file says what is possible, the policies say what is written. Each function gives
 * one spelling for all spellings of a value, and nothing for a value that cannot be found.
 */
export interface FieldIndexes {
  /** The whole value, in a column of its own. */
  readonly exact?: (text: string, country: string) => string | null;
  /** The end of the value, one of so many that there are; among the search tokens of its row. */
  readonly suffix?: { readonly of: (text: string, country: string) => string | null; readonly values: number };
  /** Parts of the value, among the search tokens of its row. */
  readonly tokens?: (text: string) => readonly string[];
}

/** Everything there is to know about one field of a noun. Declared once, on the field. */
export interface AttributeDeclaration {
  readonly field: string;
  readonly kind: 'id' | 'text' | 'date' | 'year' | 'code' | 'instant' | 'count';
  readonly group: DataGroup;
  readonly level: Level;
  /** The weakest mask that the class of the field allows; a policy may name a stronger one. */
  readonly mask: MaskName;
  /** Sealed fields live in the sealed value of their group and have no column of their own. */
  readonly sealed: boolean;
  /** Column of the clear value, for fields that are not sealed and not computed from another. */
  readonly column: string | null;
  /** Column of the blind index, for sealed fields that can be looked up exactly. */
  readonly blindIndex: string | null;
  /** The kinds of indexes that the field can have; what makes them is the registry's `indexing`. */
  readonly indexes: readonly IndexKind[];
  /** Fields this one can be computed from: what hides them hides it. */
  readonly derivedFrom: readonly string[];
  /** How a facet is computed from its sources: on writing where it has a column, else when a view is made. */
  readonly computed: 'ageBand' | 'birthYear' | 'region' | null;
  /** What a client may ask of it when it sees the field in clear. */
  readonly filter: 'none' | 'equality' | 'range';
  readonly sortable: boolean;
  /** Longest text that is accepted, in characters. */
  readonly maximum: number;
}

/**
 * A row fact that a policy condition may name. Facts are NOT NULL, in the table and in memory alike.
 * `column`: a column of the noun's table. `overlap`: an array column meets an attribute of the actor.
 * `today`: a child row that starts within the tenant's calendar day exists. `listed`: a uuid column is one of an
 * attribute of the actor. `granted`: `<patient>:<label>`, of a uuid column and a text column, is one of an attribute of the
 * actor. `age`: so many years have passed since a column that holds a year, or nothing: only the year is known, and whoever
 * may not have had his birthday has not. `consent`: what the patient decided for a purpose; policies name it as `<name>.<purpose>`.
 */
export type FactDeclaration = { readonly name: string } & (
  | { readonly source: 'column'; readonly column: string; readonly kind: 'text' | 'integer' | 'boolean' | 'uuid' }
  | { readonly source: 'overlap'; readonly column: string; readonly actorAttribute: 'careTeamIds' }
  | {
      readonly source: 'listed';
      readonly column: string;
      readonly actorAttribute: 'patientIds' | 'emergencyPatientIds';
    }
  | {
      readonly source: 'granted';
      readonly patient: string;
      readonly column: string;
      /** A uuid column, null where the row is of no visit: `<patient>:<label>:<visit>` counts as well. */
      readonly visit?: string;
      readonly actorAttribute: 'compartmentGrants';
    }
  | { readonly source: 'age'; readonly column: string; readonly years: number }
  | { readonly source: 'consent'; readonly column: string }
  | {
      readonly source: 'today';
      readonly table: string;
      readonly foreignKey: string;
      readonly column: string;
      /** Only child rows with this value count: what is withheld from everybody must not show in a fact either. */
      readonly only: { readonly column: string; readonly equals: string };
    }
);

export interface NounDeclaration {
  readonly type: string;
  readonly table: string;
  /** True when rows may come from another system: the table then has a keyed source index and content digest. */
  readonly imported: boolean;
  /** Where the subject (the patient) of a row is: the row itself, the row that a foreign key names, or nobody. */
  readonly subject: 'self' | { readonly parent: string; readonly foreignKey: string } | 'none';
  readonly facts: readonly FactDeclaration[];
  /** An array column of the subject's row that repeats a living child: kept in the statement that inserts the child. */
  readonly order: { readonly field: string; readonly direction: 'ASC' | 'DESC' };
  readonly maintains: { readonly column: string; readonly from: string } | null;
  /**
   * Of rows that replace each other: the newest with the same `key` counts, from one instant until the first of some others.
   * All are names of columns.
   */
  readonly inForce?: { readonly key: string; readonly from: string; readonly until: readonly string[] };
  readonly attributes: ReadonlyMap<string, AttributeDeclaration>;
}

/** The registry of nouns and fields. Filled by decorators while the model files load, then read by every room. */
export class AttributeRegistry {
  private readonly nouns = new Map<string, NounDeclaration>();
  private readonly pending = new Map<string, Map<string, AttributeDeclaration>>();
  /** Beside the declarations, which go to other threads: functions cannot. */
  private readonly indexings = new Map<string, FieldIndexes>();

  addAttribute(type: string, attribute: AttributeDeclaration, indexing: FieldIndexes = {}): void {
    this.indexings.set(`${type}.${attribute.field}`, indexing);
    const attributes = this.pending.get(type) ?? new Map<string, AttributeDeclaration>();
    attributes.set(attribute.field, attribute);
    this.pending.set(type, attributes);
  }

  addNoun(noun: Omit<NounDeclaration, 'attributes'>): void {
    this.nouns.set(noun.type, { ...noun, attributes: this.pending.get(noun.type) ?? new Map() });
  }

  /** What makes the indexes of a field: nothing for one that has none. */
  indexing(type: string, field: string): FieldIndexes {
    return this.indexings.get(`${type}.${field}`) ?? {};
  }

  all(): NounDeclaration[] {
    return [...this.nouns.values()];
  }

  noun(type: string): NounDeclaration {
    const noun = this.nouns.get(type);
    if (noun === undefined) {
      throw new Failure('UNCLASSIFIED_FIELD', `The type ${type} is not declared.`, 'Declare it with @Noun.');
    }
    return noun;
  }

  attribute(type: string, field: string): AttributeDeclaration {
    const attribute = this.noun(type).attributes.get(field);
    if (attribute === undefined) {
      throw new Failure('UNCLASSIFIED_FIELD', `${type}.${field} has no class.`, 'Declare it with @Attribute.');
    }
    return attribute;
  }
}

/** The registry of this process. Decorators have no other way to reach it. */
export const registry = new AttributeRegistry();
