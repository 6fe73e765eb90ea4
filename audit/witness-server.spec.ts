import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { verifyCosignature } from './cosignature.mjs';
import { Cosigner } from './cosigner.mjs';
import { splitNote } from './note.mjs';
import { leavesOf, LOG, LOG_KEY, noteOf, own, requestOf } from './sample-witness.js';
import { WitnessState } from './witness-state.mjs';
import { witnessServer } from './witness.mjs';

const base = mkdtempSync(join(tmpdir(), 'custodia-witness-server-'));
afterAll(() => rmSync(base, { recursive: true }));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(base, 'state-'));
});

describe('a witness over HTTP', () => {
  const program = fileURLToPath(new URL('witness.mjs', import.meta.url));
  let child: ChildProcess | undefined;
  afterAll(() => {
    child?.kill();
  });

  it('runs as a command: makes its key, then answers', async () => {
    const key = join(directory, 'witness.key');
    const state = join(directory, 'state');
    mkdirSync(state);
    const made = spawnSync(process.execPath, [program, '--generate-key', key, '--name', own.name], {
      encoding: 'utf8',
    });
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const again = spawnSync(process.execPath, [program, '--generate-key', key, '--name', own.name], {
      encoding: 'utf8',
    });
    expect([again.status, again.stdout]).toEqual([2, '']);
    const words = ['--key', key, '--name', own.name, '--state', state, '--log', LOG_KEY];
    child = spawn(process.execPath, [program, ...words, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [text] = (await once(child.stdout!, 'data')) as [Buffer];
    const [witnessKey, address] = text.toString().trim().split('\n');
    expect(`${witnessKey}\n`).toBe(made.stdout);
    const post = (body: string) => fetch(`${address}/add-checkpoint`, { method: 'POST', body });
    const response = await post(requestOf(0, leavesOf(3)));
    expect(response.status).toBe(200);
    const line = await response.text();
    expect(verifyCosignature(splitNote(noteOf(leavesOf(3))).text, line, witnessKey!).line).toBe(line);
    const conflict = await post(requestOf(1, leavesOf(4)));
    expect([conflict.status, conflict.headers.get('content-type')]).toEqual([409, 'text/x.tlog.size']);
    const shown = await fetch(`${address}/${LOG}/checkpoint`);
    expect(await shown.text()).toBe(noteOf(leavesOf(3)) + line);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('has limits, and answers nothing else', async () => {
    const cosigner = new Cosigner({ ...own, logs: [LOG_KEY], state: new WitnessState(directory) });
    const server = witnessServer(cosigner).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const status = async (path: string, init: RequestInit = {}) => (await fetch(`${address}${path}`, init)).status;
    const post = (body: string | Buffer<ArrayBuffer>) => status('/add-checkpoint', { method: 'POST', body });
    expect(await post('x'.repeat(70_000))).toBe(413);
    expect(await post(Buffer.from([0xff, 0xfe]))).toBe(400);
    expect(await post('')).toBe(400);
    expect(await status('/add-checkpoint')).toBe(405);
    expect(await status(`/${LOG}/checkpoint`, { method: 'POST' })).toBe(405);
    expect(await status(`/${LOG}/checkpoint`)).toBe(404);
    expect(await status('/')).toBe(404);
    expect(await status(`/../${LOG}/checkpoint`)).toBe(404);
    expect(await post(requestOf(0, leavesOf(1)))).toBe(200);
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([
    [['--name', 'w'], 'needs --key'],
    [['--key', 'k'], 'Give the name'],
    [['--name', 'w', '--key', 'k', '--state', '/nonexistent', '--log', 'l'], 'ENOENT'],
    [['--nonsense'], 'nonsense'],
  ])('refuses %j', (words, message) => {
    const { status, stderr } = spawnSync(process.execPath, [program, ...words], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});
