import { Migration } from '@mikro-orm/migrations';

/**
 * Which patients an account has seen in the hour and in the day that are running, and how many they are. Ids of accounts and
 * patients, and nothing of them; rows of a day that is over go when the account sees somebody the next time.
 */
export class Migration20261121001900_access_volume extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  `CREATE TABLE access_volume (
    tenant_id text NOT NULL,
    account_id uuid NOT NULL,
    hour_start timestamptz NOT NULL,
    hour_subjects integer NOT NULL,
    day_start timestamptz NOT NULL,
    day_subjects integer NOT NULL,
    PRIMARY KEY (tenant_id, account_id)
  )`,
  `SELECT govern_tenant_table('access_volume', 'SELECT, INSERT, UPDATE')`,
  `CREATE TABLE access_volume_subject (
    tenant_id text NOT NULL,
    account_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    hour_start timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id, subject_id)
  )`,
  `SELECT govern_tenant_table('access_volume_subject', 'SELECT, INSERT, UPDATE, DELETE')`,
  // The row of the account is locked first: what another process counted is seen by every statement after that. A process
  // whose clock is behind counts into the windows that run already. 0: counted; else the seconds of the window that is full,
  // and nobody is counted.
  `CREATE FUNCTION count_subjects(
    tenant text, account uuid, subjects uuid[],
    hour timestamptz, hourly integer, day timestamptz, daily integer
  ) RETURNS integer LANGUAGE plpgsql AS $$
  DECLARE
    counted access_volume;
    new_in_hour integer;
    new_in_day integer;
  BEGIN
    INSERT INTO access_volume (tenant_id, account_id, hour_start, hour_subjects, day_start, day_subjects)
      VALUES (tenant, account, hour, 0, day, 0) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT counted FROM access_volume
      WHERE tenant_id = tenant AND account_id = account FOR UPDATE;
    IF day > counted.day_start THEN
      counted.day_start := day;
      counted.day_subjects := 0;
      DELETE FROM access_volume_subject WHERE tenant_id = tenant AND account_id = account;
    END IF;
    IF hour > counted.hour_start THEN
      counted.hour_start := hour;
      counted.hour_subjects := 0;
    END IF;
    SELECT count(*) FILTER (WHERE known.hour_start IS DISTINCT FROM counted.hour_start),
           count(*) FILTER (WHERE known.subject_id IS NULL)
      INTO new_in_hour, new_in_day
      FROM (SELECT DISTINCT unnest(subjects) AS id) AS asked
      LEFT JOIN access_volume_subject AS known
        ON known.tenant_id = tenant AND known.account_id = account AND known.subject_id = asked.id;
    IF counted.hour_subjects + new_in_hour > hourly THEN RETURN 3600; END IF;
    IF counted.day_subjects + new_in_day > daily THEN RETURN 86400; END IF;
    INSERT INTO access_volume_subject AS known (tenant_id, account_id, subject_id, hour_start)
      SELECT DISTINCT tenant, account, unnest(subjects), counted.hour_start
      ON CONFLICT (tenant_id, account_id, subject_id) DO UPDATE SET hour_start = excluded.hour_start
        WHERE known.hour_start <> excluded.hour_start;
    UPDATE access_volume SET
        hour_start = counted.hour_start, hour_subjects = counted.hour_subjects + new_in_hour,
        day_start = counted.day_start, day_subjects = counted.day_subjects + new_in_day
      WHERE tenant_id = tenant AND account_id = account;
    RETURN 0;
  END $$`,
  `REVOKE ALL ON FUNCTION count_subjects FROM PUBLIC`,
  `GRANT EXECUTE ON FUNCTION count_subjects TO custodia_app`,
];

const DOWN = [`DROP FUNCTION count_subjects`, `DROP TABLE access_volume_subject`, `DROP TABLE access_volume`];
