import type { DataGroup } from '../kernel/attribute.js';
import { SubjectKey, type SealAddress, type SubjectWrap } from './subject-key.js';
import type { SubjectKeyRow } from './vault.store.js';

/** A row as it came from the database, and the sealed groups of it that are wanted. */
export interface SealedRow {
  readonly address: SealAddress;
  readonly parts: readonly { readonly group: DataGroup; readonly sealed: Buffer }[];
}

/** Where a value lies in the bytes of a task: start and end. */
type Span = readonly [number, number];

/**
 * Rows to open, as one message for another thread: all bytes in one block, which is moved and not copied. The key travels
 * as a KeyObject: its bytes are never in a message.
 */
export interface OpeningTask {
  readonly wrap: SubjectWrap;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly rows: readonly {
    readonly address: SealAddress;
    readonly key: { readonly keyId: number; readonly wrapped: Span; readonly commitment: Span };
    readonly parts: readonly { readonly group: DataGroup; readonly sealed: Span }[];
  }[];
}

/** Packs rows whose subjects all have a key. */
export function packTask(
  wrap: SubjectWrap,
  rows: readonly { readonly row: SealedRow; readonly key: SubjectKeyRow }[],
): OpeningTask {
  let size = 0;
  for (const { row, key } of rows) {
    size += key.wrapped.length + key.commitment.length;
    for (const { sealed } of row.parts) size += sealed.length;
  }
  const bytes = new Uint8Array(size);
  let used = 0;
  const put = (value: Uint8Array): Span => {
    bytes.set(value, used);
    return [used, (used += value.length)];
  };
  return {
    wrap,
    bytes,
    rows: rows.map(({ row, key }) => ({
      address: row.address,
      key: { keyId: key.keyId, wrapped: put(key.wrapped), commitment: put(key.commitment) },
      parts: row.parts.map(({ group, sealed }) => ({ group, sealed: put(sealed) })),
    })),
  };
}

/** The values of each row. INTEGRITY_FAILED when one is not the one that was written. Keys are dropped when it is done. */
export function openTask({ wrap, bytes, rows }: OpeningTask): Record<string, unknown>[] {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return rows.map(({ address, key: { keyId, wrapped, commitment }, parts }) => {
    const key = SubjectKey.unwrap(wrap, {
      tenantId: wrap.tenant,
      subjectId: address.subjectId,
      keyId,
      wrapped: all.subarray(...wrapped),
      commitment: all.subarray(...commitment),
    });
    const opened: Record<string, unknown> = {};
    for (const { group, sealed } of parts) Object.assign(opened, key.open(address, group, all.subarray(...sealed)));
    return opened;
  });
}
