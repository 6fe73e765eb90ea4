import { Migration } from '@mikro-orm/migrations';

/**
 * Who announced a file: the policy lets nobody else send its bytes. Of those announced before nobody knows; the nil UUID is
 * no account, so that what is still pending is announced again.
 */
export class Migration20261121001200_announcer extends Migration {
  override up(): void {
    this.addSql(
      `ALTER TABLE attachment ADD COLUMN announced_by uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'`,
    );
    this.addSql(`ALTER TABLE attachment ALTER COLUMN announced_by DROP DEFAULT`);
  }

  override down(): void {
    throw new Error('Tables with data are not dropped by a command: restore a backup.');
  }
}
