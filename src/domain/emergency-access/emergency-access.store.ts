import type { Database } from '../../persistence/database.js';

/** An access of which the privacy office was not told yet. */
export interface UntoldAccess {
  readonly id: string;
  readonly startedAt: Date;
  readonly reviewDueAt: Date;
}

/** Accesses that wait for their review, by whether they are open, over, or over for too long. */
export interface WaitingAccesses {
  readonly open: number;
  readonly due: number;
  readonly overdue: number;
}

/**
 * What no person asks: which notices are owed, and how many reviews. Nothing of a patient is in it. Owns the column
 * `noticed_at`; a crash before the mark means that the notice comes twice, under the same key.
 */
export class EmergencyAccessStore {
  constructor(private readonly database: Pick<Database, 'query'>) {}

  untold(tenant: string): Promise<UntoldAccess[]> {
    return this.database.query<UntoldAccess>(tenant, {
      name: 'emergency_untold',
      text:
        `SELECT id, started_at AS "startedAt", review_due_at AS "reviewDueAt" FROM emergency_access ` +
        `WHERE tenant_id = $1 AND noticed_at IS NULL AND assert_tenant($1) ORDER BY started_at LIMIT 100`,
      values: [tenant],
    });
  }

  async told(tenant: string, id: string, now: Date): Promise<void> {
    await this.database.query(tenant, {
      name: 'emergency_told',
      text:
        `UPDATE emergency_access SET noticed_at = $3 ` +
        `WHERE tenant_id = $1 AND id = $2::uuid AND noticed_at IS NULL AND assert_tenant($1)`,
      values: [tenant, id, now],
    });
  }

  /** Of all these tenants together. */
  async waiting(tenants: readonly string[], now: Date): Promise<WaitingAccesses> {
    const sum = { open: 0, due: 0, overdue: 0 };
    for (const tenant of tenants) {
      const [row] = await this.database.query<WaitingAccesses>(tenant, {
        name: 'emergency_waiting',
        text:
          `SELECT count(*) FILTER (WHERE expires_at > $2)::integer AS open, ` +
          `count(*) FILTER (WHERE expires_at <= $2 AND review_due_at > $2)::integer AS due, ` +
          `count(*) FILTER (WHERE review_due_at <= $2)::integer AS overdue FROM emergency_access ` +
          `WHERE tenant_id = $1 AND outcome = 'PENDING' AND assert_tenant($1)`,
        values: [tenant, now],
      });
      for (const state of ['open', 'due', 'overdue'] as const) sum[state] += row?.[state] ?? 0;
    }
    return sum;
  }
}
