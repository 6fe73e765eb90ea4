import { Migration } from '@mikro-orm/migrations';

/**
 * The counts that stand for a day: numbers of groups, rounded down as they are published, and the digest of the rules under
 * which they were taken. Nothing of a person.
 */
export class Migration20261121002200_aggregate_snapshot extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE aggregate_snapshot (
      tenant_id text NOT NULL,
      family text NOT NULL CHECK (family ~ '^[0-9a-f]{64}$'),
      taken_at timestamptz NOT NULL,
      groups jsonb NOT NULL,
      rules text NOT NULL CHECK (rules ~ '^[0-9a-f]{64}$'),
      PRIMARY KEY (tenant_id, family)
    )`);
    this.addSql(`SELECT govern_tenant_table('aggregate_snapshot', 'SELECT, INSERT, UPDATE, DELETE')`);
  }

  override down(): void {
    this.addSql('DROP TABLE aggregate_snapshot');
  }
}
