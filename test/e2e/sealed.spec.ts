import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { storedVersions, WrittenRows, type WritingRecord } from '../../src/operation/row-history.js';
import { Vault } from '../../src/vault/vault.js';
import { filesIn, found, foundInFile } from '../support/canaries.js';
import { TEST_USE } from '../support/memory-vault.js';
import { codesOf, patientId } from '../support/probe.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

/*
 * Not told by a sealed value, and so not tested: that a sealed value was removed; that a plain column was changed.
 */

let system: TestSystem;
beforeAll(async () => {
  system = await testSystem();
  // Every way in which the system handles the canaries: shown, looked up, refused, asked for in vain.
  const id = patientId(system, 'PT1');
  await system.ask(
    'physician',
    `{ patient(id: "${id}") { name birthDate notes diagnoses { edges { node { display } } } visits { edges { node { reason } } } } }`,
  );
  await system.ask('front_desk', '{ patientLookup(input: { phone: "13812345678" }) { name phone } }');
  await system.ask('front_desk', '{ patientLookup(input: { nationalId: "11010519491231002X" }) { name } }', {
    headers: { 'x-reason': 'CANARY-9f3c asked for himself' },
  });
  await system.ask('front_desk', '{ patients(filter: { name: { eq: "王小明" } }) { totalCount } }');
  await system.ask(
    'front_desk',
    'mutation { createPatient(input: { name: "王小明", phone: "13812345678", email: "zhangsan@example.com", nationalId: "11010519491231002X" }) { name } }',
    {
      headers: { 'idempotency-key': '13812345678' },
    },
  );
  await system.send(
    'mutation { signIn(input: { tenant: "T-CN", email: "zhangsan@example.com", password: "CANARY-9f3c" }) { expiresAt } }',
  );
});
afterAll(() => system.close());

describe('the canaries', () => {
  it('would be found: the search finds them where they are', async () => {
    const answer = await system.ask('physician', `{ patient(id: "${patientId(system, 'PT1')}") { name notes } }`);
    expect(found(Buffer.from(answer.text))).toEqual(['CANARY-9f3c', '王小明']);
    expect(found(createHash('sha256').update('13812345678').digest())).toEqual(['sha256 of 13812345678']);
  });

  it('are in no column of any table, in clear or as a plain digest', async () => {
    const { owner } = system.database;
    const { rows: tables } = await owner.query<{ name: string; columns: string[] }>(
      `SELECT format('%I.%I', table_schema, table_name) AS name, array_agg(column_name::text) AS columns
       FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
       WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') GROUP BY 1`,
    );
    expect(tables.map((table) => table.name)).toEqual(
      expect.arrayContaining(['public.patient', 'public.ledger_entry', 'public.idempotency_key']),
    );
    let cells = 0;
    for (const { name, columns } of tables) {
      const { rows } = await owner.query<Loose>(`SELECT * FROM ${name}`);
      for (const column of columns) {
        const values = rows.map((row) => row[column]).filter((value) => value !== null);
        cells += values.length;
        const bytes = values.map((value) =>
          Buffer.isBuffer(value) ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
        );
        const separated = Buffer.concat(bytes.flatMap((one) => [one, Buffer.from('\n|\n')]));
        expect([name, column, found(separated)]).toEqual([name, column, []]);
      }
    }
    expect(cells).toBeGreaterThan(1_000);
  });

  it('are in no file of the database server, write-ahead log and statistics included', async () => {
    const { owner } = system.database;
    await owner.query('ANALYZE');
    await owner.query('CHECKPOINT');
    const { rows } = await owner.query<{ directory: string; own: string }>(
      `SELECT current_setting('data_directory') AS directory, oid::text AS own FROM pg_database WHERE datname = current_database()`,
    );
    const [{ directory = '', own = '' } = {}] = rows;
    const files = [`base/${own}`, 'global', 'pg_wal', 'pg_logical', 'pg_stat', 'pg_subtrans', 'pg_multixact']
      .flatMap((name) => filesIn(path.join(directory, name)))
      .concat(filesIn(path.dirname(directory)).filter((file) => file.endsWith('.log')));
    expect(files.some((file) => file.includes('pg_wal'))).toBe(true);
    expect(files.length).toBeGreaterThan(100);
    for (const file of files) expect([file, await foundInFile(file)]).toEqual([file, []]);
  }, 180_000);

  it('are in no file that the system itself keeps', async () => {
    const files = filesIn(system.database.directory);
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) expect([file, found(readFileSync(file))]).toEqual([file, []]);
  });

  it('are not in what it logged, at the most talkative level', () => {
    expect(system.logged().length).toBeGreaterThan(1_000);
    expect(found(Buffer.from(system.logged()))).toEqual([]);
  });

  it('are in no record of the ledger', async () => {
    for (const log of ['T-CN', 'T-US', 'T-EU', 'system']) {
      const records = await recordsOf(system, log);
      expect(records.length).toBeGreaterThan(0);
      expect([log, found(Buffer.from(JSON.stringify(records)))]).toEqual([log, []]);
    }
  });
});

