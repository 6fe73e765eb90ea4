import { registry } from '../kernel/attribute.js';
import { INDEX_KEY, isIndexed } from '../persistence/attribute.js';
import type { Database } from '../persistence/database.js';
import type { Queryable } from '../persistence/statement.js';
import type { KeyState } from '../vault/key-ring.js';
import type { RotationKind } from '../vault/rotation.store.js';
import type { OutdatedSubject } from '../vault/subject-rotation.store.js';
import { sealedColumns } from './sealed-row.js';

/** How many stored values one key protects. */
export interface SealedValueCount {
  readonly keyId: number;
  readonly state: KeyState;
  readonly values: number;
}

/** The same of every tenant and purpose, as it was counted last. */
export interface StoredCount extends SealedValueCount {
  readonly tenant: string;
  readonly purpose: RotationKind;
}

/** The key id in the head of a sealed value: four bytes, big-endian, after two others. */
const KEY_ID = (column: string) => `('x' || encode(substr(${column}, 3, 4), 'hex'))::bit(32)::integer`;

/** Subject keys by the version of the tenant's key that they are wrapped under. */
export function countWrapped(session: Queryable, tenant: string): Promise<SealedValueCount[]> {
  return session.query<SealedValueCount>({
    text:
      'SELECT t.key_id AS "keyId", t.state, coalesce(found.values, 0)::float8 AS values FROM tenant_key AS t LEFT JOIN ' +
      '(SELECT wrap_key_id, count(*) AS values FROM subject_key WHERE tenant_id = $1 AND (wrapped IS NOT NULL OR ' +
      'detail IS NOT NULL) GROUP BY wrap_key_id) AS found ON found.wrap_key_id = t.key_id ' +
      "WHERE t.tenant_id = $1 AND t.purpose = 'subject' ORDER BY t.key_id",
    values: [tenant],
  });
}

/** Every sealed group of every row: whose, and the version of the key that it names. */
function sealedParts(): string {
  const parts = registry.all().flatMap((noun) => {
    if (noun.subject === 'none') return [];
    const subject = noun.subject === 'self' ? 'id' : noun.subject.foreignKey;
    return sealedColumns(noun).map(
      (column) =>
        `SELECT ${subject} AS subject_id, ${KEY_ID(column)} AS key_id FROM ${noun.table} ` +
        `WHERE tenant_id = $1 AND ${column} IS NOT NULL`,
    );
  });
  return parts.join(' UNION ALL ');
}

const MOST_OUTDATED = 100_000;

/** Subjects with values that an older version sealed. Reads every row. */
export function outdatedSubjects(session: Queryable, tenant: string): Promise<OutdatedSubject[]> {
  return session.query<OutdatedSubject>({
    text:
      'SELECT DISTINCT k.subject_id AS "subjectId", k.subject_reference AS reference ' +
      `FROM (${sealedParts()}) AS v JOIN subject_key AS k ON k.tenant_id = $1 AND k.subject_id = v.subject_id ` +
      `AND k.key_id = v.key_id WHERE k.state = 'decrypt-only' LIMIT ${MOST_OUTDATED}`,
    values: [tenant],
  });
}

/** Sealed groups of all rows by the version of the subject's key that they are sealed with. Reads every row. */
export function countSealed(session: Queryable, tenant: string): Promise<SealedValueCount[]> {
  const versions = "SELECT key_id, state FROM subject_key WHERE tenant_id = $1 AND state <> 'destroyed'";
  return session.query<SealedValueCount>({
    text:
      `SELECT k.key_id AS "keyId", k.state, sum(k.values)::float8 AS values FROM (SELECT key_id, state, 0 AS values FROM ` +
      `(${versions} GROUP BY key_id, state) AS known UNION ALL SELECT k.key_id, k.state, count(*) FROM ` +
      `(${sealedParts()}) AS v JOIN subject_key AS k ON k.tenant_id = $1 AND k.subject_id = v.subject_id ` +
      'AND k.key_id = v.key_id GROUP BY k.key_id, k.state) AS k GROUP BY k.key_id, k.state ORDER BY k.key_id, k.state',
    values: [tenant],
  });
}

/** Rows with indexes by the version of the tenant's index key. */
export function countIndexed(session: Queryable, tenant: string): Promise<SealedValueCount[]> {
  const parts = registry
    .all()
    .filter((noun) => [...noun.attributes.values()].some(isIndexed))
    .map(
      (noun) => `SELECT ${INDEX_KEY} AS key_id FROM ${noun.table} WHERE tenant_id = $1 AND ${INDEX_KEY} IS NOT NULL`,
    );
  return session.query<SealedValueCount>({
    text:
      'SELECT t.key_id AS "keyId", t.state, coalesce(found.values, 0)::float8 AS values FROM tenant_key AS t LEFT JOIN ' +
      `(SELECT key_id, count(*) AS values FROM (${parts.join(' UNION ALL ')}) AS v GROUP BY key_id) AS found ` +
      "ON found.key_id = t.key_id WHERE t.tenant_id = $1 AND t.purpose = 'index' ORDER BY t.key_id",
    values: [tenant],
  });
}

/** Keeps counts for the metrics of every server: counting itself reads whole tables. */
export async function storeCounts(
  owner: Database,
  tenant: string,
  purpose: RotationKind,
  counts: readonly SealedValueCount[],
): Promise<void> {
  await owner.transaction(tenant, async (transaction) => {
    await transaction.query({
      text: 'DELETE FROM sealed_value_count WHERE tenant_id = $1 AND purpose = $2',
      values: [tenant, purpose],
    });
    await transaction.query({
      text:
        'INSERT INTO sealed_value_count (tenant_id, purpose, key_id, state, values) ' +
        'SELECT $1, $2, n.* FROM unnest($3::integer[], $4::text[], $5::bigint[]) AS n',
      values: [
        tenant,
        purpose,
        counts.map((one) => one.keyId),
        counts.map((one) => one.state),
        counts.map((one) => one.values),
      ],
    });
  });
}

/** What was counted last, for the metrics: a few rows. */
export function storedCounts(database: Database): Promise<StoredCount[]> {
  return database.query<StoredCount>(null, {
    name: 'sealed_value_counts',
    text: 'SELECT tenant_id AS tenant, purpose, key_id AS "keyId", state, values::float8 AS values FROM sealed_value_count',
    values: [],
  });
}
