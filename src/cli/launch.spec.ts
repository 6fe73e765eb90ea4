import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

let root: string;

/** A project with a compiler and an npm that only note that they were called. */
beforeEach(() => {
  root = mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'launch-'));
  put('package.json', '{"type":"module"}');
  put('package-lock.json', lock('sha512-one'));
  put('tsconfig.json', '{}');
  put('tsconfig.build.json', '{}');
  put('src/cli/start.ts', 'one');
  put('src/cli/start.spec.ts', 'not built');
  put('audit/verify.mjs', 'two');
  cpSync(path.join(import.meta.dirname, 'launch.mjs'), path.join(root, 'src/cli/launch.mjs'));
  put(
    'npm/npm.js',
    `const fs = require('fs');
    fs.appendFileSync('calls', 'npm ' + process.argv.slice(2).join(' ') + '\\n');
    if (process.env.npm_is_offline) process.exit(1);
    fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json');`,
  );
  put('npm/package.json', '{"type":"commonjs"}');
  installed('sha512-one');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(name: string, content: string): void {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), content);
}

function lock(integrity: string): string {
  return JSON.stringify({
    packages: {
      '': {},
      'node_modules/a': { integrity },
      'node_modules/for-windows': { integrity: 'x', optional: true },
    },
  });
}

function installed(integrity: string): void {
  put('node_modules/.package-lock.json', JSON.stringify({ packages: { 'node_modules/a': { integrity } } }));
  put(
    'node_modules/typescript/bin/tsc',
    `import fs from 'node:fs';
     fs.appendFileSync('calls', 'tsc ' + process.argv.slice(2).join(' ') + '\\n');
     if (fs.existsSync('broken')) process.exit(2);
     fs.mkdirSync('dist/src/cli', { recursive: true });
     fs.copyFileSync('command.js', 'dist/src/cli/start.js');`,
  );
  put('node_modules/typescript/package.json', '{"type":"module"}');
  put(
    'command.js',
    `import fs from 'node:fs';
     process.on('disconnect', () => { fs.writeFileSync('disconnected', ''); process.exit(); });
     process.on('SIGTERM', () => process.exit(7));
     console.log(JSON.stringify({ words: process.argv.slice(2), mode: process.env.NODE_ENV, maps: process.execArgv }));
     if (process.argv.includes('stay')) { setInterval(() => {}, 1000); }
     else process.exit(Number(process.argv[2] ?? 0));`,
  );
  mkdirSync(path.join(root, 'node_modules/node/bin'), { recursive: true });
  if (!existsSync(path.join(root, 'node_modules/node/bin/node'))) {
    symlinkSync(process.execPath, path.join(root, 'node_modules/node/bin/node'));
  }
}

function launch(words: string[], environment: Record<string, string> = {}) {
  const script = path.join(root, 'src/cli/launch.mjs');
  const env = { PATH: process.env.PATH, npm_execpath: path.join(root, 'npm/npm.js'), ...environment };
  return spawnSync(process.execPath, [script, ...words], { cwd: '/', env, encoding: 'utf8' });
}

function calls(): string[] {
  const file = path.join(root, 'calls');
  const found = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  rmSync(file, { force: true });
  return found;
}

describe('the launcher', () => {
  it('hands words, exit code and mode over', () => {
    const ended = launch(['start', '3', '--fresh']);
    expect(JSON.parse(ended.stdout)).toEqual({
      words: ['3', '--fresh'],
      mode: 'production',
      maps: ['--enable-source-maps', '--max-semi-space-size=8', '--heap-growing-percent=20'],
    });
    expect(ended.status).toBe(3);
  });

  it('names the commands when it does not know one, and does nothing', () => {
    for (const words of [[], ['sart'], ['__proto__'], ['toString']]) {
      const ended = launch(words);
      expect(ended.status).toBe(2);
      expect(ended.stderr).toMatch(
        /start, check, build, import, audit-verify, ledger, policy, documents, schema, migration, organisation, keys, key-agent, backup, restore, restore-replay, sbom, bench\.$/m,
      );
    }
    expect(calls()).toEqual([]);
  });

  it('builds when a source changed, appeared or went away, and not otherwise', () => {
    const build = () => {
      expect(launch(['build']).status).toBe(0);
      return calls();
    };
    const compiled = ['tsc -p tsconfig.build.json'];
    expect(build()).toEqual(compiled);
    expect(build()).toEqual([]);
    put('src/cli/start.spec.ts', 'changed, but never built');
    expect(build()).toEqual([]);
    put('src/cli/start.ts', 'changed');
    expect(build()).toEqual(compiled);
    put('audit/tiles.mjs', 'new');
    expect(build()).toEqual(compiled);
    put('dist/audit/tiles.mjs', 'its output');
    rmSync(path.join(root, 'audit/tiles.mjs'));
    expect(build()).toEqual(compiled);
    expect(existsSync(path.join(root, 'dist/audit/tiles.mjs'))).toBe(false);
    expect(build()).toEqual([]);
  });

  it('runs nothing after a failed build, and builds again the next time', () => {
    put('broken', '');
    const ended = launch(['start']);
    expect([ended.status, ended.stderr, ended.stdout]).toEqual([1, 'The build failed.\n', '']);
    rmSync(path.join(root, 'broken'));
    calls();
    expect(launch(['start']).status).toBe(0);
    expect(calls()).toEqual(['tsc -p tsconfig.build.json']);
  });

  it('installs what the lock file demands when that is not what is there, and only then', () => {
    put('package-lock.json', lock('sha512-two'));
    expect(launch(['build']).status).toBe(0);
    const [npm] = calls();
    expect(npm).toMatch(/^npm ci .*--include=dev .*--ignore-scripts=false .*--no-fund --no-audit$/);
    expect(launch(['build'], { npm_is_offline: '1' }).status).toBe(0);
    expect(calls()).toEqual([]);
    put('package-lock.json', lock('sha512-three'));
    const offline = launch(['start'], { npm_is_offline: '1' });
    expect(offline.status).toBe(1);
    expect(offline.stderr).toBe('The packages could not be installed: is the package registry reachable?\n');
  });

  it('passes a signal on and waits for the command to end in its own way', async () => {
    expect(launch(['build']).status).toBe(0);
    const child = spawn(process.execPath, [path.join(root, 'src/cli/launch.mjs'), 'start', 'stay'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(7);
  });

  it('takes the command along when it is killed', async () => {
    expect(launch(['build']).status).toBe(0);
    const child = spawn(process.execPath, [path.join(root, 'src/cli/launch.mjs'), 'start', 'stay'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGKILL');
    const sign = path.join(root, 'disconnected');
    for (let waited = 0; !existsSync(sign) && waited < 5_000; waited += 20) await pause(20);
    expect(existsSync(sign)).toBe(true);
  });
});
