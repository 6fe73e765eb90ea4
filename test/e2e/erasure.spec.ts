import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { replayTombstones } from '../../src/cli/tombstone-replay.js';
import { readConfiguration } from '../../src/config/configuration.js';
import { totpCode } from '../../src/identity/totp.js';
import { ErasureFollowUp } from '../../src/jobs/erasure-follow-up.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { newId } from '../../src/kernel/identifier.js';
import { fileLedgerKeys } from '../../src/ledger/keys.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { connectTo } from '../../src/ledger/session.js';
import { verifyLog } from '../../src/ledger/verification.js';
import type { Statement } from '../../src/persistence/statement.js';
import { databaseFault } from '../../src/persistence/sqlstate.js';
import { registry } from '../../src/kernel/attribute.js';
import { Vault } from '../../src/vault/vault.js';
import { Exporter, filesBelow, SATISFY } from '../support/export.js';
import { attach } from '../support/files.js';
import { TEST_USE } from '../support/memory-vault.js';
import { codeOf, idsOf, nodesOf } from '../support/outcome.js';
import { admit, represented } from '../support/person.js';
import { recordsOf, testSystem, type Answer, type Loose, type TestSystem } from '../support/system.js';

const RECEIPT =
  '{ id ledgerReference erasedAt legalBasis replayOf stores { store count } columns keys { subject key wrapped } ' +
  'exclusions { what ground until } note verifierKey }';
const ERASE = `mutation($patientId: ID!, $legalBasis: ErasureBasis, $challengeId: ID) {
  eraseSubject(patientId: $patientId, legalBasis: $legalBasis, challengeId: $challengeId) ${RECEIPT} }`;
const AGAIN = `query($id: ID!) { erasureReceipt(id: $id) ${RECEIPT} }`;
const HOLD = `mutation($patientId: ID!, $matter: String!, $challengeId: ID) {
  placeLegalHold(patientId: $patientId, matter: $matter, challengeId: $challengeId) { id matter placedBy releasedAt } }`;
const RELEASE = `mutation($id: ID!, $challengeId: ID) {
  releaseLegalHold(id: $id, challengeId: $challengeId) { id matter releasedAt releasedBy } }`;
const HOLDS = 'query($patientId: ID!) { legalHolds(patientId: $patientId) { id matter releasedAt } }';
const NOTICES = `query($state: ErasureNoticeState) { erasureNotices(state: $state, first: 50) { edges { node {
  id erasureId patientId kind state recipientName personName exportId accountId dueAt completedAt } } } }`;
const COMPLETE = 'mutation($id: ID!) { completeErasureNotice(id: $id) { id state personName } }';
const LOOK = `query($id: ID!) { patient(id: $id) { id version status name gender birthYear region phone notes
  fieldAccess { field state } visits(first: 5) { edges { node { id } } } } }`;
const REASON = { 'x-reason': 'the person asked to be forgotten' };

let system: TestSystem;
let clock: ManualClock;
let officer: Officer;
let colleague: Officer;

/** A privacy officer with an authenticator; every request has a reason. */
class Officer {
  private token = '';

  constructor(
    private readonly tenant: string,
    private readonly email: string,
    private readonly password: string,
    private secret: string | null,
  ) {}

  async signIn(): Promise<this> {
    const input = { tenant: this.tenant, email: this.email, password: this.password };
    const answer = await system.send('mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }', {
      variables: { input },
    });
    this.token = String(answer.data['signIn'].accessToken);
    return this;
  }

  ask(document: string, variables: Loose = {}): Promise<Answer> {
    return system.send(document, { token: this.token, purpose: 'PATRQT', variables, headers: REASON });
  }

  async enrol(): Promise<this> {
    this.secret = String((await this.ask('mutation { enrolTotp { secret } }')).data['enrolTotp'].secret);
    await this.ask('mutation($code: String!) { confirmTotp(code: $code) { codes } }', { code: this.code() });
    return this;
  }

  private code(): string {
    clock.advance(30_000);
    return totpCode(this.secret ?? '', clock.milliseconds());
  }

