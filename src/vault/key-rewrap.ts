import { expandBytes, extractKey, KEY_BYTES } from './derivation.js';
import { sealBytes } from './sealed-value.js';
import { commitmentOf, subjectKeyChanged, wrappingPlace } from './subject-key.js';
import { unwrapWith, type KeyUse, type SubjectKeyProvider, type SubjectWraps } from './subject-key-provider.js';
import type { SubjectKeyRow } from './vault.store.js';

/** What changes of a stored key when it is wrapped anew. */
export type Rewrapped = Pick<SubjectKeyRow, 'wrapped' | 'detail'>;

/**
 * The same keys, wrapped under another version of the tenant's key. Nothing that was sealed with them changes. INTEGRITY_FAILED
 * where one does not open: it would be lost with the version that it says it is wrapped under.
 */
export function rewrap(wraps: SubjectWraps, to: number, rows: readonly SubjectKeyRow[]): Rewrapped[] {
  const target = wraps.get(to);
  if (target === undefined) throw subjectKeyChanged();
  const anew = (row: SubjectKeyRow, kind: 'subject key' | 'detail key', wrapped: Buffer | null): Buffer | null => {
    if (wrapped === null) return null;
    const { tenantId: tenant, subjectId, reference, keyId, wrapKeyId } = row;
    const place = { kind, tenant, subjectId, reference, keyId };
    const raw = unwrapWith(wraps, { place, wrapKeyId, wrapped });
    if (raw === null) throw subjectKeyChanged();
    const again = sealBytes(target, to, wrappingPlace(place), raw);
    raw.fill(0);
    return again;
  };
  return rows.map((row) => ({
    wrapped: anew(row, 'subject key', row.wrapped),
    detail: anew(row, 'detail key', row.detail),
  }));
}

/** See `VaultRotation.inheritedDetails`. */
export async function inheritedDetails(
  provider: SubjectKeyProvider,
  tenant: string,
  versions: readonly SubjectKeyRow[],
  use: KeyUse,
): Promise<readonly Pick<SubjectKeyRow, 'wrapKeyId' | 'detail'>[]> {
  use.used([...new Set(versions.map((row) => row.reference))]);
  const asked = versions.map(({ subjectId, reference, keyId, wrapKeyId, wrapped }) => ({
    place: { kind: 'subject key', tenant, subjectId, reference, keyId } as const,
    wrapKeyId,
    wrapped: wrapped ?? Buffer.alloc(0),
  }));
  const raws = await provider.unwrap(tenant, asked, use);
  const kept: Pick<SubjectKeyRow, 'wrapKeyId' | 'detail'>[] = [];
  for (const [at, { place }] of asked.entries()) {
    const raw = raws[at] ?? null;
    if (raw === null || raw.length !== KEY_BYTES) throw subjectKeyChanged();
    const key = extractKey(raw);
    if (!commitmentOf(key, place.keyId).equals(versions[at]?.commitment ?? Buffer.alloc(0))) throw subjectKeyChanged();
    const detail = expandBytes(key, 'detail', String(place.keyId));
    const { wrapKeyId, wrapped } = await provider.wrap({ ...place, kind: 'detail key' }, detail);
    detail.fill(0);
    kept.push({ wrapKeyId, detail: wrapped });
  }
  return kept;
}
