import { newId, newReference } from '../kernel/identifier.js';
import type { Role } from '../kernel/actor.js';
import type { Database } from '../persistence/database.js';
import type { Queryable, Statement } from '../persistence/statement.js';

/** No tenant's own: the sign-in counters belong to it, because they count whether or not the named tenant exists. */
export const SYSTEM = 'system';

export interface AccountRow {
  readonly id: string;
  readonly reference: string;
  readonly role: Role;
}

/** What is known of a sign-in before the password is looked at. One row, whatever exists. */
export interface SignInRow {
  readonly tenant_exists: boolean;
  readonly id: string | null;
  readonly reference: string | null;
  readonly password_hash: string | null;
  readonly disabled: boolean;
}

export interface SessionRow extends AccountRow {
  readonly session_id: string;
  readonly care_team_ids: readonly string[];
  readonly time_zone: string;
  readonly country: string;
  readonly last_seen_at: Date;
  readonly expires_at: Date;
  readonly ended_at: Date | null;
  readonly disabled_at: Date | null;
}

/** How often was tried, this attempt included. `account` is null when the address alone is enough to refuse. */
export interface Attempts {
  readonly address: number;
  readonly account: number | null;
}

/** How many failures lock, for how long, and for how long failures are added up. Milliseconds. */
export interface AttemptLimits {
  readonly address: number;
  readonly account: number;
  readonly duration: number;
}

export type Rotation =
  { readonly outcome: 'unknown' } | { readonly outcome: 'rotated' | 'reused' | 'ended'; readonly session: SessionRow };

export type EndReason = 'SIGN_OUT' | 'REFRESH_REUSED' | 'DISABLED';

/** The only SQL over accounts, sessions, refresh tokens and sign-in counters. */
export class IdentityStore {
  constructor(private readonly database: Database) {}

  /**
   * Counts an attempt as failed before it is made, in one statement: however many arrive at once, no more than the limit
   * are admitted. A crash between this and `forgive` leaves a failure too many, never one too few.
   */
  async countAttempt(address: Buffer, account: Buffer, limits: AttemptLimits, now: Date): Promise<Attempts> {
    const [row] = await this.database.query<Attempts>(SYSTEM, {
      name: 'identity_count_attempt',
      text: COUNT_ATTEMPT,
      values: [
        SYSTEM,
        address,
        account,
        limits.address,
        limits.account,
        now,
        new Date(now.getTime() - limits.duration),
        new Date(now.getTime() + limits.duration),
      ],
    });
    return row as Attempts;
  }

  /** After a success: the account starts anew; of the address only this attempt is taken back, or one account would clear it. */
  async forgive(address: Buffer, account: Buffer, limits: AttemptLimits, now: Date): Promise<void> {
    await this.database.query(SYSTEM, {
      name: 'identity_forgive_address',
      text: `UPDATE sign_in_attempt
                SET failures = greatest(failures - 1, 0),
                    locked_until = CASE WHEN failures > $3::integer THEN locked_until END
              WHERE tenant_id = $1 AND key = $2 AND assert_tenant($1)`,
      values: [SYSTEM, address, limits.address],
    });
    await this.database.query(SYSTEM, {
      name: 'identity_forget_attempts',
      text: `DELETE FROM sign_in_attempt
              WHERE tenant_id = $1 AND assert_tenant($1) AND (key = $2 OR key IN (
                    SELECT old.key FROM sign_in_attempt old
                     WHERE old.tenant_id = $1 AND old.window_start < $3 AND coalesce(old.locked_until, $4) <= $4
                     ORDER BY old.window_start LIMIT 100 FOR UPDATE SKIP LOCKED))`,
      values: [SYSTEM, account, new Date(now.getTime() - 2 * limits.duration), now],
    });
  }

  async signInRow(tenant: string, emailIndex: Buffer): Promise<SignInRow> {
    const [row] = await this.database.query<SignInRow>(tenant, {
      name: 'identity_sign_in',
      text: `SELECT tenant.id IS NOT NULL AS tenant_exists, account.id, account.reference, account.password_hash,
                    account.disabled_at IS NOT NULL AS disabled
               FROM (SELECT $1::text AS code WHERE assert_tenant($1::text)) asked
               LEFT JOIN tenant ON tenant.id = asked.code
               LEFT JOIN account ON account.tenant_id = tenant.id AND account.email_index = $2`,
      values: [tenant, emailIndex],
    });
    return row as SignInRow;
  }

