import type { Clock } from '../kernel/clock.js';
import { Failure } from '../kernel/failure.js';
import { newId } from '../kernel/identifier.js';
import { bareDraft } from '../ledger/record.js';
import type { RotationKind } from '../vault/rotation.store.js';
import { countIndexed, countWrapped, type SealedValueCount } from './key-count.js';
import { keyDraft, nameOf, purposeOf, rotating } from './key-names.js';
import { KeyRotation, type KeyRotationParts } from './key-rotation.js';
import { RowRotation } from './row-rotation.js';

/** Longer than any process keeps a subject's key in memory: after it nobody seals with a version that is no primary. */
const HELD_MILLISECONDS = 11 * 60_000;
const VERSIONS_AT_ONCE = 150;

/**
 * Destroys a key that only opens, when nothing is left that it opens. Dead rows and the log of PostgreSQL hold its wrapped
 * bytes for a while, and backups as long as their keys are kept: they open with the root key alone.
 */
export class KeyDestruction {
  private readonly rotation: KeyRotation;

  constructor(
    private readonly parts: KeyRotationParts,
    private readonly clock: Clock,
  ) {
    this.rotation = new KeyRotation(parts);
  }

  /** What could be destroyed: the versions that only open, with what each still protects. */
  async candidates(kind: RotationKind, tenant: string): Promise<SealedValueCount[]> {
    return (await this.rotation.count(kind, tenant)).filter(({ state }) => state === 'decrypt-only');
  }

  /** Throws a Failure with the reason where the key must stay. */
  async destroy(kind: RotationKind, tenant: string, keyId: number): Promise<void> {
    const { store, record } = this.parts;
    const last = await store.latest(kind, tenant);
    if (last !== null && last.step !== 'finished') {
      throw new Failure('BAD_USER_INPUT', 'A rotation of this key is not finished.', 'Run "rotate" to its end first.');
    }
    const found = (await this.candidates(kind, tenant)).find((one) => one.keyId === keyId);
    if (found === undefined)
      throw new Failure('BAD_USER_INPUT', `There is no key ${keyId} that only opens.`, 'See "npm run keys -- status".');
    refuseLeft(keyId, found.values);
    if (kind === 'subject') await this.refuseHeld(tenant, keyId, last?.promotedAt ?? null);
    await record(keyDraft('destroy', tenant, nameOf(kind, keyId)));
    if (kind === 'root') await rotating(this.parts.root).destroy(keyId);
    else if (kind === 'subject') await this.destroyVersions(tenant, keyId);
    else await this.destroyTenantKey(kind, tenant, keyId);
    await this.rotation.count(kind, tenant);
  }

  private async destroyTenantKey(kind: 'tenant' | 'index', tenant: string, keyId: number): Promise<void> {
    const count = kind === 'tenant' ? countWrapped : countIndexed;
    const left = await this.parts.store.destroyTenantKey(tenant, purposeOf(kind), keyId, async (transaction) => {
      const counts = await count(transaction, tenant);
      return counts.find((one) => one.keyId === keyId)?.values ?? 0;
    });
    refuseLeft(keyId, left);
  }

  private async refuseHeld(tenant: string, keyId: number, promotedAt: Date | null): Promise<void> {
    const since = this.clock.milliseconds() - (promotedAt?.getTime() ?? 0);
    if (since < HELD_MILLISECONDS) {
      const minutes = Math.ceil((HELD_MILLISECONDS - since) / 60_000);
      throw new Failure('BAD_USER_INPUT', 'A server may still hold this key.', `Destroy it in ${minutes} minutes.`);
    }
    const files = await new RowRotation(this.parts).filesUnder(tenant, keyId);
    if (files > 0)
      throw new Failure(
        'BAD_USER_INPUT',
        `${files} files are sealed with the key ${keyId}.`,
        'Rotate the keys of the subjects again.',
      );
  }

  /** In steps; whoever dies between two has destroyed some, and goes on with the rest. */
  private async destroyVersions(tenant: string, keyId: number): Promise<void> {
    const { store, subjectKeys, vault, record, assertAlone } = this.parts;
    for (;;) {
      const rows = await subjectKeys.olderVersions(tenant, keyId, VERSIONS_AT_ONCE);
      if (rows.length === 0) break;
      assertAlone();
      const id = newId();
      const subjects = rows.map((row) => row.reference);
      const accesses = [{ type: 'SubjectKey', rows: rows.length, fields: { key: 'ERASED' as const }, subjects }];
      await record({ ...bareDraft(tenant, 'keys.destroy', 'KEY', id), decision: id, accesses });
      const kept = await vault.rotation.inheritedDetails(tenant, rows, { id, used: () => undefined });
      await subjectKeys.destroyVersions(tenant, rows, kept);
    }
    await store.tell(tenant);
  }
}

function refuseLeft(keyId: number, left: number): void {
  if (left > 0)
    throw new Failure('BAD_USER_INPUT', `${left} values are left under the key ${keyId}.`, 'Run "rotate" first.');
}
