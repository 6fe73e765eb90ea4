import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { newId } from '../../src/kernel/identifier.js';
import { announce, attach, ATTACH, content, headersOf, type Body } from '../support/files.js';
import { codeOf, nodesOf } from '../support/outcome.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const CANARY = 'FILE-CANARY-7d1e';
const TEXT = Buffer.from(`${CANARY} findings: nothing of note. 无异常\n`);
const LIST = `query($id: ID!) { patient(id: $id) { attachments(first: 50) { edges { node {
  id version status category title contentType size sha256 content uploadUrl
  fieldAccess { field state } } } pageInfo { hasNextPage } } } }`;

let system: TestSystem;
let patients: Readonly<Record<string, string>>;
beforeAll(async () => {
  system = await testSystem();
  patients = system.demo.patients['T-CN'] ?? {};
});
afterAll(() => system.close());

/** Every stored file, incoming ones too. */
function blobs(): string[] {
  return readdirSync(path.join(system.database.directory, 'data', 'blobs'), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => path.join(one.parentPath, one.name));
}

async function rowOf(id: string): Promise<Loose> {
  const { rows } = await system.database.owner.query<Loose>('SELECT * FROM attachment WHERE id = $1', [id]);
  return rows[0] ?? {};
}

const nodeOf = async (role: 'physician' | 'front_desk', patientId: string | undefined, id: string) => {
  const answer = await system.ask(role, LIST, { variables: { id: patientId } });
  return nodesOf(answer.data['patient']['attachments']).find((one) => one['id'] === id) as Loose;
};
/** The newest record of an operation; of a write, not of the reading of its answer. */
const newestRecord = async (operation: string, kind = 'READ') =>
  (await recordsOf(system, 'T-CN'))
    .filter((record) => record['operation'] === operation && record['kind'] === kind)
    .at(-1) as Loose;

function streamOf(bytes: Buffer, size = 4_096): Body {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.subarray(at, (at += size)));
    },
  });
}

