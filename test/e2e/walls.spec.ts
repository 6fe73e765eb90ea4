import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newId } from '../../src/kernel/identifier.js';
import type { Role } from '../../src/kernel/actor.js';
import type { DatabaseFault } from '../../src/persistence/sqlstate.js';
import { bytesOf, codesOf, missingId, nodesOf, patientId } from '../support/probe.js';
import { testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

let system: TestSystem;
let readableTables: string[];
let tenantTables: string[] = [];
const APPENDED = 'UPDATE, DELETE, TRUNCATE';
/** What the running system may not do to a table without a tenant, where that is less than everything but to add rows. */
const FORBIDDEN_OUTSIDE: Readonly<Record<string, string>> = {
  // Details of the ledger are erased, of the own tenant alone: see ledger-detail.spec.
  ledger_detail: 'SELECT, UPDATE, TRUNCATE',
  // The policies say nothing of anybody; what is read of them is verified.
  policy_release: APPENDED,
  policy_approval: APPENDED,
  policy_activation: APPENDED,
  policy_shadow: APPENDED,
  // What laws say, the same for everybody.
  retention_floor: 'INSERT, UPDATE, DELETE, TRUNCATE',
};
const LEDGER = ['ledger_entry', 'ledger_leaf', 'ledger_node', 'ledger_head', 'ledger_sequence'];
/**
 * A process loads the wrapped keys of all tenants before it serves one, which open with the root key only, and hears of changes
 * of keys; how many values a key protects is a metric.
 */
const READABLE_WITHOUT_TENANT = ['tenant_key', 'vault_notice', 'sealed_value_count'];
/** Of the owner, and of functions of his that name the tenant: behind a wall that is not forced, and with no right for the application. */
const OWNERS = ['search_token'];
/** Asks for tokens in the tenant of the connection alone: see search.spec. */
const DEFINERS = [{ proname: 'search_subjects' }];

beforeAll(async () => {
  system = await testSystem();
  const { rows } = await system.database.owner.query<{ table_name: string }>(
    `SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
     WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND column_name = 'tenant_id' ORDER BY table_name`,
  );
  tenantTables = rows.map((row) => row.table_name);
  const readable = await system.database.owner.query<{ name: string }>(
    `SELECT name FROM unnest($1::text[]) AS name WHERE has_table_privilege('custodia_app', name, 'SELECT')`,
    [tenantTables],
  );
  readableTables = readable.rows.map((row) => row.name);
});
afterAll(() => system.close());

async function one<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await system.database.owner.query<Row>(text, values)).rows;
}

async function faultOf(work: Promise<unknown>): Promise<DatabaseFault> {
  try {
    await work;
  } catch (error) {
    return error as DatabaseFault;
  }
  throw new Error('The statement was not refused.');
}

