import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '../config/refusal.js';

/** What `postmaster.pid` says (PostgreSQL, miscadmin.h: lines 1, 4 and 8). */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

/** Reads `postmaster.pid`; null when there is none or the server is just writing it. */
export function readPostmaster(cluster: string): Postmaster | null {
  let lines: string[];
  try {
    lines = readFileSync(path.join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return null;
  }
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1) return null;
  return { pid, port: Number(lines[3] ?? 0), ready: lines[7]?.trim() === 'ready' };
}

/** The server of this cluster, when its process lives. A process id that was given to another program is no server. */
export function livingPostmaster(cluster: string): Postmaster | null {
  const found = readPostmaster(cluster);
  return found !== null && isServerOf(found.pid, cluster) ? found : null;
}

function isServerOf(pid: number, cluster: string): boolean {
  if (!isAlive(pid)) return false;
  const directory = existsSync(cluster) ? realpathSync(cluster) : cluster;
  try {
    if (existsSync('/proc/self/cwd')) {
      const program = path.basename(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '');
      return program.startsWith('postgres') && readlinkSync(`/proc/${pid}/cwd`) === directory;
    }
    const command = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
    return command.includes('postgres') && command.includes(cluster);
  } catch {
    return false;
  }
}

/** True when the process runs, also when it belongs to somebody else. One that ended and was not fetched by its parent does not run. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
  } catch {
    return !existsSync('/proc/self/stat');
  }
}

/** Waits for a server to end; SIGINT is PostgreSQL's fast shutdown, SIGQUIT the one without a checkpoint. */
export async function stopPostmaster(pid: number, hasEnded: () => boolean): Promise<void> {
  for (const [signal, milliseconds] of [
    ['SIGINT', 20_000],
    ['SIGQUIT', 5_000],
  ] as const) {
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    for (let waited = 0; waited < milliseconds; waited += 20) {
      if (hasEnded()) return;
      await pause(20);
    }
  }
  throw new Refusal(`PostgreSQL (process ${pid}) does not stop.`);
}
