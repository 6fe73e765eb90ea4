import { Migration } from '@mikro-orm/migrations';

/**
 * Erasure of a person. Whoever may add a row to `erasure` has the person erased by it: the row's own trigger looks once more
 * for holds and terms under a lock of the patient's row, then takes everything away. The application has no other way to
 * delete what is about a patient. What hangs on a patient is found by its foreign key, so that a table that comes later is
 * covered by being a child.
 */
export class Migration20261121002600_erasure extends Migration {
  override up(): void {
    for (const statement of [...TABLES, ...GUARDS, ...ERASING]) this.addSql(statement);
  }

  override down(): void {
    throw new Error('What erasures left on record is not dropped by a command: restore a backup.');
  }
}

const PATH = `SET search_path = pg_catalog, public, pg_temp`;

const TABLES = [
  // The hospital keeps the clinical record elsewhere, unless it says that this is it.
  `ALTER TABLE tenant ADD COLUMN system_of_record boolean NOT NULL DEFAULT false`,
  // The same for everybody: terms of the law. \`always\`: also where the record is a copy.
  `CREATE TABLE retention_floor (
    class text PRIMARY KEY,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    years integer NOT NULL CHECK (years > 0),
    clause text NOT NULL,
    event text NOT NULL CHECK (event IN ('outpatient', 'inpatient', 'mental', 'visit', 'accounting', 'disclosure', 'part2')),
    always boolean NOT NULL
  )`,
  `INSERT INTO retention_floor (class, country, years, clause, event, always) VALUES
    ('outpatient_record_cn', 'CN', 15, '医疗机构管理条例实施细则 53', 'outpatient', false),
    ('inpatient_record_cn', 'CN', 30, '医疗机构管理条例实施细则 53', 'inpatient', false),
    ('mental_health_record_cn', 'CN', 30, '精神卫生法 47', 'mental', false),
    ('hospital_record_us', 'US', 5, '42 CFR 482.24(b)(1)', 'visit', false),
    ('hipaa_documentation', 'US', 6, '45 CFR 164.530(j)', 'accounting', true),
    ('accounting_window', 'US', 6, '45 CFR 164.528(a)', 'disclosure', true),
    ('part2_accounting_window', 'US', 3, '42 CFR 2.25', 'part2', true)`,
  `GRANT SELECT ON retention_floor TO custodia_app`,

  // Whose it is stands in it by the name in the ledger; the number of the matter is sealed.
  `CREATE TABLE legal_hold (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    subject_reference text NOT NULL CHECK (subject_reference ~ '^[0-9a-f]{32}$'),
    sealed_matter text NOT NULL,
    from_at timestamptz NOT NULL,
    placed_at timestamptz NOT NULL,
    placed_by uuid NOT NULL,
    released_at timestamptz,
    released_by uuid CHECK (released_by <> placed_by),
    PRIMARY KEY (tenant_id, id),
    CHECK ((released_at IS NULL) = (released_by IS NULL))
  )`,
  `CREATE INDEX legal_hold_living ON legal_hold (tenant_id, subject_reference) WHERE released_at IS NULL`,
  `SELECT govern_tenant_table('legal_hold', 'SELECT, INSERT, UPDATE (released_at, released_by)')`,

  `CREATE TABLE erasure (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    patient_id uuid NOT NULL,
    subject_reference text NOT NULL CHECK (subject_reference ~ '^[0-9a-f]{32}$'),
    legal_basis text NOT NULL,
    erased_at timestamptz NOT NULL,
    requested_by uuid,
    attachments text,
    blobs text[] NOT NULL DEFAULT '{}',
    notices integer NOT NULL DEFAULT 0,
    stores jsonb NOT NULL DEFAULT '{}',
    columns text[] NOT NULL DEFAULT '{}',
    keys jsonb NOT NULL DEFAULT '[]',
    details integer NOT NULL DEFAULT 0,
    replay_of uuid,
    tombstone text,
    receipt text,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id)
  )`,
  `CREATE INDEX erasure_unfinished ON erasure (tenant_id) WHERE finished_at IS NULL`,
  // What it did is the trigger's to say; that it repeats one from before a restore is the owner's.
  `SELECT govern_tenant_table('erasure', 'SELECT, INSERT (tenant_id, id, patient_id, subject_reference, legal_basis, ` +
    `erased_at, requested_by, attachments, blobs, notices, details), UPDATE (details, tombstone, receipt, finished_at)')`,

  `CREATE TABLE erasure_notice (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    erasure_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('RECIPIENT', 'EXPORT', 'BACKUP')),
    sealed_content text,
    export_id uuid,
    account_id uuid,
    due_at timestamptz NOT NULL,
    completed_at timestamptz,
    completed_by uuid,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, erasure_id) REFERENCES erasure (tenant_id, id),
    CHECK ((completed_at IS NULL) = (completed_by IS NULL)),
    CHECK (completed_at IS NULL OR sealed_content IS NULL)
  )`,
  `CREATE INDEX erasure_notice_open ON erasure_notice (tenant_id, due_at, id) WHERE completed_at IS NULL`,
  `SELECT govern_tenant_table('erasure_notice', 'SELECT, INSERT, UPDATE (sealed_content, completed_at, completed_by)')`,

  // A reference to a visit is looked for with every visit that goes.
  `CREATE INDEX diagnosis_tenant_id_patient_id_visit_id_index ON diagnosis (tenant_id, patient_id, visit_id)`,
  `CREATE INDEX compartment_grant_tenant_id_patient_id_visit_id_index ` +
    `ON compartment_grant (tenant_id, patient_id, visit_id)`,
];