describe('row-level security', () => {
  it('covers every table that has a tenant, and the tenants themselves, with FORCE', async () => {
    expect(tenantTables.length).toBeGreaterThanOrEqual(15);
    const open = await one<{ relname: string }>(
      `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND relname = ANY ($1) AND NOT (relrowsecurity AND relforcerowsecurity)`,
      [[...tenantTables, 'tenant'].filter((name) => !OWNERS.includes(name))],
    );
    expect(open).toEqual([]);
    for (const name of OWNERS) {
      const [row] = await one<{ walled: boolean; may: boolean }>(
        `SELECT relrowsecurity AS walled, has_table_privilege('custodia_app', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE') AS may
         FROM pg_class WHERE oid = $1::regclass`,
        [name],
      );
      expect([name, row]).toEqual([name, { walled: true, may: false }]);
    }
  });

  it('leaves no table outside: what has no tenant is the ledger, or the list of migrations', async () => {
    const tables = await one<{ relname: string }>(
      `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')`,
    );
    const outside = tables
      .map((row) => row.relname)
      .filter((name) => !tenantTables.includes(name) && name !== 'tenant');
    expect(outside).toEqual(expect.arrayContaining(LEDGER));
    for (const name of outside) {
      const allowed = await one<{ may: boolean }>(`SELECT has_table_privilege('custodia_app', $1, $2) AS may`, [
        name,
        FORBIDDEN_OUTSIDE[name] ?? 'SELECT, UPDATE, DELETE, TRUNCATE',
      ]);
      expect([name, allowed[0]?.may]).toEqual([name, false]);
    }
  });

  it.each([
    ['no tenant', null],
    ['an empty tenant', ''],
    ['an unknown tenant', 'T-XX'],
    ['a pattern', '%'],
  ])('shows the application nothing of any tenant with %s', async (_what, tenant) => {
    for (const table of readableTables) {
      const rows = await system.database.app.query<{ n: number }>(tenant, {
        text: `SELECT count(*)::integer AS n FROM ${table}`,
        values: [],
      });
      if (!READABLE_WITHOUT_TENANT.includes(table)) expect([table, rows[0]?.n]).toEqual([table, 0]);
    }
    const tenants = await system.database.app.query<{ n: number }>(tenant, {
      text: `SELECT count(*)::integer AS n FROM tenant`,
      values: [],
    });
    expect(tenants[0]?.n).toBe(0);
  });

  it('shows the application of one tenant nothing of the others', async () => {
    for (const table of readableTables.filter((name) => !READABLE_WITHOUT_TENANT.includes(name))) {
      const [row] = await system.database.app.query<{ own: number; foreign: number }>('T-US', {
        text:
          `SELECT count(*) FILTER (WHERE tenant_id = 'T-US')::integer AS own, ` +
          `count(*) FILTER (WHERE tenant_id <> 'T-US')::integer AS foreign FROM ${table}`,
        values: [],
      });
      expect([table, row?.foreign]).toEqual([table, 0]);
      const [truth] = await one<{ n: number }>(`SELECT count(*)::integer AS n FROM ${table} WHERE tenant_id = 'T-US'`);
      expect([table, row?.own]).toEqual([table, truth?.n]);
    }
  });

  it('holds for the owner of the tables too', async () => {
    const [row] = await one<{ super: boolean; bypass: boolean }>(
      `SELECT rolsuper AS super, rolbypassrls AS bypass FROM pg_roles WHERE rolname = 'custodia_owner'`,
    );
    expect(row).toEqual({ super: false, bypass: false });
  });

  it('lets no row be written for, or moved to, another tenant', async () => {
    const insert = system.database.app.query('T-CN', {
      text: `INSERT INTO care_team (id, name, created_at, tenant_id) VALUES ($1, 'x', now(), 'T-US')`,
      values: [newId()],
    });
    expect((await faultOf(insert)).sqlstate).toBe('42501');
    const move = system.database.app.query('T-CN', { text: `UPDATE patient SET tenant_id = 'T-US'`, values: [] });
    expect((await faultOf(move)).sqlstate).toBe('42501');
    const key = system.database.app.query('T-CN', {
      text: `INSERT INTO tenant_key (tenant_id, key_id, wrapped) VALUES ('T-ZZ', 1, '')`,
      values: [],
    });
    expect((await faultOf(key)).sqlstate).toBe('42501');
  });

  it('stops a statement on a connection that is set to another tenant', async () => {
    for (const tenant of ['T-US', null, '']) {
      const fault = await faultOf(
        system.database.app.query(tenant, { text: `SELECT id FROM patient WHERE assert_tenant('T-CN')`, values: [] }),
      );
      expect([fault.sqlstate, fault.kind]).toEqual(['CU001', 'tenant']);
    }
  });

  it('turns a statement on the wrong connection into a failure without data', async () => {
    const { app } = system.composition;
    const query = app.query.bind(app);
    try {
      app.query = (tenant, statement) =>
        query(tenant === 'T-CN' && statement.text.includes('patient s') ? 'T-US' : tenant, statement);
      const answer = await system.ask('physician', '{ patients { edges { node { id name } } } }');
      expect(codesOf(answer)).toEqual(['INTERNAL_SERVER_ERROR']);
      expect(answer.text).not.toContain('CU001');
      expect(answer.text).toContain('"data":null');
    } finally {
      app.query = query;
    }
  });
});

