import type { Database } from '../persistence/database.js';

export interface TenantKeyRow {
  readonly tenantId: string;
  readonly keyId: number;
  readonly wrapped: Buffer;
}

/** The wrapped key of one subject. `commitment` tells whether the unwrapped key is the one that was made. */
export interface SubjectKeyRow {
  readonly tenantId: string;
  readonly subjectId: string;
  readonly keyId: number;
  readonly wrapped: Buffer;
  readonly commitment: Buffer;
}

const TENANT_KEY_COLUMNS = 'tenant_id AS "tenantId", key_id AS "keyId", wrapped';

/**
 * The only code that reads the tables `tenant_key` and `subject_key`; a subject's row is inserted by the statement that
 * creates the subject. Nothing in them opens without the root key.
 */
export class VaultStore {
  constructor(private readonly database: Database) {}

  tenantKeys(): Promise<TenantKeyRow[]> {
    return this.database.query<TenantKeyRow>(null, {
      text: `SELECT ${TENANT_KEY_COLUMNS} FROM tenant_key ORDER BY tenant_id`,
      values: [],
    });
  }

  async tenantKey(tenant: string): Promise<TenantKeyRow | undefined> {
    const [row] = await this.database.query<TenantKeyRow>(tenant, {
      text: `SELECT ${TENANT_KEY_COLUMNS} FROM tenant_key WHERE tenant_id = $1`,
      values: [tenant],
    });
    return row;
  }

  /** Keeps the key that is there: of two processes that make one at once, the first wins. */
  async insertTenantKey(row: TenantKeyRow): Promise<void> {
    await this.database.query(row.tenantId, {
      text: 'INSERT INTO tenant_key (tenant_id, key_id, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      values: [row.tenantId, row.keyId, row.wrapped],
    });
  }

  subjectKeys(tenant: string, subjectIds: readonly string[]): Promise<SubjectKeyRow[]> {
    return this.database.query<SubjectKeyRow>(tenant, {
      name: 'vault_subject_keys',
      text: `SELECT tenant_id AS "tenantId", subject_id AS "subjectId", key_id AS "keyId", wrapped, commitment
             FROM subject_key WHERE tenant_id = $1 AND subject_id = ANY($2::uuid[]) AND assert_tenant($1)`,
      values: [tenant, subjectIds],
    });
  }
}
