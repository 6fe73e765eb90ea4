import { Failure } from '../kernel/failure.js';
import type { Queryable } from '../persistence/statement.js';
import { rewrap } from '../vault/key-rewrap.js';
import type { RootKeyProvider } from '../vault/root-key.js';
import type { RotationKind, RotationRow } from '../vault/rotation.store.js';
import { keyIdOf } from '../vault/sealed-value.js';
import { tenantKeyContext } from '../vault/tenant-key-table.js';
import { countIndexed, countSealed, countWrapped, outdatedSubjects, storeCounts } from './key-count.js';
import type { SealedValueCount } from './key-count.js';
import { keyDraft, nameOf, purposeOf, rotates, rotating } from './key-names.js';
import { RowRotation, type RowRotationParts } from './row-rotation.js';

/** After so long every process has heard of a change of keys, or has dropped those that it had. */
const HEARD_MILLISECONDS = 5_000;
/** Files that no row names are kept for those who have read the row and not opened the file yet. */
const RETIRED_SECONDS = 60;
const WRAPS_AT_ONCE = 2_000;
const VERSIONS_AT_ONCE = 500;
const PROMOTED_AT_ONCE = 5_000;
/** As many persons as one record of the ledger names. */
const SUBJECTS_AT_ONCE = 150;
/** Values that somebody still seals with an old key are looked for so often; then a process does not hear of changes. */
const MOST_SWEEPS = 5;

export interface KeyRotationParts extends RowRotationParts {
  /** Null where another process keeps the root key. */
  readonly root: RootKeyProvider | null;
  /** For counts, which may take longer than what a statement of the system may. */
  readonly counting: Counting;
  readonly pause: (milliseconds: number) => Promise<unknown>;
  /** At most so many of what is rotated in a second; null: as fast as it goes. */
  readonly throttle: number | null;
  readonly progress: (rotation: RotationRow, done: number, total: number) => void;
  /** Throws where this process may not go on: somebody else may rotate by now. */
  readonly assertAlone: () => void;
}

export interface Counting extends Queryable {
  /** Sees the rows of this tenant from now on. */
  enter(tenant: string): Promise<void>;
}

/**
 * Replaces keys while the system runs: the new version is made and every process has it; then it is the primary; then what the
 * older ones protect is moved to it. Each step is in the database before the next begins: whoever dies in the middle is
 * followed by the next one that rotates the same, and it goes on there.
 */
export class KeyRotation {
  private readonly rows: RowRotation;
  private started = 0;
  private moved = 0;

  constructor(private readonly parts: KeyRotationParts) {
    this.rows = new RowRotation(parts);
  }

  /** Goes on with the rotation of this key where one is not finished or has left something; else begins one. */
  async rotate(kind: RotationKind, tenant: string): Promise<RotationRow> {
    const { store, vault } = this.parts;
    await this.deleteRetiredFiles();
    if (kind !== 'root') await vault.reloadKeys(tenant);
    const last = await store.latest(kind, tenant);
    let rotation = last !== null && last.step !== 'finished' ? last : await this.next(kind, tenant, last);
    while (rotation.step !== 'finished') rotation = await this.step(rotation);
    await this.deleteRetiredFiles();
    return rotation;
  }

  /** Counts what each key protects, and keeps the result for the metrics. */
  async count(kind: RotationKind, tenant: string): Promise<SealedValueCount[]> {
    const { counting, owner } = this.parts;
    await counting.enter(tenant);
    const counts = await this.counted(kind, tenant, counting);
    await storeCounts(owner, tenant, kind, counts);
    return counts;
  }

  private async counted(kind: RotationKind, tenant: string, session: Queryable): Promise<SealedValueCount[]> {
    if (kind === 'tenant') return countWrapped(session, tenant);
    if (kind === 'index') return countIndexed(session, tenant);
    if (kind === 'subject') return countSealed(session, tenant);
    const { root, store } = this.parts;
    if (!rotates(root)) return [];
    const [ids, primary] = [await root.keyIds(), await root.primaryId()];
    const named = Map.groupBy(await store.livingTenantKeys(), (row) => keyIdOf(row.wrapped));
    return ids.map((keyId) => {
      const state = keyId === primary ? 'primary' : keyId > primary ? 'pending' : 'decrypt-only';
      return { keyId, state, values: named.get(keyId)?.length ?? 0 };
    });
  }

