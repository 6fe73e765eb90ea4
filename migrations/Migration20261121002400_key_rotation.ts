import { Migration } from '@mikro-orm/migrations';

/**
 * Rotations of keys as they run, how many values each key still protects, and the names of sealed files that no row names
 * any more. Written by the owner, by the commands that rotate; the application reads the counts for its metrics.
 */
export class Migration20261121002400_key_rotation extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    throw new Error('Rotations are not taken back: make a new database.');
  }
}

const UP = [
  // A new version of a subject's key is known to every process before anything is sealed with it.
  `ALTER TABLE subject_key DROP CONSTRAINT subject_key_state_check`,
  `ALTER TABLE subject_key ADD CONSTRAINT subject_key_state_check
    CHECK (state IN ('pending', 'primary', 'decrypt-only', 'destroyed'))`,
  `ALTER TABLE subject_key ADD COLUMN created_at timestamptz NOT NULL DEFAULT now()`,

  `CREATE TABLE key_rotation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('root', 'tenant', 'subject', 'index')),
    tenant_id text NOT NULL,
    from_key integer,
    to_key integer,
    step text NOT NULL CHECK (step IN ('making', 'made', 'promoting', 'promoted', 'finished')),
    position text,
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    promoted_at timestamptz,
    finished_at timestamptz,
    CHECK ((step = 'finished') = (finished_at IS NOT NULL))
  )`,
  `CREATE UNIQUE INDEX key_rotation_running ON key_rotation (kind, tenant_id) WHERE step <> 'finished'`,
  `ALTER TABLE key_rotation ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE key_rotation FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY key_rotation_owner ON key_rotation TO CURRENT_USER USING (true) WITH CHECK (true)`,
  `REVOKE ALL ON key_rotation FROM PUBLIC`,

  `CREATE TABLE sealed_value_count (
    tenant_id text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('root', 'tenant', 'subject', 'index')),
    key_id integer NOT NULL,
    state text NOT NULL,
    values bigint NOT NULL,
    counted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, purpose, key_id, state)
  )`,
  `ALTER TABLE sealed_value_count ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE sealed_value_count FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY sealed_value_count_read ON sealed_value_count FOR SELECT TO custodia_app USING (true)`,
  `CREATE POLICY sealed_value_count_owner ON sealed_value_count TO CURRENT_USER USING (true) WITH CHECK (true)`,
  `REVOKE ALL ON sealed_value_count FROM PUBLIC`,
  `GRANT SELECT ON sealed_value_count TO custodia_app`,

  `CREATE TABLE retired_file (
    name text PRIMARY KEY CHECK (name ~ '^[0-9a-f]{32}$'),
    retired_at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  `ALTER TABLE retired_file ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE retired_file FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY retired_file_owner ON retired_file TO CURRENT_USER USING (true) WITH CHECK (true)`,
  `REVOKE ALL ON retired_file FROM PUBLIC`,
];
