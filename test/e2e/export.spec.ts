import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { ManualClock } from '../../src/kernel/clock.js';
import { LARGEST_CHUNK } from '../../src/operation/export-page.js';
import { DatabaseFault } from '../../src/persistence/sqlstate.js';
import { Log } from '../../src/telemetry/log.js';
import { CANCEL, Exporter, filesBelow, JOB, REQUEST, rowsOfCsv } from '../support/export.js';
import { codeOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const PATIENTS = 340;
const CREATE = 'mutation($input: CreatePatientInput!) { createPatient(input: $input) { id } }';
const DENY = 'mutation($input: RecordConsentInput!) { recordConsent(input: $input) { id } }';

let system: TestSystem;
let clock: ManualClock;
let officer: Exporter;
/** Every patient of the tenant, in the order of the list. */
let all: string[];
const made: Record<string, Loose> = {};
/** Patients who objected on the way. */
const withdrawn = new Set<string>();
const store = () => system.composition.exports.store;

beforeAll(async () => {
  clock = new ManualClock(Date.now());
  system = await testSystem({ clock });
  officer = new Exporter(system, clock);
  for (let number = 0; number < PATIENTS; number += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, index) => create(number + index)));
  }
  all = await inOrder();
  expect(all.length).toBeGreaterThan(2 * LARGEST_CHUNK);
}, 120_000);
afterAll(() => system.close());
afterEach(() => {
  Reflect.deleteProperty(store(), 'advance');
  Reflect.deleteProperty(system.composition.identity, 'actorOf');
});

async function create(number: number, more: Loose = {}): Promise<string> {
  const input = {
    name: `Canary Export ${String.fromCharCode(65 + (number % 26))}`,
    birthDate: '1970-05-06',
    gender: number % 2 === 0 ? 'female' : 'male',
    phone: `1390000${String(number).padStart(4, '0')}`,
    address: 'Beijing, Long Street, "yard" 7',
    nationalId: '110101197005061234',
    ...more,
  };
  const answer = await system.ask('front_desk', CREATE, { variables: { input } });
  const id = String(answer.data['createPatient'].id);
  made[id] = input;
  return id;
}

async function inOrder(): Promise<string[]> {
  const { rows } = await system.database.owner.query<{ id: string }>(
    `SELECT id FROM patient WHERE tenant_id = 'T-CN' ORDER BY created_at DESC, id DESC`,
  );
  return rows.map((row) => row.id);
}

/** Does something before the third chunk is read: for each one the account is asked for anew. */
function beforeThirdChunk(work: () => Promise<unknown>): void {
  const { identity } = system.composition;
  const original = identity.actorOf.bind(identity);
  let calls = 0;
  identity.actorOf = async (...account) => {
    calls += 1;
    if (calls === 3) await work();
    return original(...account);
  };
}

/** Does something when the first chunk is written. */
function afterFirstChunk(work: (id: string) => Promise<unknown>): void {
  const original = store().advance.bind(store());
  let first = true;
  store().advance = async (job, ...rest) => {
    const advanced = await original(job, ...rest);
    if (first) {
      first = false;
      await work(job.id);
    }
    return advanced;
  };
}

async function linesOf(response: Response): Promise<Loose[]> {
  const text = await response.text();
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Loose);
}

const directory = () => path.join(system.database.directory, 'data', 'exports');
const filesOf = (id: string) =>
  existsSync(directory()) ? [...filesBelow(directory()).keys()].filter((name) => name.includes(id)) : [];

async function recordsOfExport(id: string): Promise<Loose[]> {
  const records = await recordsOf(system, 'T-CN');
  return records.filter((record) => record['request'] === id || record['detail']?.key === `export:${id}`);
}