  /** Opens a finished rotation again where something is left under older keys; else makes the next version. */
  private async next(kind: RotationKind, tenant: string, last: RotationRow | null): Promise<RotationRow> {
    const { store, subjectKeys } = this.parts;
    const counts = await this.count(kind, tenant);
    const left = counts.some(({ state, values }) => state === 'decrypt-only' && values > 0);
    if (left && last !== null) return store.advance(last, { step: 'promoted' });
    const values = counts.reduce((sum, one) => sum + one.values, 0);
    const total = kind === 'subject' ? await subjectKeys.subjects(tenant) : values;
    const begin = { kind, tenantId: tenant, fromKey: null, toKey: null, total } as const;
    if (kind === 'subject') {
      await this.parts.record(keyDraft('create', tenant, 'subject-key'));
      return store.begin({ ...begin, step: 'making' }, null);
    }
    const fromKey = counts.find(({ state }) => state === 'primary')?.keyId ?? null;
    if (kind === 'root') {
      const toKey = await rotating(this.parts.root).create();
      await this.parts.record(keyDraft('create', tenant, `root-key:${toKey}`));
      return store.begin({ ...begin, fromKey, toKey, step: 'made' }, null);
    }
    if (kind === 'tenant') this.wraps(tenant);
    const key = await this.parts.vault.rotation.nextTenantKey(tenant, purposeOf(kind));
    await this.parts.record(keyDraft('create', tenant, nameOf(kind, key.keyId)));
    return store.begin({ ...begin, fromKey, toKey: key.keyId, step: 'made' }, key);
  }

  private async step(rotation: RotationRow): Promise<RotationRow> {
    const { store, pause, vault } = this.parts;
    const { kind, tenantId: tenant, step } = rotation;
    [this.started, this.moved] = [performance.now(), 0];
    this.parts.progress(rotation, rotation.done, rotation.total);
    if (step === 'making') {
      await this.makeVersions(rotation);
      return store.advance(rotation, { step: 'made' }, true);
    }
    if (step === 'made') {
      await pause(HEARD_MILLISECONDS);
      return this.promote(rotation);
    }
    if (step === 'promoting') {
      await this.promoteVersions(rotation);
      return store.advance(rotation, { step: 'promoted' }, true);
    }
    await pause(HEARD_MILLISECONDS);
    if (kind !== 'root') await vault.reloadKeys(tenant);
    for (let sweep = 0; sweep < MOST_SWEEPS; sweep += 1) {
      await this.move(rotation, sweep);
      const left = (await this.count(kind, tenant)).filter(({ state }) => state === 'decrypt-only');
      if (left.every(({ values }) => values === 0)) {
        await this.parts.record(keyDraft('finish', tenant, nameOf(kind, rotation.toKey)));
        return store.advance(rotation, { step: 'finished', done: rotation.total });
      }
      await pause(HEARD_MILLISECONDS);
    }
    throw new Failure(
      'INTERNAL_SERVER_ERROR',
      'Values are still being sealed with an older key.',
      'Look for a server that does not reach the database, restart it, and rotate again.',
    );
  }

  private async promote(rotation: RotationRow): Promise<RotationRow> {
    const { store, root } = this.parts;
    const { kind, tenantId: tenant, toKey } = rotation;
    await this.parts.record(keyDraft('promote', tenant, nameOf(kind, toKey)));
    if (kind === 'subject') return store.advance(rotation, { step: 'promoting' });
    if (kind !== 'root') return store.promote(rotation, purposeOf(kind), toKey ?? 0);
    await rotating(root).promote(toKey ?? 0);
    return store.advance(rotation, { step: 'promoted' });
  }

  private async move(rotation: RotationRow, sweep: number): Promise<void> {
    if (rotation.kind === 'root') await this.rewrapTenantKeys(rotation);
    else if (rotation.kind === 'tenant') await this.rewrapSubjectKeys(rotation, sweep);
    else if (rotation.kind === 'index') await this.reindex(rotation, sweep);
    else await this.reseal(rotation, sweep);
  }

  private async rewrapTenantKeys(rotation: RotationRow): Promise<void> {
    const root = rotating(this.parts.root);
    const { store } = this.parts;
    const old = (await store.livingTenantKeys()).filter((row) => keyIdOf(row.wrapped) !== rotation.toKey);
    for (const [tenant, rows] of Map.groupBy(old, (row) => row.tenantId)) {
      const anew = await Promise.all(
        rows.map(async (row) => ({ ...row, anew: await root.rewrap(row.wrapped, tenantKeyContext(row)) })),
      );
      await store.storeRewrappedTenantKeys(rotation, tenant, anew);
      await this.paced(rotation, rows.length);
    }
  }

