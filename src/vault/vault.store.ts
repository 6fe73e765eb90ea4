import type { Database } from '../persistence/database.js';
import type { KeyState } from './key-ring.js';

/**
 * What a key of a tenant is for. Each is a random key of its own, so that each has versions of its own: `subject` wraps the
 * subjects' keys, `index` is for blind indexes and search tokens, `digest` for keyed digests, `detail` for details of the
 * ledger, `stream` for sealed files, `token` for cursors.
 */
export const KEY_PURPOSES = ['subject', 'index', 'digest', 'detail', 'stream', 'token'] as const;
export type TenantKeyPurpose = (typeof KEY_PURPOSES)[number];

/** One version of one key of a tenant, wrapped under the root key. */
export interface TenantKeyRow {
  readonly tenantId: string;
  readonly purpose: TenantKeyPurpose;
  readonly keyId: number;
  readonly state: KeyState;
  /** Of an index key: bits that are kept of an index. Null for the others. */
  readonly bits: number | null;
  /** Null where the version was destroyed. */
  readonly wrapped: Buffer | null;
}

/** One version of the key of one subject. */
export interface SubjectKeyRow {
  readonly tenantId: string;
  readonly subjectId: string;
  readonly keyId: number;
  /** The subject's name in the ledger: the wrapped key opens under this name alone. */
  readonly reference: string;
  readonly state: KeyState;
  /** The version of the tenant's key that it is wrapped under. */
  readonly wrapKeyId: number;
  /** Null where the version was destroyed. */
  readonly wrapped: Buffer | null;
  /** The key of the ledger's details that were sealed by a destroyed version, wrapped; they cannot be sealed again. */
  readonly detail: Buffer | null;
  /** Tells whether the unwrapped key is the one that was made. */
  readonly commitment: Buffer;
}

/** What other processes did to keys: `keys` of a tenant changed their states, a `subject` was erased. */
export interface VaultNotice {
  readonly id: string;
  readonly tenantId: string;
  readonly subjectId: string | null;
}

const TENANT_KEY_COLUMNS = 'tenant_id AS "tenantId", purpose, key_id AS "keyId", state, bits, wrapped';
/** Longer than any process goes without looking: one that does has dropped its subject keys. */
const NOTICE_SECONDS = 60;

/**
 * The only code that reads the tables `tenant_key`, `subject_key` and `vault_notice`; a subject's row is inserted by the
 * statement that creates the subject. Nothing in them opens without the root key.
 */
export class VaultStore {
  constructor(private readonly database: Database) {}

  /** The keys of one tenant, or of all. */
  tenantKeys(tenant: string | null = null): Promise<TenantKeyRow[]> {
    return this.database.query<TenantKeyRow>(tenant, {
      text:
        `SELECT ${TENANT_KEY_COLUMNS} FROM tenant_key WHERE coalesce(tenant_id = $1, true) ` +
        'ORDER BY tenant_id, purpose, key_id',
      values: [tenant],
    });
  }

  /** Keeps the key that is there: of two processes that make one at once, the first wins. */
  async insertTenantKey(row: TenantKeyRow): Promise<void> {
    await this.database.query(row.tenantId, {
      text:
        'INSERT INTO tenant_key (tenant_id, purpose, key_id, state, bits, wrapped) VALUES ($1, $2, $3, $4, $5, $6) ' +
        'ON CONFLICT DO NOTHING',
      values: [row.tenantId, row.purpose, row.keyId, row.state, row.bits, row.wrapped],
    });
  }

  /** Every version of the keys of these subjects. */
  subjectKeys(tenant: string, subjectIds: readonly string[]): Promise<SubjectKeyRow[]> {
    return this.database.query<SubjectKeyRow>(tenant, {
      name: 'vault_subject_keys',
      text: `SELECT tenant_id AS "tenantId", subject_id AS "subjectId", key_id AS "keyId", subject_reference AS reference,
                    state, wrap_key_id AS "wrapKeyId", wrapped, detail, commitment
             FROM subject_key WHERE tenant_id = $1 AND subject_id = ANY($2::uuid[]) AND assert_tenant($1)`,
      values: [tenant, subjectIds],
    });
  }

  /** What happened to keys of all tenants of late. */
  notices(): Promise<VaultNotice[]> {
    return this.database.query<VaultNotice>(null, {
      name: 'vault_notices',
      text:
        'SELECT id::text, tenant_id AS "tenantId", subject_id AS "subjectId" FROM vault_notice ' +
        `WHERE at > clock_timestamp() - interval '${NOTICE_SECONDS} seconds'`,
      values: [],
    });
  }
}
