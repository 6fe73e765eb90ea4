import type { Database } from '../persistence/database.js';
import type { Queryable, Statement } from '../persistence/statement.js';
import type { EndReason } from './identity.store.js';

/** Whose factor, in which session. */
export interface Holder {
  readonly tenant: string;
  /** Account id. */
  readonly id: string;
  readonly sessionId: string;
}

export interface FactorRow {
  readonly id: string;
  readonly sealed_secret: string;
}

/** What a sign-in brought: the step of a code, the hash of a recovery code, or neither. */
export interface Shown {
  readonly step: number;
  readonly recovery: Buffer | null;
}

/** What lets a session enrol: since when it must have begun, or the binding of a challenge that it has satisfied. */
export interface EnrolmentPermission {
  readonly since: Date;
  readonly now: Date;
  /** What was made after this was made before the clock was set back: of unknown age. */
  readonly latest: Date;
  /** 32 bytes. */
  readonly binding: Buffer;
}

export type Accepted = 'CODE' | 'RECOVERY' | null;

/**
 * The one replay guard: a code of a time step is accepted once, whoever asks and for whatever. The row lock makes one of any
 * number of simultaneous uses the first; the others find the step used. $1 tenant, $2 factor, $3 step.
 */
const TAKE_STEP = `UPDATE totp_factor SET last_step = $3::bigint
        WHERE tenant_id = $1 AND id = $2 AND last_step < $3::bigint AND ended_at IS NULL AND assert_tenant($1)`;

/** The only SQL over factors and recovery codes. */
export class FactorStore {
  constructor(private readonly database: Database) {}

  async confirmed(tenant: string, accountId: string): Promise<FactorRow | null> {
    const rows = await this.database.query<FactorRow>(tenant, {
      name: 'identity_factor',
      text: `SELECT id, sealed_secret FROM totp_factor
              WHERE tenant_id = $1 AND account_id = $2 AND confirmed_at IS NOT NULL AND ended_at IS NULL
                AND assert_tenant($1)`,
      values: [tenant, accountId],
    });
    return rows[0] ?? null;
  }

  /** The newest factor that was enrolled after `since` and not confirmed. */
  async pending(tenant: string, accountId: string, since: Date): Promise<FactorRow | null> {
    const rows = await this.database.query<FactorRow>(tenant, {
      name: 'identity_pending_factor',
      text: `SELECT id, sealed_secret FROM totp_factor
              WHERE tenant_id = $1 AND account_id = $2 AND confirmed_at IS NULL AND ended_at IS NULL
                AND created_at > $3 AND assert_tenant($1)
              ORDER BY created_at DESC, id DESC LIMIT 1`,
      values: [tenant, accountId, since],
    });
    return rows[0] ?? null;
  }

  /**
   * Stores a factor that is not confirmed yet, in place of others that never were. False unless the session began after
   * `since`, with a factor where the account has one, or has satisfied a challenge of this binding, which is used up. A
   * code that was shown for something else is not enough. The lock on the account makes this and `confirm` one after the
   * other: nothing that was allowed before a factor existed replaces it.
   */
  enrol(holder: Holder, factor: FactorRow, permission: EnrolmentPermission): Promise<boolean> {
    const { tenant, id, sessionId } = holder;
    const { since, now, latest, binding } = permission;
    return this.database.transaction(tenant, async (transaction) => {
      await transaction.query(lockAccount(tenant, id));
      const [row] = await transaction.query<{ allowed: boolean }>({
        text: `WITH living AS (
                 SELECT created_at, factor_at FROM session
                  WHERE tenant_id = $1 AND id = $3 AND account_id = $2 AND ended_at IS NULL AND assert_tenant($1)),
               used AS (
                 UPDATE challenge SET used_at = $5
                  WHERE tenant_id = $1 AND session_id = $3 AND account_id = $2 AND binding = $7 AND satisfied_at IS NOT NULL
                    AND used_at IS NULL AND expires_at > $5 AND created_at <= $6 AND EXISTS (SELECT FROM living)
                  RETURNING id)
               SELECT EXISTS (SELECT FROM used) OR EXISTS (
                 SELECT FROM living WHERE created_at BETWEEN $4 AND $6 AND (factor_at = created_at OR NOT EXISTS (
                   SELECT FROM totp_factor WHERE tenant_id = $1 AND account_id = $2
                      AND confirmed_at IS NOT NULL AND ended_at IS NULL))) AS allowed`,
        values: [tenant, id, sessionId, since, now, latest, binding],
      });
      if (row?.allowed !== true) return false;
      await transaction.query({
        text: `UPDATE totp_factor SET ended_at = $3
                WHERE tenant_id = $1 AND account_id = $2 AND confirmed_at IS NULL AND ended_at IS NULL
                  AND assert_tenant($1)`,
        values: [tenant, id, now],
      });
      await transaction.query({
        text: `INSERT INTO totp_factor (tenant_id, id, account_id, sealed_secret, created_at)
               SELECT $1, $2, $3, $4, $5 WHERE assert_tenant($1)`,
        values: [tenant, factor.id, id, factor.sealed_secret, now],
      });
      return true;
    });
  }

