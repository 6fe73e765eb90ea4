import { newId, newReference } from '../kernel/identifier.js';
import type { Role } from '../kernel/actor.js';
import type { Database } from '../persistence/database.js';
import type { Queryable, Statement } from '../persistence/statement.js';

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
  /** The confirmed factor of the account, and whether the tenant demands one of its role. */
  readonly factor_id: string | null;
  readonly sealed_secret: string | null;
  readonly factor_demanded: boolean;
  readonly review_overdue: boolean;
}

/** All that an actor is made of, as it is now, but for the session. */
export interface ActorRow extends AccountRow {
  readonly care_team_ids: readonly string[];
  readonly patient_ids: readonly string[];
  readonly emergency_patient_ids: readonly string[];
  /** `<patient uuid>:<label>`, or `<patient uuid>:<label>:<visit uuid>` for one visit alone. */
  readonly compartment_grants: readonly string[];
  readonly time_zone: string;
  readonly country: string;
}

export interface SessionRow extends ActorRow {
  readonly session_id: string;
  readonly factor_missing: boolean;
  readonly factor_shown: boolean;
  readonly last_seen_at: Date;
  readonly expires_at: Date;
  readonly ended_at: Date | null;
  readonly disabled_at: Date | null;
  /** True while an emergency access of the account waits for its review longer than it may: the account is locked. */
  readonly review_overdue: boolean;
}

export type Rotation =
  { readonly outcome: 'unknown' } | { readonly outcome: 'rotated' | 'reused' | 'ended'; readonly session: SessionRow };

export type EndReason = 'SIGN_OUT' | 'REFRESH_REUSED' | 'DISABLED' | 'RECOVERY' | 'FACTOR_CHANGED';

/** The only SQL over accounts and refresh tokens; over sessions too, but for what a second factor does to them. */
export class IdentityStore {
  constructor(private readonly database: Database) {}

  async signInRow(tenant: string, emailIndex: Buffer, now: Date): Promise<SignInRow> {
    const [row] = await this.database.query<SignInRow>(tenant, {
      name: 'identity_sign_in',
      text: `SELECT tenant.id IS NOT NULL AS tenant_exists, account.id, account.reference, account.password_hash,
                    account.disabled_at IS NOT NULL AS disabled, factor.id AS factor_id, factor.sealed_secret,
                    coalesce(account.role = ANY (tenant.factor_roles), false) AS factor_demanded,
                    ${REVIEW_OVERDUE} AS review_overdue
               FROM (SELECT $1::text AS code WHERE assert_tenant($1::text)) asked
               LEFT JOIN tenant ON tenant.id = asked.code
               LEFT JOIN account ON account.tenant_id = tenant.id AND account.email_index = $2
               LEFT JOIN totp_factor factor ON factor.tenant_id = account.tenant_id AND factor.account_id = account.id
                     AND factor.confirmed_at IS NOT NULL AND factor.ended_at IS NULL`,
      values: [tenant, emailIndex, now],
    });
    return row as SignInRow;
  }

  async createSession(
    tenant: string,
    session: {
      id: string;
      accountId: string;
      refreshHash: Buffer;
      now: Date;
      expiresAt: Date;
      /** When a second factor was shown; null where none was. */
      factorAt: Date | null;
    },
  ): Promise<void> {
    await this.database.query(tenant, {
      name: 'identity_create_session',
      text: `WITH started AS (
               INSERT INTO session (tenant_id, id, account_id, created_at, last_seen_at, expires_at, factor_at)
               SELECT $1, $2, $3, $4, $4, $5, $7 WHERE assert_tenant($1)
               RETURNING tenant_id, id, expires_at)
             INSERT INTO refresh_token (tenant_id, hash, session_id, created_at, expires_at)
             SELECT tenant_id, $6, id, $4, expires_at FROM started`,
      values: [
        tenant,
        session.id,
        session.accountId,
        session.now,
        session.expiresAt,
        session.refreshHash,
        session.factorAt,
      ],
    });
  }

  session(tenant: string, sessionId: string, now: Date): Promise<SessionRow | null> {
    return readSession((statement) => this.database.query(tenant, statement), tenant, sessionId, now);
  }

