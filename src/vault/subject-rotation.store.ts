import type { Database } from '../persistence/database.js';
import type { Rewrapped } from './key-rewrap.js';
import { advance, type AgedKey, type RotationRow } from './rotation.store.js';
import type { SubjectKeyRow } from './vault.store.js';

/** A subject that gets a further version, and the newest that it has. */
export interface NewestVersion {
  readonly subjectId: string;
  readonly reference: string;
  readonly keyId: number;
}

export interface OutdatedSubject {
  readonly subjectId: string;
  readonly reference: string;
}

const SUBJECT_KEY =
  'tenant_id AS "tenantId", subject_id AS "subjectId", key_id AS "keyId", subject_reference AS reference, state, ' +
  'wrap_key_id AS "wrapKeyId", wrapped, detail, commitment';

/** The owner's side of the table `subject_key`, for whoever rotates. */
export class SubjectRotationStore {
  constructor(private readonly owner: Database) {}

  /** Keys of subjects that are not wrapped under `to`, in the order of `position` and after it. */
  wrappedOtherwise(tenant: string, to: number, position: string | null, limit: number): Promise<SubjectKeyRow[]> {
    const [subjectId, keyId] = (position ?? '').split(' ');
    return this.owner.query<SubjectKeyRow>(tenant, {
      text:
        `SELECT ${SUBJECT_KEY} FROM subject_key WHERE tenant_id = $1 AND wrap_key_id <> $2 ` +
        'AND (wrapped IS NOT NULL OR detail IS NOT NULL) ' +
        (position === null ? '' : 'AND (subject_id, key_id) > ($4::uuid, $5::integer) ') +
        'ORDER BY subject_id, key_id LIMIT $3',
      values: [tenant, to, limit, ...(position === null ? [] : [subjectId, Number(keyId)])],
    });
  }

  /**
   * Stores keys that were wrapped anew, where they still are what they were: what somebody else changed meanwhile stays, and
   * is found again. In the same statement, how far the rotation is. @returns how many were stored
   */
  async storeRewrapped(
    { id, tenantId }: RotationRow,
    to: number,
    rows: readonly SubjectKeyRow[],
    anew: readonly Rewrapped[],
  ): Promise<number> {
    const last = rows.at(-1);
    const [changed] = await this.owner.query<{ stored: number }>(tenantId, {
      name: 'rotation_store_rewrapped',
      text:
        'WITH stored AS (UPDATE subject_key AS k SET wrapped = n.wrapped, detail = n.detail, wrap_key_id = $2 ' +
        'FROM unnest($3::uuid[], $4::integer[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[]) ' +
        'AS n (subject_id, key_id, was, was_detail, wrapped, detail) WHERE k.tenant_id = $1 AND k.subject_id = n.subject_id ' +
        'AND k.key_id = n.key_id AND k.wrapped IS NOT DISTINCT FROM n.was AND k.detail IS NOT DISTINCT FROM n.was_detail ' +
        'RETURNING 1), counted AS (SELECT count(*)::integer AS stored FROM stored), ' +
        'noted AS (UPDATE key_rotation SET position = $9, done = done + stored, changed_at = clock_timestamp() FROM counted ' +
        'WHERE id = $10::bigint) SELECT stored FROM counted',
      values: [
        tenantId,
        to,
        rows.map((row) => row.subjectId),
        rows.map((row) => row.keyId),
        rows.map((row) => row.wrapped),
        rows.map((row) => row.detail),
        anew.map((one) => one.wrapped),
        anew.map((one) => one.detail),
        last === undefined ? null : `${last.subjectId} ${last.keyId}`,
        id,
      ],
    });
    return changed?.stored ?? 0;
  }

  /** Subjects with a primary and without a pending version, after one of them. */
  withoutPending(tenant: string, after: string | null, limit: number): Promise<NewestVersion[]> {
    return this.owner.query<NewestVersion>(tenant, {
      text:
        'SELECT subject_id AS "subjectId", min(subject_reference) AS reference, max(key_id) AS "keyId" FROM subject_key ' +
        'WHERE tenant_id = $1 AND ($2::uuid IS NULL OR subject_id > $2::uuid) GROUP BY subject_id ' +
        "HAVING bool_or(state = 'primary') AND NOT bool_or(state = 'pending') ORDER BY subject_id LIMIT $3",
      values: [tenant, after, limit],
    });
  }

  /** Stores pending versions of subjects that still have a key, with how far the rotation is. */
  async storePending(rotation: RotationRow, rows: readonly SubjectKeyRow[]): Promise<void> {
    const { tenantId } = rotation;
    await this.owner.transaction(tenantId, async (transaction) => {
      const stored = await transaction.query({
        text:
          'INSERT INTO subject_key (tenant_id, subject_id, key_id, subject_reference, state, wrap_key_id, wrapped, commitment) ' +
          "SELECT $1, n.subject_id, n.key_id, n.reference, 'pending', n.wrap_key_id, n.wrapped, n.commitment " +
          'FROM unnest($2::uuid[], $3::integer[], $4::text[], $5::integer[], $6::bytea[], $7::bytea[]) ' +
          'AS n (subject_id, key_id, reference, wrap_key_id, wrapped, commitment) WHERE EXISTS (SELECT 1 FROM subject_key AS k ' +
          "WHERE k.tenant_id = $1 AND k.subject_id = n.subject_id AND k.state = 'primary') ON CONFLICT DO NOTHING RETURNING 1",
        values: [
          tenantId,
          rows.map((row) => row.subjectId),
          rows.map((row) => row.keyId),
          rows.map((row) => row.reference),
          rows.map((row) => row.wrapKeyId),
          rows.map((row) => row.wrapped),
          rows.map((row) => row.commitment),
        ],
      });
      await advance(transaction, rotation.id, { position: rows.at(-1)?.subjectId ?? null }, stored.length);
    });
  }