  /** The next batch is wrapped while the one before is stored. */
  private async rewrapSubjectKeys(rotation: RotationRow, sweep: number): Promise<void> {
    const { subjectKeys } = this.parts;
    const { tenantId: tenant } = rotation;
    const to = rotation.toKey ?? 0;
    const wraps = this.wraps(tenant);
    let position = sweep === 0 ? rotation.position : null;
    let storing: Promise<number> = Promise.resolve(0);
    try {
      for (;;) {
        const rows = await subjectKeys.wrappedOtherwise(tenant, to, position, WRAPS_AT_ONCE);
        const last = rows.at(-1);
        if (last === undefined) break;
        const anew = rewrap(wraps, to, rows);
        await storing;
        storing = subjectKeys.storeRewrapped(rotation, to, rows, anew);
        storing.catch(() => undefined);
        position = `${last.subjectId} ${last.keyId}`;
        await this.paced(rotation, rows.length);
      }
    } finally {
      await storing;
    }
  }

  private async makeVersions(rotation: RotationRow): Promise<void> {
    const { subjectKeys, vault } = this.parts;
    const { tenantId: tenant } = rotation;
    let after = rotation.position;
    for (;;) {
      const newest = await subjectKeys.withoutPending(tenant, after, VERSIONS_AT_ONCE);
      const last = newest.at(-1);
      if (last === undefined) return;
      const rows = await Promise.all(
        newest.map(({ keyId, ...rest }) => vault.rotation.nextSubjectKey({ tenant, ...rest, keyId: keyId + 1 })),
      );
      await subjectKeys.storePending(rotation, rows);
      after = last.subjectId;
      await this.paced(rotation, rows.length);
    }
  }

  private async promoteVersions(rotation: RotationRow): Promise<void> {
    let after = rotation.position;
    for (;;) {
      this.parts.assertAlone();
      after = await this.parts.subjectKeys.promoteSubjects(rotation, after, PROMOTED_AT_ONCE);
      if (after === null) return;
    }
  }

  private async reseal(rotation: RotationRow, sweep: number): Promise<void> {
    const { store, subjectKeys, counting } = this.parts;
    const { tenantId: tenant } = rotation;
    if (sweep > 0) {
      const subjects = await outdatedSubjects(counting, tenant);
      for (let at = 0; at < subjects.length; at += SUBJECTS_AT_ONCE) {
        await this.rows.reseal(tenant, subjects.slice(at, at + SUBJECTS_AT_ONCE));
        await this.paced(rotation, SUBJECTS_AT_ONCE);
      }
      return;
    }
    let after = rotation.position;
    for (;;) {
      const subjects = await subjectKeys.withOlder(tenant, after, SUBJECTS_AT_ONCE);
      const last = subjects.at(-1);
      if (last === undefined) return;
      await this.rows.reseal(tenant, subjects);
      after = last.subjectId;
      await store.progress(rotation, after, subjects.length);
      await this.paced(rotation, subjects.length);
    }
  }

  private async reindex(rotation: RotationRow, sweep: number): Promise<void> {
    const { store } = this.parts;
    const { tenantId: tenant } = rotation;
    const country = await store.countryOf(tenant);
    let position = sweep === 0 ? rotation.position : null;
    for (;;) {
      const done = await this.rows.reindex(tenant, country, rotation.toKey ?? 0, position);
      if (done === null) return;
      position = done.position;
      await store.progress(rotation, position, done.rows);
      await this.paced(rotation, done.rows);
    }
  }

  /** Says how far this step is, and waits where it is faster than it may. */
  private async paced(rotation: RotationRow, more: number): Promise<void> {
    const { throttle, pause, progress, assertAlone } = this.parts;
    assertAlone();
    this.moved += more;
    progress(rotation, this.moved, rotation.total);
    if (throttle === null) return;
    const early = (this.moved * 1000) / throttle - (performance.now() - this.started);
    if (early > 0) await pause(early);
  }

  private wraps(tenant: string) {
    const wraps = this.parts.vault.rotation.subjectWraps(tenant);
    if (wraps !== null) return wraps;
    throw new Failure(
      'BAD_USER_INPUT',
      'The key agent keeps the keys that subject keys are wrapped under.',
      'Stop it, and rotate with the root key at hand.',
    );
  }

  private async deleteRetiredFiles(): Promise<void> {
    const { store, contents } = this.parts;
    const names = await store.retiredFiles(RETIRED_SECONDS);
    for (const name of names) await contents.discard({ name });
    if (names.length > 0) await store.forgetFiles(names);
  }
}
