import type { Client, Pool } from 'pg';
import { Refusal } from '../config/refusal.js';

/** The login roles that the owner makes for the running system. None owns anything; none passes row-level security. */
export const LOGIN_ROLES = {
  app: 'custodia_app',
  sequencer: 'custodia_sequencer',
  auditor: 'custodia_auditor',
} as const;
export type LoginRole = keyof typeof LOGIN_ROLES;

/**
 * Makes the login roles, or gives existing ones their password again. `owner` needs CREATEROLE, no superuser.
 * Runs before the migrations, which grant to these roles.
 */
export async function ensureRoles(owner: Client, passwords: Readonly<Record<LoginRole, string>>): Promise<void> {
  const existing = await owner.query<{ rolname: string }>('SELECT rolname FROM pg_roles WHERE rolname = ANY($1)', [
    Object.values(LOGIN_ROLES),
  ]);
  const names = new Set(existing.rows.map((row) => row.rolname));
  for (const key of Object.keys(LOGIN_ROLES) as LoginRole[]) {
    const role = LOGIN_ROLES[key];
    const verb = names.has(role) ? 'ALTER ROLE' : 'CREATE ROLE';
    const attributes = names.has(role) ? '' : 'LOGIN NOINHERIT NOCREATEDB NOCREATEROLE';
    await owner.query(`${verb} ${role} ${attributes} PASSWORD ${owner.escapeLiteral(passwords[key])}`);
  }
}

/**
 * Refuses a database role that could step over the second wall: a superuser, one that bypasses row-level security,
 * one that owns a table or can become somebody who does. Asked by the role itself, at every start.
 */
export async function refusePrivileged(role: Client | Pool): Promise<void> {
  const { rows } = await role.query<{ name: string; privileged: boolean; owns: boolean }>(`
    SELECT current_user AS name,
           r.rolsuper OR r.rolbypassrls OR r.rolcreaterole AS privileged,
           EXISTS (SELECT 1 FROM pg_class c
                    WHERE c.relnamespace = 'public'::regnamespace AND pg_has_role(c.relowner, 'MEMBER')) AS owns
      FROM pg_roles r WHERE r.rolname = current_user`);
  const facts = rows[0];
  if (facts === undefined || facts.privileged || facts.owns) {
    throw new Refusal(
      `The database role ${facts?.name ?? 'of the application'} owns tables or can bypass row-level security: use the generated role.`,
    );
  }
}
