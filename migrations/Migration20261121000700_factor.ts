import { Migration } from '@mikro-orm/migrations';

/**
 * Second factors, recovery codes and step-up challenges; which roles of a tenant must use a factor; accounts of machines.
 * No secret and no recovery code is stored in clear. What a factor proves once cannot be set back: the privileges say so.
 */
export class Migration20261121000700_factor extends Migration {
  override up(): void {
    this.addSql(`ALTER TABLE tenant ADD COLUMN factor_roles text[] NOT NULL DEFAULT '{}' CHECK (factor_roles <@ ARRAY[
      'physician', 'nurse', 'front_desk', 'call_center_agent', 'marketer', 'complaint_handler', 'researcher', 'billing',
      'department_head', 'auditor', 'privacy_officer', 'security_admin', 'integrator', 'patient', 'guardian'])`);

    this.addSql(`ALTER TABLE account DROP CONSTRAINT account_role_check`);
    this.addSql(`ALTER TABLE account ADD CONSTRAINT account_role_check CHECK (role IN (
      'physician', 'nurse', 'front_desk', 'call_center_agent', 'marketer', 'complaint_handler', 'researcher', 'billing',
      'department_head', 'auditor', 'privacy_officer', 'security_admin', 'integrator', 'patient', 'guardian',
      'reminder_service'))`);
    // A machine has no password, so that nobody can sign in as one; a person never becomes one.
    this.addSql(`ALTER TABLE account ALTER COLUMN password_hash DROP NOT NULL`);
    this.addSql(`ALTER TABLE account ADD CONSTRAINT account_machine CHECK
      ((role = 'reminder_service') = (password_hash IS NULL))`);

    this.addSql(`ALTER TABLE session ADD COLUMN factor_at timestamptz`);
    this.addSql(`ALTER TABLE session DROP CONSTRAINT session_end_reason_check`);
    this.addSql(`ALTER TABLE session ADD CONSTRAINT session_end_reason_check
      CHECK (end_reason IN ('SIGN_OUT', 'REFRESH_REUSED', 'DISABLED', 'RECOVERY', 'FACTOR_CHANGED'))`);
    this.addSql(`GRANT UPDATE (factor_at) ON session TO custodia_app`);

    this.addSql(`
      CREATE TABLE totp_factor (
        tenant_id text NOT NULL,
        id uuid NOT NULL,
        account_id uuid NOT NULL,
        sealed_secret text NOT NULL,
        created_at timestamptz NOT NULL,
        confirmed_at timestamptz,
        ended_at timestamptz,
        last_step bigint NOT NULL DEFAULT -1,
        PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id)
      )`);
    this.addSql(`CREATE INDEX totp_factor_of_account ON totp_factor (tenant_id, account_id) WHERE ended_at IS NULL`);
    this.addSql(`CREATE UNIQUE INDEX totp_factor_confirmed ON totp_factor (tenant_id, account_id)
      WHERE confirmed_at IS NOT NULL AND ended_at IS NULL`);
    this.addSql(`
      CREATE TABLE recovery_code (
        tenant_id text NOT NULL,
        factor_id uuid NOT NULL,
        hash bytea NOT NULL CHECK (length(hash) = 32),
        used_at timestamptz,
        PRIMARY KEY (tenant_id, factor_id, hash),
        FOREIGN KEY (tenant_id, factor_id) REFERENCES totp_factor (tenant_id, id)
      )`);
    this.addSql(`
      CREATE TABLE challenge (
        tenant_id text NOT NULL,
        id uuid NOT NULL,
        session_id uuid NOT NULL,
        account_id uuid NOT NULL,
        binding bytea NOT NULL CHECK (length(binding) = 32),
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        satisfied_at timestamptz,
        used_at timestamptz,
        PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, session_id) REFERENCES session (tenant_id, id),
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id),
        CHECK (used_at IS NULL OR satisfied_at IS NOT NULL)
      )`);
    this.addSql(`CREATE INDEX challenge_of_account ON challenge (tenant_id, account_id, expires_at)`);

    this.addSql(
      `SELECT govern_tenant_table('totp_factor', 'SELECT, INSERT, UPDATE (confirmed_at, ended_at, last_step)')`,
    );
    this.addSql(`SELECT govern_tenant_table('recovery_code', 'SELECT, INSERT, UPDATE (used_at)')`);
    this.addSql(`SELECT govern_tenant_table('challenge', 'SELECT, INSERT, UPDATE (satisfied_at, used_at), DELETE')`);
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
