import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile, rm } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { flip, sampleDirectory } from './sample-directory.js';
import { completeLog, VKEY } from './sample-log.js';
import { HttpLog } from './source.mjs';
import { verifySource } from './verify.mjs';

const SIZE = 800;
const clean = completeLog(SIZE);
const log = sampleDirectory(clean);
const HEADERS = { authorization: 'Bearer token-of-the-auditor', 'x-purpose-of-use': 'HCOMPL' };

type Answer = (request: IncomingMessage, response: ServerResponse) => boolean;
/** Answers instead of the files; true: it did. */
let instead: Answer = () => false;
const asked: IncomingMessage[] = [];
const server = createServer(async (request, response) => {
  asked.push(request);
  if (instead(request, response)) return;
  const { authorization, 'x-purpose-of-use': purpose } = request.headers;
  if (authorization !== HEADERS.authorization || purpose !== HEADERS['x-purpose-of-use']) {
    response.writeHead(401).end();
    return;
  }
  const path = request.url!.replace('/ledger/T-CN/', '');
  const bytes = await readFile(log.file(path)).catch(() => null);
  response.writeHead(bytes === null ? 404 : 200).end(bytes ?? '');
});
let url = '';

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ledger/T-CN`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  log.write();
  instead = () => false;
  asked.length = 0;
});
const verify = (headers: Record<string, string> = HEADERS, workers = 1) =>
  verifySource(new HttpLog(`${url}/`, headers), { vkeys: [VKEY], workers });

describe('a log over HTTP', () => {
  it('has the verdict of its directory, with threads too', async () => {
    const checked = { entries: SIZE, records: SIZE, macs: SIZE, details: 266 };
    for (const workers of [1, 2]) {
      expect(await verify(HEADERS, workers)).toMatchObject({ ok: true, checked, warnings: [] });
    }
    log.write({ entries: clean.entries.with(300, flip(clean.entries[300]!, 60)) });
    for (const workers of [1, 2]) expect(await verify(HEADERS, workers)).toEqual(await log.verify());
  });

  it('of which the end is missing', async () => {
    await rm(log.file('tile/entries/002'));
    await rm(log.file('tile/entries/003.p/32'));
    expect(await verify()).toMatchObject({
      faults: [{ index: 512, last: 799, class: 'missing-entry' }],
      faultCount: 1,
    });
  });

  it('is refused without the token, and the token is in no message', async () => {
    await expect(verify({})).rejects.toThrow('401');
    const wrong = { ...HEADERS, authorization: 'Bearer canary' };
    await expect(verify(wrong)).rejects.toThrow(/^(?!.*canary)/);
    expect(asked).toHaveLength(2);
  });

  it('asks again when the server is busy or the connection breaks, and gives up in the end', async () => {
    const failures: Answer[] = [
      (_, response) => Boolean(response.writeHead(503).end()),
      (_, response) => Boolean(response.writeHead(429, { 'retry-after': '0' }).end()),
      (request) => Boolean(request.socket.destroy()),
    ];
    for (const failure of failures) {
      let count = 0;
      instead = (request, response) => request.url!.endsWith('001') && ++count <= 1 && failure(request, response);
      expect(await verify()).toMatchObject({ ok: true });
      expect(count).toBeGreaterThan(1);
    }
    const gone = new HttpLog('http://127.0.0.1:9/ledger/T-CN', {}, { attempts: 2 });
    await expect(gone.text('checkpoint')).rejects.toThrow('/ledger/T-CN/checkpoint');
  });

  it('follows no redirection: it would hand out the token', async () => {
    instead = (request, response) =>
      !request.url!.includes('elsewhere') && Boolean(response.writeHead(302, { location: `${url}/elsewhere` }).end());
    await expect(new HttpLog(url, HEADERS, { attempts: 1 }).text('checkpoint')).rejects.toThrow(Error);
    expect(asked.map((request) => request.url)).toEqual(['/ledger/T-CN/checkpoint']);
  });

  it('reads no more than a bundle can have', async () => {
    instead = (_, response) => {
      const chunk = Buffer.alloc(1 << 20);
      const more = () => response.write(chunk, (error) => error ?? more());
      more();
      return true;
    };
    await expect(new HttpLog(url, HEADERS, { attempts: 1 }).text('checkpoint')).rejects.toThrow('more than');
  });
});