  /**
   * Makes the pending versions of the next subjects their primaries, each subject's at once. A pending version of a subject
   * that was erased meanwhile is destroyed. @returns the last of them; null: there was none
   */
  async promoteSubjects({ id, tenantId }: RotationRow, after: string | null, limit: number): Promise<string | null> {
    const [row] = await this.owner.query<{ last: string | null }>(tenantId, {
      text:
        "WITH chosen AS (SELECT subject_id FROM subject_key WHERE tenant_id = $1 AND state = 'pending' " +
        'AND ($2::uuid IS NULL OR subject_id > $2::uuid) ORDER BY subject_id LIMIT $3), ' +
        'living AS (SELECT subject_id FROM chosen WHERE EXISTS (SELECT 1 FROM subject_key AS k WHERE k.tenant_id = $1 ' +
        "AND k.subject_id = chosen.subject_id AND k.state = 'primary')), " +
        "changed AS (UPDATE subject_key AS k SET state = CASE WHEN living.subject_id IS NULL THEN 'destroyed' " +
        "WHEN k.state = 'pending' THEN 'primary' ELSE 'decrypt-only' END, " +
        'wrapped = CASE WHEN living.subject_id IS NULL THEN NULL ELSE k.wrapped END ' +
        'FROM chosen LEFT JOIN living ON living.subject_id = chosen.subject_id WHERE k.tenant_id = $1 ' +
        "AND k.subject_id = chosen.subject_id AND k.state IN ('pending', 'primary') RETURNING k.subject_id), " +
        'noted AS (UPDATE key_rotation SET position = (SELECT max(subject_id::text) FROM chosen), ' +
        'done = done + (SELECT count(*) FROM chosen), changed_at = clock_timestamp() WHERE id = $4::bigint) ' +
        'SELECT max(subject_id::text) AS last FROM chosen',
      values: [tenantId, after, limit, id],
    });
    return row?.last ?? null;
  }

  /** Subjects that have an older version beside their primary, after one of them. */
  withOlder(tenant: string, after: string | null, limit: number): Promise<OutdatedSubject[]> {
    return this.owner.query<OutdatedSubject>(tenant, {
      text:
        'SELECT subject_id AS "subjectId", min(subject_reference) AS reference FROM subject_key WHERE tenant_id = $1 ' +
        "AND state = 'decrypt-only' AND ($2::uuid IS NULL OR subject_id > $2::uuid) GROUP BY subject_id " +
        'ORDER BY subject_id LIMIT $3',
      values: [tenant, after, limit],
    });
  }

  /** Versions with this id that only open, of any subjects. */
  olderVersions(tenant: string, keyId: number, limit: number): Promise<SubjectKeyRow[]> {
    return this.owner.query<SubjectKeyRow>(tenant, {
      text:
        `SELECT ${SUBJECT_KEY} FROM subject_key WHERE tenant_id = $1 AND key_id = $2 AND state = 'decrypt-only' ` +
        'ORDER BY subject_id LIMIT $3',
      values: [tenant, keyId, limit],
    });
  }

  /** Destroys versions of subjects' keys; what is left are the keys of the ledger's details. */
  async destroyVersions(
    tenant: string,
    rows: readonly SubjectKeyRow[],
    kept: readonly Pick<SubjectKeyRow, 'wrapKeyId' | 'detail'>[],
  ): Promise<void> {
    await this.owner.query(tenant, {
      text:
        "UPDATE subject_key AS k SET state = 'destroyed', wrapped = NULL, detail = n.detail, wrap_key_id = n.wrap_key_id " +
        'FROM unnest($2::uuid[], $3::integer[], $4::integer[], $5::bytea[]) AS n (subject_id, key_id, wrap_key_id, detail) ' +
        "WHERE k.tenant_id = $1 AND k.subject_id = n.subject_id AND k.key_id = n.key_id AND k.state = 'decrypt-only'",
      values: [
        tenant,
        rows.map((row) => row.subjectId),
        rows.map((row) => row.keyId),
        kept.map((one) => one.wrapKeyId),
        kept.map((one) => one.detail),
      ],
    });
  }

  /** How many subjects have a key. */
  async subjects(tenant: string): Promise<number> {
    const [row] = await this.owner.query<{ subjects: number }>(tenant, {
      text: "SELECT count(*)::float8 AS subjects FROM subject_key WHERE tenant_id = $1 AND state = 'primary'",
      values: [tenant],
    });
    return row?.subjects ?? 0;
  }

  /** Versions of subjects' keys by id and state, and when the first of each was made. */
  subjectVersions(tenant: string): Promise<Omit<AgedKey, 'tenant' | 'purpose'>[]> {
    return this.owner.query(tenant, {
      text:
        'SELECT key_id AS "keyId", state, min(wrapped) AS wrapped, min(created_at) AS "createdAt" FROM subject_key ' +
        'WHERE tenant_id = $1 GROUP BY key_id, state ORDER BY key_id, state',
      values: [tenant],
    });
  }
}
