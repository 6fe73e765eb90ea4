import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from '../config/refusal.js';
import { makeDataDirectory } from './ownership.js';
import { LOGIN_ROLES } from './roles.js';

/** Generated passwords, by role. `superuser` and `owner` are used with the embedded server only. */
export interface Passwords {
  readonly superuser: string;
  readonly owner: string;
  readonly app: string;
  readonly sequencer: string;
  readonly auditor: string;
}

export interface DatabaseUrls {
  readonly owner: string;
  readonly app: string;
  readonly sequencer: string;
  readonly auditor: string;
}

const NAMES = ['superuser', 'owner', 'app', 'sequencer', 'auditor'] as const;

/**
 * The passwords in `<dataDirectory>/database.json` (mode 0600), made on first use. Processes that start at once agree:
 * the first complete file wins. With several hosts, the file is what they share.
 */
export function passwordsIn(dataDirectory: string): Passwords {
  const file = path.join(dataDirectory, 'database.json');
  if (!existsSync(file)) {
    makeDataDirectory(dataDirectory);
    const made = Object.fromEntries(NAMES.map((name) => [name, randomBytes(24).toString('base64url')]));
    const complete = `${file}.${process.pid}`;
    writeFileSync(complete, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
    try {
      linkSync(complete, file);
    } catch (error) {
      if (!existsSync(file)) throw error;
    } finally {
      rmSync(complete, { force: true });
    }
  }
  const passwords = JSON.parse(readFileSync(file, 'utf8')) as Passwords;
  if (!NAMES.every((name) => typeof passwords[name] === 'string')) {
    throw new Refusal(`${file} does not hold the database passwords: restore it, or start over with --fresh.`);
  }
  return passwords;
}

/** The owner's URL with another login; host, database and options (such as sslmode) stay. */
export function urlsFrom(ownerUrl: string, passwords: Passwords): DatabaseUrls {
  const as = (role: keyof typeof LOGIN_ROLES) => {
    const url = new URL(ownerUrl);
    url.username = LOGIN_ROLES[role];
    url.password = passwords[role];
    return url.href;
  };
  return { owner: ownerUrl, app: as('app'), sequencer: as('sequencer'), auditor: as('auditor') };
}