  /** The id of a satisfied challenge for this very request. */
  async challenge(document: string, variables: Loose): Promise<string> {
    await this.signIn();
    const refused = await this.ask(document, variables);
    expect(codeOf(refused)).toBe('STEP_UP_REQUIRED');
    const id = String(refused.errors[0]?.extensions['challenge'].id);
    expect((await this.ask(SATISFY, { input: { id, code: this.code() } })).data['satisfyChallenge']).toBe(true);
    return id;
  }

  async with(document: string, variables: Loose): Promise<Answer> {
    return this.ask(document, { ...variables, challengeId: await this.challenge(document, variables) });
  }
}

beforeAll(async () => {
  clock = new ManualClock(Date.now());
  system = await testSystem({ clock });
  officer = await officerOf('T-CN');
  const [email, password] = ['second@officer.example', 'correct horse battery staple'];
  await system.composition.identity.createAccount({ tenant: 'T-CN', email, password, role: 'privacy_officer' });
  colleague = await (await new Officer('T-CN', email, password, null).signIn()).enrol();
});
afterAll(() => system.close());

async function officerOf(tenant: string): Promise<Officer> {
  const user = system.demo.users.find((one) => one.role === 'privacy_officer' && one.tenant === tenant);
  return new Officer(tenant, user?.email ?? '', user?.password ?? '', user?.totpSecret ?? null).signIn();
}

async function query<Row = Loose>(text: string, values: unknown[] = []): Promise<Row[]> {
  return (await system.database.owner.query(text, values)).rows as Row[];
}

async function referenceOf(id: string): Promise<string> {
  return String((await query('SELECT subject_reference FROM patient WHERE id = $1', [id]))[0]?.['subject_reference']);
}

async function verdict(): Promise<string> {
  const { composition, database } = system;
  await composition.ledger.settle(5_000);
  const keys = fileLedgerKeys(path.join(database.directory, 'keys'));
  const files = new LogFiles(database.auditor, composition.checkpoints, keys, null);
  const { bad } = await verifyLog(files, 'T-CN');
  return bad === null ? 'OK' : `${bad.index} ${bad.class}`;
}

/** Every table in which a text occurs in some row, whatever the column. */
async function tablesWith(text: string): Promise<string[]> {
  const tables = await query(
    `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname`,
  );
  const found: string[] = [];
  for (const { relname } of tables) {
    const [row] = await query(`SELECT EXISTS (SELECT FROM "${relname}" t WHERE t::text LIKE $1) AS so`, [`%${text}%`]);
    if (row?.['so'] === true) found.push(String(relname));
  }
  return found;
}

function blobFiles(): string[] {
  const directory = path.join(system.database.directory, 'data', 'blobs');
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => one.name);
}

/** Does something when the statement that erases is sent, in place of it. */
function intercept(work: (send: () => Promise<unknown[]>) => Promise<unknown[]>) {
  const { app } = system.composition;
  const real = app.query.bind(app);
  return jest
    .spyOn(app, 'query')
    .mockImplementation(((tenant: string | null, statement: Statement) =>
      statement.text.includes('INSERT INTO erasure (')
        ? work(() => real(tenant, statement))
        : real(tenant, statement)) as typeof app.query);
}

const visitOf = (patientId: string) => ({ input: { patientId, status: 'planned', start: clock.now().toISOString() } });
const VISIT = 'mutation($input: CreateVisitInput!) { createVisit(input: $input) { id } }';