describe('the role of the application', () => {
  it('is no owner, no superuser, no member of anything, and cannot bypass row-level security', async () => {
    const [role] = await one(
      `SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolinherit AND false AS inherits
       FROM pg_roles WHERE rolname = 'custodia_app'`,
    );
    expect(role).toEqual({
      rolsuper: false,
      rolbypassrls: false,
      rolcreaterole: false,
      rolcreatedb: false,
      rolreplication: false,
      inherits: false,
    });
    const owned = await one(
      `SELECT relname::text AS name FROM pg_class WHERE pg_get_userbyid(relowner) = 'custodia_app'
       UNION ALL SELECT proname::text FROM pg_proc WHERE pg_get_userbyid(proowner) = 'custodia_app'
       UNION ALL SELECT nspname::text FROM pg_namespace WHERE pg_get_userbyid(nspowner) = 'custodia_app'
       UNION ALL SELECT datname::text FROM pg_database WHERE pg_get_userbyid(datdba) = 'custodia_app'`,
    );
    expect(owned).toEqual([]);
    const memberships = await one(
      `SELECT roleid::regrole::text AS role FROM pg_auth_members WHERE member = 'custodia_app'::regrole`,
    );
    expect(memberships).toEqual([]);
  });

  it('cannot make or change anything in the schema, nor reach files of the server', async () => {
    for (const text of [
      'CREATE TABLE mine (id int)',
      `CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      'ALTER TABLE patient DISABLE ROW LEVEL SECURITY',
      'ALTER TABLE patient NO FORCE ROW LEVEL SECURITY',
      'DROP POLICY tenant_wall ON patient',
      'SET ROLE custodia_owner',
      'SET session_replication_role = replica',
      `SELECT pg_read_file('PG_VERSION')`,
      `COPY patient TO PROGRAM 'cat'`,
    ]) {
      const fault = await faultOf(system.database.app.query('T-CN', { text, values: [] })).catch(() => null);
      expect([text, fault?.sqlstate]).toEqual([text, '42501']);
    }
  });

  it('can only add to the ledger, and not choose the id or the transaction of an entry', async () => {
    const refused = LEDGER.flatMap((table) => [
      `SELECT count(*) FROM ${table}`,
      `UPDATE ${table} SET ${table === 'ledger_sequence' ? 'last_id = 0' : "log = 'x'"}`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table}`,
    ]);
    const values = `'T-CN', 'w', 1, now(), '', decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex')`;
    const columns = 'log, writer, number, recorded_at, record, record_hash, mac';
    refused.push(
      `INSERT INTO ledger_entry (${columns}, xid) VALUES (${values}, '1')`,
      `INSERT INTO ledger_entry (${columns}, id) OVERRIDING SYSTEM VALUE VALUES (${values}, 1)`,
      `INSERT INTO ledger_entry (${columns}) VALUES (${values}) RETURNING id`,
      `INSERT INTO ledger_entry (${columns}) VALUES (${values}) ON CONFLICT (log, writer, number, recorded_at) DO UPDATE SET record = ''`,
      `INSERT INTO ledger_leaf (log, idx, entry_id, leaf) VALUES ('T-CN', 0, 1, decode(repeat('00', 32), 'hex'))`,
    );
    for (const text of refused) {
      const fault = await faultOf(system.database.app.query('T-CN', { text, values: [] })).catch(() => null);
      expect([text, fault?.sqlstate]).toEqual([text, '42501']);
    }
  });

  it('cannot delete or truncate what it keeps for patients', async () => {
    for (const table of [
      'patient',
      'visit',
      'diagnosis',
      'subject_key',
      'tenant_key',
      'care_team_assignment',
      'account',
    ]) {
      for (const text of [`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`]) {
        const fault = await faultOf(system.database.app.query('T-CN', { text, values: [] }));
        expect([text, fault.sqlstate]).toEqual([text, '42501']);
      }
    }
  });

  it('reaches no function that runs with the rights of another, and no view', async () => {
    const definers = await one(
      `SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
         AND has_function_privilege('custodia_app', oid, 'EXECUTE')
       UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')`,
    );
    expect(definers).toEqual(DEFINERS);
  });
});

