import { Migration } from '@mikro-orm/migrations';

/**
 * Search tokens. PostgreSQL uses an index under row-level security only for operators that are known to leak nothing, and
 * those of arrays are not: tokens lie in a table without a forced wall, that the application has no right to. It writes
 * them through a column of the patient that is always empty, and asks through a function that names the tenant.
 */
export class Migration20261121002500_search extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    throw new Error('Search tokens are not taken back: make a new database.');
  }
}

const UP = [
  `ALTER TABLE patient ADD COLUMN index_key integer, ADD COLUMN search_tokens smallint[]`,
  `CREATE TABLE search_token (
    subject_id uuid PRIMARY KEY REFERENCES patient (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    tenant_id text NOT NULL,
    tokens smallint[] NOT NULL
  )`,
  // Without the list of pending entries that every search would read: writes are rarer than searches.
  `CREATE INDEX search_token_tokens ON search_token USING gin (tokens) WITH (fastupdate = off)`,
  `ALTER TABLE search_token ENABLE ROW LEVEL SECURITY`,
  `CREATE POLICY tenant_wall ON search_token USING (tenant_id = current_setting('custodia.tenant', true))`,
  `REVOKE ALL ON search_token FROM PUBLIC, custodia_app`,

  `CREATE FUNCTION move_search_tokens() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
  BEGIN
    IF NEW.search_tokens IS NULL THEN
      DELETE FROM search_token WHERE subject_id = NEW.id;
    ELSE
      INSERT INTO search_token AS t (subject_id, tenant_id, tokens) VALUES (NEW.id, NEW.tenant_id, NEW.search_tokens)
      ON CONFLICT (subject_id) DO UPDATE SET tokens = excluded.tokens
      WHERE t.tenant_id = excluded.tenant_id AND t.tokens <> excluded.tokens;
    END IF;
    NEW.search_tokens := NULL;
    RETURN NEW;
  END $$`,
  `CREATE TRIGGER move_search_tokens BEFORE INSERT OR UPDATE OF search_tokens ON patient
    FOR EACH ROW EXECUTE FUNCTION move_search_tokens()`,

  // Each alternative is an array of tokens as text: those that one version of the index key gives for what is searched.
  `CREATE FUNCTION search_subjects(alternatives text[]) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER ROWS 200 SET search_path FROM CURRENT AS $$
    SELECT found.subject_id FROM unnest(alternatives) AS wanted(tokens) CROSS JOIN LATERAL (
      SELECT subject_id FROM search_token
      WHERE tokens @> wanted.tokens::smallint[] AND tenant_id = current_setting('custodia.tenant', true)
    ) AS found
  $$`,
  `REVOKE ALL ON FUNCTION search_subjects(text[]) FROM PUBLIC`,
  `GRANT EXECUTE ON FUNCTION search_subjects(text[]) TO custodia_app`,
];
