import { Migration } from '@mikro-orm/migrations';

/** Accounts, sessions, refresh tokens and the counters of failed sign-ins. No e-mail, password or token is stored in clear. */
export class Migration20261121000300_identity extends Migration {
  override up(): void {
    this.addSql(`
      CREATE TABLE account (
        tenant_id text NOT NULL REFERENCES tenant (id),
        id uuid PRIMARY KEY,
        email_index bytea NOT NULL,
        reference text NOT NULL UNIQUE CHECK (reference ~ '^[0-9a-f]{32}$'),
        role text NOT NULL CHECK (role IN (
          'physician', 'nurse', 'front_desk', 'call_center_agent', 'marketer', 'complaint_handler', 'researcher', 'billing',
          'department_head', 'auditor', 'privacy_officer', 'security_admin', 'integrator', 'patient', 'guardian')),
        password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
        disabled_at timestamptz,
        created_at timestamptz NOT NULL,
        UNIQUE (tenant_id, email_index),
        UNIQUE (tenant_id, id)
      )`);
    this.addSql(`
      CREATE TABLE session (
        tenant_id text NOT NULL,
        id uuid NOT NULL,
        account_id uuid NOT NULL,
        created_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        ended_at timestamptz,
        end_reason text CHECK (end_reason IN ('SIGN_OUT', 'REFRESH_REUSED', 'DISABLED')),
        PRIMARY KEY (tenant_id, id),
        FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, id),
        CHECK ((ended_at IS NULL) = (end_reason IS NULL))
      )`);
    this.addSql(`CREATE INDEX session_of_account ON session (tenant_id, account_id) WHERE ended_at IS NULL`);
    this.addSql(`
      CREATE TABLE refresh_token (
        tenant_id text NOT NULL,
        hash bytea NOT NULL CHECK (length(hash) = 32),
        session_id uuid NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        used_at timestamptz,
        PRIMARY KEY (tenant_id, hash),
        FOREIGN KEY (tenant_id, session_id) REFERENCES session (tenant_id, id)
      )`);
    // A session is one family: it never has two refresh tokens that were not used yet.
    this.addSql(
      `CREATE UNIQUE INDEX refresh_token_living ON refresh_token (tenant_id, session_id) WHERE used_at IS NULL`,
    );
    this.addSql(`
      CREATE TABLE sign_in_attempt (
        tenant_id text NOT NULL,
        key bytea NOT NULL,
        failures integer NOT NULL,
        window_start timestamptz NOT NULL,
        locked_until timestamptz,
        PRIMARY KEY (tenant_id, key)
      )`);
    this.addSql(`CREATE INDEX sign_in_attempt_age ON sign_in_attempt (tenant_id, window_start)`);

    this.addSql(`SELECT govern_tenant_table('account', 'SELECT, INSERT, UPDATE (role, disabled_at)')`);
    this.addSql(`SELECT govern_tenant_table('session', 'SELECT, INSERT, UPDATE (last_seen_at, ended_at, end_reason)')`);
    this.addSql(`SELECT govern_tenant_table('refresh_token', 'SELECT, INSERT, UPDATE (used_at)')`);
    this.addSql(`SELECT govern_tenant_table('sign_in_attempt', 'SELECT, INSERT, UPDATE, DELETE')`);
  }
}
