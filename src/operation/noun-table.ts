import type { NounDeclaration } from '../kernel/attribute.js';
import { registry } from '../kernel/attribute.js';
import type { Aliases } from '../policy/decision.js';
import type { SealAddress } from '../vault/vault.js';

/** SQL aliases of a noun's own table and of its subject's table. */
export function aliasesOf(noun: NounDeclaration): Aliases {
  return typeof noun.subject === 'object' ? { self: 's', subject: 'p' } : { self: 's', subject: 's' };
}

/** `FROM` clause: the noun's table, joined to its subject's where it has one elsewhere. */
export function fromClause(noun: NounDeclaration): string {
  if (typeof noun.subject !== 'object') return `${noun.table} s`;
  const parent = registry.noun(noun.subject.parent);
  return `${noun.table} s JOIN ${parent.table} p ON p.id = s.${noun.subject.foreignKey} AND p.tenant_id = s.tenant_id`;
}

/** Expressions that every read selects besides fields: whose row it is and in which version, for keys and for the ledger. */
export function subjectColumns(noun: NounDeclaration): string {
  const version = `${noun.attributes.has('version') ? 's.version' : '0'} AS row_version`;
  if (noun.subject === 'none') return `NULL::uuid AS subject_id, NULL::text AS subject_reference, ${version}`;
  const alias = aliasesOf(noun).subject;
  const erased = noun.type === PERSON ? `, s.status = '${ERASED_STATUS}' AS erased` : '';
  return `${alias}.id AS subject_id, ${alias}.subject_reference, ${version}${erased}`;
}

/** The noun whose rows stay as tombstones when a person was erased. */
const PERSON = 'Patient';
export const ERASED_STATUS = 'erased';

/** Keeps tombstones out of lists, counts and searches. Empty for every other noun: what hung on the person is deleted. */
export function unlessErased({ type }: NounDeclaration): string {
  return type === PERSON ? ` AND s.status <> '${ERASED_STATUS}'` : '';
}

/** Where the sealed values of a row belong, from the row with its {@link subjectColumns}. */
export function sealAddress(tenant: string, type: string, row: Readonly<Record<string, unknown>>): SealAddress {
  const subject = row['subject_id'];
  return {
    tenant,
    type,
    rowId: String(row['id']),
    version: Number(row['row_version']),
    subjectId: typeof subject === 'string' ? subject : '',
  };
}