  async createSession(
    tenant: string,
    session: { id: string; accountId: string; refreshHash: Buffer; now: Date; expiresAt: Date },
  ): Promise<void> {
    await this.database.query(tenant, {
      name: 'identity_create_session',
      text: `WITH started AS (
               INSERT INTO session (tenant_id, id, account_id, created_at, last_seen_at, expires_at)
               SELECT $1, $2, $3, $4, $4, $5 WHERE assert_tenant($1)
               RETURNING tenant_id, id, expires_at)
             INSERT INTO refresh_token (tenant_id, hash, session_id, created_at, expires_at)
             SELECT tenant_id, $6, id, $4, expires_at FROM started`,
      values: [tenant, session.id, session.accountId, session.now, session.expiresAt, session.refreshHash],
    });
  }

  session(tenant: string, sessionId: string): Promise<SessionRow | null> {
    return readSession((statement) => this.database.query(tenant, statement), tenant, sessionId);
  }

  /** Never moves backwards and never revives an ended session. */
  async touch(tenant: string, sessionId: string, now: Date): Promise<void> {
    await this.database.query(tenant, {
      name: 'identity_touch',
      text: `UPDATE session SET last_seen_at = $3
              WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL AND last_seen_at < $3 AND assert_tenant($1)`,
      values: [tenant, sessionId, now],
    });
  }

  async endSession(tenant: string, sessionId: string, reason: EndReason, now: Date): Promise<void> {
    await this.database.query(tenant, endSession(tenant, sessionId, reason, now));
  }

  /**
   * Exchanges a refresh token for its successor. The row lock on the presented token makes one of any number of
   * simultaneous exchanges the first; every other one finds it used and ends the session, and with it the successor.
   */
  rotate(
    presented: { tenant: string; sessionId: string; hash: Buffer },
    successor: Buffer,
    now: Date,
    isLive: (session: SessionRow) => boolean,
  ): Promise<Rotation> {
    const { tenant, sessionId, hash } = presented;
    return this.database.transaction(tenant, async (transaction) => {
      const [token] = await transaction.query<{ used: boolean }>({
        name: 'identity_lock_refresh',
        text: `SELECT used_at IS NOT NULL AS used FROM refresh_token
                WHERE tenant_id = $1 AND hash = $2 AND session_id = $3 AND assert_tenant($1) FOR UPDATE`,
        values: [tenant, hash, sessionId],
      });
      if (token === undefined) return { outcome: 'unknown' };
      const session = await readSession((statement) => transaction.query(statement), tenant, sessionId);
      if (session === null) return { outcome: 'unknown' };
      if (token.used) {
        await transaction.query(endSession(tenant, sessionId, 'REFRESH_REUSED', now));
        return { outcome: 'reused', session };
      }
      if (!isLive(session)) return { outcome: 'ended', session };
      await transaction.query({
        name: 'identity_rotate',
        text: `WITH used AS (
                 UPDATE refresh_token SET used_at = $4 WHERE tenant_id = $1 AND hash = $2 AND assert_tenant($1)
                 RETURNING tenant_id, session_id, expires_at)
               INSERT INTO refresh_token (tenant_id, hash, session_id, created_at, expires_at)
               SELECT tenant_id, $3, session_id, $4, expires_at FROM used`,
        values: [tenant, hash, successor, now],
      });
      return { outcome: 'rotated', session };
    });
  }

  async findAccount(tenant: string, emailIndex: Buffer): Promise<AccountRow | null> {
    const rows = await this.database.query<AccountRow>(tenant, {
      text: `SELECT id, reference, role FROM account
              WHERE tenant_id = $1 AND email_index = $2 AND assert_tenant($1)`,
      values: [tenant, emailIndex],
    });
    return rows[0] ?? null;
  }