describe('a person who is erased', () => {
  let patient: string;
  let reference: string;
  let accountId: string;
  let receipt: Loose;
  let before: Loose;
  let elsewhere: Vault;

  beforeAll(async () => {
    patient = system.demo.patients['T-CN']?.['PT1'] ?? '';
    reference = await referenceOf(patient);
    accountId = String(
      (await query(`SELECT account_id FROM related_person WHERE patient_id = $1`, [patient]))[0]?.['account_id'],
    );
    await attach(system, 'physician', patient, Buffer.from('findings: nothing of note\n'));
    [before = {}] = await query('SELECT * FROM patient WHERE id = $1', [patient]);
    elsewhere = await Vault.withFileRoot(system.database.app, path.join(system.database.directory, 'keys'));
    elsewhere.start();
    await elsewhere.loadSubjectKeys('T-CN', [patient], TEST_USE);
    expect(elsewhere.hasSubjectKey('T-CN', patient)).toBe(true);
    expect(blobFiles()).toHaveLength(1);
    const answer = await officer.with(ERASE, { patientId: patient, legalBasis: 'PIPL_47' });
    expect(codeOf(answer)).toBe('none');
    receipt = answer.data['eraseSubject'] as Loose;
  });
  afterAll(() => elsewhere.stop());

  it('has no key in any process within five seconds', async () => {
    expect(system.composition.vault.hasSubjectKey('T-CN', patient)).toBe(false);
    for (let waited = 0; elsewhere.hasSubjectKey('T-CN', patient); waited += 100) {
      expect(waited).toBeLessThan(5_000);
      await pause(100);
    }
    await elsewhere.loadSubjectKeys('T-CN', [patient], TEST_USE);
    expect(elsewhere.hasSubjectKey('T-CN', patient)).toBe(false);
  });

  it('is in no store but as a tombstone', async () => {
    const [row = {}] = await query('SELECT * FROM patient WHERE id = $1', [patient]);
    for (const [column, value] of Object.entries(row)) {
      const kept = ['id', 'tenant_id', 'subject_reference', 'version', 'status', 'created_at'].includes(column);
      if (!kept && value !== null) expect([column, [[], {}]]).toEqual([column, expect.arrayContaining([value])]);
    }
    expect(row).toMatchObject({ status: 'erased', version: Number(before['version']) + 1 });
    expect(row['created_at']).not.toEqual(before['created_at']);
    expect(await tablesWith(patient)).toEqual(['erasure', 'patient', 'vault_notice']);
    expect(await tablesWith(reference)).toEqual(['erasure', 'patient']);
    for (const column of ['sealed_identity', 'phone_index', 'national_id_index']) {
      const value = before[column] as Buffer;
      expect(value.length).toBeGreaterThan(0);
      if (value.length > 8) expect(await tablesWith(value.toString('hex'))).toEqual([]);
    }
    expect(blobFiles()).toEqual([]);
    const [account = {}] = await query('SELECT * FROM account WHERE id = $1', [accountId]);
    expect(account['disabled_at']).not.toBeNull();
    expect(await query('SELECT 1 FROM session WHERE account_id = $1 AND ended_at IS NULL', [accountId])).toEqual([]);
  });

  it('is shown as erased to who may see the row, listed to nobody, and takes no write', async () => {
    const answer = await system.ask('front_desk', LOOK, { variables: { id: patient } });
    expect(codeOf(answer)).toBe('none');
    const shown = answer.data['patient'] as Loose;
    expect(shown).toMatchObject({ status: 'erased', name: null, gender: null, birthYear: null, phone: null });
    expect(idsOf(shown['visits'])).toEqual([]);
    const states = new Map((shown['fieldAccess'] as Loose[]).map((one) => [one['field'], one['state']]));
    for (const { field, group } of registry.noun('Patient').attributes.values()) {
      expect([field, states.get(field)]).toEqual([field, group === 'public' ? 'CLEAR' : 'ERASED']);
    }
    const list = await system.ask('front_desk', '{ patients(first: 50) { totalCount edges { node { id } } } }');
    expect(idsOf(list.data['patients'])).not.toContain(patient);
    const update = `mutation { updatePatient(id: "${patient}", version: ${Number(before['version']) + 1}, input: { phone: "13800000000" }) { id } }`;
    expect(codeOf(await system.ask('front_desk', update))).toBe('GONE');
    expect(codeOf(await system.ask('front_desk', VISIT, { variables: visitOf(patient) }))).toBe('GONE');
    expect(codeOf(await officer.with(ERASE, { patientId: patient }))).toBe('GONE');
    expect(codeOf(await officer.with(HOLD, { patientId: patient, matter: 'M-1' }))).toBe('GONE');
    await expect(
      system.database.app.query('T-CN', {
        text: `UPDATE patient SET status = 'active' WHERE id = $1`,
        values: [patient],
      }),
    ).rejects.toMatchObject({ sqlstate: 'CU005' });
  });

  it('has a receipt that says what was done, verifies by itself, and is the same again', async () => {
    expect(receipt).toMatchObject({ ledgerReference: reference, legalBasis: 'PIPL_47', replayOf: null });
    const counts = new Map((receipt['stores'] as Loose[]).map(({ store, count }) => [store, count]));
    expect(counts.get('attachment')).toBe(1);
    expect(counts.get('blob')).toBe(1);
    expect(counts.get('patient')).toBe(1);
    expect(counts.get('ledger_detail')).toBeGreaterThan(3);
    expect((receipt['keys'] as Loose[]).map(({ subject }) => subject)).toContain(reference);
    const note = String(receipt['note']);
    for (const text of [patient, '张', '13812345678']) expect(note).not.toContain(text);
    const verify = (text: string) =>
      execFileSync(
        process.execPath,
        [
          '--input-type=module',
          '-e',
          `import { readFileSync } from 'node:fs'; import { verifyNote } from './audit/note.mjs';
           process.stdout.write(verifyNote(readFileSync(0, 'utf8'), [process.argv[1]]).text)`,
          String(receipt['verifierKey']),
        ],
        { input: text, stdio: ['pipe', 'pipe', 'pipe'] },
      ).toString();
    expect(JSON.parse(verify(note).split('\n')[1] ?? '')).toMatchObject({ subject: reference, erasure: receipt['id'] });
    expect(() => verify(note.replace('"blobs":1', '"blobs":0'))).toThrow();
    const again = await officer.ask(AGAIN, { id: receipt['id'] });
    expect(again.data['erasureReceipt']).toEqual(receipt);
    expect(codeOf(await (await officerOf('T-US')).ask(AGAIN, { id: receipt['id'] }))).toBe('NOT_FOUND');
  });

  it('leaves a ledger that verifies, with its record and without details about the person', async () => {
    const record = (await recordsOf(system, 'T-CN')).findLast(
      (one) => one['operation'] === 'eraseSubject' && one['outcome'] === 'success',
    );
    expect(record).toMatchObject({ kind: 'ERASE', reason: true, sealed: { key: 'tenant' } });
    expect((record?.['accesses'] as Loose[] | undefined)?.[0]).toMatchObject({
      type: 'Patient',
      subjects: [reference],
    });
    expect(await verdict()).toBe('OK');
  });

  it('leaves tasks: recipients by name, the backups by date; what is done forgets whom it was about', async () => {
    const open = nodesOf((await officer.ask(NOTICES, { state: 'OPEN' })).data['erasureNotices']);
    const own = open.filter((one) => one['erasureId'] === receipt['id']);
    expect(own.map((one) => one['kind'])).toEqual(['RECIPIENT', 'RECIPIENT', 'BACKUP']);
    const [told, , backup] = own as [Loose, Loose, Loose];
    expect(told['recipientName']).not.toBe('');
    expect(told['personName']).not.toBeNull();
    expect(codeOf(await officer.ask(COMPLETE, { id: backup['id'] }))).toBe('BAD_USER_INPUT');
    const done = await officer.ask(COMPLETE, { id: told['id'] });
    expect(done.data['completeErasureNotice']).toEqual({ id: told['id'], state: 'DONE', personName: null });
    expect(await query('SELECT sealed_content FROM erasure_notice WHERE id = $1', [told['id']])).toEqual([
      { sealed_content: null },
    ]);
    const { erasures, tenants } = system.composition;
    const later = new Date(clock.milliseconds() + 36 * 86_400_000);
    expect(await erasures.store.overdue(tenants, clock.now())).toBe(0);
    expect(await erasures.store.overdue(tenants, later)).toBe(2);
  });
});