describe('a blind index', () => {
  it('of one phone differs between tenants, and from the index of another field', async () => {
    const create = (tenant: string) =>
      system.ask(
        'front_desk',
        'mutation { createPatient(input: { name: "N", phone: "+86 13700000001", nationalId: "8613700000001" }) { id } }',
        { tenant },
      );
    const ids = await Promise.all(
      ['T-CN', 'T-US', 'T-EU'].map(async (tenant) => (await create(tenant)).data['createPatient'].id),
    );
    const { rows } = await system.database.owner.query<{ phone_index: Buffer; national_id_index: Buffer }>(
      'SELECT phone_index, national_id_index FROM patient WHERE id = ANY ($1)',
      [ids],
    );
    const indexes = rows.flatMap((row) => [row.phone_index.toString('hex'), row.national_id_index.toString('hex')]);
    expect(indexes).toHaveLength(6);
    expect(new Set(indexes).size).toBe(6);
    expect(new Set(indexes.map((one) => one.length))).toEqual(new Set([10]));
  });

  it('that a superuser moves to another row finds nobody', async () => {
    const { owner } = system.database;
    const [one, other] = [patientId(system, 'PT1', 'T-EU'), patientId(system, 'PT3', 'T-EU')];
    const before = await owner.query('SELECT phone_index FROM patient WHERE id = $1', [one]);
    await owner.query('UPDATE patient SET phone_index = NULL WHERE id = $1', [one]);
    await owner.query('UPDATE patient SET phone_index = $2 WHERE id = $1', [other, before.rows[0].phone_index]);
    const answer = await system.ask('front_desk', '{ patientLookup(input: { phone: "13812345678" }) { id } }', {
      tenant: 'T-EU',
    });
    expect(codesOf(answer)).toEqual(['NOT_FOUND']);
  });
});

