import type { Database } from '../persistence/database.js';
import type { Queryable } from '../persistence/statement.js';
import type { KeyState } from './key-ring.js';
import type { TenantKeyPurpose, TenantKeyRow } from './vault.store.js';

/** What is rotated: the root key, a tenant's key that wraps subject keys, the subjects' keys, a tenant's key of indexes. */
export const ROTATION_KINDS = ['root', 'tenant', 'subject', 'index'] as const;
export type RotationKind = (typeof ROTATION_KINDS)[number];

/** `making`: versions are being stored, pending. `made`, `promoted`: all of them. `finished`: nothing is left under older ones. */
export type RotationStep = 'making' | 'made' | 'promoting' | 'promoted' | 'finished';

export interface RotationRow {
  readonly id: string;
  readonly kind: RotationKind;
  readonly tenantId: string;
  /** Null for subjects' keys, of which each has ids of its own. */
  readonly fromKey: number | null;
  readonly toKey: number | null;
  readonly step: RotationStep;
  /** Up to where the work of this step is done. */
  readonly position: string | null;
  readonly done: number;
  readonly total: number;
  readonly startedAt: Date;
  readonly promotedAt: Date | null;
  readonly finishedAt: Date | null;
}

export interface RotationChange {
  readonly step?: RotationStep;
  readonly position?: string | null;
  readonly done?: number;
  readonly total?: number;
}

/** A key with its age. */
export interface AgedKey {
  readonly tenant: string;
  readonly purpose: string;
  readonly keyId: number;
  readonly state: KeyState;
  readonly wrapped: Buffer | null;
  readonly createdAt: Date;
}

const ROTATION =
  'id::text, kind, tenant_id AS "tenantId", from_key AS "fromKey", to_key AS "toKey", step, position, done::float8 AS done, ' +
  'total::float8 AS total, started_at AS "startedAt", promoted_at AS "promotedAt", finished_at AS "finishedAt"';
/** The owner's side of the vault's tables: changes states of keys and wraps them anew. The application can do neither. */
export class RotationStore {
  constructor(private readonly owner: Database) {}

  async latest(kind: RotationKind, tenant: string): Promise<RotationRow | null> {
    const [row] = await this.owner.query<RotationRow>(tenant, {
      text: `SELECT ${ROTATION} FROM key_rotation WHERE kind = $1 AND tenant_id = $2 ORDER BY id DESC LIMIT 1`,
      values: [kind, tenant],
    });
    return row ?? null;
  }

  /** Begins a rotation; with it, in one transaction, the new version of a tenant's key and the notice of it. */
  begin(
    rotation: Pick<RotationRow, 'kind' | 'tenantId' | 'fromKey' | 'toKey' | 'step' | 'total'>,
    key: TenantKeyRow | null,
  ): Promise<RotationRow> {
    const { kind, tenantId, fromKey, toKey, step, total } = rotation;
    return this.owner.transaction(tenantId, async (transaction) => {
      if (key !== null) {
        await transaction.query({
          text: 'INSERT INTO tenant_key (tenant_id, purpose, key_id, state, bits, wrapped) VALUES ($1, $2, $3, $4, $5, $6)',
          values: [key.tenantId, key.purpose, key.keyId, key.state, key.bits, key.wrapped],
        });
        await notify(transaction, tenantId);
      }
      const [row] = await transaction.query<RotationRow>({
        text:
          'INSERT INTO key_rotation (kind, tenant_id, from_key, to_key, step, total) VALUES ($1, $2, $3, $4, $5, $6) ' +
          `RETURNING ${ROTATION}`,
        values: [kind, tenantId, fromKey, toKey, step, total],
      });
      return row as RotationRow;
    });
  }

  /** Notes how far a rotation is; a new step begins at its beginning. Tells every process where keys changed with it. */
  async advance({ id, tenantId }: RotationRow, change: RotationChange, told = false): Promise<RotationRow> {
    return this.owner.transaction(tenantId, async (transaction) => {
      if (told) await notify(transaction, tenantId);
      return advance(transaction, id, change);
    });
  }

  /** Notes that so many more are done in this step, up to a place. */
  async progress({ id, tenantId }: RotationRow, position: string, more: number): Promise<void> {
    await this.owner.transaction(tenantId, (transaction) => advance(transaction, id, { position }, more));
  }

  /** ISO 3166-1 alpha-2. */
  async countryOf(tenant: string): Promise<string> {
    const [row] = await this.owner.query<{ country: string }>(tenant, {
      text: 'SELECT country FROM tenant WHERE id = $1',
      values: [tenant],
    });
    return row?.country ?? '';
  }

  /** In one transaction: the new version is the primary, the old one only opens, and everybody hears of it. */
  async promote({ id, tenantId }: RotationRow, purpose: TenantKeyPurpose, keyId: number): Promise<RotationRow> {
    return this.owner.transaction(tenantId, async (transaction) => {
      for (const [from, to, where] of [
        ['primary', 'decrypt-only', 'key_id <> $3'],
        ['pending', 'primary', 'key_id = $3'],
      ] as const) {
        await transaction.query({
          text:
            `UPDATE tenant_key SET state = '${to}', changed_at = clock_timestamp() WHERE tenant_id = $1 AND purpose = $2 ` +
            `AND state = '${from}' AND ${where}`,
          values: [tenantId, purpose, keyId],
        });
      }
      await notify(transaction, tenantId);
      return advance(transaction, id, { step: 'promoted' });
    });
  }