describe('what stands in the way', () => {
  it('is a hold, that another person releases', async () => {
    const patient = await admit(system, { name: '李四', phone: '13911112222' });
    const placed = await officer.with(HOLD, { patientId: patient, matter: 'Matter 2026/17' });
    expect(codeOf(placed)).toBe('none');
    const { id } = placed.data['placeLegalHold'] as Loose;
    expect(await tablesWith('Matter 2026')).toEqual([]);
    const refused = await officer.with(ERASE, { patientId: patient });
    expect(codeOf(refused)).toBe('LEGAL_HOLD');
    expect((await query('SELECT status FROM patient WHERE id = $1', [patient]))[0]).toEqual({ status: 'active' });
    expect(codeOf(await officer.with(RELEASE, { id }))).toBe('FORBIDDEN');
    const released = await colleague.with(RELEASE, { id });
    expect(released.data['releaseLegalHold']).toMatchObject({ id, matter: 'Matter 2026/17' });
    const holds = (await officer.ask(HOLDS, { patientId: patient })).data['legalHolds'] as Loose[];
    expect(holds).toMatchObject([{ id, matter: 'Matter 2026/17', releasedAt: expect.any(String) }]);
    expect(codeOf(await officer.with(ERASE, { patientId: patient }))).toBe('none');
  });

  it('is a term of the law, told with its end and its clause', async () => {
    const american = await officerOf('T-US');
    const disclosed = system.demo.patients['T-US']?.['PT1'] ?? '';
    const refused = await american.with(ERASE, { patientId: disclosed });
    expect(codeOf(refused)).toBe('RETENTION_MINIMUM');
    expect(refused.errors[0]?.extensions['retention']).toMatchObject({
      class: 'accounting_window',
      clause: '45 CFR 164.528(a)',
    });
    expect(refused.text).toContain('164.522');
    // The hospital's terms bind where this is its record.
    const patient = await admit(system, { name: '周七' });
    const visit = { input: { patientId: patient, status: 'finished', start: '2015-01-01T08:00:00Z' } };
    expect(codeOf(await system.ask('front_desk', VISIT, { variables: visit }))).toBe('none');
    await query(`UPDATE tenant SET system_of_record = true WHERE id = 'T-CN'`);
    const kept = await officer.with(ERASE, { patientId: patient });
    await query(`UPDATE tenant SET system_of_record = false WHERE id = 'T-CN'`);
    expect(kept.errors[0]?.extensions['retention']).toEqual({
      class: 'outpatient_record_cn',
      clause: '医疗机构管理条例实施细则 53',
      until: '2030-01-01T08:00:00.000Z',
    });
    expect(codeOf(await officer.with(ERASE, { patientId: patient }))).toBe('none');
  });

  it('wins also when it comes after the look', async () => {
    const patient = await admit(system, { name: '吴八' });
    const reference = await referenceOf(patient);
    const late = intercept(async (send) => {
      await query(
        `INSERT INTO legal_hold (tenant_id, id, subject_reference, sealed_matter, from_at, placed_at, placed_by)
         VALUES ('T-CN', $1, $2, '', $3, $3, $1)`,
        [newId(), reference, clock.now()],
      );
      return send();
    });
    const answer = await officer.with(ERASE, { patientId: patient });
    late.mockRestore();
    expect(codeOf(answer)).toBe('LEGAL_HOLD');
    expect(await query('SELECT 1 FROM erasure WHERE patient_id = $1', [patient])).toEqual([]);
    expect(await query('SELECT 1 FROM subject_key WHERE subject_id = $1', [patient])).toHaveLength(1);
  });
});

