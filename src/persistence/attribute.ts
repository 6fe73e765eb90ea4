import { Entity, Index, PrimaryKey, Property, Unique } from '@mikro-orm/decorators/legacy';
import { Field, ID, Int, ObjectType } from '@nestjs/graphql';
import {
  INDEX_KINDS,
  registry,
  type AttributeDeclaration,
  type DataGroup,
  type FactDeclaration,
  type FieldIndexes,
  type Level,
  type MaskName,
  type NounDeclaration,
} from '../kernel/attribute.js';

/** What a model file says about one field. `column` defaults to the snake-case name, except for sealed and computed fields. */
export interface AttributeOptions {
  readonly kind: AttributeDeclaration['kind'];
  readonly group: DataGroup;
  readonly level: Level;
  readonly mask?: MaskName;
  readonly sealed?: boolean;
  readonly column?: string;
  readonly index?: FieldIndexes;
  readonly derivedFrom?: readonly string[];
  readonly computed?: AttributeDeclaration['computed'];
  readonly filter?: AttributeDeclaration['filter'];
  readonly sortable?: boolean;
  readonly maximum?: number;
  /** Never null, in the schema and in the table. */
  readonly required?: boolean;
  /** Never null in the table; nullable in the schema, because it is governed. A column that is a policy fact needs it. */
  readonly present?: boolean;
  readonly description?: string;
}

export interface NounOptions {
  readonly table: string;
  readonly subject: NounDeclaration['subject'];
  readonly facts: readonly FactDeclaration[];
  readonly imported?: boolean;
  readonly maintains?: NounDeclaration['maintains'];
  readonly inForce?: NounDeclaration['inForce'];
  readonly order: NounDeclaration['order'];
  readonly description: string;
  readonly interfaces?: () => (abstract new () => unknown)[];
}

const COLUMN_TYPES: Record<AttributeDeclaration['kind'], string> = {
  id: 'uuid',
  text: 'text',
  date: 'date',
  year: 'integer',
  code: 'text',
  instant: 'timestamptz',
  count: 'integer',
};

export function columnOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const OWN_TENANT = `(tenant_id = current_setting('custodia.tenant'::text, true))`;

/** The policy that `govern_tenant_table` makes: declared here too, so that a table without it is drift. */
const TENANT_WALL = { name: 'tenant_wall', using: OWN_TENANT, check: OWN_TENANT };

/** The column of a row's search tokens. Rows never hold them: a trigger moves them to `search_token`, see there. */
export const SEARCH_TOKENS = 'search_tokens';
/** The column that says under which version of the tenant's index key all indexes of a row were made. */
export const INDEX_KEY = 'index_key';

/** How the names of sealed columns begin. */
export const SEALED_PREFIX = 'sealed_';

/** The column that holds the sealed value of one group of a row. */
export function sealedColumn(group: DataGroup): string {
  return `${SEALED_PREFIX}${group}`;
}

function graphqlType(kind: AttributeDeclaration['kind']) {
  if (kind === 'id') return ID;
  return kind === 'year' || kind === 'count' ? Int : String;
}

/**
 * Declares a field once: its class, its column, its GraphQL exposure. Governed fields are nullable in the schema, because
 * a null in a non-null position would delete its parent and so tell that something was hidden.
 */
