import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { HttpLog } from '../../audit/source.mjs';
import { verifySource } from '../../audit/verify.mjs';
import { ROLES, type Role } from '../../src/kernel/actor.js';
import { exportLog } from '../../src/ledger/export.js';
import { LogFiles } from '../../src/ledger/log-files.js';
import { ledgerOptions, readDraft } from '../support/ledger.js';
import { recordsOf, testSystem, type Loose, type TestSystem } from '../support/system.js';

const LOG = 'T-CN';
let system: TestSystem;
let files: LogFiles;
let auditor: string;
beforeAll(async () => {
  system = await testSystem();
  const { keys, store } = ledgerOptions(system.database);
  files = new LogFiles(system.database.auditor, store, keys, null);
  auditor = await system.token('auditor');
  await grow(300);
});
afterAll(() => system.close());

async function grow(count: number): Promise<void> {
  const { writer } = system.composition.ledger;
  await Promise.all(Array.from({ length: count }, () => writer.append(readDraft(LOG))));
  await system.composition.ledger.settle(10_000);
}

const root = () => new URL('/ledger/', system.endpoint).href;
const asAuditor = () => ({ authorization: `Bearer ${auditor}`, 'x-purpose-of-use': 'HCOMPL' });

function fetchFile(name: string, headers: Record<string, string> = {}, log = LOG): Promise<Response> {
  return fetch(`${root()}${log}/${name}`, { headers: { ...asAuditor(), ...headers } });
}

/** What is the same in two answers of one meaning. */
async function told(response: Response): Promise<string> {
  const { errors } = JSON.parse(await response.text()) as Loose;
  return `${response.status} ${JSON.stringify(errors)}`;
}

const fetches = async () => (await recordsOf(system, LOG)).filter((one) => one['operation'] === 'ledgerFiles');