describe('an erasure that does not go as it should', () => {
  it('does not happen, or is finished later; the ledger says which', async () => {
    const lost = () => databaseFault(new Error('lost'));
    const failed = await admit(system, { name: '郑九' });
    const one = intercept(() => Promise.reject(lost()));
    expect(codeOf(await officer.with(ERASE, { patientId: failed }))).toBe('AUDIT_UNAVAILABLE');
    one.mockRestore();
    expect(await query('SELECT 1 FROM subject_key WHERE subject_id = $1', [failed])).toHaveLength(1);

    const happened = await admit(system, { name: '王十' }, ['Ward 1']);
    await attach(system, 'physician', happened, Buffer.from('a letter\n'));
    const other = intercept(async (send) => {
      await send();
      throw lost();
    });
    expect(codeOf(await officer.with(ERASE, { patientId: happened }))).toBe('AUDIT_UNAVAILABLE');
    other.mockRestore();
    expect(blobFiles()).toHaveLength(1);
    const { erasures, tenants } = system.composition;
    expect(await new ErasureFollowUp(erasures, tenants).run()).toBe(1);
    expect(blobFiles()).toEqual([]);
    const [row = {}] = await query('SELECT * FROM erasure WHERE patient_id = $1', [happened]);
    expect([row['receipt'], row['tombstone'], row['finished_at']]).not.toContain(null);
    expect(await verdict()).toBe('OK');
  });

  it('happens once, however many ask, and takes what is written meanwhile or keeps it out', async () => {
    const patient = await admit(system, { name: '冯一' });
    const challenges = [];
    for (const one of [officer, colleague]) challenges.push(await one.challenge(ERASE, { patientId: patient }));
    const answers = await Promise.all([
      officer.ask(ERASE, { patientId: patient, challengeId: challenges[0] }),
      colleague.ask(ERASE, { patientId: patient, challengeId: challenges[1] }),
      ...Array.from({ length: 8 }, () => system.ask('front_desk', VISIT, { variables: visitOf(patient) })),
    ]);
    const [first, second, ...visits] = answers.map(codeOf);
    expect([first, second].sort()).toEqual([expect.stringMatching(/^(GONE|VERSION_CONFLICT)$/), 'none']);
    for (const code of visits) expect(['none', 'GONE', 'NOT_FOUND']).toContain(code);
    expect(await query('SELECT 1 FROM visit WHERE patient_id = $1', [patient])).toEqual([]);
    expect(await tablesWith(patient)).toEqual(['erasure', 'patient', 'vault_notice']);
  });
});

