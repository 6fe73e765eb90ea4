import { registry } from '../kernel/attribute.js';
import { Failure } from '../kernel/failure.js';
import type { Decision, FieldView } from '../policy/decision.js';
import { Criteria, sortExpression, type Filter } from './criteria.js';
import type { ExportPosition } from './export.store.js';
import { aliasesOf, fromClause, sealAddress, subjectColumns, unlessErased } from './noun-table.js';
import { Parameters } from './parameters.js';
import type { FetchedRow } from './reader.js';
import type { Scope } from './scope.js';
import { selectFields } from './selection.js';
import { Reading, type View } from './view.js';

/** Rows of one statement, and subjects of one record of the ledger. */
export const LARGEST_CHUNK = 150;
/** A larger set is not counted: its progress stays at zero until it is done. */
const LARGEST_EXPECTATION = 5_000_000;
/** As many as a decision can have. */
const CONDITIONS = 16;

export interface ChunkArguments {
  readonly filter: Filter | null;
  readonly columns: readonly string[];
  /** The last row before this chunk; null for the first. */
  readonly after: ExportPosition | null;
}
export interface Chunk {
  /** Already on the way: the next chunk can be read while these are opened. */
  readonly views: Promise<readonly View[]>;
  readonly last: ExportPosition | null;
  /** False when no row comes after these. */
  readonly more: boolean;
}

type ChunkRow = FetchedRow & { readonly order_position: string };

const readings = new WeakMap<Decision['shape'], Map<string, Reading>>();

/** How an export shows a field: on rows of which no condition holds, of which all do, and of which one does. */
export type ExportShape = Readonly<Record<string, readonly string[]>>;

/** The fields that an export of this type shows the caller on at least some rows, in the order of their declaration. */
export function exportColumns(scope: Scope, type: string): string[] {
  const shape = exportShape(scope, type, [...registry.noun(type).attributes.keys()]);
  return Object.keys(shape).filter((field) => shape[field]?.some((state) => state !== 'HIDDEN'));
}

/** How these fields would be shown by an export as the policy is now: a state, and the mask where there is one. */
export function exportShape(scope: Scope, type: string, fields: readonly string[]): ExportShape {
  const { shape } = decisionOf(scope, type);
  const patterns = [0, (1 << CONDITIONS) - 1, ...Array.from({ length: CONDITIONS }, (_, bit) => 1 << bit)];
  const shown = patterns.map((bits) => shape.visibility(bits).fields);
  const stateOf = (view: FieldView | undefined) => [view?.state ?? 'HIDDEN', view?.mask ?? []].flat().join(' ');
  return Object.fromEntries(fields.map((field) => [field, shown.map((views) => stateOf(views.get(field)))]));
}

/** Whether a field is shown as before or in clear, on every kind of row. Another mask counts as less. */
export function showsAsMuch(now: ExportShape, before: ExportShape): boolean {
  return Object.entries(before).every(([field, states]) =>
    states.every((state, at) => {
      const today = now[field]?.[at] ?? 'HIDDEN';
      return state === 'HIDDEN' || today === state || today === 'CLEAR';
    }),
  );
}

/** Refuses a filter that the caller could not use, before an export waits in vain. */
export function checkExportFilter(scope: Scope, type: string, filter: Filter): void {
  const noun = registry.noun(type);
  new Criteria(noun, decisionOf(scope, type), aliasesOf(noun), new Parameters().bind, scope.context()).filter(filter);
}

/**
 * The next rows of an export in the order of its list, under the decision for `export` as it is at this moment: who lost a
 * right or withdrew a consent since the chunk before is not in this one. Every shown row is noted in the document.
 */