describe('a file', () => {
  it('is announced, sent, listed and opened; each step leaves its record', async () => {
    const input = {
      patientId: patients['PT1'],
      title: `Title ${CANARY}`,
      contentType: 'text/plain',
      size: TEXT.length,
      category: 'report',
    };
    const announced = (await system.ask('physician', ATTACH, { variables: { input } })).data['attachFile'];
    expect(announced).toMatchObject({ version: 1, status: 'pending', title: input.title, size: TEXT.length });
    expect(announced).toMatchObject({ content: null, uploadUrl: `/attachments/${announced.id}/content` });
    expect(await newestRecord('attachFile', 'CREATE')).toMatchObject({ outcome: 'success' });

    const sent = await content(system, 'physician', announced.uploadUrl, TEXT);
    expect(sent.status).toBe(200);
    expect(JSON.parse(sent.bytes.toString())).toEqual({ id: announced.id, version: 2, status: 'available' });
    expect(await newestRecord('storeAttachment', 'UPDATE')).toMatchObject({
      outcome: 'success',
      accesses: [{ type: 'Attachment', fields: { content: 'WRITTEN', sha256: 'WRITTEN', status: 'WRITTEN' } }],
    });

    const listed = await nodeOf('physician', patients['PT1'], announced.id);
    expect(listed).toMatchObject({ status: 'available', content: announced.uploadUrl });
    expect(listed['sha256']).toMatch(/^[0-9a-f]{64}$/);

    const opened = await content(system, 'nurse', announced.uploadUrl, null);
    expect(opened.status).toBe(200);
    expect(opened.bytes.equals(TEXT)).toBe(true);
    expect(Object.fromEntries(opened.headers)).toMatchObject({
      'content-type': 'text/plain',
      'content-length': String(TEXT.length),
      'content-disposition': `attachment; filename="${announced.id}.txt"`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining('sandbox'),
      'cache-control': 'no-store',
      'x-ledger-record': expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const record = await newestRecord('openAttachment');
    expect(record).toMatchObject({ outcome: 'success', role: 'nurse', purpose: 'TREAT' });
    expect(record['accesses']).toEqual([
      expect.objectContaining({ type: 'Attachment', rows: 1, subjects: [expect.any(String)] }),
    ]);
    expect(record['accesses'][0].fields).toMatchObject({ content: 'CLEAR' });
  });

  it('is announced once with an Idempotency-Key', async () => {
    const input = { patientId: patients['PT1'], title: 'Twice', contentType: 'text/plain', size: 5 };
    const headers = { 'idempotency-key': 'attach-1' };
    const [one, two] = [
      await system.ask('physician', ATTACH, { variables: { input }, headers }),
      await system.ask('physician', ATTACH, { variables: { input }, headers }),
    ];
    expect(two.data).toEqual(one.data);
  });

  it('at rest shows nothing of what is in it, on the disk, in the tables and in the log', async () => {
    const { id } = await attach(system, 'physician', patients['PT1'], TEXT);
    for (const file of blobs()) {
      expect(readFileSync(file).includes(CANARY)).toBe(false);
      expect(file).not.toContain(id);
    }
    const { rows } = await system.database.owner.query<{ text: string }>(
      `SELECT coalesce(string_agg(to_jsonb(a)::text, ''), '') || (SELECT string_agg(convert_from(record, 'UTF8'), '') FROM ledger_entry) AS text FROM attachment a`,
    );
    expect(rows[0]?.text).not.toContain(CANARY);
    expect(rows[0]?.text).not.toContain(Buffer.from(CANARY).toString('hex'));
    expect(system.logged()).not.toContain(CANARY);
  });

  it('is refused when the announcement is no announcement', async () => {
    const good = { patientId: patients['PT1'], title: 'x', contentType: 'text/plain', size: 5 };
    const bad = [
      { title: ' ' },
      { contentType: 'text/html' },
      { contentType: 'image/svg+xml' },
      { contentType: 'text/plain; charset=utf-8' },
      { size: 0 },
      { size: -1 },
      { size: 20 * 1024 * 1024 + 1 },
      { category: 'secret' },
    ];
    for (const more of bad) {
      const answer = await system.ask('physician', ATTACH, { variables: { input: { ...good, ...more } } });
      expect([more, codeOf(answer)]).toEqual([more, 'BAD_USER_INPUT']);
    }
  });
});

describe('who may open it', () => {
  it('the front desk attaches and lists, without titles, and cannot open', async () => {
    const { id, path: at } = await attach(system, 'front_desk', patients['PT4'], TEXT);
    const node = await nodeOf('front_desk', patients['PT4'], id);
    expect(node).toMatchObject({ title: '[withheld]', content: null, sha256: null, contentType: 'text/plain' });
    const states = Object.fromEntries((node['fieldAccess'] as Loose[]).map((one) => [one['field'], one['state']]));
    expect(states).toMatchObject({ content: 'HIDDEN', sha256: 'HIDDEN', title: 'MASKED', size: 'CLEAR' });
    const refused = await content(system, 'front_desk', at, null);
    expect([refused.status, refused.code]).toEqual([404, 'NOT_FOUND']);
    expect(await newestRecord('openAttachment')).toMatchObject({ outcome: 'denied', code: 'FORBIDDEN', accesses: [] });
  });

  it('unknown, foreign, forbidden, pending and hidden ones are the same bytes', async () => {
    const own = await attach(system, 'physician', patients['PT1'], TEXT);
    const others = await attach(system, 'front_desk', patients['PT4'], TEXT);
    const pending = await announce(system, 'physician', patients['PT1'], { size: 5 });
    const notSelf = await attach(system, 'physician', patients['PT3'], TEXT);
    const asked = [
      await content(system, 'physician', `/attachments/${newId()}/content`, null),
      await content(system, 'physician', '/attachments/x/content', null),
      await content(system, 'physician', others.path, null),
      await content(system, 'physician', pending.path, null),
      await content(system, 'physician', own.path, null, { tenant: 'T-US' }),
      await content(system, 'front_desk', own.path, null),
      await content(system, 'marketer', own.path, null, { purpose: 'HMARKT' }),
      await content(system, 'patient', notSelf.path, null),
      await content(system, 'physician', others.path, TEXT),
      await content(system, 'physician', own.path, TEXT, { tenant: 'T-US' }),
      await content(system, 'marketer', own.path, TEXT, { purpose: 'HMARKT' }),
    ];
    expect(asked.map((one) => one.status)).toEqual(asked.map(() => 404));
    expect(new Set(asked.map((one) => one.bytes.toString())).size).toBe(1);
    expect(asked.some((one) => one.headers.has('x-ledger-record'))).toBe(false);
  });

  it('nobody without a session, a purpose, or a purpose of his own', async () => {
    const { path: at } = await attach(system, 'physician', patients['PT1'], TEXT);
    for (const body of [null, TEXT]) {
      const without = async (options: object) => {
        const { status, code } = await content(system, 'physician', at, body, options);
        return [status, code];
      };
      expect(await without({ token: null })).toEqual([401, 'UNAUTHENTICATED']);
      expect(await without({ token: 'x.y.z' })).toEqual([401, 'UNAUTHENTICATED']);
      expect(await without({ purpose: null })).toEqual([400, 'PURPOSE_REQUIRED']);
      expect(await without({ purpose: 'HMARKT' })).toEqual([403, 'PURPOSE_NOT_PERMITTED']);
    }
  });

  it('a patient opens the own files and attaches none', async () => {
    const { id, path: at } = await attach(system, 'physician', patients['PT1'], TEXT);
    const opened = await content(system, 'patient', at, null);
    expect([opened.status, opened.bytes.equals(TEXT)]).toEqual([200, true]);
    const listed = await system.ask('patient', LIST, { variables: { id: patients['PT1'] } });
    expect(nodesOf(listed.data['patient']['attachments']).map((one) => one['id'])).toContain(id);
    const input = { patientId: patients['PT1'], title: 'x', contentType: 'text/plain', size: 5 };
    expect(codeOf(await system.ask('patient', ATTACH, { variables: { input } }))).toBe('FORBIDDEN');
    expect((await content(system, 'patient', at, TEXT)).code).toBe('NOT_FOUND');
  });
});

describe('bytes that are not what was declared', () => {
  it.each([
    ['another type', 'application/pdf', TEXT],
    ['markup', 'text/plain', Buffer.from('<html><script>alert(1)</script>')],
    ['control characters', 'text/plain', Buffer.from('a\0b')],
    [
      'a program as DICOM',
      'application/dicom',
      Buffer.concat([Buffer.from('MZ'), Buffer.alloc(126), Buffer.from('DICM')]),
    ],
  ])('%s: refused for good, and nothing is kept', async (_, contentType, bytes) => {
    const before = blobs();
    const { id, path: at } = await announce(system, 'physician', patients['PT1'], { contentType, size: bytes.length });
    const refused = await content(system, 'physician', at, bytes);
    expect([refused.status, refused.code]).toEqual([400, 'BAD_USER_INPUT']);
    expect(await rowOf(id)).toMatchObject({ status: 'refused', sealed_clinical: null, version: 2 });
    expect(blobs()).toEqual(before);
    expect((await content(system, 'physician', at, TEXT)).code).toBe('VERSION_CONFLICT');
    expect((await content(system, 'physician', at, null)).code).toBe('NOT_FOUND');
  });

  it('lies about the size, declared or streamed: refused, and nothing is kept', async () => {
    const before = blobs();
    for (const body of [TEXT, streamOf(TEXT, 7), streamOf(Buffer.concat([TEXT, Buffer.alloc(3_000_000, 65)]))]) {
      for (const size of [TEXT.length - 1, TEXT.length + 1]) {
        const stream = body instanceof Buffer ? body : streamOf(TEXT, 11);
        const { path: at } = await announce(system, 'physician', patients['PT1'], { size });
        const { status, code } = await content(system, 'physician', at, stream);
        expect([size, status, code]).toEqual([size, 400, 'BAD_USER_INPUT']);
      }
    }
    const { path: at } = await announce(system, 'physician', patients['PT1'], { size: 10 });
    const long = await content(system, 'physician', at, streamOf(Buffer.alloc(3_000_000, 65)));
    expect([long.status, long.code]).toEqual([400, 'BAD_USER_INPUT']);
    expect(blobs()).toEqual(before);
  });
});

describe('an upload', () => {
  it('whose sender is gone leaves it pending, and can be repeated', async () => {
    const before = blobs();
    const { id, path: at } = await announce(system, 'physician', patients['PT1'], { size: TEXT.length });
    const url = new URL(system.endpoint.replace('/graphql', at));
    const headers = { ...(await headersOf(system, 'physician', 'TREAT')), 'content-length': String(TEXT.length) };
    const sending = request(url, { method: 'PUT', headers });
    sending.on('error', () => undefined);
    sending.write(TEXT.subarray(0, 10));
    for (let waited = 0; blobs().length === before.length && waited < 5_000; waited += 20) await pause(20);
    expect(blobs()).toHaveLength(before.length + 1);
    sending.destroy();
    for (let waited = 0; blobs().length > before.length && waited < 5_000; waited += 20) await pause(20);
    expect(blobs()).toEqual(before);
    expect(await rowOf(id)).toMatchObject({ status: 'pending', version: 1 });
    expect((await content(system, 'physician', at, TEXT)).status).toBe(200);
  });

  it('of two at once, exactly one wins, and its bytes are those that are opened', async () => {
    for (let round = 0; round < 5; round += 1) {
      const before = blobs();
      const { path: at } = await announce(system, 'physician', patients['PT1'], { size: 300_000 });
      const bodies = ['a', 'b', 'c'].map((letter) => Buffer.alloc(300_000, letter));
      const answers = await Promise.all(bodies.map((body) => content(system, 'physician', at, streamOf(body, 50_000))));
      expect(answers.map((one) => one.status).sort()).toEqual([200, 409, 409]);
      const winner = bodies[answers.findIndex((one) => one.status === 200)] as Buffer;
      const opened = await content(system, 'physician', at, null);
      expect(opened.bytes.equals(winner)).toBe(true);
      expect(blobs()).toHaveLength(before.length + 1);
    }
  });

  it('of the largest size passes through unchanged, both ways', async () => {
    const size = 20 * 1024 * 1024;
    const body = Buffer.concat([Buffer.from('ffd8ffe000104a464946', 'hex'), randomBytes(size - 10)]);
    const { path: at } = await announce(system, 'physician', patients['PT1'], { contentType: 'image/jpeg', size });
    expect((await content(system, 'physician', at, streamOf(body, 65_536))).status).toBe(200);
    expect((await content(system, 'physician', at, null)).bytes.equals(body)).toBe(true);
  }, 60_000);

  it('of a body that nobody declared is not parsed as something else', async () => {
    const bytes = Buffer.from('{"query":"{ me { id } }"}');
    const { path: at } = await announce(system, 'physician', patients['PT1'], { size: bytes.length });
    const headers = { 'content-type': 'application/json' };
    expect((await content(system, 'physician', at, bytes, { headers })).status).toBe(200);
    expect((await content(system, 'physician', at, null)).bytes.equals(bytes)).toBe(true);
  });
});

describe('stored bytes that were changed', () => {
  /** The blob that appeared since. */
  const newest = (before: readonly string[]) => blobs().find((file) => !before.includes(file)) as string;

  it('in their beginning are an error before any byte', async () => {
    const before = blobs();
    const { path: at } = await attach(system, 'physician', patients['PT1'], TEXT);
    const file = newest(before);
    const sealed = readFileSync(file);
    sealed[40]! ^= 1;
    writeFileSync(file, sealed);
    const opened = await content(system, 'physician', at, null);
    expect([opened.status, opened.code]).toEqual([500, 'INTEGRITY_FAILED']);
    expect(opened.bytes.includes(CANARY)).toBe(false);
    expect(await newestRecord('openAttachment')).toMatchObject({ outcome: 'failed', code: 'INTEGRITY_FAILED' });
  });

  it.each([
    ['changed', (sealed: Buffer) => ((sealed[sealed.length - 1_000]! ^= 1), sealed)],
    ['cut off', (sealed: Buffer) => sealed.subarray(0, sealed.length - 1)],
    ['longer', (sealed: Buffer) => Buffer.concat([sealed, Buffer.from([0])])],
  ])('later (%s) break the connection off; it is logged and recorded', async (_, change) => {
    const before = blobs();
    const text = Buffer.alloc(900_000, 'true words ');
    const { path: at } = await attach(system, 'physician', patients['PT1'], text);
    const file = newest(before);
    writeFileSync(file, change(readFileSync(file)));
    const headers = await headersOf(system, 'physician', 'TREAT');
    const received: Buffer[] = [];
    const reading = async () => {
      const response = await fetch(system.endpoint.replace('/graphql', at), { headers });
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
        received.push(Buffer.from(chunk));
    };
    await expect(reading()).rejects.toThrow();
    const shown = Buffer.concat(received);
    expect(shown.length).toBeLessThan(text.length);
    expect(shown.equals(text.subarray(0, shown.length))).toBe(true);
    for (let waited = 0; waited < 3_000; waited += 20) {
      if ((await newestRecord('openAttachment'))['outcome'] === 'failed') break;
      await pause(20);
    }
    expect(await newestRecord('openAttachment')).toMatchObject({ outcome: 'failed', code: 'INTEGRITY_FAILED' });
    expect(system.logged()).toContain('"code":"INTEGRITY_FAILED"');
  });

  it('of another file, or gone, are no content', async () => {
    const before = blobs();
    const one = await attach(system, 'physician', patients['PT1'], TEXT);
    const first = newest(before);
    const between = blobs();
    const two = await attach(system, 'physician', patients['PT1'], Buffer.from('the other one'));
    const second = newest(between);
    writeFileSync(first, readFileSync(second));
    writeFileSync(second, '');
    for (const { path: at } of [one, two])
      expect((await content(system, 'physician', at, null)).code).toBe('INTEGRITY_FAILED');
    expect(statSync(second).size).toBe(0);
  });
});

describe('a policy that shows content masked', () => {
  it('is answered with a refusal: there is no masked form of bytes', async () => {
    const policies = path.join(system.database.directory, 'policies');
    cpSync('policies', policies, { recursive: true });
    const file = path.join(policies, 'attachment.yaml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(
      file,
      text.replace(
        'show: { clear: [public, record], masked: [notes] }',
        'show: { clear: [public, record], masked: [notes, clinical] }',
      ),
    );
    const strict = await testSystem({ policies });
    try {
      const { path: at } = await attach(strict, 'front_desk', strict.demo.patients['T-CN']?.['PT1'], TEXT);
      const refused = await content(strict, 'front_desk', at, null);
      expect([refused.status, refused.code]).toEqual([403, 'FORBIDDEN']);
      expect(JSON.parse(refused.bytes.toString()).errors[0].message).toBe(
        'The content of a file cannot be shown masked.',
      );
      expect((await content(strict, 'physician', at, null)).status).toBe(200);
    } finally {
      await strict.close();
    }
  });
});