const GUARDS = [
  // Waits for an erasure that is under way: what is added about a person comes before it, or not at all.
  `CREATE FUNCTION refuse_erased_subject() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER ${PATH} AS $$
  DECLARE
    state text;
  BEGIN
    SELECT status INTO state FROM patient WHERE tenant_id = NEW.tenant_id AND id = NEW.patient_id FOR KEY SHARE;
    IF state = 'erased' THEN RAISE EXCEPTION 'the person was erased' USING ERRCODE = 'CU005'; END IF;
    RETURN NEW;
  END $$`,
  `CREATE FUNCTION refuse_key_of_erased() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER ${PATH} AS $$
  DECLARE
    state text;
  BEGIN
    SELECT status INTO state FROM patient WHERE tenant_id = NEW.tenant_id AND id = NEW.subject_id FOR KEY SHARE;
    IF state = 'erased' THEN RAISE EXCEPTION 'the person was erased' USING ERRCODE = 'CU005'; END IF;
    RETURN NEW;
  END $$`,
  `CREATE TRIGGER refuse_key_of_erased BEFORE INSERT ON subject_key
    FOR EACH ROW EXECUTE FUNCTION refuse_key_of_erased()`,
  // Nobody but the owner, as whom erasures run, makes a row an erased one, or changes it ever after.
  `CREATE FUNCTION refuse_change_of_erased() RETURNS trigger LANGUAGE plpgsql ${PATH} AS $$
  BEGIN
    IF current_user = (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = TG_RELID) THEN RETURN NEW; END IF;
    RAISE EXCEPTION 'the person was erased' USING ERRCODE = 'CU005';
  END $$`,
  `CREATE TRIGGER refuse_insert_of_erased BEFORE INSERT ON patient
    FOR EACH ROW WHEN (NEW.status = 'erased') EXECUTE FUNCTION refuse_change_of_erased()`,
  `CREATE TRIGGER refuse_change_of_erased BEFORE UPDATE ON patient
    FOR EACH ROW WHEN (OLD.status = 'erased' OR NEW.status = 'erased') EXECUTE FUNCTION refuse_change_of_erased()`,

  // What hangs on a patient, by its foreign key. \`subject\`: rows with keys of their own.
  `CREATE FUNCTION patient_tables() RETURNS TABLE (child regclass, key name, subject boolean, identified boolean)
  LANGUAGE sql STABLE ${PATH} AS $$
    SELECT DISTINCT reference.conrelid::regclass, own.attname,
           EXISTS (SELECT FROM pg_attribute WHERE attrelid = reference.conrelid AND attname = 'subject_reference' AND NOT attisdropped),
           EXISTS (SELECT FROM pg_attribute WHERE attrelid = reference.conrelid AND attname = 'id' AND NOT attisdropped)
      FROM pg_constraint reference
      CROSS JOIN LATERAL unnest(reference.conkey, reference.confkey) AS pair (local, remote)
      JOIN pg_attribute there ON there.attrelid = reference.confrelid AND there.attnum = pair.remote AND there.attname = 'id'
      JOIN pg_attribute own ON own.attrelid = reference.conrelid AND own.attnum = pair.local
     WHERE reference.contype = 'f' AND reference.confrelid = 'patient'::regclass
  $$`,
  `DO $$
  DECLARE
    child regclass;
  BEGIN
    FOR child IN SELECT tables.child FROM patient_tables() AS tables WHERE tables.key = 'patient_id' LOOP
      EXECUTE format('CREATE TRIGGER refuse_erased_subject BEFORE INSERT ON %s
        FOR EACH ROW EXECUTE FUNCTION refuse_erased_subject()', child);
    END LOOP;
  END $$`,
];