export async function readChunk(scope: Scope, type: string, input: ChunkArguments): Promise<Chunk> {
  const { services, actor } = scope;
  const decision = decisionOf(scope, type);
  const reading = readingOf(decision, type, input.columns);
  const noun = registry.noun(type);
  const aliases = aliasesOf(noun);
  const parameters = new Parameters();
  const { bind } = parameters;
  const order = sortExpression(aliases.self, registry.attribute(type, noun.order.field));
  const columns = reading.columns.map((column) => `s.${column}, `).join('');
  const bits = decision.visibilityBits(aliases, bind, scope.context());
  const conditions = conditionsOf(scope, type, decision, parameters, input.filter);
  if (input.after !== null) {
    const compared = noun.order.direction === 'ASC' ? '>' : '<';
    conditions.push(
      `(${order}, s.id) ${compared} (${bind(input.after.position)}::timestamptz, ${bind(input.after.id)}::uuid)`,
    );
  }
  const { direction } = noun.order;
  const rows = await services.database.query<ChunkRow>(
    actor.tenant,
    parameters.statement(
      `SELECT s.id, ${columns}${subjectColumns(noun)}, ${bits} AS bits, ${order}::text AS order_position ` +
        `FROM ${fromClause(noun)} WHERE ${conditions.join(' AND ')} ` +
        `ORDER BY ${order} ${direction}, s.id ${direction} LIMIT ${LARGEST_CHUNK}`,
    ),
  );
  for (const row of rows) scope.document.gather(reading.pattern(row.bits), row.subject_reference, null);
  const views = openViews(scope, type, reading, rows);
  views.catch(() => undefined);
  const end = rows.at(-1);
  return {
    views,
    last: end === undefined ? null : { position: end.order_position, id: end.id },
    more: rows.length === LARGEST_CHUNK,
  };
}

async function openViews(scope: Scope, type: string, reading: Reading, rows: readonly ChunkRow[]): Promise<View[]> {
  const { services, circumstances } = scope;
  const { tenant } = scope.actor;
  const sealed = rows.map((row) => ({
    address: sealAddress(tenant, type, row),
    parts: reading.pattern(row.bits).groups.flatMap(({ group, column }) => {
      const value = row[column];
      return value instanceof Buffer ? [{ group, sealed: value }] : [];
    }),
  }));
  const opened = await services.vault.openRows(tenant, sealed, scope.document.keyUse);
  return rows.map((row, at) => reading.render(reading.pattern(row.bits), row, opened[at] ?? {}, circumstances));
}

/** How many rows the export would have now, for its progress; null for a set that is too large to count. */
export async function countExport(scope: Scope, type: string, filter: Filter | null): Promise<number | null> {
  const parameters = new Parameters();
  const conditions = conditionsOf(scope, type, decisionOf(scope, type), parameters, filter);
  const [row] = await scope.services.database.query<{ found: number }>(
    scope.actor.tenant,
    parameters.statement(
      `SELECT count(*)::integer AS found FROM (SELECT 1 FROM ${fromClause(registry.noun(type))} ` +
        `WHERE ${conditions.join(' AND ')} LIMIT ${LARGEST_EXPECTATION}) AS counted`,
    ),
  );
  return row === undefined || row.found === LARGEST_EXPECTATION ? null : row.found;
}

function conditionsOf(
  scope: Scope,
  type: string,
  decision: Decision,
  parameters: Parameters,
  filter: Filter | null,
): string[] {
  const noun = registry.noun(type);
  const aliases = aliasesOf(noun);
  const { bind } = parameters;
  const tenant = bind(scope.actor.tenant);
  const conditions = [
    `assert_tenant(${tenant}) AND s.tenant_id = ${tenant}`,
    decision.rowPredicate(aliases, bind, scope.context()) + unlessErased(noun),
  ];
  if (filter !== null) conditions.push(new Criteria(noun, decision, aliases, bind, scope.context()).filter(filter));
  return conditions;
}

function decisionOf(scope: Scope, type: string): Decision {
  const decision = scope.obliged('export', type);
  if (decision.allowed) return decision;
  throw new Failure('FORBIDDEN', `You may not export ${type} for this purpose.`, 'State another purpose.');
}

function readingOf(decision: Decision, type: string, columns: readonly string[]): Reading {
  let known = readings.get(decision.shape);
  if (known === undefined) readings.set(decision.shape, (known = new Map()));
  const key = columns.join(' ');
  let reading = known.get(key);
  if (reading === undefined) {
    known.set(key, (reading = new Reading(registry.noun(type), decision.shape, selectFields(...columns))));
  }
  return reading;
}
