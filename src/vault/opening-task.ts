import type { DataGroup } from '../kernel/attribute.js';
import { keyIdOf } from './sealed-value.js';
import { SubjectKey, subjectKeyChanged, type SealAddress } from './subject-key.js';
import { unwrapWith, type SubjectWraps } from './subject-key-provider.js';
import type { SubjectKeyRow } from './vault.store.js';

/** A row as it came from the database, and the sealed groups of it that are wanted. */
export interface SealedRow {
  readonly address: SealAddress;
  readonly parts: readonly { readonly group: DataGroup; readonly sealed: Buffer }[];
}

/** What a task says of a row beside its bytes: of its keys those that its values name. */
interface Heading {
  readonly address: SealAddress;
  readonly keys: readonly { readonly keyId: number; readonly wrapKeyId: number; readonly reference: string }[];
  readonly groups: readonly DataGroup[];
}

/**
 * Rows to open, as one message for another thread, in a form that is cheap to send: one text, and two blocks that are moved
 * and not copied. The keys travel as KeyObjects: their bytes are never in a message.
 */
export interface OpeningTask {
  readonly wraps: SubjectWraps;
  /** JSON of the rows' headings. */
  readonly headings: string;
  /** The lengths of what lies in `bytes`, one after the other: for each row its keys (wrapped, commitment), its groups. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface RowWithKeys {
  readonly row: SealedRow;
  /** The versions of its subject's key. */
  readonly keys: readonly SubjectKeyRow[];
}

/** Packs rows whose subjects all have a key. */
export function packTask(wraps: SubjectWraps, rows: readonly RowWithKeys[]): OpeningTask {
  const values: Buffer[] = [];
  const headings = rows.map(({ row: { address, parts }, keys }): Heading => {
    const named = new Set(parts.map(({ sealed }) => keyIdOf(sealed)));
    const needed = keys.filter(({ keyId, wrapped }) => wrapped !== null && named.has(keyId));
    for (const { wrapped, commitment } of needed) values.push(wrapped ?? Buffer.alloc(0), commitment);
    for (const { sealed } of parts) values.push(sealed);
    return {
      address,
      keys: needed.map(({ keyId, wrapKeyId, reference }) => ({ keyId, wrapKeyId, reference })),
      groups: parts.map((part) => part.group),
    };
  });
  const bytes = new Uint8Array(values.reduce((size, value) => size + value.length, 0));
  let used = 0;
  for (const value of values) {
    bytes.set(value, used);
    used += value.length;
  }
  return {
    wraps,
    headings: JSON.stringify(headings),
    lengths: Uint32Array.from(values, (value) => value.length),
    bytes,
  };
}

/**
 * The values of the rows as one JSON text: for each row a list with one object for each of its groups. INTEGRITY_FAILED when
 * one is not the one that was written. Keys are dropped when it is done.
 */
export function openTask({ wraps, headings, lengths, bytes }: OpeningTask): string {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let [value, used] = [0, 0];
  const next = () => all.subarray(used, (used += lengths[value++] ?? 0));
  const rows = (JSON.parse(headings) as Heading[]).map(({ address, keys, groups }) => {
    const { tenant, subjectId } = address;
    const versions = new Map(
      keys.map(({ keyId, wrapKeyId, reference }) => {
        const wrapped = next();
        const row: SubjectKeyRow = {
          ...{ tenantId: tenant, subjectId, keyId, reference, state: 'primary', wrapKeyId, wrapped, detail: null },
          commitment: next(),
        };
        const place = { kind: 'subject key', tenant, subjectId, reference, keyId } as const;
        return [keyId, SubjectKey.of(row, unwrapWith(wraps, { place, wrapKeyId, wrapped }))];
      }),
    );
    const opened = groups.map((group) => {
      const sealed = next();
      const key = versions.get(keyIdOf(sealed));
      if (key === undefined) throw subjectKeyChanged();
      return key.openText(address, group, sealed);
    });
    return `[${opened.join(',')}]`;
  });
  return `[${rows.join(',')}]`;
}

/** The values of each row from the text of {@link openTask}. */
export function valuesIn(opened: string): Record<string, unknown>[] {
  return (JSON.parse(opened) as Record<string, unknown>[][]).map(
    (groups) => Object.assign({}, ...groups) as object as Record<string, unknown>,
  );
}
