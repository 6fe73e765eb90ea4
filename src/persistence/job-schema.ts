import { createRequire } from 'node:module';
import type { Client } from 'pg';
import { getConstructionPlans, getMigrationPlans } from 'pg-boss';
import { LOGIN_ROLES } from './roles.js';

/** The PostgreSQL schema of the job queue. Its tables belong to the owner; rows of it hold ids and nothing else. */
export const JOB_SCHEMA = 'jobs';

/**
 * Makes the tables of the job queue, or brings them to what the installed pg-boss works with, and lets the application
 * use them: it changes rows, never the schema. Runs as the owner after the migrations, under their lock.
 */
export async function prepareJobSchema(owner: Client): Promise<void> {
  const { rows } = await owner.query<{ installed: boolean }>(
    `SELECT to_regclass('jobs.version') IS NOT NULL AS installed`,
  );
  if (rows[0]?.installed !== true) await owner.query(getConstructionPlans(JOB_SCHEMA));
  else await bringUpToDate(owner);
  const { app } = LOGIN_ROLES;
  await owner.query(`
    REVOKE ALL ON SCHEMA ${JOB_SCHEMA} FROM PUBLIC;
    GRANT USAGE ON SCHEMA ${JOB_SCHEMA} TO ${app};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${JOB_SCHEMA} TO ${app};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${JOB_SCHEMA} TO ${app}`);
}

async function bringUpToDate(owner: Client): Promise<void> {
  const wanted = createRequire(import.meta.url)('pg-boss/package.json') as { pgboss: { schema: number } };
  const { rows } = await owner.query<{ version: number }>(`SELECT version FROM ${JOB_SCHEMA}.version`);
  const version = Number(rows[0]?.version);
  if (version >= wanted.pgboss.schema) return;
  // Nothing uses the queue yet, and a statement of several cannot build an index concurrently.
  await owner.query(getMigrationPlans(JOB_SCHEMA, version).replaceAll(' CONCURRENTLY', ''));
}
