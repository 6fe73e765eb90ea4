import { Database } from './database.js';

export interface Tenant {
  /** Code, such as `T-CN`. */
  readonly id: string;
  readonly name: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  /** IANA name: what "today" is. */
  readonly timeZone: string;
}

/** Codes of all tenants, for a role that may see every tenant's row but nothing of theirs. */
export async function tenantCodes(database: Database): Promise<string[]> {
  const rows = await database.query<{ id: string }>(null, { text: `SELECT id FROM tenant ORDER BY id`, values: [] });
  return rows.map((row) => row.id);
}

/**
 * Makes tenants that do not exist yet, as the database owner: the application cannot. One that exists stays as it is.
 * Owns the table `tenant`.
 */
export async function ensureTenants(ownerUrl: string, tenants: readonly Tenant[], now: Date): Promise<void> {
  const owner = await Database.connect(ownerUrl, { maximum: 1, name: 'custodia set-up' });
  try {
    for (const { id, name, country, timeZone } of tenants) {
      await owner.query(id, {
        text:
          `INSERT INTO tenant (id, name, country, time_zone, created_at) VALUES ($1, $2, $3, $4, $5) ` +
          `ON CONFLICT (id) DO NOTHING`,
        values: [id, name, country, timeZone, now],
      });
    }
  } finally {
    await owner.close();
  }
}

/**
 * Says which roles of a tenant must use a second factor, as the database owner: the application only obeys. Running sessions
 * that showed none are held up within a second. False when there is no such tenant. Throws where a role does not exist.
 */
export async function demandFactor(ownerUrl: string, tenant: string, roles: readonly string[]): Promise<boolean> {
  const owner = await Database.connect(ownerUrl, { maximum: 1, name: 'custodia set-up' });
  try {
    const rows = await owner.query(tenant, {
      text: `UPDATE tenant SET factor_roles = $2 WHERE id = $1 RETURNING id`,
      values: [tenant, roles],
    });
    return rows.length > 0;
  } finally {
    await owner.close();
  }
}
