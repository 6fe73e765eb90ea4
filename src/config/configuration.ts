import path from 'node:path';
import { Refusal } from './refusal.js';

export type Profile = 'trial' | 'production';
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Everything that can be set from outside, read once at start. Directories are absolute paths. */
export interface Configuration {
  /** `trial` keeps database, keys and checkpoints in one folder; `production` refuses that. */
  readonly profile: Profile;
  readonly host: string;
  readonly port: number;
  /** URL of the database owner, for set-up and migrations; null: the embedded server. */
  readonly databaseUrl: string | null;
  /** Port of the embedded server; 0: any free one. */
  readonly databasePort: number;
  readonly dataDirectory: string;
  readonly keyDirectory: string;
  readonly checkpointDirectory: string;
  /** The origin line of the ledger's checkpoints (C2SP tlog-checkpoint): names this installation, no scheme. */
  readonly origin: string;
  /** Origins that browsers may call from; `localhost` stands for any port of this machine (trial only). */
  readonly corsOrigins: readonly string[];
  readonly logLevel: LogLevel;
}

type Environment = Readonly<Record<string, string | undefined>>;

const VARIABLES = [
  'CUSTODIA_PROFILE',
  'CUSTODIA_HOST',
  'CUSTODIA_PORT',
  'CUSTODIA_DATABASE_PORT',
  'CUSTODIA_DATA_DIRECTORY',
  'CUSTODIA_KEY_DIRECTORY',
  'CUSTODIA_CHECKPOINT_DIRECTORY',
  'CUSTODIA_ORIGIN',
  'CUSTODIA_CORS_ORIGINS',
  'CUSTODIA_LOG_LEVEL',
] as const;

/**
 * Reads the environment. An unknown `CUSTODIA_*` variable is refused as a bad value is: a misspelt protection that is
 * silently off would be worse than no start. An empty variable counts as absent.
 */
export function readConfiguration(environment: Environment = process.env): Configuration {
  for (const name of Object.keys(environment)) {
    if (name.startsWith('CUSTODIA_') && !(VARIABLES as readonly string[]).includes(name)) {
      throw new Refusal(`${name} is not a variable of Custodia; known are ${VARIABLES.join(', ')} and DATABASE_URL.`);
    }
  }
  const profile = oneOf(environment, 'CUSTODIA_PROFILE', ['trial', 'production'] as const, 'trial');
  const dataDirectory = path.resolve(text(environment, 'CUSTODIA_DATA_DIRECTORY') ?? '.data');
  const within = (variable: string, name: string) =>
    path.resolve(text(environment, variable) ?? path.join(dataDirectory, name));
  const configuration: Configuration = {
    profile,
    host: host(environment),
    port: port(environment, 'CUSTODIA_PORT', 4000),
    databaseUrl: databaseUrl(environment),
    databasePort: port(environment, 'CUSTODIA_DATABASE_PORT', 0),
    dataDirectory,
    keyDirectory: within('CUSTODIA_KEY_DIRECTORY', 'keys'),
    checkpointDirectory: within('CUSTODIA_CHECKPOINT_DIRECTORY', 'checkpoints'),
    origin: origin(environment),
    corsOrigins: Object.freeze(corsOrigins(environment, profile)),
    logLevel: oneOf(environment, 'CUSTODIA_LOG_LEVEL', LOG_LEVELS, 'info'),
  };
  if (profile === 'production') refuseTrialSettings(configuration);
  return Object.freeze(configuration);
}

/** Who holds the database must not hold the keys and the checkpoints too (see the table of trust in the README). */
function refuseTrialSettings(configuration: Configuration): void {
  if (configuration.databaseUrl === null) {
    throw new Refusal('DATABASE_URL is required in the production profile; the embedded server is for trying out.');
  }
  for (const [variable, directory] of [
    ['CUSTODIA_KEY_DIRECTORY', configuration.keyDirectory],
    ['CUSTODIA_CHECKPOINT_DIRECTORY', configuration.checkpointDirectory],
  ] as const) {
    if (contains(configuration.dataDirectory, directory)) {
      throw new Refusal(`${variable} must be outside CUSTODIA_DATA_DIRECTORY in the production profile.`);
    }
  }
  if (contains(configuration.keyDirectory, configuration.checkpointDirectory)) {
    throw new Refusal(
      'CUSTODIA_CHECKPOINT_DIRECTORY must be outside CUSTODIA_KEY_DIRECTORY in the production profile.',
    );
  }
}

function contains(outer: string, inner: string): boolean {
  const relative = path.relative(outer, inner);
  return relative === '' || (relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative));
}

function text(environment: Environment, variable: string): string | undefined {
  const value = environment[variable]?.trim();
  return value === '' ? undefined : value;
}

function oneOf<T extends string>(environment: Environment, variable: string, allowed: readonly T[], absent: T): T {
  const value = text(environment, variable) ?? absent;
  if (!(allowed as readonly string[]).includes(value)) throw bad(variable, `one of ${allowed.join(', ')}`);
  return value as T;
}

function port(environment: Environment, variable: string, absent: number): number {
  const value = text(environment, variable);
  if (value === undefined) return absent;
  const number = Number(value);
  if (!/^\d{1,5}$/.test(value) || number > 65_535) throw bad(variable, 'a port number from 0 (any free one) to 65535');
  return number;
}

function host(environment: Environment): string {
  const value = text(environment, 'CUSTODIA_HOST') ?? '127.0.0.1';
  if (!/^[0-9A-Za-z.:_-]{1,253}$/.test(value)) throw bad('CUSTODIA_HOST', 'an address or a host name');
  return value;
}

function databaseUrl(environment: Environment): string | null {
  const value = text(environment, 'DATABASE_URL');
  if (value === undefined) return null;
  const allowed = 'the owner’s URL, postgresql://user:password@host:port/database';
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2 || url.username === '') {
    throw bad('DATABASE_URL', allowed);
  }
  return value;
}

function origin(environment: Environment): string {
  const value = text(environment, 'CUSTODIA_ORIGIN') ?? 'custodia.local';
  if (!/^[a-z0-9.-]+(\/[a-z0-9._-]+)*$/.test(value) || value.length > 200) {
    throw bad(
      'CUSTODIA_ORIGIN',
      'a host name and optional path in small letters without scheme, such as crm.hospital.example',
    );
  }
  return value;
}

function corsOrigins(environment: Environment, profile: Profile): string[] {
  const value = text(environment, 'CUSTODIA_CORS_ORIGINS');
  if (value === undefined) return profile === 'trial' ? ['localhost'] : [];
  return value.split(',').map((item) => {
    const candidate = item.trim();
    if (candidate === 'localhost' && profile === 'trial') return candidate;
    const url = URL.canParse(candidate) ? new URL(candidate) : null;
    if (url === null || !/^https?:$/.test(url.protocol) || url.origin !== candidate) {
      throw bad('CUSTODIA_CORS_ORIGINS', 'a comma-separated list of origins such as https://desk.hospital.example');
    }
    return candidate;
  });
}

/** The value itself is not repeated: it may be a URL with a password. */
function bad(variable: string, allowed: string): Refusal {
  return new Refusal(`${variable} is not valid: it must be ${allowed}.`);
}
