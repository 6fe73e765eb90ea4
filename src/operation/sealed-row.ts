import type { DataGroup, NounDeclaration } from '../kernel/attribute.js';
import { SEALED_PREFIX, sealedColumn } from '../persistence/attribute.js';
import { keyIdOf } from '../vault/sealed-value.js';
import type { SubjectKeyRow } from '../vault/vault.js';
import { facet } from './facet.js';
import { isOfAge, type Facts } from './row-facts.js';

type Values = Readonly<Record<string, unknown>>;

/** Columns of the plain fields among `changed`, and of the stored facets that follow from them. */
export function plainColumns(
  noun: NounDeclaration,
  values: Values,
  changed: Values,
  country: string,
): Record<string, unknown> {
  const columns: Record<string, unknown> = {};
  for (const attribute of noun.attributes.values()) {
    if (attribute.column === null) continue;
    if (attribute.computed !== null) {
      const follows = attribute.derivedFrom.some((field) => field in changed);
      if (follows) columns[attribute.column] = facet(attribute.computed, values, country);
    } else if (attribute.field in changed) columns[attribute.column] = values[attribute.field];
  }
  return columns;
}

/** The row of a new subject's wrapped key. */
export function subjectKeyRow(key: SubjectKeyRow): Record<string, unknown> {
  return {
    tenant_id: key.tenantId,
    subject_id: key.subjectId,
    key_id: key.keyId,
    subject_reference: key.reference,
    state: key.state,
    wrap_key_id: key.wrapKeyId,
    wrapped: key.wrapped,
    commitment: key.commitment,
  };
}

/** The values that are sealed together, by group. A null is not sealed: a group without values has no sealed value. */
export function sealedGroups(noun: NounDeclaration, values: Values): Map<DataGroup, Record<string, unknown>> {
  const groups = new Map<DataGroup, Record<string, unknown>>();
  for (const attribute of noun.attributes.values()) {
    const value = values[attribute.field];
    if (!attribute.sealed || value === undefined || value === null) continue;
    const members = groups.get(attribute.group) ?? {};
    members[attribute.field] = value;
    groups.set(attribute.group, members);
  }
  return groups;
}

function sealedGroupsOf(noun: NounDeclaration): Set<DataGroup> {
  return new Set([...noun.attributes.values()].filter((one) => one.sealed).map((one) => one.group));
}

/** The columns of a noun's sealed values. */
export function sealedColumns(noun: NounDeclaration): string[] {
  return [...sealedGroupsOf(noun)].map(sealedColumn);
}

/** The versions of the subject's key that a row's sealed values name, as it was read: they must be at hand to open it. */
export function namedKeys(row: Values, subjectId: string): { subjectId: string; keyIds: number[] } {
  const keyIds: number[] = [];
  for (const column in row) {
    const value = row[column];
    if (value instanceof Buffer && column.startsWith(SEALED_PREFIX)) keyIds.push(keyIdOf(value));
  }
  return { subjectId, keyIds };
}

/** Opens every sealed group of a row, for a write that merges into them. */
export function openAll(
  noun: NounDeclaration,
  row: Values,
  open: (group: DataGroup, sealed: Buffer) => Values,
): Record<string, unknown> {
  const opened: Record<string, unknown> = {};
  for (const group of sealedGroupsOf(noun)) {
    const sealed = row[sealedColumn(group)];
    if (sealed instanceof Buffer) Object.assign(opened, open(group, sealed));
  }
  return opened;
}

/** Of the written fields those that changed, with what they were and are. `stored`: columns, and opened fields by name. */
export function changedValues(
  noun: NounDeclaration,
  stored: Values,
  written: Values,
): { before: Values; after: Values } {
  const before: Record<string, unknown> = {};
  const after: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(written)) {
    const column = noun.attributes.get(field)?.column ?? null;
    const known = stored[column ?? field] ?? null;
    const old = known instanceof Date ? known.toISOString() : known;
    if (old === value) continue;
    before[field] = old;
    after[field] = value;
  }
  return { before, after };
}

/** The facts that a change of columns changes. */
export function changedFacts(noun: NounDeclaration, columns: Values, now: Date): Facts {
  const facts: Facts = {};
  for (const fact of noun.facts) {
    if (fact.source === 'column' && fact.column in columns) facts[fact.name] = columns[fact.column];
    else if (fact.source === 'age' && fact.column in columns)
      facts[fact.name] = isOfAge(columns[fact.column], fact.years, now);
  }
  return facts;
}
