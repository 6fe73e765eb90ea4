import type { Database } from '../persistence/database.js';
import type { Holder } from './factor.store.js';

export interface NewChallenge {
  readonly id: string;
  readonly binding: Buffer;
  readonly now: Date;
  readonly expiresAt: Date;
}

/** The SQL that issues and uses challenges; satisfying one uses up a code, and is the factors'. */
export class ChallengeStore {
  constructor(private readonly database: Database) {}

  /** Stores the challenge; those of the account that are over go. True when the account has a factor to satisfy it with. */
  async issue({ tenant, id, sessionId }: Holder, challenge: NewChallenge): Promise<boolean> {
    const [row] = await this.database.query<{ has_factor: boolean }>(tenant, {
      name: 'identity_issue_challenge',
      text: `WITH outdated AS (
               DELETE FROM challenge WHERE tenant_id = $1 AND account_id = $4 AND expires_at <= $6 AND assert_tenant($1)),
             issued AS (
               INSERT INTO challenge (tenant_id, id, session_id, account_id, binding, created_at, expires_at)
               SELECT $1, $2, $3, $4, $5, $6, $7 WHERE assert_tenant($1))
             SELECT EXISTS (SELECT FROM totp_factor WHERE tenant_id = $1 AND account_id = $4
                               AND confirmed_at IS NOT NULL AND ended_at IS NULL) AS has_factor`,
      values: [tenant, challenge.id, sessionId, id, challenge.binding, challenge.now, challenge.expiresAt],
    });
    return row?.has_factor ?? false;
  }

  /** One atomic statement: of any number of simultaneous uses, one finds the challenge unused. None after its session ended. */
  async use(
    { tenant, id, sessionId }: Holder,
    challenge: { id: string; binding: Buffer; latest: Date; now: Date },
  ): Promise<boolean> {
    const rows = await this.database.query(tenant, {
      name: 'identity_use_challenge',
      text: `UPDATE challenge SET used_at = $6
              WHERE tenant_id = $1 AND id = $2 AND session_id = $3 AND account_id = $4 AND binding = $5
                AND satisfied_at IS NOT NULL AND used_at IS NULL AND expires_at > $6 AND created_at <= $7
                AND EXISTS (SELECT FROM session WHERE tenant_id = $1 AND id = $3 AND ended_at IS NULL)
                AND assert_tenant($1)
              RETURNING id`,
      values: [tenant, challenge.id, sessionId, id, challenge.binding, challenge.now, challenge.latest],
    });
    return rows.length > 0;
  }
}