const ERASING = [
  // What stands in the way, the longest term first. Asked before an erasure begins, and again inside it.
  `CREATE FUNCTION erasure_obstacles(tenant text, subject uuid, reference text, at timestamptz)
  RETURNS TABLE (code text, class text, clause text, until timestamptz) LANGUAGE sql STABLE ${PATH} AS $$
    WITH event (name, happened) AS (
      SELECT kind.name, greatest(visit.start_at, visit.end_at) FROM visit
        CROSS JOIN LATERAL (VALUES ('visit', true), ('inpatient', visit.class IN ('IMP', 'ACUTE', 'NONAC')),
          ('outpatient', coalesce(visit.class, '') NOT IN ('IMP', 'ACUTE', 'NONAC')),
          ('mental', visit.compartment = 'MENTAL')) AS kind (name, so)
        WHERE visit.tenant_id = tenant AND visit.patient_id = subject AND visit.status <> 'cancelled' AND kind.so
      UNION ALL SELECT 'mental', recorded_at FROM diagnosis
        WHERE tenant_id = tenant AND patient_id = subject AND compartment = 'MENTAL'
      UNION ALL SELECT CASE WHEN exclusion IS NULL THEN 'disclosure' ELSE 'part2' END, disclosed_at FROM disclosure
        WHERE tenant_id = tenant AND patient_id = subject AND (exclusion IS NULL OR consent = 'WITH_CONSENT')
      UNION ALL SELECT 'accounting', requested_at FROM accounting_request
        WHERE tenant_id = tenant AND patient_id = subject
    ), last (name, happened) AS (SELECT name, max(happened) FROM event GROUP BY name)
    SELECT 'LEGAL_HOLD', NULL, NULL, NULL::timestamptz FROM legal_hold hold
      WHERE hold.tenant_id = tenant AND hold.subject_reference = reference AND hold.released_at IS NULL AND hold.from_at <= at
    UNION ALL
    SELECT * FROM (SELECT 'RETENTION_MINIMUM', floor.class, floor.clause, last.happened + make_interval(years => floor.years) AS until
      FROM retention_floor floor JOIN last ON last.name = floor.event
      JOIN public.tenant organisation ON organisation.id = tenant AND organisation.country = floor.country
      WHERE floor.always OR organisation.system_of_record) AS terms
      WHERE terms.until > at
    ORDER BY 1, 4 DESC
  $$`,
  `GRANT EXECUTE ON FUNCTION erasure_obstacles TO custodia_app`,

  // Which attachments there are, in which version: their blobs were looked up by somebody who can open them.
  `CREATE FUNCTION attachment_state(tenant text, subject uuid) RETURNS text LANGUAGE sql STABLE ${PATH} AS $$
    SELECT encode(sha256(convert_to(coalesce(string_agg(id::text || version, ',' ORDER BY id), ''), 'UTF8')), 'hex')
      FROM attachment WHERE tenant_id = tenant AND patient_id = subject
  $$`,
  `GRANT EXECUTE ON FUNCTION attachment_state TO custodia_app`,

  `CREATE FUNCTION erase_subject() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER ${PATH} AS $$
  DECLARE
    person patient;
    obstacle record;
    child record;
    part integer := 0;
    deletions text := 'WITH nothing AS (SELECT)';
    counts text := '';
    ids text := 'SELECT $2';
    subjects text := 'SELECT $2';
    keyed uuid[];
    own uuid[];
    assignments text;
    counted jsonb;
    touched integer;
  BEGIN
    SELECT * INTO person FROM patient
      WHERE tenant_id = NEW.tenant_id AND id = NEW.patient_id AND subject_reference = NEW.subject_reference FOR UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'there is no such person' USING ERRCODE = 'CU006'; END IF;
    IF NEW.replay_of IS NULL THEN
      IF person.status = 'erased' THEN RAISE EXCEPTION 'the person was erased' USING ERRCODE = 'CU005'; END IF;
      SELECT * INTO obstacle FROM erasure_obstacles(NEW.tenant_id, person.id, person.subject_reference, NEW.erased_at) LIMIT 1;
      IF FOUND THEN
        RAISE EXCEPTION 'something stands in the way'
          USING ERRCODE = CASE obstacle.code WHEN 'LEGAL_HOLD' THEN 'CU003' ELSE 'CU004' END;
      END IF;
      IF NEW.attachments IS DISTINCT FROM attachment_state(NEW.tenant_id, person.id) THEN
        RAISE EXCEPTION 'the attachments have changed' USING ERRCODE = 'CU006';
      END IF;
    END IF;
    NEW.attachments := NULL;

    FOR child IN SELECT * FROM patient_tables() ORDER BY 1 LOOP
      part := part + 1;
      deletions := deletions || format(
        ', part_%s AS (DELETE FROM %s WHERE tenant_id = $1 AND %I = $2 RETURNING 1)', part, child.child, child.key);
      counts := counts || format(', %L, (SELECT count(*) FROM part_%s)', child.child, part);
      IF child.identified THEN
        ids := ids || format(' UNION ALL SELECT id FROM %s WHERE tenant_id = $1 AND %I = $2', child.child, child.key);
      END IF;
      IF child.subject THEN
        subjects := subjects || format(' UNION ALL SELECT id FROM %s WHERE tenant_id = $1 AND %I = $2', child.child, child.key);
      END IF;
    END LOOP;

    -- An account that speaks for somebody else as well stays.
    SELECT coalesce(array_agg(DISTINCT self.account_id), '{}') INTO own FROM related_person self
      WHERE self.tenant_id = person.tenant_id AND self.patient_id = person.id AND self.relationship = 'SELF'
        AND NOT EXISTS (SELECT FROM related_person other WHERE other.tenant_id = self.tenant_id
          AND other.account_id = self.account_id AND other.patient_id <> person.id);
    EXECUTE format('DELETE FROM idempotency_key WHERE tenant_id = $1 AND result_id IN (%s)', ids)
      USING person.tenant_id, person.id;
    GET DIAGNOSTICS touched = ROW_COUNT;
    NEW.stores := jsonb_build_object('idempotency_key', touched);

    EXECUTE format('SELECT array_agg(id) FROM (%s) AS keyed (id)', subjects) INTO keyed USING person.tenant_id, person.id;
    WITH gone AS (
      DELETE FROM subject_key WHERE tenant_id = person.tenant_id AND subject_id = ANY (keyed) RETURNING *
    )
    SELECT coalesce(jsonb_agg(jsonb_build_object('subject', subject_reference, 'key', key_id,
             'wrapped', encode(sha256(wrapped), 'hex'), 'detail', encode(sha256(detail), 'hex')) ORDER BY subject_id, key_id), '[]')
      INTO NEW.keys FROM gone;
    INSERT INTO vault_notice (tenant_id, subject_id) SELECT person.tenant_id, unnest(keyed);

    DELETE FROM access_volume_subject WHERE tenant_id = person.tenant_id AND subject_id = person.id;
    GET DIAGNOSTICS touched = ROW_COUNT;
    NEW.stores := NEW.stores || jsonb_build_object('access_volume_subject', touched, 'subject_key', jsonb_array_length(NEW.keys));

    -- One statement: references among these tables are checked when all of it has happened.
    EXECUTE format('%s SELECT jsonb_build_object(%s)', deletions, substr(counts, 3)) INTO counted
      USING person.tenant_id, person.id;
    NEW.stores := NEW.stores || counted;

    -- Every column is emptied but those that make a tombstone; one that cannot be is a fault, and nothing is erased.
    SELECT string_agg(format('%I = %s', attname, CASE
               WHEN attname = 'version' THEN 'version + 1' WHEN attname = 'status' THEN '''erased'''
               WHEN attname = 'created_at' THEN '$3' WHEN NOT attnotnull THEN 'NULL' WHEN atthasdef THEN 'DEFAULT' END), ', '),
           array_agg(attname::text ORDER BY attname) FILTER (WHERE attname NOT IN ('version', 'status'))
      INTO assignments, NEW.columns FROM pg_attribute
      WHERE attrelid = 'patient'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND attname NOT IN ('id', 'tenant_id', 'subject_reference');
    EXECUTE format('UPDATE patient SET %s WHERE tenant_id = $1 AND id = $2', assignments)
      USING person.tenant_id, person.id, NEW.erased_at;
    NEW.stores := NEW.stores || jsonb_build_object('patient', 1, 'account', cardinality(own));

    DELETE FROM recovery_code WHERE tenant_id = person.tenant_id AND factor_id IN
      (SELECT id FROM totp_factor WHERE tenant_id = person.tenant_id AND account_id = ANY (own));
    DELETE FROM challenge WHERE tenant_id = person.tenant_id AND account_id = ANY (own);
    DELETE FROM refresh_token WHERE tenant_id = person.tenant_id AND session_id IN
      (SELECT id FROM session WHERE tenant_id = person.tenant_id AND account_id = ANY (own));
    DELETE FROM totp_factor WHERE tenant_id = person.tenant_id AND account_id = ANY (own);
    UPDATE session SET ended_at = NEW.erased_at, end_reason = 'DISABLED'
      WHERE tenant_id = person.tenant_id AND account_id = ANY (own) AND ended_at IS NULL;
    UPDATE account SET disabled_at = coalesce(disabled_at, NEW.erased_at), password_hash = '$argon2id$',
        email_index = uuid_send(gen_random_uuid())
      WHERE tenant_id = person.tenant_id AND id = ANY (own);
    RETURN NEW;
  END $$`,
  `CREATE TRIGGER erase_subject BEFORE INSERT ON erasure FOR EACH ROW EXECUTE FUNCTION erase_subject()`,
];