describe('a sealed value that a superuser touched', () => {
  const READ = 'query($id: ID!) { patient(id: $id) { id name birthDate phone email nationalId notes } }';
  const seal = async (id: string, column: string): Promise<Buffer> =>
    (await system.database.owner.query(`SELECT ${column} AS sealed FROM patient WHERE id = $1`, [id])).rows[0]
      .sealed as Buffer;
  const put = (id: string, column: string, sealed: Buffer) =>
    system.database.owner.query(`UPDATE patient SET ${column} = $2 WHERE id = $1`, [id, sealed]);
  const read = (id: string) => system.ask('front_desk', READ, { variables: { id } });

  /** The read fails as a whole, with nothing of the patient, and is recorded. */
  async function expectRefused(ask: () => Promise<Answer>, operation: string): Promise<void> {
    const before = (await recordsOf(system, 'T-CN')).length;
    const answer = await ask();
    expect(codesOf(answer)).toEqual(['INTEGRITY_FAILED']);
    expect(found(Buffer.from(answer.text))).toEqual([]);
    for (const value of ['王', '138****5678', '1949', '李']) expect(answer.text).not.toContain(value);
    // The names of those whose keys were unwrapped for it stand in a record of their own.
    const isAside = (kind: unknown) => kind === 'VOID' || kind === 'KEY';
    const records = (await recordsOf(system, 'T-CN')).slice(before).filter((record) => !isAside(record['kind']));
    expect(records).toMatchObject([{ operation, outcome: 'failed', code: 'INTEGRITY_FAILED', accesses: [] }]);
  }

  /** Puts the value there for the time of the work. */
  async function withSealed(id: string, column: string, sealed: Buffer, work: () => Promise<void>): Promise<void> {
    const own = await seal(id, column);
    await put(id, column, sealed);
    try {
      await work();
    } finally {
      await put(id, column, own);
    }
  }

  let own = '';
  let other = '';
  beforeAll(async () => {
    [own, other] = [patientId(system, 'PT1'), patientId(system, 'PT2')];
    expect((await read(own)).errors).toEqual([]);
  });

  it.each(['sealed_identity', 'sealed_contact'])('is refused in the row of another patient (%s)', async (column) => {
    await withSealed(own, column, await seal(other, column), () => expectRefused(() => read(own), 'patient'));
    expect((await read(own)).errors).toEqual([]);
  });

  it('is refused in the row of another tenant, of another group, of another noun', async () => {
    const foreign = await seal(patientId(system, 'PT1', 'T-US'), 'sealed_identity');
    await withSealed(own, 'sealed_identity', foreign, () => expectRefused(() => read(own), 'patient'));
    await withSealed(own, 'sealed_identity', await seal(own, 'sealed_contact'), () =>
      expectRefused(() => read(own), 'patient'),
    );
    const { rows } = await system.database.owner.query<{ sealed: Buffer }>(
      'SELECT sealed_record AS sealed FROM visit WHERE patient_id = $1 AND sealed_record IS NOT NULL',
      [own],
    );
    await withSealed(own, 'sealed_identity', rows[0]!.sealed, () => expectRefused(() => read(own), 'patient'));
  });

  it('is refused after the change of any one bit, cut, lengthened, emptied', async () => {
    const sealed = await seal(own, 'sealed_identity');
    const changed: Buffer[] = [...sealed.keys()].map((index) => {
      const copy = Buffer.from(sealed);
      copy[index] = (copy[index] ?? 0) ^ (1 << (index % 8));
      return copy;
    });
    changed.push(
      sealed.subarray(0, -1),
      sealed.subarray(1),
      Buffer.concat([sealed, Buffer.alloc(1)]),
      Buffer.alloc(0),
      Buffer.alloc(sealed.length),
    );
    for (const one of changed) {
      await put(own, 'sealed_identity', one);
      const answer = await read(own);
      expect(codesOf(answer)).toEqual(['INTEGRITY_FAILED']);
      expect(answer.text).not.toMatch(/王|1949-12|138\*/);
    }
    await put(own, 'sealed_identity', sealed);
    expect((await read(own)).errors).toEqual([]);
  });

  it('fails a list, and a nested list, as a whole', async () => {
    await withSealed(own, 'sealed_identity', await seal(other, 'sealed_identity'), () =>
      expectRefused(() => system.ask('front_desk', '{ patients(first: 50) { edges { node { name } } } }'), 'patients'),
    );
    const { rows } = await system.database.owner.query<{ id: string; sealed: Buffer }>(
      'SELECT id, sealed_clinical AS sealed FROM diagnosis WHERE patient_id = $1',
      [own],
    );
    const [{ id = '', sealed = Buffer.alloc(0) } = {}] = rows;
    const broken = Buffer.from(sealed);
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    await system.database.owner.query('UPDATE diagnosis SET sealed_clinical = $2 WHERE id = $1', [id, broken]);
    const answer = await system.ask(
      'physician',
      '{ patients { edges { node { id diagnoses { edges { node { code display } } } } } } }',
    );
    expect(new Set(codesOf(answer))).toEqual(new Set(['INTEGRITY_FAILED']));
    expect(answer.text).not.toContain('E11');
    await system.database.owner.query('UPDATE diagnosis SET sealed_clinical = $2 WHERE id = $1', [id, sealed]);
  });

  it('does not matter to those who do not see it', async () => {
    await withSealed(own, 'sealed_government', await seal(other, 'sealed_contact'), async () => {
      const answer = await system.ask('call_center_agent', READ, { purpose: 'HOPERAT', variables: { id: own } });
      expect(answer.errors).toEqual([]);
      expect(answer.data['patient']).toMatchObject({ name: '王**', nationalId: null });
    });
  });

  it('of an older version of the row is refused, alone and with all others of its time', async () => {
    const { owner } = system.database;
    const COLUMNS = ['sealed_identity', 'sealed_contact', 'sealed_government'] as const;
    const stored = async () =>
      (await owner.query(`SELECT ${COLUMNS.join(', ')} FROM patient WHERE id = $1`, [own])).rows[0];
    const earlier = await stored();
    const { version } = (await system.ask('front_desk', `{ patient(id: "${own}") { version } }`)).data['patient'];
    const changed = await system.ask(
      'front_desk',
      'mutation($id: ID!, $version: Int!) { updatePatient(id: $id, version: $version, input: { gender: "other" }) { gender } }',
      { variables: { id: own, version } },
    );
    expect(changed.errors).toEqual([]);
    const now = await stored();
    await withSealed(own, 'sealed_identity', earlier['sealed_identity'], () =>
      expectRefused(() => read(own), 'patient'),
    );
    const putAll = (values: Record<string, Buffer>) =>
      owner.query(`UPDATE patient SET ${COLUMNS.map((one, at) => `${one} = $${at + 2}`).join(', ')} WHERE id = $1`, [
        own,
        ...COLUMNS.map((one) => values[one]),
      ]);
    await putAll(earlier);
    await expectRefused(() => read(own), 'patient');
    await putAll(now);
    expect((await read(own)).errors).toEqual([]);
    const back = await system.ask(
      'front_desk',
      'mutation($id: ID!, $version: Int!) { updatePatient(id: $id, version: $version, input: { gender: "male" }) { gender } }',
      { variables: { id: own, version: version + 1 } },
    );
    expect(back.errors).toEqual([]);
  });

  it('is not written over: a change of the patient is refused', async () => {
    const { version } = (await system.ask('front_desk', `{ patient(id: "${own}") { version } }`)).data['patient'];
    const update = () =>
      system.ask(
        'front_desk',
        'mutation($id: ID!, $version: Int!) { updatePatient(id: $id, version: $version, input: { gender: "other" }) { name } }',
        {
          variables: { id: own, version },
        },
      );
    await withSealed(own, 'sealed_contact', await seal(other, 'sealed_contact'), () =>
      expectRefused(update, 'updatePatient'),
    );
    expect((await system.ask('front_desk', `{ patient(id: "${own}") { version gender } }`)).data['patient']).toEqual({
      version,
      gender: 'male',
    });
  });

  it("is refused under another patient's key", async () => {
    const { owner } = system.database;
    const keyOf = async (id: string) =>
      (await owner.query('SELECT wrapped, commitment FROM subject_key WHERE subject_id = $1', [id])).rows[0];
    const [mine, theirs] = [await keyOf(own), await keyOf(other)];
    const { app } = system.composition;
    const directory = path.join(system.database.directory, 'keys');
    const load = async () => (await Vault.withFileRoot(app, directory)).loadSubjectKeys('T-CN', [own], TEST_USE);
    await load();
    await owner.query('UPDATE subject_key SET wrapped = $2, commitment = $3 WHERE subject_id = $1', [
      own,
      theirs.wrapped,
      theirs.commitment,
    ]);
    await expect(load()).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
    await owner.query('UPDATE subject_key SET wrapped = $2, commitment = $3 WHERE subject_id = $1', [
      own,
      mine.wrapped,
      theirs.commitment,
    ]);
    await expect(load()).rejects.toMatchObject({ code: 'INTEGRITY_FAILED' });
    await owner.query('UPDATE subject_key SET wrapped = $2, commitment = $3 WHERE subject_id = $1', [
      own,
      mine.wrapped,
      mine.commitment,
    ]);
    await load();
  });
});