  /** Does nothing when the e-mail has an account already. */
  async createAccount(
    tenant: string,
    account: { emailIndex: Buffer; role: Role; passwordHash: string; now: Date },
  ): Promise<void> {
    await this.database.query(tenant, {
      text: `INSERT INTO account (tenant_id, id, email_index, reference, role, password_hash, created_at)
             SELECT $1, $2, $3, $4, $5, $6, $7 WHERE assert_tenant($1)
             ON CONFLICT (tenant_id, email_index) DO NOTHING`,
      values: [tenant, newId(), account.emailIndex, newReference(), account.role, account.passwordHash, account.now],
    });
  }

  async changeRole(tenant: string, accountId: string, role: Role): Promise<void> {
    await this.database.query(tenant, {
      text: 'UPDATE account SET role = $3 WHERE tenant_id = $1 AND id = $2 AND assert_tenant($1)',
      values: [tenant, accountId, role],
    });
  }

  /** Closes the account and its sessions together. A sign-in that overlaps gets a session that the account's state refuses. */
  async disable(tenant: string, accountId: string, now: Date): Promise<void> {
    await this.database.transaction(tenant, async (transaction) => {
      await transaction.query({
        text: `UPDATE account SET disabled_at = coalesce(disabled_at, $3)
                WHERE tenant_id = $1 AND id = $2 AND assert_tenant($1)`,
        values: [tenant, accountId, now],
      });
      await transaction.query({
        text: `UPDATE session SET ended_at = $3, end_reason = $4
                WHERE tenant_id = $1 AND account_id = $2 AND ended_at IS NULL AND assert_tenant($1)`,
        values: [tenant, accountId, now, 'DISABLED' satisfies EndReason],
      });
    });
  }
}

type Send = Queryable['query'];

async function readSession(send: Send, tenant: string, sessionId: string): Promise<SessionRow | null> {
  const rows = await send<SessionRow>({ name: 'identity_session', text: SESSION, values: [tenant, sessionId] });
  return rows[0] ?? null;
}

function endSession(tenant: string, sessionId: string, reason: EndReason, now: Date): Statement {
  return {
    name: 'identity_end_session',
    text: `UPDATE session SET ended_at = $4, end_reason = $3
            WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL AND assert_tenant($1)`,
    values: [tenant, sessionId, reason, now],
  };
}

/** The session with all that an actor is made of, as it is now. */
const SESSION = `
  SELECT session.id AS session_id, session.last_seen_at, session.expires_at, session.ended_at,
         account.id, account.reference, account.role, account.disabled_at, tenant.time_zone, tenant.country,
         ARRAY(SELECT member.care_team_id::text FROM care_team_member member
                WHERE member.tenant_id = $1 AND member.account_id = account.id ORDER BY 1) AS care_team_ids
    FROM session
    JOIN account ON account.tenant_id = session.tenant_id AND account.id = session.account_id
    JOIN tenant ON tenant.id = session.tenant_id
   WHERE session.tenant_id = $1 AND session.id = $2 AND assert_tenant($1)`;

/** The counting of one key: a lock that is over and an unlocked window that is over both start anew at 1. */
function countOne(limit: string): string {
  const fresh = '(attempt.locked_until <= $6 OR (attempt.locked_until IS NULL AND attempt.window_start <= $7))';
  return `
    ON CONFLICT (tenant_id, key) DO UPDATE SET
      failures = CASE WHEN ${fresh} THEN 1 ELSE attempt.failures + 1 END,
      window_start = CASE WHEN ${fresh} THEN $6 ELSE attempt.window_start END,
      locked_until = CASE WHEN ${fresh} THEN NULL
                          WHEN attempt.locked_until IS NULL AND attempt.failures + 1 >= ${limit} THEN $8
                          ELSE attempt.locked_until END
    RETURNING failures`;
}

/** The address first: a locked address does not touch the account, so that it cannot lock other people out. */
const COUNT_ATTEMPT = `
  WITH address AS (
    INSERT INTO sign_in_attempt AS attempt (tenant_id, key, failures, window_start)
    SELECT $1::text, $2::bytea, 1, $6::timestamptz WHERE assert_tenant($1::text)${countOne('$4::integer')}),
  account AS (
    INSERT INTO sign_in_attempt AS attempt (tenant_id, key, failures, window_start)
    SELECT $1::text, $3::bytea, 1, $6::timestamptz FROM address
     WHERE address.failures <= $4::integer${countOne('$5::integer')})
  SELECT (SELECT failures FROM address) AS address, (SELECT failures FROM account) AS account`;
