import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '../config/refusal.js';
import type { Binaries, ServiceAccount } from './binaries.js';
import { binaries, refuge, serviceAccount, traversable } from './binaries.js';
import { claimOwnership, makeDataDirectory, ownerOf, releaseOwnership } from './ownership.js';
import { livingPostmaster, readPostmaster, stopPostmaster } from './postmaster.js';

/** How to reach a running embedded server, always on 127.0.0.1. */
export interface EmbeddedFacts {
  readonly port: number;
  readonly pid: number;
}

export interface EmbeddedServer extends EmbeddedFacts {
  /** Fast shutdown: running transactions are rolled back, everything committed is on disk when it resolves. */
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Holds the cluster, the server's log and the note where the cluster is. */
  readonly dataDirectory: string;
  /** Password of the superuser `postgres`; takes effect when the cluster is made. */
  readonly password: string;
  /** 0 or absent: any free port. */
  readonly port?: number;
  /** Settings that replace those below. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * Error messages of PostgreSQL quote values, so nothing below LOG reaches its log file, and what does comes without
 * detail and without the statement.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '128MB',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  password_encryption: 'scram-sha-256',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  logging_collector: 'off',
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
};

/**
 * Starts PostgreSQL 18 over `dataDirectory`, making the cluster first when there is none. A stale `postmaster.pid` is
 * no hindrance; a server that an earlier, killed run left behind is stopped first. Whoever starts the server owns it:
 * while that process lives no other may start or stop it.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const account = serviceAccount();
  makeDataDirectory(options.dataDirectory);
  claimOwnership(options.dataDirectory);
  try {
    const programs = await binaries(account, options.dataDirectory);
    const cluster = clusterDirectory(options.dataDirectory, account);
    const orphan = livingPostmaster(cluster);
    if (orphan !== null) await stopPostmaster(orphan.pid, () => livingPostmaster(cluster) === null);
    if (!existsSync(path.join(cluster, 'PG_VERSION'))) makeCluster(programs, cluster, options.password, account);
    const port = await usablePort(options.port ?? 0);
    return await launch(programs, cluster, port, options, account);
  } catch (error) {
    releaseOwnership(options.dataDirectory);
    throw error;
  }
}

/** The running server of a data directory, started by this or another living process; null when there is none. */
export async function isRunning(dataDirectory: string): Promise<EmbeddedFacts | null> {
  if (ownerOf(dataDirectory) === null) return null;
  for (let waited = 0; waited < 15_000 && ownerOf(dataDirectory) !== null; waited += 50) {
    const found = livingPostmaster(noted(dataDirectory) ?? path.join(dataDirectory, 'postgres'));
    if (found?.ready) return { port: found.port, pid: found.pid };
    await pause(50);
  }
  return null;
}

/** Deletes the cluster of a data directory, wherever it is. Refuses while its owner lives; stops an orphan first. */
export async function removeCluster(dataDirectory: string): Promise<void> {
  if (!existsSync(dataDirectory)) return;
  claimOwnership(dataDirectory);
  try {
    const cluster = noted(dataDirectory) ?? path.join(dataDirectory, 'postgres');
    const orphan = livingPostmaster(cluster);
    if (orphan !== null) await stopPostmaster(orphan.pid, () => livingPostmaster(cluster) === null);
    rmSync(cluster, { recursive: true, force: true });
    rmSync(path.join(dataDirectory, 'location'), { force: true });
  } finally {
    releaseOwnership(dataDirectory);
  }
}

/** Where the cluster is: in the data directory, or where the account can reach it; `location` remembers the latter. */
function clusterDirectory(dataDirectory: string, account: ServiceAccount | null): string {
  const remembered = noted(dataDirectory);
  if (remembered !== null) return remembered;
  const inside = path.resolve(dataDirectory, 'postgres');
  if (account === null || existsSync(inside) || traversable(dataDirectory, account)) return inside;
  const outside = path.join(refuge(dataDirectory), 'postgres');
  mkdirSync(path.dirname(outside), { recursive: true, mode: 0o755 });
  writeFileSync(path.join(dataDirectory, 'location'), `${outside}\n`, { mode: 0o600 });
  return outside;
}

function noted(dataDirectory: string): string | null {
  const file = path.join(dataDirectory, 'location');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

/** initdb into a folder beside, then one rename: a crash in between leaves no half cluster. */
function makeCluster(programs: Binaries, cluster: string, password: string, account: ServiceAccount | null): void {
  const unfinished = `${cluster}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  const passwordFile = `${cluster}.password`;
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (account !== null) {
    for (const made of [unfinished, passwordFile]) chownSync(made, account.uid, account.gid);
  }
  const result = spawnSync(
    programs.initdb,
    [
      `--pgdata=${unfinished}`,
      '--username=postgres',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
    ],
    { ...account, cwd: unfinished, encoding: 'utf8', env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } },
  );
  rmSync(passwordFile);
  if (result.status !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    const reason = result.error?.message ?? result.stderr.trim().split('\n').slice(0, 2).join(' ');
    throw new Refusal(`PostgreSQL could not be set up in ${cluster}: ${reason}`);
  }
  renameSync(unfinished, cluster);
}

async function launch(
  programs: Binaries,
  cluster: string,
  port: number,
  options: EmbeddedOptions,
  account: ServiceAccount | null,
): Promise<EmbeddedServer> {
  const logFile = path.join(options.dataDirectory, 'postgres.log');
  const log = openSync(logFile, 'a', 0o600);
  chmodSync(logFile, 0o600);
  const settings = { ...SETTINGS, ...options.settings, port: String(port) };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  // A group of its own: Ctrl-C in a terminal reaches Node only, which drains before it stops the server.
  const child = spawn(programs.postgres, ['-D', cluster, ...flags], {
    ...account,
    cwd: cluster,
    detached: true,
    stdio: ['ignore', log, log],
    env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
  });
  closeSync(log);
  const state: { failure: string | null } = { failure: null };
  child.once('error', (error) => (state.failure = error.message));
  child.once('exit', (code, signal) => (state.failure = `it ended with ${signal ?? code}, see ${logFile}`));
  const pid = child.pid ?? 0;
  for (let waited = 0; ; waited += 20) {
    if (state.failure !== null) throw new Refusal(`PostgreSQL did not start: ${state.failure}.`);
    const started = readPostmaster(cluster);
    if (started?.pid === pid && started.ready) break;
    if (waited > 60_000) {
      child.kill('SIGQUIT');
      throw new Refusal(`PostgreSQL did not become ready within a minute, see ${logFile}.`);
    }
    await pause(20);
  }
  child.unref();
  return {
    port,
    pid,
    async stop() {
      if (state.failure === null) await stopPostmaster(pid, () => state.failure !== null);
      releaseOwnership(options.dataDirectory);
    },
  };
}

/** The port itself when nobody listens on it, or any free one for 0. */
function usablePort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', () =>
      reject(new Refusal(`Port ${wanted} on 127.0.0.1 is taken: PostgreSQL needs another one.`)),
    );
    probe.listen(wanted, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : wanted;
      probe.close(() => resolve(port));
    });
  });
}