describe('a row that was taken back whole, with its version', () => {
  async function differences(tenant: string) {
    const { composition } = system;
    const stored = await storedVersions(composition.app, tenant);
    await composition.ledger.settle(20_000);
    const history = new WrittenRows();
    for (const { record } of await composition.ledgerReader.tail(tenant, 1_000_000)) {
      history.take(record as unknown as WritingRecord);
    }
    return history.differences(stored);
  }

  it('opens, and is found by what the ledger says was written', async () => {
    const { owner } = system.database;
    for (const tenant of ['T-CN', 'T-US', 'T-EU']) expect(await differences(tenant)).toEqual([]);
    const id = patientId(system, 'PT1');
    const [earlier] = (await owner.query('SELECT * FROM patient WHERE id = $1', [id])).rows as Record<
      string,
      unknown
    >[];
    const change =
      'mutation($id: ID!, $version: Int!) { updatePatient(id: $id, version: $version, input: { gender: "other" }) { gender } }';
    const variables = { id, version: earlier?.['version'] };
    expect((await system.ask('front_desk', change, { variables })).errors).toEqual([]);
    const columns = ['version', 'gender', 'sealed_identity', 'sealed_contact', 'sealed_government', 'sealed_notes'];
    await owner.query(
      `UPDATE patient SET ${columns.map((column, at) => `${column} = $${at + 2}`).join(', ')} WHERE id = $1`,
      [id, ...columns.map((column) => earlier?.[column])],
    );
    const answer = await system.ask('front_desk', `{ patient(id: "${id}") { name gender } }`);
    expect(answer.errors).toEqual([]);
    const subject = String(earlier?.['subject_reference']);
    const version = Number(earlier?.['version']);
    expect(await differences('T-CN')).toEqual([{ type: 'Patient', subject, stored: version, written: version + 1 }]);
    await owner.query('DELETE FROM diagnosis WHERE id = (SELECT id FROM diagnosis WHERE patient_id = $1 LIMIT 1)', [
      id,
    ]);
    expect((await differences('T-CN')).map(({ type }) => type).sort()).toEqual(['Diagnosis', 'Patient']);
  });
});
