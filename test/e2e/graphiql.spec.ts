import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { testSystem, type TestSystem } from '../support/system.js';

/** A Chromium of this machine, by name on the PATH. Without one the tour in a browser is skipped, and said to be. */
const CHROMIUM = (process.env.PATH ?? '')
  .split(path.delimiter)
  .flatMap((directory) => ['chromium', 'chromium-browser', 'google-chrome'].map((name) => path.join(directory, name)))
  .find((file) => existsSync(file));
const inBrowser = CHROMIUM === undefined ? it.skip : it;

let system: TestSystem;
let origin: string;
beforeAll(async () => {
  system = await testSystem();
  origin = new URL(system.endpoint).origin;
});
afterAll(() => system.close());

/** Every address in the page's attributes, and in what its style sheets load. */
async function references(): Promise<Map<string, { type: string; text: string }>> {
  const found = new Map<string, { type: string; text: string }>();
  const waiting = ['/graphiql'];
  for (const address of waiting) {
    if (found.has(address)) continue;
    const response = await fetch(new URL(address, origin), { headers: { accept: '*/*' } });
    expect([address, response.status]).toEqual([address, 200]);
    const type = response.headers.get('content-type') ?? '';
    const text = await response.text();
    found.set(address, { type, text });
    const more = type.startsWith('text/html')
      ? [...text.matchAll(/\b(?:src|href|action)="([^"]*)"/g)]
      : type.startsWith('text/css')
        ? [...text.matchAll(/(?:@import\s*|url\()\s*["']?([^"')\s;]+)/g)]
        : [];
    waiting.push(...more.map(([, one = '']) => one).filter((one) => !one.startsWith('data:')));
  }
  return found;
}

describe('the page', () => {
  it('is made of files of this server: every reference is followed, and none leads elsewhere', async () => {
    const files = await references();
    expect([...files.keys()].sort()).toEqual([
      '/graphiql',
      '/graphiql/graphiql.css',
      '/graphiql/graphiql.js',
      '/graphiql/page.css',
      '/graphiql/page.js',
      '/graphiql/react-dom.js',
      '/graphiql/react.js',
    ]);
    for (const [address, { text }] of files) {
      if (!/(graphiql|react|react-dom)\.js$/.test(address))
        expect([address, text.match(/https?:\/\/(?!www\.w3\.org\/)[^\s"')]+|["'(]\/\/\w/g)]).toEqual([address, null]);
      expect([
        address,
        text.match(/(unpkg|jsdelivr|cdnjs|esm|googleapis|gstatic)\.\w+|importScripts|\bimport\s*\(\s*["'`]/g),
      ]).toEqual([address, null]);
    }
  });

  it('allows no inline script or style, nothing from elsewhere and no frame', async () => {
    const response = await fetch(`${origin}/graphiql`);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const html = await response.text();
    expect(html).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:/i);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('is no way to other files', async () => {
    for (const name of [
      '/graphiql/',
      '/graphiql/../package.json',
      '/graphiql/%2e%2e/app.module.ts',
      '/graphiql/none.js',
    ]) {
      expect([name, (await fetch(`${origin}${name}`)).status]).toEqual([name, 404]);
    }
  });
});

describe('in Chromium', () => {
  let browser: Browser | undefined;
  let page: Page;
  const complaints: string[] = [];
  beforeAll(async () => {
    if (CHROMIUM === undefined) {
      console.log('SKIPPED: there is no Chromium on the PATH; GraphiQL was not tried in a browser.');
      return;
    }
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
    page = await browser.newPage();
    page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin)
        complaints.push(request.url());
    });
  });
  afterAll(async () => browser?.close());

  const account = () => system.demo.users.find((one) => one.role === 'front_desk' && one.tenant === 'T-CN');
  /** Presses the button; what the server answered, once the editor shows it. The editor renders only the lines in sight. */
  const run = async (): Promise<string> => {
    const asked = page.waitForResponse((one) => one.request().postData()?.includes('FirstPatients') === true);
    await page.locator('button.graphiql-execute-button').click();
    const text = await (await asked).text();
    await page.locator('.result-window', { hasText: text.startsWith('{"errors"') ? '"errors"' : '"data"' }).waitFor();
    return text;
  };

  inBrowser('signs in, offers the purposes of the account and shows the masked list', async () => {
    await page.goto(`${origin}/graphiql`);
    await page.getByLabel('E-mail').fill(account()?.email ?? '');
    await page.getByLabel('Password').fill(account()?.password ?? '');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    expect(await page.locator('#who').innerText()).toBe('front_desk of T-CN');
    expect(await page.locator('select[name=purpose] option').allInnerTexts()).toEqual([
      ...system.composition.policy.purposesOf('front_desk'),
    ]);
    expect(await run()).toMatch(/"phone":"1\d\d\*{4}\d{4}"/);
    expect(complaints).toEqual([]);
  });

  inBrowser('keeps no token and nothing that was typed or answered where a script could find it later', async () => {
    const kept = await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])');
    expect(kept).toBe('[{},{"custodia-signed-in":"yes"},""]');
    const [cookie] = await page.context().cookies(system.endpoint);
    expect(cookie).toMatchObject({ name: 'custodia_refresh', httpOnly: true, sameSite: 'Strict', path: '/graphql' });
  });

  inBrowser('goes on by the cookie after it was loaded again, until it signs out', async () => {
    await page.reload();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    expect(await run()).toContain('"totalCount"');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    expect(await page.context().cookies(system.endpoint)).toEqual([]);
    expect(await run()).toContain('UNAUTHENTICATED');
    expect(complaints.filter((one) => !one.includes('401'))).toEqual([]);
  });
});