describe("another tenant's ids", () => {
  /** Sends the same document with an id of T-US and with one that no row has; both must be told alike. */
  async function alike(
    role: Role,
    document: string,
    variables: (id: string) => Loose,
    foreign: string,
  ): Promise<Answer> {
    const options = (id: string) => ({ variables: variables(id) });
    const theirs = await system.ask(role, document, options(foreign));
    const nobodys = await system.ask(role, document, options(missingId()));
    expect(bytesOf(theirs)).toBe(bytesOf(nobodys));
    expect(theirs.errors).toHaveLength(1);
    expect(theirs.text).not.toContain(foreign);
    return theirs;
  }

  const foreignRow = async (table: string): Promise<string> => {
    const [row] = await one<{ id: string }>(`SELECT id FROM ${table} WHERE tenant_id = 'T-US' LIMIT 1`);
    return String(row?.id);
  };
  const count = async (table: string) => (await one<{ n: string }>(`SELECT count(*) AS n FROM ${table}`))[0]?.n;
  const CREATE_VISIT =
    'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id practitioner { name } organization { name } } }';
  const DIAGNOSE = 'mutation($input: RecordDiagnosisInput!) { recordDiagnosis(input: $input) { id visitId } }';
  const ASSIGN = 'mutation($input: AssignCareTeamInput!) { assignCareTeam(input: $input) { id careTeam { name } } }';
  const visit = { start: '2026-05-01T08:00:00Z' };

  it.each<[string, Role, string, (id: string) => Loose]>([
    ['patient', 'physician', 'query($id: ID!) { patient(id: $id) { id name } }', (id) => ({ id })],
    ['patient, by the front desk', 'front_desk', 'query($id: ID!) { patient(id: $id) { id name } }', (id) => ({ id })],
    [
      'updatePatient',
      'front_desk',
      'mutation($id: ID!) { updatePatient(id: $id, version: 1, input: { email: "a@example.org" }) { id } }',
      (id) => ({ id }),
    ],
    [
      'deactivatePatient',
      'front_desk',
      'mutation($id: ID!) { deactivatePatient(id: $id, version: 1) { id } }',
      (id) => ({ id }),
    ],
    ['createVisit', 'front_desk', CREATE_VISIT, (patientId) => ({ input: { patientId, ...visit } })],
    ['recordDiagnosis', 'physician', DIAGNOSE, (patientId) => ({ input: { patientId, code: 'I10' } })],
  ])('look like missing ones in %s', async (_operation, role, document, variables) => {
    const answer = await alike(role, document, variables, patientId(system, 'PT1', 'T-US'));
    expect(codesOf(answer)).toEqual(['NOT_FOUND']);
  });

  it('look like missing ones in assignCareTeam, as patient and as team', async () => {
    const teams = nodesOf(await system.ask('front_desk', '{ careTeams { edges { node { id } } } }'), 'careTeams');
    const ownTeam = teams[0]?.['id'];
    const patient = await alike(
      'front_desk',
      ASSIGN,
      (id) => ({ input: { patientId: id, careTeamId: ownTeam } }),
      patientId(system, 'PT1', 'T-US'),
    );
    expect(codesOf(patient)).toEqual(['NOT_FOUND']);
    const before = await one(`SELECT care_team_ids FROM patient WHERE id = $1`, [patientId(system, 'PT4')]);
    await alike(
      'front_desk',
      ASSIGN,
      (id) => ({ input: { patientId: patientId(system, 'PT4'), careTeamId: id } }),
      await foreignRow('care_team'),
    );
    expect(await one(`SELECT care_team_ids FROM patient WHERE id = $1`, [patientId(system, 'PT4')])).toEqual(before);
  });

  it.each([
    ['practitioner', 'practitionerId'],
    ['organization', 'organizationId'],
  ])('cannot be named as the %s of a visit', async (table, field) => {
    const foreign = newId();
    await one(`INSERT INTO ${table} (id, name, created_at, tenant_id) VALUES ($1, 'Theirs', now(), 'T-US')`, [foreign]);
    const visits = await count('visit');
    await alike(
      'front_desk',
      CREATE_VISIT,
      (id) => ({ input: { patientId: patientId(system, 'PT1'), ...visit, [field]: id } }),
      foreign,
    );
    expect(await count('visit')).toBe(visits);
    const own = newId();
    await one(`INSERT INTO ${table} (id, name, created_at, tenant_id) VALUES ($1, 'Ours', now(), 'T-CN')`, [own]);
    const answer = await system.ask('front_desk', CREATE_VISIT, {
      variables: { input: { patientId: patientId(system, 'PT1'), ...visit, [field]: own } },
    });
    expect(answer.errors).toEqual([]);
    expect(answer.data['createVisit'][table]).toEqual({ name: 'Ours' });
  });

  it.each([
    ['of another tenant', 'T-US', 'PT1'],
    ['of another patient whom the physician treats', 'T-CN', 'PT2'],
    ['of another patient whom he does not treat', 'T-CN', 'PT4'],
  ])('and a visit %s cannot be named in a diagnosis', async (_what, tenant, key) => {
    const [other] = await one<{ id: string }>(`SELECT id FROM visit WHERE tenant_id = $1 AND patient_id = $2`, [
      tenant,
      patientId(system, key, tenant),
    ]);
    const diagnoses = await count('diagnosis');
    await alike(
      'physician',
      DIAGNOSE,
      (visitId) => ({ input: { patientId: patientId(system, 'PT1'), code: 'I10', visitId } }),
      String(other?.id),
    );
    expect(await count('diagnosis')).toBe(diagnoses);
  });

  it('and a visit of the patient himself can', async () => {
    const [own] = await one<{ id: string }>(`SELECT id FROM visit WHERE patient_id = $1`, [patientId(system, 'PT1')]);
    const { data, errors } = await system.ask('physician', DIAGNOSE, {
      variables: { input: { patientId: patientId(system, 'PT1'), code: 'I10', visitId: own?.id } },
    });
    expect(errors).toEqual([]);
    expect(data['recordDiagnosis'].visitId).toBe(own?.id);
  });

  it('cannot be members of a care team', async () => {
    const foreign = system.demo.users.find((user) => user.tenant === 'T-US' && user.role === 'nurse')!.id;
    const document = 'mutation($input: CreateCareTeamInput!) { createCareTeam(input: $input) { id } }';
    const teams = await count('care_team');
    await alike('department_head', document, (id) => ({ input: { name: 'Mixed', memberIds: [id] } }), foreign);
    expect(await count('care_team')).toBe(teams);
  });

  it('are not accepted with the token of an account of the other tenant either', async () => {
    const answer = await system.ask('physician', `{ patient(id: "${patientId(system, 'PT1')}") { id } }`, {
      tenant: 'T-US',
    });
    expect(codesOf(answer)).toEqual(['NOT_FOUND']);
  });
});
