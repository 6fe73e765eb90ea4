import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from '../config/refusal.js';
import { isAlive } from './postmaster.js';

/**
 * Who runs the embedded server of a data directory: `<dataDirectory>/owner` names the process and when it started,
 * so that a process id given to another program after a reboot is not taken for the owner.
 */
interface Owner {
  readonly pid: number;
  readonly started: string | null;
}

/**
 * Makes the data directory when there is none. As root it lets others pass through, because the account of the embedded
 * server has to reach its cluster; what else lies in there keeps modes of its own. An existing directory stays as it is.
 */
export function makeDataDirectory(dataDirectory: string): void {
  if (existsSync(dataDirectory)) return;
  mkdirSync(dataDirectory, { recursive: true });
  chmodSync(dataDirectory, process.getuid?.() === 0 ? 0o711 : 0o700);
}

/** The living owner's process id; null when nobody owns the server, or whoever did was killed. */
export function ownerOf(dataDirectory: string): number | null {
  let owner: Owner;
  try {
    owner = JSON.parse(readFileSync(fileOf(dataDirectory), 'utf8')) as Owner;
  } catch {
    return null;
  }
  return isAlive(owner.pid) && startOf(owner.pid) === owner.started ? owner.pid : null;
}

/** Takes the ownership for this process or refuses in one sentence. Taking it twice in one process is refused too. */
export function claimOwnership(dataDirectory: string): void {
  const file = fileOf(dataDirectory);
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify({ pid: process.pid, started: startOf(process.pid) }), { mode: 0o600 });
  try {
    const living = ownerOf(dataDirectory);
    if (living !== null) throw taken(dataDirectory, living);
    rmSync(file, { force: true });
    linkSync(mine, file);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw taken(dataDirectory, ownerOf(dataDirectory) ?? 0);
  } finally {
    rmSync(mine, { force: true });
  }
}

export function releaseOwnership(dataDirectory: string): void {
  if (ownerOf(dataDirectory) === process.pid) rmSync(fileOf(dataDirectory), { force: true });
}

function taken(dataDirectory: string, pid: number): Refusal {
  return new Refusal(`Process ${pid} already runs the PostgreSQL of ${dataDirectory}: stop it first.`);
}

function fileOf(dataDirectory: string): string {
  return path.join(dataDirectory, 'owner');
}

/** Boot id and clock ticks after boot at which the process started (proc_pid_stat(5), field 22); null elsewhere. */
function startOf(pid: number): string | null {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return null;
  const stat = readFileSync(file, 'utf8');
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${ticks}`;
}
