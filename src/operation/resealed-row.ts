import type { NounDeclaration } from '../kernel/attribute.js';
import { INDEX_KEY, SEARCH_TOKENS } from '../persistence/attribute.js';
import type { Queryable } from '../persistence/statement.js';
import { sealedColumns } from './sealed-row.js';

/** A row with its sealed columns, as it was read. */
export type ResealedRow = Readonly<Record<string, unknown>> & { readonly id: string; readonly subject_id: string };

export interface ResealedColumns {
  readonly row: ResealedRow;
  /** By the names of the columns that change. */
  readonly columns: Readonly<Record<string, unknown>>;
}

/** Stores columns of rows whose sealed values are still those that were read. @returns of how many */
export async function storeResealed(
  transaction: Queryable,
  tenant: string,
  noun: NounDeclaration,
  changes: readonly ResealedColumns[],
): Promise<number> {
  const [first] = changes;
  if (first === undefined) return 0;
  const read = sealedColumns(noun);
  const written = Object.keys(first.columns);
  const values: unknown[] = [tenant, changes.map(({ row }) => row.id)];
  const names = ['id'];
  const types = ['$2::uuid[]'];
  const take = (name: string, type: string, of: (change: ResealedColumns) => unknown) => {
    names.push(name);
    types.push(`$${values.push(changes.map(of))}::${type}[]`);
  };
  for (const [at, column] of read.entries()) take(`was_${at}`, 'bytea', ({ row }) => row[column] ?? null);
  for (const [at, column] of written.entries())
    take(`now_${at}`, sentAs(column), ({ columns }) => sent(columns[column]));
  const set = written.map((column, at) => `${column} = n.now_${at}${column === SEARCH_TOKENS ? '::smallint[]' : ''}`);
  const same = read.map((column, at) => `t.${column} IS NOT DISTINCT FROM n.was_${at}`);
  const rows = await transaction.query({
    text:
      `UPDATE ${noun.table} AS t SET ${set.join(', ')} FROM unnest(${types.join(', ')}) AS n (${names.join(', ')}) ` +
      `WHERE t.tenant_id = $1 AND t.id = n.id AND ${same.join(' AND ')} RETURNING 1`,
    values,
  });
  return rows.length;
}

/** An array in a list of arrays would lose its bounds: it travels as text. */
function sentAs(column: string): string {
  if (column === INDEX_KEY) return 'integer';
  return column === SEARCH_TOKENS ? 'text' : 'bytea';
}

function sent(value: unknown): unknown {
  return Array.isArray(value) ? `{${value.join(',')}}` : (value ?? null);
}