describe('the whole way of an export', () => {
  test('CSV: stepped up, written in chunks, fetched once, the same bytes as its records say', async () => {
    const formula = await create(9001, { name: '=HYPERLINK("http://x.example","a")\n,b', email: 'a@b.example' });
    const id = await officer.request({ format: 'CSV' });
    const ready = await officer.until(id, 'READY');
    const ids = await inOrder();
    expect(ready).toMatchObject({ rowCount: ids.length, progress: 1, downloadUrl: `/exports/${id}` });

    const response = await officer.download(id, { 'x-request-id': 'fetch-1' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    expect(response.headers.get('content-disposition')).toBe(`attachment; filename="export-${id}.csv"`);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('x-request-id')).toBe('fetch-1');
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(response.headers.get('content-length')).toBe(String(bytes.length));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(ready['sha256']).toBe(sha256);

    const [head = [], ...rows] = rowsOfCsv(bytes.toString('utf8'));
    expect(head).toEqual(
      expect.arrayContaining(['id', 'name', 'birthDate', 'phone', 'nationalId', 'region', 'status']),
    );
    expect(head).not.toContain('notes');
    expect(rows.map((row) => row[head.indexOf('id')])).toEqual(ids);
    const cell = (row: string[] | undefined, field: string) => row?.[head.indexOf(field)];
    const plain = rows.find((row) => made[cell(row, 'id') ?? '']?.['phone'] === '13900000000');
    expect(cell(plain, 'name')).toBe('Canary Export A');
    expect(cell(plain, 'address')).toBe('Beijing, Long Street, "yard" 7');
    expect(cell(plain, 'nationalId')).not.toContain('19700506');
    const dangerous = rows.find((row) => cell(row, 'id') === formula);
    expect(cell(dangerous, 'name')).toBe(`'=HYPERLINK("http://x.example","a")\n,b`);

    const records = await recordsOfExport(id);
    const chunks = records.filter((record) => record['operation'] === 'exportPatients');
    expect(chunks.every((record) => record['kind'] === 'EXPORT' && record['outcome'] === 'success')).toBe(true);
    const accesses = chunks.flatMap((record) => record['accesses'] as Loose[]);
    expect(accesses.reduce((sum, access) => sum + Number(access['rows']), 0)).toBe(ids.length);
    for (const access of accesses) expect((access['subjects'] as string[]).length).toBeLessThanOrEqual(LARGEST_CHUNK);
    expect(new Set(accesses.flatMap((access) => access['subjects'] as string[])).size).toBe(ids.length);
    expect(accesses[0]?.['fields']).toMatchObject({ name: 'CLEAR', nationalId: 'MASKED' });
    const detail = { key: `export:${id}`, sha256 };
    expect(
      records.filter((record) => record['detail'] !== undefined).map((one) => [one['kind'], one['detail']]),
    ).toEqual([
      ['EXPORT', detail],
      ['DISCLOSE', detail],
    ]);

    expect((await officer.download(id)).status).toBe(410);
    expect(await officer.job(id)).toMatchObject({ status: 'DOWNLOADED', downloadUrl: null });
    expect(filesOf(id)).toEqual([]);
  });

  test('NDJSON with a filter on what is in clear; a filter on what is sealed is refused', async () => {
    const id = await officer.request({ filter: { gender: { eq: 'male' } } });
    const job = await officer.until(id, 'READY');
    const rows = await linesOf(await officer.download(id));
    expect(rows.length).toBe(job['rowCount']);
    expect(rows.length).toBeGreaterThan(100);
    expect(rows.every((row) => row['gender'] === 'male')).toBe(true);

    const input = { type: 'PATIENTS', format: 'CSV', filter: { name: { eq: 'Canary Export A' } } };
    const challengeId = await officer.challenge(input);
    expect(codeOf(await officer.ask(REQUEST, { input: { ...input, challengeId } }))).toBe('FIELD_NOT_FILTERABLE');
  });

  test('nothing found is a file without rows', async () => {
    const filter = { createdAt: { gt: '2990-01-01T00:00:00Z' } };
    const csv = await officer.request({ format: 'CSV', filter });
    await officer.until(csv, 'READY');
    expect(rowsOfCsv(await (await officer.download(csv)).text())).toHaveLength(1);
    const lines = await officer.request({ filter });
    expect(await officer.until(lines, 'READY')).toMatchObject({ rowCount: 0 });
    expect(await (await officer.download(lines)).text()).toBe('');
  });
});

describe('who may', () => {
  test('every other role is FORBIDDEN, before a second factor is asked for', async () => {
    const input = { type: 'PATIENTS', format: 'CSV' };
    const others = system.demo.users.filter((user) => user.tenant === 'T-CN' && user.role !== 'privacy_officer');
    for (const { role } of others) {
      for (const purpose of system.composition.policy.purposesOf(role)) {
        const answer = await system.ask(role, REQUEST, { purpose, variables: { input } });
        expect(`${role} ${codeOf(answer)}`).toBe(`${role} FORBIDDEN`);
      }
    }
  });

  test('a challenge opens the selection that it was asked for, once', async () => {
    const input = { type: 'PATIENTS', format: 'CSV', filter: { gender: { eq: 'female' } } };
    const challengeId = await officer.challenge(input);
    const wider = { type: 'PATIENTS', format: 'CSV', challengeId };
    expect(codeOf(await officer.ask(REQUEST, { input: wider }))).toBe('STEP_UP_REQUIRED');
    expect(codeOf(await officer.ask(REQUEST, { input: { ...input, format: 'NDJSON', challengeId } }))).toBe(
      'STEP_UP_REQUIRED',
    );
    const [one, other] = await Promise.all(
      [0, 1].map(() => officer.ask(REQUEST, { input: { ...input, challengeId } })),
    );
    expect([one, other].map((answer) => answer && codeOf(answer)).sort()).toEqual(['STEP_UP_REQUIRED', 'none']);
    const id = String((codeOf(one as never) === 'none' ? one : other)?.data['requestExport'].id);
    await officer.until(id, 'READY');
    await officer.ask(CANCEL, { id });
  });

  test("another's export is like none: state, cancellation and file", async () => {
    const id = await officer.request({ filter: { gender: { eq: 'female' } } });
    await officer.until(id, 'READY');
    const unknown = '01900000-0000-7000-8000-000000000000';
    const stranger = await secondOfficer();
    for (const document of [JOB, CANCEL]) {
      const [foreign, missing] = [await stranger.ask(document, { id }), await stranger.ask(document, { id: unknown })];
      expect(codeOf(foreign)).toBe('NOT_FOUND');
      expect(JSON.stringify([foreign.data, foreign.errors])).toBe(JSON.stringify([missing.data, missing.errors]));
    }
    const abroad = await new Exporter(system, clock, 'privacy_officer', 'T-US').signIn();
    const bodies = await Promise.all(
      [stranger.download(id), stranger.download(unknown), abroad.download(id), officer.download('no-id')].map(
        async (pending) => {
          const response = await pending;
          return [response.status, await response.text()];
        },
      ),
    );
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(bodies[0]?.[0]).toBe(404);
    const nobody = await fetch(new URL(`/exports/${id}`, system.endpoint));
    expect(nobody.status).toBe(401);
    expect((await officer.download(id)).status).toBe(200);
  });

  async function secondOfficer(): Promise<Exporter> {
    const account = { tenant: 'T-CN', email: 'second@officer.example', password: 'correct horse battery staple' };
    await system.composition.identity.createAccount({ ...account, role: 'privacy_officer' });
    const stranger = new Exporter(system, clock);
    const answer = await system.send('mutation($input: SignInInput!) { signIn(input: $input) { accessToken } }', {
      variables: { input: account },
    });
    stranger.token = String(answer.data['signIn'].accessToken);
    return stranger;
  }
});

describe('one download', () => {
  test('of many at once exactly one gets the bytes', async () => {
    const id = await officer.request();
    await officer.until(id, 'READY');
    const answers = await Promise.all(Array.from({ length: 6 }, () => officer.download(id)));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 410, 410, 410, 410, 410]);
    const refused = answers.find((answer) => answer.status === 410);
    expect(await refused?.json()).toMatchObject({ errors: [{ extensions: { code: 'GONE' } }] });
    const whole = answers.find((answer) => answer.status === 200);
    expect((await linesOf(whole as Response)).map((row) => row['id'])).toEqual(await inOrder());
    const records = await recordsOfExport(id);
    expect(records.filter((record) => record['kind'] === 'DISCLOSE' && record['outcome'] === 'success')).toHaveLength(
      1,
    );
  });

  test('a look at the head takes nothing', async () => {
    const id = await officer.request();
    await officer.until(id, 'READY');
    const head = await officer.download(id, {}, 'HEAD');
    expect([head.status, head.headers.get('allow')]).toEqual([405, 'GET']);
    const response = await officer.download(id);
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  });

  test('after 24 hours it is over, and the file goes with the next look at the table', async () => {
    const id = await officer.request();
    await officer.until(id, 'READY');
    expect(filesOf(id)).toHaveLength(1);
    clock.advance(24 * 3_600_000);
    await officer.signIn();
    expect(await officer.job(id)).toMatchObject({ status: 'EXPIRED', downloadUrl: null });
    expect((await officer.download(id)).status).toBe(410);
    await system.composition.jobs.close();
    await system.composition.jobs.start(new Log('silent', { write: () => undefined }));
    expect(filesOf(id)).toEqual([]);
    expect(await officer.job(id)).toMatchObject({ status: 'EXPIRED' });
  });

  test('a file that shows more than its reader may see by now is not fetched, one that shows less is', async () => {
    const [more, less] = [await officer.request(), await officer.request()];
    for (const id of [more, less]) await officer.until(id, 'READY');
    const { rows } = await system.database.owner.query<{ shown: Record<string, string[]> }>(
      'SELECT shown FROM export_job WHERE id = $1',
      [more],
    );
    const shown = rows[0]?.shown ?? {};
    const masked = Object.keys(shown).find((field) => shown[field]?.some((state) => state.startsWith('MASKED '))) ?? '';
    const as = (id: string, state: string) =>
      system.database.owner.query('UPDATE export_job SET shown = $2 WHERE id = $1', [
        id,
        JSON.stringify({ ...shown, [masked]: shown[masked]?.map(() => state) }),
      ]);
    await as(more, 'CLEAR');
    await as(less, 'HIDDEN');
    const refused = await officer.download(more);
    expect([refused.status, await refused.json()]).toMatchObject([410, { errors: [{ extensions: { code: 'GONE' } }] }]);
    const fetched = await officer.download(less);
    expect(fetched.status).toBe(200);
    await fetched.arrayBuffer();
  });

  test('a file that was changed is broken off, one that is gone costs no claim', async () => {
    const gone = await officer.request();
    await officer.until(gone, 'READY');
    await rm(String(filesOf(gone)[0]));
    const answer = await officer.download(gone);
    expect([answer.status, ((await answer.json()) as Loose)['errors'][0].extensions.code]).toEqual([
      500,
      'INTEGRITY_FAILED',
    ]);
    expect(await officer.job(gone)).toMatchObject({ status: 'READY' });

    const changed = await officer.request();
    await officer.until(changed, 'READY');
    const [file = ''] = filesOf(changed);
    const bytes = Buffer.from(filesBelow(directory()).get(file) ?? '');
    bytes[bytes.length - 200] = (bytes[bytes.length - 200] ?? 0) ^ 1;
    await writeFile(file, bytes);
    const broken = await officer.download(changed);
    await expect(broken.arrayBuffer()).rejects.toThrow();
  });
});