describe('an export', () => {
  it('with the person in it is closed where it lies here, and its requester is a task', async () => {
    const patient = await admit(system, { name: '褚三', phone: '13611112222' });
    const exporter = new Exporter(system, clock);
    const id = await exporter.request();
    await exporter.until(id, 'READY');
    const files = path.join(system.database.directory, 'data', 'exports');
    const lying = () => [...filesBelow(files).keys()].filter((file) => file.includes(id));
    expect(lying()).not.toEqual([]);
    const answer = await officer.with(ERASE, { patientId: patient });
    expect(codeOf(answer)).toBe('none');
    const open = nodesOf((await officer.ask(NOTICES)).data['erasureNotices']);
    const own = open.filter((one) => one['erasureId'] === answer.data['eraseSubject'].id);
    expect(own.map(({ kind, exportId, accountId }) => ({ kind, exportId, accountId }))).toContainEqual({
      kind: 'EXPORT',
      exportId: id,
      accountId: exporter.user.id,
    });
    expect(await query('SELECT status FROM export_job WHERE id = $1', [id])).toEqual([{ status: 'EXPIRED' }]);
    expect(lying()).toEqual([]);
  });
});

describe('after a restore', () => {
  it('somebody who was erased is found, the start refused, and the person erased again', async () => {
    const patient = await admit(system, { name: '陈二', phone: '13711112222' }, ['Ward 1']);
    await represented(system, 'guardian', patient);
    await attach(system, 'physician', patient, Buffer.from('a letter of yesterday\n'));
    const reference = await referenceOf(patient);
    const tables = ['patient', 'subject_key', 'care_team_assignment', 'related_person', 'attachment'];
    const key = (table: string) => (table === 'patient' ? 'id' : table === 'subject_key' ? 'subject_id' : 'patient_id');
    for (const table of tables) {
      await query(`CREATE TABLE yesterday_${table} AS SELECT * FROM ${table} WHERE ${key(table)} = '${patient}'`);
    }
    expect(codeOf(await officer.with(ERASE, { patientId: patient }))).toBe('none');
    const { erasures, ledger } = system.composition;
    await erasures.tombstones.refuseResurrected();
    const client = await system.database.owner.connect();
    await client.query('SET session_replication_role = replica');
    await client.query('DELETE FROM patient WHERE id = $1', [patient]);
    await client.query('DELETE FROM erasure_notice; DELETE FROM erasure');
    for (const table of tables) {
      await client.query(`INSERT INTO ${table} SELECT * FROM yesterday_${table}`);
      await client.query(`DROP TABLE yesterday_${table}`);
    }
    await client.query('SET session_replication_role = DEFAULT');
    client.release();
    await expect(erasures.tombstones.refuseResurrected()).rejects.toThrow('npm run restore:replay');

    const { directory } = system.database;
    const configuration = readConfiguration({
      CUSTODIA_DATA_DIRECTORY: path.join(directory, 'data'),
      CUSTODIA_KEY_DIRECTORY: path.join(directory, 'keys'),
      CUSTODIA_CHECKPOINT_DIRECTORY: path.join(directory, 'checkpoints'),
    });
    const owner = await connectTo(system.database.urls.owner, 'replay')();
    const all = readdirSync(configuration.tombstoneDirectory, { recursive: true }).filter((name) =>
      String(name).endsWith('.note'),
    ).length;
    try {
      expect(await replayTombstones(configuration, owner, ledger.writer)).toEqual({ tombstones: all, replayed: 1 });
      expect(await replayTombstones(configuration, owner, ledger.writer)).toEqual({ tombstones: all, replayed: 0 });
    } finally {
      await owner.close();
    }
    await erasures.tombstones.refuseResurrected();
    expect(await query('SELECT 1 FROM subject_key WHERE subject_reference = $1', [reference])).toEqual([]);
    expect(await tablesWith(patient)).toEqual(['erasure', 'patient', 'vault_notice']);
    expect(await new ErasureFollowUp(erasures, ['T-CN']).run()).toBe(1);
    const [again = {}] = await query('SELECT replay_of, receipt FROM erasure WHERE patient_id = $1', [patient]);
    expect(again['replay_of']).not.toBeNull();
    expect(await verdict()).toBe('OK');

    // Whoever writes a tombstone of his own erases nobody: nothing starts.
    const [file] = readdirSync(path.join(configuration.tombstoneDirectory, 'T-CN'));
    const place = path.join(configuration.tombstoneDirectory, 'T-CN', file ?? '');
    const text = readFileSync(place, 'utf8');
    writeFileSync(place, text.replace(/"subject":"[0-9a-f]{32}"/, `"subject":"${'0'.repeat(32)}"`));
    await expect(erasures.tombstones.refuseResurrected()).rejects.toThrow('not signed');
    writeFileSync(place, text);
  });
});

describe('a noun that comes later', () => {
  it('is covered by its foreign key, and keeps nobody who was erased', async () => {
    const children = await query<{ child: string; key: string }>('SELECT child::text, key::text FROM patient_tables()');
    const byTable = new Map(children.map(({ child, key }) => [child, key]));
    const nouns = registry
      .all()
      .filter(
        ({ subject, attributes, type }) =>
          type !== 'Patient' && (typeof subject === 'object' || attributes.has('patientId')),
      );
    expect(nouns.length).toBeGreaterThan(10);
    for (const { table } of nouns) {
      expect([table, byTable.get(table)]).toEqual([table, 'patient_id']);
      const triggers = await query(
        `SELECT 1 FROM pg_trigger WHERE tgrelid = $1::regclass AND tgname = 'refuse_erased_subject'`,
        [table],
      );
      expect([table, triggers.length]).toEqual([table, 1]);
    }
    const unknown = await query(
      `SELECT table_name FROM information_schema.columns WHERE column_name = 'patient_id' AND table_schema = 'public'
        AND table_name <> 'erasure' AND table_name <> ALL ($1::text[])`,
      [[...byTable.keys()]],
    );
    expect(unknown).toEqual([]);
  });
});