  /**
   * Destroys a version of a tenant's key that only opens, and tells everybody. `left` counts what it still protects: nobody
   * can add to that while it is counted, and with anything left nothing happens. @returns what was left
   */
  async destroyTenantKey(
    tenant: string,
    purpose: TenantKeyPurpose,
    keyId: number,
    left: (transaction: Queryable) => Promise<number>,
  ): Promise<number> {
    return this.owner.transaction(tenant, async (transaction) => {
      if (purpose === 'subject') await transaction.query({ text: 'LOCK TABLE subject_key IN SHARE MODE', values: [] });
      const found = await left(transaction);
      if (found > 0) return found;
      await transaction.query({
        text:
          "UPDATE tenant_key SET state = 'destroyed', wrapped = NULL, changed_at = clock_timestamp() WHERE tenant_id = $1 " +
          "AND purpose = $2 AND key_id = $3 AND state = 'decrypt-only'",
        values: [tenant, purpose, keyId],
      });
      await notify(transaction, tenant);
      return 0;
    });
  }

  /** Tells every process that a tenant's keys have changed. */
  async tell(tenant: string): Promise<void> {
    await this.owner.transaction(tenant, (transaction) => notify(transaction, tenant));
  }

  /** Versions of the keys of one tenant, or of all, and when each was made. */
  tenantKeys(tenant: string | null): Promise<AgedKey[]> {
    return this.owner.query<AgedKey>(null, {
      text:
        'SELECT tenant_id AS tenant, purpose, key_id AS "keyId", state, wrapped, created_at AS "createdAt" FROM tenant_key ' +
        'WHERE coalesce(tenant_id = $1, true) ORDER BY tenant_id, purpose, key_id',
      values: [tenant],
    });
  }

  /** The wrapped keys of every tenant that are not destroyed. */
  livingTenantKeys(): Promise<(TenantKeyRow & { readonly wrapped: Buffer })[]> {
    return this.owner.query(null, {
      text:
        'SELECT tenant_id AS "tenantId", purpose, key_id AS "keyId", state, bits, wrapped FROM tenant_key ' +
        'WHERE wrapped IS NOT NULL ORDER BY tenant_id, purpose, key_id',
      values: [],
    });
  }

  /** Stores a tenant's keys that were wrapped under another root key, where they still are what they were. */
  async storeRewrappedTenantKeys(
    { id }: RotationRow,
    tenant: string,
    rows: readonly (TenantKeyRow & { readonly anew: Buffer })[],
  ): Promise<void> {
    await this.owner.transaction(tenant, async (transaction) => {
      const stored = await transaction.query({
        text:
          'UPDATE tenant_key AS k SET wrapped = n.anew FROM unnest($2::text[], $3::integer[], $4::bytea[], $5::bytea[]) ' +
          'AS n (purpose, key_id, was, anew) WHERE k.tenant_id = $1 AND k.purpose = n.purpose AND k.key_id = n.key_id ' +
          'AND k.wrapped = n.was RETURNING 1',
        values: [
          tenant,
          rows.map((row) => row.purpose),
          rows.map((row) => row.keyId),
          rows.map((row) => row.wrapped),
          rows.map((row) => row.anew),
        ],
      });
      await advance(transaction, id, { position: tenant }, stored.length);
    });
  }

  /** Files that no row names any more, long enough that nobody is about to open one. */
  async retiredFiles(olderThanSeconds: number): Promise<string[]> {
    const rows = await this.owner.query<{ name: string }>(null, {
      text: 'SELECT name FROM retired_file WHERE retired_at < clock_timestamp() - make_interval(secs => $1) ORDER BY name',
      values: [olderThanSeconds],
    });
    return rows.map((row) => row.name);
  }

  /** Notes files that no row names yet: they are deleted by the next run, unless {@link RotationStore.exchange} says otherwise. */
  async retire(names: readonly string[]): Promise<void> {
    await this.owner.query(null, {
      text: 'INSERT INTO retired_file (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING',
      values: [names],
    });
  }

  async forgetFiles(names: readonly string[]): Promise<void> {
    await this.owner.query(null, { text: 'DELETE FROM retired_file WHERE name = ANY($1::text[])', values: [names] });
  }
}

async function notify(transaction: Queryable, tenant: string): Promise<void> {
  await transaction.query({ text: 'INSERT INTO vault_notice (tenant_id) VALUES ($1)', values: [tenant] });
}

/** `more`: what is added to what is done. A step that is not the one before begins with nothing done, at its beginning. */
export async function advance(
  transaction: Queryable,
  id: string,
  change: RotationChange,
  more = 0,
): Promise<RotationRow> {
  const { step = null, position = null, total = null } = change;
  const [row] = await transaction.query<RotationRow>({
    text:
      'UPDATE key_rotation SET step = coalesce($2, step), position = $3, ' +
      'done = CASE WHEN $2::text IS NULL THEN done + $5 ELSE coalesce($6::bigint, 0) END, total = coalesce($4::bigint, total), ' +
      "promoted_at = CASE WHEN $2 = 'promoted' THEN coalesce(promoted_at, clock_timestamp()) ELSE promoted_at END, " +
      "finished_at = CASE WHEN $2 IS NULL THEN finished_at WHEN $2 = 'finished' THEN clock_timestamp() END, " +
      `changed_at = clock_timestamp() WHERE id = $1::bigint RETURNING ${ROTATION}`,
    values: [id, step, position, total, more, change.done ?? null],
  });
  return row as RotationRow;
}