describe('while it runs', () => {
  test('a patient who withdraws in the middle is not in what comes after, and the record says so', async () => {
    const last = String(all.at(-1));
    const early = String(all[0]);
    const { token } = await new Exporter(system, clock, 'front_desk').signIn();
    beforeThirdChunk(async () => {
      for (const patientId of [last, early]) {
        const variables = { input: { patientId, purpose: 'PATRQT', decision: 'DENY' } };
        expect(codeOf(await system.send(DENY, { purpose: 'PATADMIN', token, variables }))).toBe('none');
      }
    });
    const ids = await inOrder();
    const id = await officer.request();
    const job = await officer.until(id, 'READY');
    const rows = (await linesOf(await officer.download(id))).map((row) => row['id']);
    expect(rows).toEqual(ids.filter((one) => one !== last));
    expect(job['rowCount']).toBe(ids.length - 1);
    const { rows: references } = await system.database.owner.query<{ subject_reference: string }>(
      'SELECT subject_reference FROM patient WHERE id = $1',
      [last],
    );
    const subjects = (await recordsOfExport(id)).flatMap((record) =>
      (record['accesses'] as Loose[]).flatMap((access) => access['subjects'] as string[]),
    );
    expect(subjects).toHaveLength(rows.length);
    expect(subjects).not.toContain(references[0]?.subject_reference);
    for (const one of [last, early]) withdrawn.add(one);
  });

  test('cancelled in the middle it stops, and its file is deleted', async () => {
    afterFirstChunk(async (job) => {
      expect(codeOf(await officer.ask(CANCEL, { id: job }))).toBe('none');
    });
    const id = await officer.request();
    expect(await officer.until(id, 'CANCELLED')).toMatchObject({ rowCount: null, sha256: null, downloadUrl: null });
    for (let tries = 0; filesOf(id).length > 0 && tries < 100; tries++) await pause(20);
    expect(filesOf(id)).toEqual([]);
    expect((await officer.download(id)).status).toBe(410);
    const chunks = (await recordsOfExport(id)).filter((record) => record['operation'] === 'exportPatients');
    expect(chunks.length).toBeLessThanOrEqual(2);
    expect((await officer.ask(CANCEL, { id })).data['cancelExport']).toMatchObject({ status: 'CANCELLED' });
  });

  test.each([
    [
      'role',
      (account: string) => system.composition.identity.changeRole('T-CN', account, 'billing'),
      'PURPOSE_NOT_PERMITTED',
    ],
    ['account', (account: string) => disabled(account, new Date(clock.milliseconds() - 1)), 'UNAUTHENTICATED'],
  ])('a requester who loses the %s gets nothing', async (_, lose, code) => {
    const account = officer.user.id;
    beforeThirdChunk(() => lose(account));
    const id = await officer.request();
    let job = await store().find('T-CN', id);
    for (let tries = 0; job?.status !== 'FAILED' && tries < 200; tries++) {
      await pause(50);
      job = await store().find('T-CN', id);
    }
    await system.composition.identity.changeRole('T-CN', account, 'privacy_officer');
    await disabled(account, null);
    await officer.signIn();
    expect(await officer.job(id)).toMatchObject({ status: 'FAILED', downloadUrl: null });
    expect(filesOf(id)).toEqual([]);
    const denied = (await recordsOfExport(id)).filter((record) => record['outcome'] === 'denied');
    expect(denied.map((record) => record['code'])).toContain(code);
  });

  async function disabled(account: string, at: Date | null): Promise<void> {
    await system.database.owner.query('UPDATE account SET disabled_at = $2 WHERE id = $1', [account, at]);
  }

  test('its progress grows from 0 to 1', async () => {
    const seen: number[] = [];
    afterFirstChunk(async (job) => void seen.push(Number((await officer.job(job))['progress'])));
    const id = await officer.request();
    seen.push(Number((await officer.until(id, 'READY'))['progress']));
    expect(seen[0]).toBeGreaterThan(0.3);
    expect(seen[0]).toBeLessThan(1);
    expect(seen[1]).toBe(1);
    await officer.ask(CANCEL, { id });
  });
});