export function Attribute(options: AttributeOptions): PropertyDecorator {
  return (target, property) => {
    const field = String(property);
    const stored = options.sealed !== true && (options.computed === undefined || options.column !== undefined);
    const column = stored ? (options.column ?? columnOf(field)) : null;
    registry.addAttribute(
      target.constructor.name,
      {
        field,
        kind: options.kind,
        group: options.group,
        level: options.level,
        mask: options.mask ?? 'M_SAME',
        sealed: options.sealed === true,
        column,
        blindIndex: options.index?.exact === undefined ? null : `${columnOf(field)}_index`,
        indexes: INDEX_KINDS.filter((kind) => options.index?.[kind] !== undefined),
        derivedFrom: options.derivedFrom ?? [],
        computed: options.computed ?? null,
        filter: options.filter ?? 'none',
        sortable: options.sortable === true,
        maximum: options.maximum ?? 200,
      },
      options.index,
    );
    Field(() => graphqlType(options.kind), { nullable: options.required !== true, description: options.description })(
      target,
      property,
    );
    if (column === null) return;
    const columnOptions = { columnType: COLUMN_TYPES[options.kind], fieldName: column, type: 'unknown' };
    if (field === 'id') PrimaryKey(columnOptions)(target, field);
    else Property({ ...columnOptions, nullable: options.required !== true && options.present !== true })(target, field);
  };
}

/** A column that no client sees: tenant, facts, references. It has no class because it never leaves the server. */
export function Internal(
  columnType: string,
  options: { nullable?: boolean; default?: string } = {},
): PropertyDecorator {
  return (target, property) => {
    const field = String(property);
    Property({
      columnType,
      fieldName: columnOf(field),
      type: 'unknown',
      nullable: options.nullable === true,
      ...(options.default === undefined ? {} : { defaultRaw: options.default }),
    })(target, field);
  };
}

/**
 * Makes a class the table, the GraphQL type and the registry entry of one noun. Adds the columns that follow from its
 * attributes: one sealed column per sealed group, one per blind index, and the source columns of imported rows.
 * An instance is never serialised: `toJSON` throws, so that a clear value cannot leave by accident.
 */
export function Noun(options: NounOptions) {
  return (target: abstract new () => object): void => {
    registry.addNoun({
      type: target.name,
      table: options.table,
      subject: options.subject,
      facts: options.facts,
      order: options.order,
      maintains: options.maintains ?? null,
      inForce: options.inForce,
      imported: options.imported === true,
    });
    const noun = registry.noun(target.name);
    const attributes = [...noun.attributes.values()];
    const sealedGroups = new Set(attributes.filter((one) => one.sealed).map((one) => one.group));
    for (const group of sealedGroups) internalColumn(target, sealedColumn(group));
    for (const attribute of attributes) {
      if (attribute.blindIndex !== null) internalColumn(target, attribute.blindIndex);
    }
    if (attributes.some(isIndexed)) internalColumn(target, INDEX_KEY, 'integer');
    if (attributes.some(isSearched)) internalColumn(target, SEARCH_TOKENS, 'smallint[]');
    if (options.imported === true) {
      internalColumn(target, 'source_index');
      internalColumn(target, 'source_content');
      Unique({ properties: ['tenantId', 'source_index'] as never })(target as never);
    }
    Object.defineProperty(target.prototype, 'toJSON', {
      configurable: true,
      writable: true,
      value: () => {
        throw new Error(`${target.name} is never serialised: read it through the scope.`);
      },
    });
    ObjectType({ description: options.description, implements: options.interfaces as never })(target as never);
    Entity({ tableName: options.table, rowLevelSecurity: 'force', policies: [TENANT_WALL] })(target as never);
  };
}

/** An index whose first column is the tenant. */
export function TenantIndex(...properties: string[]): ClassDecorator {
  return (target) => {
    Index({ properties: ['tenantId', ...properties] as never })(target as never);
  };
}

/** Whether a field can have an index of any kind. */
export function isIndexed({ indexes }: AttributeDeclaration): boolean {
  return indexes.length > 0;
}

/** Whether tokens of a field can be among the search tokens of its row. */
export function isSearched({ indexes }: AttributeDeclaration): boolean {
  return indexes.includes('suffix') || indexes.includes('tokens');
}

function internalColumn(target: abstract new () => object, name: string, columnType = 'bytea'): void {
  Property({ columnType, fieldName: name, type: 'unknown', nullable: true })(target.prototype as object, name);
}
