import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { request, type ClientRequest } from 'node:http';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { content, headersOf } from '../support/files.js';
import { asSuperuser, runCommand, seededDirectory, startSystem, type SystemProcess } from '../support/process.js';

const ATTACH = 'mutation($input: AttachFileInput!) { attachFile(input: $input) { id uploadUrl } }';
const TEXT = Buffer.alloc(500_000, 'findings ');
let directory: string;
let system: SystemProcess;

beforeAll(async () => {
  directory = await seededDirectory();
  system = await startSystem(directory);
});
afterAll(() => system.stop());

/** What the file routes need of the system as it runs now. */
const served = () => ({ endpoint: system.endpoint, token: () => system.signIn('physician') });

async function announced(
  file = { contentType: 'text/plain', size: TEXT.length },
): Promise<{ id: string; uploadUrl: string }> {
  const patientId = system.demo.patients['T-CN']?.['PT1'];
  const input = { patientId, title: 'Findings', ...file };
  const answer = await system.ask('physician', 'TREAT', ATTACH, { input });
  expect(answer?.errors).toEqual([]);
  return answer?.data['attachFile'] as { id: string; uploadUrl: string };
}

const files = (folder: string) =>
  readdirSync(path.join(directory, 'blobs', folder), { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );

/** Sends a part of the text and keeps the connection open. */
async function sendPart(uploadUrl: string): Promise<ClientRequest> {
  const headers = { ...(await headersOf(served(), 'physician', 'TREAT')), 'content-length': String(TEXT.length) };
  const sending = request(new URL(system.endpoint.replace('/graphql', uploadUrl)), { method: 'PUT', headers });
  sending.on('error', () => undefined);
  sending.write(TEXT.subarray(0, 200_000));
  for (let waited = 0; files('incoming').length === 0 && waited < 10_000; waited += 20) await pause(20);
  return sending;
}

const statusOf = (client: pg.Client, id: string) =>
  client
    .query('SELECT status, version, sealed_clinical FROM attachment WHERE id = $1', [id])
    .then(({ rows }) => rows[0]);

describe('kill -9', () => {
  it('in the middle of an upload: the attachment stays pending, nothing is left over, and it can be repeated', async () => {
    const { id, uploadUrl } = await announced();
    const sending = await sendPart(uploadUrl);
    expect(files('incoming')).toHaveLength(1);
    await system.kill();
    sending.destroy();
    expect(files('incoming')).toHaveLength(1);
    system = await startSystem(directory);
    expect(files('')).toEqual([]);
    const row = await asSuperuser(directory, (client) => statusOf(client, id));
    expect(row).toEqual({ status: 'pending', version: 1, sealed_clinical: null });
    expect((await content(served(), 'physician', uploadUrl, TEXT)).status).toBe(200);
    const opened = await content(served(), 'physician', uploadUrl, null);
    expect([opened.status, opened.bytes.equals(TEXT)]).toEqual([200, true]);
  });

  it('of another process that shares the directory takes nothing away from an upload that goes on', async () => {
    const { id, uploadUrl } = await announced();
    const sending = await sendPart(uploadUrl);
    const answered = new Promise<number | undefined>((resolve) =>
      sending.once('response', (one) => resolve(one.statusCode)),
    );
    expect((await runCommand(directory, 'organisation', ['--help'])).code).toBe(0);
    expect(
      (await runCommand(directory, 'import', ['fhir', path.join(directory, 'none'), '--tenant', 'T-CN'])).code,
    ).not.toBeNull();
    sending.end(TEXT.subarray(200_000));
    expect(await answered).toBe(200);
    const row = await asSuperuser(directory, (client) => statusOf(client, id));
    expect(row).toMatchObject({ status: 'available', version: 2 });
  });
});

/** The last step of an upload: refused by PostgreSQL, or done while the caller hung up. */
const LAST_STEPS: [string, string, string, string, number][] = [
  ['failed', 'BEFORE UPDATE', "RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'", 'pending', 200],
  ['done, and never heard of', 'AFTER UPDATE', 'PERFORM pg_sleep(0)', 'available', 409],
];

describe('the last step of an upload', () => {
  it.each(LAST_STEPS)(
    '%s: the row and the bytes fit together, and sending again says so',
    async (name, when, what, status, again) => {
      const { id, uploadUrl } = await announced();
      await asSuperuser(directory, async (client) => {
        await client.query(
          `CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${what}; RETURN NEW; END $$`,
        );
        await client.query(`CREATE TRIGGER fault ${when} ON attachment FOR EACH ROW EXECUTE FUNCTION fault()`);
      });
      if (name === 'failed') {
        expect((await content(served(), 'physician', uploadUrl, TEXT)).code).toBe('AUDIT_UNAVAILABLE');
      } else {
        const sending = await sendPart(uploadUrl);
        sending.end(TEXT.subarray(200_000));
        // The caller is gone before the answer, which is all that he lost.
        await pause(1_500);
        sending.destroy();
      }
      await asSuperuser(directory, async (client) => {
        await client.query('DROP TRIGGER fault ON attachment');
        await client.query('DROP FUNCTION fault()');
        expect(await statusOf(client, id)).toMatchObject({ status });
      });
      expect((await content(served(), 'physician', uploadUrl, TEXT)).status).toBe(again);
      const opened = await content(served(), 'physician', uploadUrl, null);
      expect([opened.status, opened.bytes.equals(TEXT)]).toEqual([200, true]);
      expect((await runCommand(directory, 'audit-verify')).code).toBe(0);
    },
  );
});

describe('many large files at once', () => {
  const MEBIBYTE = 1024 * 1024;
  const FILES = 10;
  /** Memory of the system's process, in bytes. */
  const resident = () =>
    Number(execFileSync('ps', ['-o', 'rss=', '-p', String(system.pid)], { encoding: 'utf8' })) * 1024;

  it('pass through in memory that does not depend on their size, in and out', async () => {
    const body = Buffer.concat([Buffer.from('ffd8ffe000104a464946', 'hex'), randomBytes(20 * MEBIBYTE - 10)]);
    const file = { contentType: 'image/jpeg', size: body.length };
    const token = await system.signIn('physician');
    const caller = { endpoint: system.endpoint, token: () => Promise.resolve(token) };
    const made = [];
    for (let count = 0; count < FILES; count += 1) made.push(await announced(file));
    const before = resident();
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, resident())), 100);
    try {
      const sent = await Promise.all(made.map((one) => content(caller, 'physician', one.uploadUrl, body)));
      expect(sent.map((one) => one.status)).toEqual(made.map(() => 200));
      const opened = await Promise.all(made.map((one) => content(caller, 'physician', one.uploadUrl, null)));
      expect(opened.every((one) => one.bytes.equals(body))).toBe(true);
    } finally {
      clearInterval(watch);
    }
    expect((most - before) / MEBIBYTE).toBeLessThan((FILES * 20 * 3) / 4);
  }, 90_000);
});