  /** The account as it is now, without a session; null where it is unknown, disabled or locked for a review. */
  async livingAccount(tenant: string, accountId: string, now: Date): Promise<ActorRow | null> {
    const rows = await this.database.query<ActorRow>(tenant, {
      name: 'identity_account',
      text: ACCOUNT,
      values: [tenant, accountId, now],
    });
    return rows[0] ?? null;
  }

  /** Every living account of some roles, as it is now. */
  async livingAccounts(tenant: string, roles: readonly Role[], now: Date): Promise<ActorRow[]> {
    return this.database.query<ActorRow>(tenant, { text: ACCOUNTS, values: [tenant, roles, now] });
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
      const session = await readSession((statement) => transaction.query(statement), tenant, sessionId, now);
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
    account: { emailIndex: Buffer; role: Role; passwordHash: string | null; now: Date },
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

async function readSession(send: Send, tenant: string, sessionId: string, now: Date): Promise<SessionRow | null> {
  const rows = await send<SessionRow>({ name: 'identity_session', text: SESSION, values: [tenant, sessionId, now] });
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

/** What an actor is made of. $1 is the tenant, $3 is now: whom an account may speak for, and what it may see, ends by itself. */
const ACTOR = `
         account.id, account.reference, account.role, tenant.time_zone, tenant.country,
         ARRAY(SELECT member.care_team_id::text FROM care_team_member member
                WHERE member.tenant_id = $1 AND member.account_id = account.id ORDER BY 1) AS care_team_ids,
         ARRAY(SELECT DISTINCT person.patient_id::text FROM related_person person
                WHERE person.tenant_id = $1 AND person.account_id = account.id AND person.start_at <= $3
                  AND (person.end_at IS NULL OR person.end_at > $3) ORDER BY 1) AS patient_ids,
         ARRAY(SELECT DISTINCT access.patient_id::text FROM emergency_access access
                WHERE access.tenant_id = $1 AND access.account_id = account.id AND access.started_at <= $3
                  AND access.expires_at > $3 ORDER BY 1) AS emergency_patient_ids,
         ARRAY(SELECT DISTINCT compartment.patient_id::text || ':' || compartment.compartment
                        || coalesce(':' || compartment.visit_id::text, '')
                 FROM compartment_grant compartment
                WHERE compartment.tenant_id = $1 AND compartment.account_id = account.id
                  AND compartment.account_role = account.role AND compartment.status = 'active'
                  AND compartment.valid_from <= $3 AND compartment.valid_until > $3
                ORDER BY 1) AS compartment_grants`;

/**
 * Whether the account is locked: an emergency access of it was not reviewed in time (45 CFR 164.312(a)(2)(ii)). A fact of
 * the rows and of now, $3: no job has to run for it, and the review alone ends it.
 */
const REVIEW_OVERDUE = `
         EXISTS (SELECT FROM emergency_access unreviewed
                  WHERE unreviewed.tenant_id = $1 AND unreviewed.account_id = account.id
                    AND unreviewed.outcome = 'PENDING' AND unreviewed.review_due_at <= $3)`;

/** The session with all that an actor is made of, as it is now. */
const SESSION = `
  SELECT session.id AS session_id, session.last_seen_at, session.expires_at, session.ended_at, account.disabled_at,
         account.role = ANY (tenant.factor_roles) AND session.factor_at IS NULL AS factor_missing,
         session.factor_at IS NOT NULL AS factor_shown,
         ${REVIEW_OVERDUE} AS review_overdue,${ACTOR}
    FROM session
    JOIN account ON account.tenant_id = session.tenant_id AND account.id = session.account_id
    JOIN tenant ON tenant.id = session.tenant_id
   WHERE session.tenant_id = $1 AND session.id = $2 AND assert_tenant($1)`;

const ACCOUNT = `
  SELECT ${ACTOR}
    FROM account
    JOIN tenant ON tenant.id = account.tenant_id
   WHERE account.tenant_id = $1 AND account.id = $2 AND account.disabled_at IS NULL
     AND NOT ${REVIEW_OVERDUE} AND assert_tenant($1)`;

const ACCOUNTS = `
  SELECT ${ACTOR}
    FROM account
    JOIN tenant ON tenant.id = account.tenant_id
   WHERE account.tenant_id = $1 AND account.role = ANY ($2) AND account.disabled_at IS NULL AND assert_tenant($1)`;
