import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Browser, chromium, type Page } from 'playwright-core';
import { buildFiles } from './build-browser.mjs';
import { ORIGIN, SIZE, TAMPERED_INDEX } from './build-samples.mjs';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const SAMPLES = join(FOLDER, 'samples');
const VKEY = readFileSync(join(SAMPLES, 'log.vkey'), 'utf8').trim();
const POLICY = readFileSync(join(SAMPLES, 'policy'), 'utf8');
const OK = `OK ${ORIGIN} ${SIZE}`;
const BAD = `BAD ${ORIGIN} ${TAMPERED_INDEX} leaf`;

describe('the module for browsers', () => {
  it('is what "node audit/build-browser.mjs" makes', () => {
    const stale = [...buildFiles()].filter(([name, content]) => readFileSync(join(FOLDER, name), 'utf8') !== content);
    expect(stale.map(([name]) => name)).toEqual([]);
  });

  it('is one file that asks for nothing', () => {
    const module = readFileSync(join(FOLDER, 'verifier.browser.mjs'), 'utf8');
    expect(module.match(/^import\b|\bimport\s*\(|\bfrom '|node:|\brequire\(|\bprocess\b/gm)).toBeNull();
  });

  it('comes to the same verdicts without anything of Node', () => {
    // The log is read first; then Node's own globals are taken away, and any import of a module of Node fails.
    const program = `
      import { readdirSync, readFileSync } from 'node:fs';
      import { registerHooks } from 'node:module';
      const logs = ['log', 'tampered'].map((name) => {
        const entries = readdirSync(name, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
        return new Map(entries.map((entry) => {
          const path = entry.parentPath + '/' + entry.name;
          const { buffer, byteOffset, length } = readFileSync(path);
          return [path, { arrayBuffer: async () => buffer.slice(byteOffset, byteOffset + length) }];
        }));
      });
      const [vkey, policy, proof] = ['log.vkey', 'policy', 'entry-42.tlog-proof'].map((name) => readFileSync(name, 'utf8'));
      const record = new Uint8Array(readFileSync('entry-42.record'));
      const print = console.log;
      registerHooks?.({
        resolve(specifier, context, next) {
          if (specifier.startsWith('node:')) throw new Error('asks for ' + specifier);
          return next(specifier, context);
        },
      });
      for (const name of ['Buffer', 'process', 'global', 'setImmediate']) delete globalThis[name];
      const { renderReport, verifyFiles, verifyProof } = await import(${JSON.stringify(pathToFileURL(join(FOLDER, 'verifier.browser.mjs')).href)});
      for (const files of logs) print(renderReport(await verifyFiles(files, { vkeys: [vkey.trim()], policy })).trimEnd().split('\\n').at(-1));
      print(verifyProof(proof, { record }, { policy }).index);
    `;
    const words = ['--input-type=module', '-e', program];
    const { stdout, stderr } = spawnSync(process.execPath, words, { cwd: SAMPLES, encoding: 'utf8' });
    expect([stderr, stdout]).toEqual(['', `${OK}\n${BAD}\n42\n`]);
  });
});

/** A Chromium of this machine, by name on the PATH. Without one the page is not tried, and that is said. */
const CHROMIUM = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((directory) => ['chromium', 'chromium-browser', 'google-chrome'].map((name) => join(directory, name)))
  .find((file) => existsSync(file));
if (CHROMIUM === undefined) console.warn('SKIPPED, no Chromium on the PATH: the verifier in a browser');
const inBrowser = CHROMIUM === undefined ? it.skip : it;

describe('in Chromium', () => {
  let browser: Browser;
  let page: Page;
  let server: Server;
  let address: string;
  const complaints: string[] = [];

  beforeAll(async () => {
    if (CHROMIUM === undefined) return;
    // The samples as a server gives them out: only files, and what is missing is 404.
    server = createServer((request, response) => {
      const path = join(FOLDER, new URL(request.url ?? '/', 'http://localhost').pathname);
      if (!path.startsWith(FOLDER) || !existsSync(path) || statSync(path).isDirectory()) {
        response.writeHead(404).end();
        return;
      }
      const type = path.endsWith('.html') ? 'text/html' : path.endsWith('.mjs') ? 'text/javascript' : 'text/plain';
      response.writeHead(200, { 'content-type': type }).end(readFileSync(path));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  /** What the page says in the end. */
  async function verdict(): Promise<string> {
    await page.getByRole('button', { name: 'Verify' }).click();
    await page.locator('#report.ok, #report.bad').waitFor();
    return (await page.locator('#report').innerText()).trimEnd().split('\n').at(-1) ?? '';
  }

  inBrowser('the page, opened as a file, verifies a directory that was chosen', async () => {
    for (const [name, expected] of [
      ['log', OK],
      ['tampered', BAD],
    ] as const) {
      await page.goto(pathToFileURL(join(FOLDER, 'verifier.browser.html')).href);
      await page.locator('#files').setInputFiles(join(SAMPLES, name));
      await page.locator('#vkey').fill(VKEY);
      await page.locator('#policy').fill(POLICY);
      expect(await verdict()).toBe(expected);
    }
    expect(complaints).toEqual([]);
  });

  inBrowser('the page verifies a log behind an address', async () => {
    await page.goto(`${address}/verifier.browser.html`);
    await page.locator('#url').fill(`${address}/samples/log`);
    await page.locator('#vkey').fill(VKEY);
    await page.locator('#checkpoints').setInputFiles(join(SAMPLES, 'checkpoint-200'));
    expect(await verdict()).toBe(OK);
    await page.locator('#url').fill(`${address}/samples/tampered`);
    expect(await verdict()).toBe(BAD);
    await page.locator('#url').fill(`${address}/samples/log`);
    await page.locator('#vkey').fill('nonsense');
    expect(await verdict()).toBe(`BAD ${ORIGIN} - signature`);
  });

  inBrowser('the module can be imported by any page', async () => {
    await page.goto(`${address}/samples/policy`);
    const found = await page.evaluate(
      async ([module, log, vkey]) => {
        const { verifyUrl } = (await import(module!)) as typeof import('./browser.mjs');
        const { ok, size } = await verifyUrl(log!, { vkeys: [vkey!] });
        return { ok, size };
      },
      [`${address}/verifier.browser.mjs`, `${address}/samples/log`, VKEY],
    );
    expect(found).toEqual({ ok: true, size: SIZE });
  });
});
