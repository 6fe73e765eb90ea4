import { Migration } from '@mikro-orm/migrations';

/**
 * Keys with versions and states, one for each purpose of a tenant, and notices by which processes hear of rotations and
 * erasures. The application makes keys and never changes one: states are changed by the owner, by the command that rotates.
 * Values that were sealed before are bound to less than they must be now: a database that holds some is refused.
 */
export class Migration20261121002300_vault_versions extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    throw new Error('The versions of keys are not taken back: make a new database.');
  }
}

const UP = [
  `ALTER TABLE subject_key NO FORCE ROW LEVEL SECURITY`,
  `DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM subject_key) THEN
      RAISE EXCEPTION 'This database holds values in the sealed format before versions of rows and keys; export its patients with the release that made it, and import them into a new database.';
    END IF;
  END $$`,
  `DROP TABLE subject_key`,
  `DROP TABLE tenant_key`,
  `CREATE TABLE tenant_key (
    tenant_id text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('subject', 'index', 'digest', 'detail', 'stream', 'token')),
    key_id integer NOT NULL CHECK (key_id BETWEEN 1 AND 65535),
    state text NOT NULL CHECK (state IN ('pending', 'primary', 'decrypt-only', 'destroyed')),
    bits integer CHECK (bits BETWEEN 1 AND 32),
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, purpose, key_id),
    CHECK ((state = 'destroyed') = (wrapped IS NULL)),
    CHECK ((purpose = 'index') = (bits IS NOT NULL))
  )`,
  `CREATE UNIQUE INDEX tenant_key_primary ON tenant_key (tenant_id, purpose) WHERE state = 'primary'`,
  `ALTER TABLE tenant_key ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE tenant_key FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY tenant_key_read ON tenant_key FOR SELECT TO custodia_app USING (true)`,
  `CREATE POLICY tenant_key_create ON tenant_key FOR INSERT TO custodia_app
    WITH CHECK (tenant_id = current_setting('custodia.tenant', true) AND key_id = 1)`,
  `CREATE POLICY tenant_key_rotate ON tenant_key TO CURRENT_USER USING (true) WITH CHECK (true)`,
  `REVOKE ALL ON tenant_key FROM PUBLIC`,
  `GRANT SELECT, INSERT ON tenant_key TO custodia_app`,

  `CREATE TABLE subject_key (
    tenant_id text NOT NULL,
    subject_id uuid NOT NULL,
    key_id integer NOT NULL CHECK (key_id > 0),
    subject_reference text NOT NULL CHECK (subject_reference ~ '^[0-9a-f]{32}$'),
    state text NOT NULL CHECK (state IN ('primary', 'decrypt-only', 'destroyed')),
    wrap_key_id integer NOT NULL,
    wrapped bytea,
    detail bytea,
    commitment bytea NOT NULL CHECK (length(commitment) = 32),
    PRIMARY KEY (tenant_id, subject_id, key_id),
    CHECK ((state = 'destroyed') = (wrapped IS NULL))
  )`,
  `SELECT govern_tenant_table('subject_key', 'SELECT, INSERT')`,
  // A process that has not heard of a rotation may still wrap under an old key; under a destroyed one nothing would open.
  // Whoever destroys a key locks the table of subject keys first, so that no row is on its way while he counts them.
  `CREATE FUNCTION refuse_destroyed_wrap() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  BEGIN
    PERFORM 1 FROM tenant_key WHERE tenant_id = NEW.tenant_id AND purpose = 'subject' AND key_id = NEW.wrap_key_id
      AND state <> 'destroyed';
    IF NOT FOUND THEN
      RAISE EXCEPTION 'the key that a subject key is wrapped under was destroyed' USING ERRCODE = 'CU002';
    END IF;
    RETURN NEW;
  END $$`,
  `CREATE TRIGGER refuse_destroyed_wrap BEFORE INSERT ON subject_key
    FOR EACH ROW EXECUTE FUNCTION refuse_destroyed_wrap()`,

  // The values of a row are sealed again whenever its version moves.
  `GRANT UPDATE (sealed_notes) ON attachment TO custodia_app`,
  `GRANT UPDATE (sealed_identity) ON related_person TO custodia_app`,
  `GRANT UPDATE (sealed_access) ON accounting_suspension TO custodia_app`,
  `GRANT UPDATE (sealed_record, sealed_clinical) ON appointment TO custodia_app`,

  `CREATE TABLE vault_notice (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL,
    subject_id uuid,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
  )`,
  `CREATE INDEX vault_notice_at ON vault_notice (at)`,
  `ALTER TABLE vault_notice ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE vault_notice FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY vault_notice_read ON vault_notice FOR SELECT TO custodia_app USING (true)`,
  `CREATE POLICY vault_notice_create ON vault_notice FOR INSERT TO custodia_app
    WITH CHECK (tenant_id = current_setting('custodia.tenant', true))`,
  `CREATE POLICY vault_notice_owner ON vault_notice TO CURRENT_USER USING (true) WITH CHECK (true)`,
  `REVOKE ALL ON vault_notice FROM PUBLIC`,
  `GRANT SELECT, INSERT ON vault_notice TO custodia_app`,
];
