import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { ROLES, type Role } from '../kernel/actor.js';
import { DATA_GROUPS, type AttributeRegistry } from '../kernel/attribute.js';
import { PolicyError } from './error.js';
import type { FieldClass } from './vocabulary.js';

export type CellState = 'clear' | 'masked' | 'hidden';
export type MatrixRows = 'all' | 'own' | 'represented' | 'consented' | 'none';

/** What is asked for by a query of its own: entries of the ledger, numbers of groups of people. */
export type MatrixQuery = 'ledger' | 'counts';

interface GroupDocument {
  readonly display: string;
  readonly of?: Readonly<Record<string, string>>;
  readonly compartment?: boolean;
  readonly query?: MatrixQuery;
  readonly waits?: string;
}
type CellDocument = CellState | Readonly<Record<string, string | Readonly<Record<string, CellState>>>>;
interface ColumnDocument {
  readonly role: Role;
  readonly purposes: readonly string[];
  readonly rows: MatrixRows;
  readonly [group: string]: unknown;
}

/** What one role is meant to see of one group of data for one purpose. */
export interface MatrixCell {
  readonly role: Role;
  readonly purpose: string;
  readonly rows: MatrixRows;
  /** Such as `FG1`. */
  readonly group: string;
  readonly display: string;
  /** By type, the fields of the group. Empty where the group is asked for by a query of its own. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  /** The query by which the group is asked for; null where it is fields of rows. */
  readonly query: MatrixQuery | null;
  /** True where only rows of a compartment count. */
  readonly compartment: boolean;
  /** Why nothing can be asked yet; null where it can. */
  readonly waits: string | null;
  /** The state that a field is meant to have; `today`: the patient has a visit today. */
  state(field: string, today: boolean): CellState;
}

const STATES: readonly string[] = ['clear', 'masked', 'hidden'];
const ROWS: readonly string[] = ['all', 'own', 'represented', 'consented', 'none'];

/**
 * Reads `matrix/roles.yaml` of a policy directory: who is meant to see what, independent of the rules. Throws PolicyError
 * for a role, group, type or field that does not exist, and for a role without a column.
 */
export function readRoleMatrix(directory: string, registry: AttributeRegistry): MatrixCell[] {
  const file = path.join(path.basename(directory), 'matrix', 'roles.yaml');
  const text = readFileSync(path.join(directory, 'matrix', 'roles.yaml'), 'utf8');
  const { groups, cells } = parse(text) as { groups: Record<string, GroupDocument>; cells: ColumnDocument[] };
  const problems: string[] = [];
  const missing = ROLES.filter((role) => role !== 'reminder_service' && !cells.some((one) => one.role === role));
  for (const role of missing) problems.push(`The role ${role} has no cells.`);
  const made = cells.flatMap((column) => {
    if (!ROLES.includes(column.role)) problems.push(`Unknown role ${column.role}.`);
    if (!ROWS.includes(column.rows)) problems.push(`${column.role}: rows is one of ${ROWS.join(', ')}.`);
    for (const name of Object.keys(column)) {
      if (!['role', 'purposes', 'rows'].includes(name) && !Object.hasOwn(groups, name))
        problems.push(`Unknown group ${name}.`);
    }
    return column.purposes.flatMap((purpose) =>
      Object.entries(groups).map(([name, group]) => {
        const fields = fieldsOf(group, registry, problems);
        const cell = (column[name] ?? standard(column, group)) as CellDocument;
        checkCell(`${column.role} ${purpose} ${name}`, cell, fields, problems);
        return cellOf(column, purpose, name, group, fields, cell);
      }),
    );
  });
  if (problems.length > 0) throw new PolicyError(problems.map((message) => ({ file, line: 1, message })));
  return made;
}

/** The field state of the API that a state of the matrix means. A field that is the coarser facet itself stays what it is. */
export function stateText(state: CellState, fieldClass: FieldClass): string {
  return state === 'masked' ? `MASKED ${fieldClass.mask}` : state.toUpperCase();
}

function standard({ rows }: ColumnDocument, { waits, query }: GroupDocument): CellDocument {
  if (waits !== undefined) return { waits };
  return rows === 'none' || query === 'counts' ? 'hidden' : {};
}

function fieldsOf({ of = {} }: GroupDocument, registry: AttributeRegistry, problems: string[]) {
  return new Map(
    Object.entries(of).map(([type, group]) => {
      const noun = registry.all().find((one) => one.type === type);
      if (noun === undefined) problems.push(`Unknown type ${type}.`);
      if (!(DATA_GROUPS as readonly string[]).includes(group)) problems.push(`Unknown data group ${group}.`);
      const fields = [...(noun?.attributes.values() ?? [])].filter((one) => one.group === group);
      return [type, fields.map(({ field }) => field)] as const;
    }),
  );
}

function checkCell(
  place: string,
  cell: CellDocument,
  fields: ReadonlyMap<string, readonly string[]>,
  problems: string[],
): void {
  const known = new Set([...fields.values()].flat());
  const state = (value: unknown) => {
    if (!STATES.includes(value as string)) problems.push(`${place}: ${String(value)} is no state.`);
  };
  if (typeof cell === 'string') return state(cell);
  const { waits, every, today = {}, ...single } = cell;
  if (waits !== undefined) return;
  state(every);
  for (const [field, value] of [...Object.entries(single), ...Object.entries(today)]) {
    if (!known.has(field)) problems.push(`${place}: there is no field ${field} in this group.`);
    state(value);
  }
}

function cellOf(
  { role, rows }: ColumnDocument,
  purpose: string,
  group: string,
  { display, query, compartment = false }: GroupDocument,
  fields: ReadonlyMap<string, readonly string[]>,
  cell: CellDocument,
): MatrixCell {
  const waits = typeof cell === 'string' ? null : ((cell['waits'] as string | undefined) ?? null);
  const state = (field: string, isToday: boolean): CellState => {
    if (typeof cell === 'string') return cell;
    const { every, today = {}, ...single } = cell as Record<string, CellState> & { today?: Record<string, CellState> };
    return (isToday ? today[field] : undefined) ?? single[field] ?? (every as CellState);
  };
  return { role, purpose, rows, group, display, fields, query: query ?? null, compartment, waits, state };
}