describe('the files of the ledger over HTTP', () => {
  it('verify from afar, also while the log grows: as what was signed when the checkpoint was fetched', async () => {
    const sizes: number[] = [];
    class Growing extends HttpLog {
      override async read(name: string): Promise<Uint8Array | null> {
        const bytes = await super.read(name);
        if (name === 'checkpoint')
          sizes.push(
            Number(
              Buffer.from(bytes ?? [])
                .toString()
                .split('\n')[1],
            ),
          );
        if (sizes.length === 1) await grow(1);
        return bytes;
      }
    }
    const log = new Growing(`${root()}${LOG}`, asAuditor());
    const report = await verifySource(log, { vkeys: [files.vkey(LOG)] });
    expect([report.first, report.size]).toEqual([null, sizes[0]]);
    expect((await files.published(LOG))?.size).toBeGreaterThan(report.size ?? 0);
  });

  it('are those of an export, byte for byte', async () => {
    const directory = mkdtempSync(path.join(system.database.directory, 'export-'));
    await exportLog(files, LOG, directory);
    const names = readdirSync(directory, { withFileTypes: true, recursive: true })
      .filter((one) => one.isFile() && one.name !== 'checkpoint')
      .map((one) => path.relative(directory, path.join(one.parentPath, one.name)));
    expect(names.length).toBeGreaterThanOrEqual(10);
    for (const name of names) {
      const response = await fetchFile(name);
      const same = Buffer.from(await response.arrayBuffer()).equals(readFileSync(path.join(directory, name)));
      expect([name, response.status, same]).toEqual([name, 200, true]);
    }
  });

  it('leave a record each, which names the file and nobody', async () => {
    const before = (await fetches()).length;
    await fetchFile('tile/entries/000');
    await fetchFile('tile/9/000');
    await fetchFile('checkpoint', {}, 'T-US');
    await fetchFile('nothing');
    const records = (await fetches()).slice(before);
    expect(records.map((one) => [one['kind'], one['outcome'], one['code'], one['role']])).toEqual([
      ['LEDGER_READ', 'success', null, 'auditor'],
      ['LEDGER_READ', 'denied', 'NOT_FOUND', 'auditor'],
      ['LEDGER_READ', 'denied', 'NOT_FOUND', 'auditor'],
      ['LEDGER_READ', 'failed', 'BAD_USER_INPUT', 'auditor'],
    ]);
    expect(records[0]?.['accesses']).toEqual([
      { type: 'LedgerFile', rows: 256, fields: { 'tile.entries.000': 'CLEAR' }, subjects: [] },
    ]);
  });

  it('may be kept by who fetched them for as long as they stay true', async () => {
    const cached: [string, string, string][] = [
      ['checkpoint', 'no-cache', 'text/plain; charset=utf-8'],
      ['log.vkey', 'no-cache', 'text/plain; charset=utf-8'],
      ['tile/0/000', 'private, max-age=31536000, immutable', 'application/octet-stream'],
      ['tile/entries/000', 'private, max-age=31536000, immutable', 'application/octet-stream'],
      ['mac/000', 'private, max-age=31536000, immutable', 'application/octet-stream'],
      ['tile/0/001.p/7', 'private, max-age=60', 'application/octet-stream'],
      ['tile/1/000.p/1', 'private, max-age=60', 'application/octet-stream'],
      ['detail/000', 'no-store', 'application/octet-stream'],
      ['detail/001.p/1', 'no-store', 'application/octet-stream'],
    ];
    for (const [name, cacheControl, contentType] of cached) {
      const { status, headers } = await fetchFile(name);
      const found = [status, headers.get('cache-control'), headers.get('content-type'), headers.get('vary')];
      expect([name, ...found]).toEqual([
        name,
        200,
        cacheControl,
        contentType,
        expect.stringContaining('authorization'),
      ]);
      expect(headers.get('x-ledger-record')).toMatch(/^[0-9a-f]{64}$/);
    }
    const first = await fetchFile('tile/0/000');
    const etag = first.headers.get('etag') ?? '';
    expect((await first.arrayBuffer()).byteLength).toBe(8_192);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await fetchFile('tile/0/000', { 'if-none-match': known });
      expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
    }
    expect((await fetchFile('tile/0/000', { 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('come in every width that the checkpoint covers, and in no other', async () => {
    const { size } = (await files.published(LOG)) ?? { size: 0 };
    const whole = Buffer.from(await (await fetchFile('tile/0/000')).arrayBuffer());
    for (const width of [1, 100, 255]) {
      const part = Buffer.from(await (await fetchFile(`tile/0/000.p/${width}`)).arrayBuffer());
      expect(part.equals(whole.subarray(0, width * 32))).toBe(true);
    }
    const beyond = ['tile/0/002', 'tile/entries/001', 'mac/x999/999', 'tile/1/000', 'tile/2/000.p/1', 'detail/001'];
    for (const name of [...beyond, `tile/0/${size > 512 ? '003' : '001'}.p/255`, 'writer.keys', 'minimum']) {
      expect([name, (await fetchFile(name)).status]).toEqual([name, 404]);
    }
    const malformed = [
      'tile/0/0',
      'tile/0/000.p/256',
      'tile/0/x000/000',
      'mac/..%2f..%2fkeys',
      'tile/entries/',
      'range',
    ];
    for (const name of malformed) {
      const response = await fetchFile(name);
      expect([name, response.status, response.headers.get('cache-control')]).toEqual([name, 400, 'no-store']);
    }
  });
});

describe('who is no auditor of the tenant', () => {
  it('gets nothing without a token or a purpose', async () => {
    const anonymous = await fetch(`${root()}${LOG}/checkpoint`);
    expect([anonymous.status, anonymous.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const aimless = await fetch(`${root()}${LOG}/checkpoint`, { headers: { authorization: `Bearer ${auditor}` } });
    expect(await told(aimless)).toContain('PURPOSE_REQUIRED');
  });

  it('is refused in every other role and for every other purpose', async () => {
    const { policy } = system.composition;
    const signedIn = ROLES.filter((role) => system.demo.users.some((one) => one.role === role && one.tenant === LOG));
    expect(signedIn.length).toBeGreaterThan(12);
    for (const role of signedIn) {
      for (const purpose of policy.purposesOf(role)) {
        const token = await system.token(role as Role);
        const headers = { authorization: `Bearer ${token}`, 'x-purpose-of-use': purpose };
        const { status } = await fetchFile('tile/entries/000', headers);
        const may = purpose === 'HCOMPL' && (role === 'auditor' || role === 'privacy_officer');
        expect([role, purpose, status]).toEqual([role, purpose, may ? 200 : 403]);
      }
    }
  });

  it('cannot tell the log of another tenant, or that of the system, from one that does not exist', async () => {
    for (const name of ['checkpoint', 'tile/0/000', 'tile/0/0', 'x']) {
      const [unknown, ...others] = await Promise.all(
        ['T-XX', 'T-US', 'system', 'T-EU'].map(async (log) => told(await fetchFile(name, {}, log))),
      );
      expect(unknown).toMatch(/^404 /);
      expect(new Set(others)).toEqual(new Set([unknown]));
    }
  });
});