  /**
   * Confirms a pending factor by a code of this step: the one before it ends, and with it its recovery codes and the
   * account's other sessions. False, and nothing was done, when the step was used or the factor is not pending any more.
   */
  confirm(holder: Holder, factorId: string, step: number, codes: readonly Buffer[], now: Date): Promise<boolean> {
    const { tenant, id, sessionId } = holder;
    return this.database.transaction(tenant, async (transaction) => {
      await transaction.query(lockAccount(tenant, id));
      const [taken] = await transaction.query({
        name: 'identity_confirm_step',
        text: `${TAKE_STEP} AND confirmed_at IS NULL RETURNING id`,
        values: [tenant, factorId, step],
      });
      if (taken === undefined) return false;
      const ended = await transaction.query<{ confirmed: boolean }>({
        text: `UPDATE totp_factor SET ended_at = $4
                WHERE tenant_id = $1 AND account_id = $2 AND id <> $3 AND ended_at IS NULL AND assert_tenant($1)
                RETURNING confirmed_at IS NOT NULL AS confirmed`,
        values: [tenant, id, factorId, now],
      });
      await transaction.query({
        text: `UPDATE totp_factor SET confirmed_at = $3 WHERE tenant_id = $1 AND id = $2 AND assert_tenant($1)`,
        values: [tenant, factorId, now],
      });
      await transaction.query({
        text: `INSERT INTO recovery_code (tenant_id, factor_id, hash)
               SELECT $1, $2, hash FROM unnest($3::bytea[]) hash WHERE assert_tenant($1)`,
        values: [tenant, factorId, codes],
      });
      await transaction.query({
        text: `UPDATE session SET factor_at = $3 WHERE tenant_id = $1 AND id = $2 AND assert_tenant($1)`,
        values: [tenant, sessionId, now],
      });
      if (ended.some((one) => one.confirmed)) await endOtherSessions(transaction, holder, now);
      return true;
    });
  }

  /**
   * Uses up what a sign-in brought. A recovery code ends every session of the account in the same statement: whoever has
   * lost the factor may have lost a session with it. Without a factor, a step or a hash it does nothing, at the same cost.
   */
  async useAtSignIn(tenant: string, factorId: string | null, shown: Shown, now: Date): Promise<Accepted> {
    const [row] = await this.database.query<{ taken: boolean; recovered: boolean }>(tenant, {
      name: 'identity_use_factor',
      text: `WITH taken AS (${TAKE_STEP} AND confirmed_at IS NOT NULL RETURNING id),
             recovered AS (
               UPDATE recovery_code code SET used_at = $4
                 FROM totp_factor factor
                WHERE code.tenant_id = $1 AND code.factor_id = $2 AND code.hash = $5 AND code.used_at IS NULL
                  AND factor.tenant_id = $1 AND factor.id = $2 AND factor.confirmed_at IS NOT NULL
                  AND factor.ended_at IS NULL AND assert_tenant($1)
               RETURNING factor.account_id),
             ended AS (
               UPDATE session SET ended_at = $4, end_reason = $6
                WHERE tenant_id = $1 AND account_id IN (SELECT account_id FROM recovered) AND ended_at IS NULL)
             SELECT EXISTS (SELECT FROM taken) AS taken, EXISTS (SELECT FROM recovered) AS recovered`,
      values: [tenant, factorId, shown.step, now, shown.recovery, 'RECOVERY' satisfies EndReason],
    });
    return row?.recovered ? 'RECOVERY' : row?.taken ? 'CODE' : null;
  }

  /**
   * Satisfies a pending challenge of this session by a code of this step, and notes that the session showed its factor. A
   * challenge that is not this session's, is over or was satisfied before leaves the step unused. Challenges from after
   * `latest` were issued before the clock was set back: of unknown age, so not good.
   */
  async satisfy(
    holder: Holder,
    factorId: string | null,
    step: number,
    challenge: { id: string; latest: Date; now: Date },
  ): Promise<boolean> {
    const { tenant, id, sessionId } = holder;
    const [row] = await this.database.query<{ satisfied: boolean }>(tenant, {
      name: 'identity_satisfy_challenge',
      text: `WITH asked AS (
               SELECT id FROM challenge
                WHERE tenant_id = $1 AND id = $4 AND session_id = $5 AND account_id = $6 AND satisfied_at IS NULL
                  AND created_at <= $8 AND expires_at > $7 AND assert_tenant($1)
                  AND EXISTS (SELECT FROM session WHERE tenant_id = $1 AND id = $5 AND ended_at IS NULL) FOR UPDATE),
             taken AS (${TAKE_STEP} AND confirmed_at IS NOT NULL AND EXISTS (SELECT FROM asked) RETURNING id),
             shown AS (
               UPDATE session SET factor_at = $7
                WHERE tenant_id = $1 AND id = $5 AND EXISTS (SELECT FROM taken)),
             satisfied AS (
               UPDATE challenge SET satisfied_at = $7
                WHERE tenant_id = $1 AND id = $4 AND satisfied_at IS NULL AND EXISTS (SELECT FROM taken) RETURNING id)
             SELECT EXISTS (SELECT FROM satisfied) AS satisfied`,
      values: [tenant, factorId, step, challenge.id, sessionId, id, challenge.now, challenge.latest],
    });
    return row?.satisfied ?? false;
  }
}

function lockAccount(tenant: string, accountId: string): Statement {
  return {
    name: 'identity_lock_account',
    text: 'SELECT 1 FROM account WHERE tenant_id = $1 AND id = $2 AND assert_tenant($1) FOR NO KEY UPDATE',
    values: [tenant, accountId],
  };
}

async function endOtherSessions(transaction: Queryable, { tenant, id, sessionId }: Holder, now: Date): Promise<void> {
  await transaction.query({
    text: `UPDATE session SET ended_at = $4, end_reason = $5
            WHERE tenant_id = $1 AND account_id = $2 AND id <> $3 AND ended_at IS NULL AND assert_tenant($1)`,
    values: [tenant, id, sessionId, now, 'FACTOR_CHANGED' satisfies EndReason],
  });
}
