import type { NounDeclaration } from '../kernel/attribute.js';
import { registry } from '../kernel/attribute.js';
import type { Aliases } from '../policy/decision.js';

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

/** Expressions that every read selects besides fields: whose row it is, for keys and for the ledger. */
export function subjectColumns(noun: NounDeclaration): string {
  if (noun.subject === 'none') return `NULL::uuid AS subject_id, NULL::text AS subject_reference`;
  const alias = aliasesOf(noun).subject;
  return `${alias}.id AS subject_id, ${alias}.subject_reference`;
}
