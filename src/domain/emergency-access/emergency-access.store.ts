import type { Database } from '../../persistence/database.js';

/** An access of which not everybody who has to be was told yet, with the accounts that have to be, as they are now. */
export interface UntoldAccess {
  readonly id: string;
  readonly startedAt: Date;
  readonly reviewDueAt: Date;
  /** Department heads in a care team with who broke the glass; all of the tenant where there are none. Account ids. */
  readonly heads: readonly string[];
  /** The patient's own account, else those of his guardians. Account ids; empty where there are none. */
  readonly represented: readonly string[];
}

/** Accesses that wait for their review, by whether they are open, over, or over for too long. */
export interface WaitingAccesses {
  readonly open: number;
  readonly due: number;
  readonly overdue: number;
  /** Accounts that are locked by what is overdue. */
  readonly locked: number;
}

const HEADS = `
  SELECT head.id FROM account head
   WHERE head.tenant_id = $1 AND head.role = 'department_head' AND head.disabled_at IS NULL`;
const COLLEAGUES = `
     AND EXISTS (SELECT FROM care_team_member theirs
                   JOIN care_team_member own ON own.tenant_id = theirs.tenant_id AND own.care_team_id = theirs.care_team_id
                  WHERE theirs.tenant_id = $1 AND theirs.account_id = head.id AND own.account_id = access.account_id)`;
const REPRESENTATIVES = `
  SELECT person.account_id FROM related_person person
    JOIN account ON account.tenant_id = person.tenant_id AND account.id = person.account_id
   WHERE person.tenant_id = $1 AND person.patient_id = access.patient_id AND account.disabled_at IS NULL
     AND person.start_at <= $2 AND (person.end_at IS NULL OR person.end_at > $2) AND person.relationship = `;

/** $2 is now. Of two lists of accounts the second one counts where the first one is empty. */
const UNTOLD = `
  SELECT access.id, access.started_at AS "startedAt", access.review_due_at AS "reviewDueAt",
         ${first(`${HEADS}${COLLEAGUES}`, HEADS)} AS heads,
         ${first(`${REPRESENTATIVES}'SELF'`, `${REPRESENTATIVES}'GUARDIAN'`)} AS represented
    FROM emergency_access access
   WHERE access.tenant_id = $1 AND access.noticed_at IS NULL AND assert_tenant($1)
   ORDER BY access.started_at LIMIT 100`;

function first(one: string, other: string): string {
  return `coalesce(nullif(ARRAY(${one} ORDER BY 1)::text[], '{}'), ARRAY(${other} ORDER BY 1)::text[])`;
}

/**
 * What no person asks: which notices are owed, and how many reviews. Nothing of a patient is in it but
 * the ids of accounts that speak for him. Owns the column
 * `noticed_at`; a crash before the mark means that the notice comes twice, under the same key.
 */
export class EmergencyAccessStore {
  constructor(private readonly database: Pick<Database, 'query'>) {}

  untold(tenant: string, now: Date): Promise<UntoldAccess[]> {
    return this.database.query<UntoldAccess>(tenant, { name: 'emergency_untold', text: UNTOLD, values: [tenant, now] });
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
    const sum = { open: 0, due: 0, overdue: 0, locked: 0 };
    for (const tenant of tenants) {
      const [row] = await this.database.query<WaitingAccesses>(tenant, {
        name: 'emergency_waiting',
        text:
          `SELECT count(*) FILTER (WHERE expires_at > $2)::integer AS open, ` +
          `count(*) FILTER (WHERE expires_at <= $2 AND review_due_at > $2)::integer AS due, ` +
          `count(*) FILTER (WHERE review_due_at <= $2)::integer AS overdue, ` +
          `count(DISTINCT account_id) FILTER (WHERE review_due_at <= $2)::integer AS locked FROM emergency_access ` +
          `WHERE tenant_id = $1 AND outcome = 'PENDING' AND assert_tenant($1)`,
        values: [tenant, now],
      });
      for (const state of ['open', 'due', 'overdue', 'locked'] as const) sum[state] += row?.[state] ?? 0;
    }
    return sum;
  }
}
