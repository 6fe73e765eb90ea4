import type { DataGroup } from '../kernel/attribute.js';
import { SubjectKey, type SealAddress, type SubjectWrap } from './subject-key.js';
import type { SubjectKeyRow } from './vault.store.js';

/** A row as it came from the database, and the sealed groups of it that are wanted. */
export interface SealedRow {
  readonly address: SealAddress;
  readonly parts: readonly { readonly group: DataGroup; readonly sealed: Buffer }[];
}

/** What a task says of a row beside its bytes. */
type Heading = readonly [type: string, rowId: string, subjectId: string, keyId: number, groups: readonly DataGroup[]];

/**
 * Rows to open, as one message for another thread, in a form that is cheap to send: one text, and two blocks that are moved
 * and not copied. The key travels as a KeyObject: its bytes are never in a message.
 */
export interface OpeningTask {
  readonly wrap: SubjectWrap;
  /** JSON of the rows' headings. */
  readonly headings: string;
  /** The lengths of what lies in `bytes`, one after the other: for each row its wrapped key, its commitment, its groups. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Packs rows whose subjects all have a key. */
export function packTask(
  wrap: SubjectWrap,
  rows: readonly { readonly row: SealedRow; readonly key: SubjectKeyRow }[],
): OpeningTask {
  const values = rows.flatMap(({ row, key }) => [key.wrapped, key.commitment, ...row.parts.map((part) => part.sealed)]);
  const headings = rows.map(({ row: { address, parts }, key }): Heading => {
    return [address.type, address.rowId, address.subjectId, key.keyId, parts.map((part) => part.group)];
  });
  const bytes = new Uint8Array(values.reduce((size, value) => size + value.length, 0));
  let used = 0;
  for (const value of values) {
    bytes.set(value, used);
    used += value.length;
  }
  return {
    wrap,
    headings: JSON.stringify(headings),
    lengths: Uint32Array.from(values, (value) => value.length),
    bytes,
  };
}

/**
 * The values of the rows as one JSON text: for each row a list with one object for each of its groups. INTEGRITY_FAILED when
 * one is not the one that was written. Keys are dropped when it is done.
 */
export function openTask({ wrap, headings, lengths, bytes }: OpeningTask): string {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let [value, used] = [0, 0];
  const next = () => all.subarray(used, (used += lengths[value++] ?? 0));
  const rows = (JSON.parse(headings) as Heading[]).map(([type, rowId, subjectId, keyId, groups]) => {
    const stored = { tenantId: wrap.tenant, subjectId, keyId, wrapped: next(), commitment: next() };
    const key = SubjectKey.unwrap(wrap, stored);
    const address = { tenant: wrap.tenant, type, rowId, subjectId };
    return `[${groups.map((group) => key.openText(address, group, next())).join(',')}]`;
  });
  return `[${rows.join(',')}]`;
}

/** The values of each row from the text of {@link openTask}. */
export function valuesIn(opened: string): Record<string, unknown>[] {
  return (JSON.parse(opened) as Record<string, unknown>[][]).map(
    (groups) => Object.assign({}, ...groups) as object as Record<string, unknown>,
  );
}
