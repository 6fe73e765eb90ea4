import { Migration } from '@mikro-orm/migrations';

/**
 * Releases of the policies, who approved them, and which of them was in force when: append-only, for all tenants. The
 * running system adds rows and can change none. A row counts for nothing by being here: each is signed with the policy key,
 * which the database never holds, and whoever loads verifies it.
 */
export class Migration20261121002000_policy_releases extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const HASH = `CHECK (hash ~ '^[0-9a-f]{64}$')`;
const SIGNATURE = 'signature bytea NOT NULL CHECK (length(signature) = 64)';

const UP = [
  `CREATE TABLE policy_release (
     hash text PRIMARY KEY ${HASH},
     version integer NOT NULL CHECK (version > 0),
     files jsonb NOT NULL,
     content text NOT NULL CHECK (content ~ '^[0-9a-f]{64}$'),
     author text NOT NULL,
     author_tenant text NOT NULL,
     proposed_at timestamptz NOT NULL,
     note text NOT NULL CHECK (length(note) <= 2000),
     ${SIGNATURE}
   )`,
  // Of what people propose, one release has a version. What is shipped may meet a proposal that nobody approved.
  `CREATE UNIQUE INDEX policy_release_version ON policy_release (version) WHERE author <> 'system'`,
  `COMMENT ON COLUMN policy_release.files IS 'Text by name of file.'`,
  `COMMENT ON COLUMN policy_release.content IS 'SHA-256 over all texts, comments and cases too; hash is over what the policies say.'`,
  `COMMENT ON COLUMN policy_release.author IS 'Account, or system where the release was shipped.'`,
  `CREATE TABLE policy_approval (
     hash text NOT NULL REFERENCES policy_release ${HASH},
     approver text NOT NULL,
     approver_tenant text NOT NULL,
     approved_at timestamptz NOT NULL,
     challenge text NOT NULL,
     ${SIGNATURE},
     PRIMARY KEY (hash, approver)
   )`,
  `CREATE TABLE policy_activation (
     sequence integer PRIMARY KEY CHECK (sequence > 0),
     cause text NOT NULL CHECK (cause IN ('install', 'activate', 'rollback')),
     hash text NOT NULL REFERENCES policy_release ${HASH},
     version integer NOT NULL,
     replaces text,
     previous text,
     author text NOT NULL,
     approver text,
     actor text NOT NULL,
     actor_tenant text NOT NULL,
     activated_at timestamptz NOT NULL,
     ${SIGNATURE}
   )`,
  `COMMENT ON COLUMN policy_activation.previous IS 'SHA-256 of what was signed of the activation before: a row cannot be taken out.'`,
  `CREATE TABLE policy_shadow (
     sequence integer PRIMARY KEY CHECK (sequence > 0),
     hash text REFERENCES policy_release CHECK (hash ~ '^[0-9a-f]{64}$'),
     actor text NOT NULL,
     actor_tenant text NOT NULL,
     started_at timestamptz NOT NULL,
     ${SIGNATURE}
   )`,
  `COMMENT ON COLUMN policy_shadow.hash IS 'NULL: no shadow from then on.'`,
  `REVOKE ALL ON policy_release, policy_approval, policy_activation, policy_shadow FROM PUBLIC`,
  `GRANT SELECT, INSERT ON policy_release, policy_approval, policy_activation, policy_shadow TO custodia_app`,
  `GRANT SELECT ON policy_release, policy_approval, policy_activation, policy_shadow TO custodia_auditor`,
];

const DOWN = [`DROP TABLE policy_shadow, policy_activation, policy_approval, policy_release`];