describe('what fails on the way', () => {
  /** Fails once, at the first call that fits: before it does anything, or when everything is done. */
  function failOnce(owner: object, name: string, flavour: string, fits: (...given: never[]) => boolean): void {
    const original = Reflect.get(owner, name) as (...given: never[]) => Promise<unknown>;
    let failed = false;
    Reflect.set(owner, name, async (...given: never[]) => {
      if (failed || !fits(...given)) return original.apply(owner, given);
      failed = true;
      if (flavour === 'and happened') await original.apply(owner, given);
      throw new DatabaseFault('connection', null, null, 'The connection to PostgreSQL failed.');
    });
  }

  async function whole(id: string): Promise<void> {
    const job = await officer.until(id, 'READY');
    const bytes = Buffer.from(await (await officer.download(id)).arrayBuffer());
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(job['sha256']);
    const rows = bytes.toString().trimEnd().split('\n');
    const expected = (await inOrder()).filter((one) => !withdrawn.has(one));
    expect(rows.map((row) => (JSON.parse(row) as Loose)['id'])).toEqual(expected);
    expect(job['rowCount']).toBe(rows.length);
  }

  test.each(['and did not happen', 'and happened'])(
    'a commit of progress that failed %s: no row twice, none lost',
    async (flavour) => {
      let calls = 0;
      failOnce(store(), 'advance', flavour, () => ++calls === 2);
      await whole(await officer.request());
      expect(calls).toBeGreaterThan(1);
    },
  );

  test.each(['and did not happen', 'and happened'])('a last commit that failed %s: ready once', async (flavour) => {
    const { app } = system.composition;
    failOnce(
      app,
      'query',
      flavour,
      (_: never, { text }: { text: string }) => text.includes('UPDATE export_job') && text.includes('sha256 ='),
    );
    const id = await officer.request();
    await officer.until(id, 'READY');
    Reflect.deleteProperty(app, 'query');
    await whole(id);
    const ends = (await recordsOfExport(id)).filter((record) => record['operation'] === 'finishExport');
    expect(ends.filter((record) => record['outcome'] === 'success')).toHaveLength(1);
  });

  test('a ledger that is away stops the chunk, and it is written when the ledger is back', async () => {
    const { writer } = system.composition.ledger;
    const isChunk = ({ operation }: { operation: string }) => operation === 'exportPatients';
    failOnce(writer, 'append', 'and did not happen', isChunk);
    await whole(await officer.request());
    Reflect.deleteProperty(writer, 'append');
  });

  test('an export that nobody was told of is found in the table', async () => {
    const { exports, jobs } = system.composition;
    exports.announce = () => Promise.reject(new Error('The queue is away.'));
    const id = await officer.request();
    await pause(300);
    expect(await officer.job(id)).toMatchObject({ status: 'PENDING', progress: 0 });
    await jobs.close();
    await jobs.start(new Log('silent', { write: () => undefined }));
    await whole(id);
  });
});

describe('at rest', () => {
  test('no clear value in files, their names, the queue, the table of exports or the log', async () => {
    const filter = { gender: { eq: 'female' } };
    const id = await officer.request({ format: 'CSV', filter });
    await officer.until(id, 'READY');
    const files = filesBelow(directory());
    expect([...files.keys()].some((name) => name.includes(id))).toBe(true);
    const tables = await Promise.all(
      ['jobs.job', 'jobs.schedule', 'jobs.queue', 'export_job'].map(async (table) => {
        const { rows } = await system.database.owner.query<{ text: string }>(`SELECT t::text AS text FROM ${table} t`);
        return rows.map((row) => row.text).join('\n');
      }),
    );
    const places = [
      ...files.keys(),
      ...tables,
      system.logged(),
      ...[...files.values()].map((one) => one.toString('latin1')),
    ];
    const utf8 = (text: string) => Buffer.from(text).toString('latin1');
    for (const value of ['Canary Export', '1390000', 'Long Street', '19700506', 'female', '王', utf8('王')]) {
      expect(places.filter((place) => place.includes(value))).toEqual([]);
    }
    await officer.ask(CANCEL, { id });
  });
});
