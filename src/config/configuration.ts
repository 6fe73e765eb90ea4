import { readFileSync } from 'node:fs';
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
  /** That persons were erased, where a restore of the database does not reach; beside the checkpoints unless named. */
  readonly tombstoneDirectory: string;
  /** The socket of a key agent and the file with its token; null: the root key is in the key directory. */
  readonly keyAgent: { readonly socket: string; readonly tokenFile: string } | null;
  /** Where the logs' months go before they leave the database: plain files (c2sp.org/tlog-tiles), a folder a log. */
  readonly archiveDirectory: string;
  /** Where the file store keeps sealed attachments and exports; processes of one installation share it. */
  readonly blobDirectory: string;
  /** Most bytes of one attachment. */
  readonly largestAttachment: number;
  /** Milliseconds that committed ledger entries may wait for their index before nothing new is recorded. */
  readonly ledgerLagLimit: number;
  /** The origin line of the ledger's checkpoints (C2SP tlog-checkpoint): names this installation, no scheme. */
  readonly origin: string;
  /** A policy (c2sp.org/tlog-policy) whose witnesses, each with its address, cosign the checkpoints; null: nobody does. */
  readonly ledgerWitnesses: string | null;
  /** `demanded`: the system is not ready while the newest checkpoints lack the quorum of that policy. */
  readonly ledgerQuorum: 'reported' | 'demanded';
  /** Tenants whose officers propose, approve and activate the policies of the installation; null: those of every tenant. */
  readonly policyTenants: readonly string[] | null;
  /** Origins that browsers may call from; `localhost` stands for any port of this machine (trial only). */
  readonly corsOrigins: readonly string[];
  /** File with the documents that may run, in production no others; null: there is no list (trial only). */
  readonly trustedDocuments: string | null;
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
  'CUSTODIA_KEY_AGENT',
  'CUSTODIA_KEY_AGENT_TOKEN_FILE',
  'CUSTODIA_CHECKPOINT_DIRECTORY',
  'CUSTODIA_TOMBSTONE_DIRECTORY',
  'CUSTODIA_ARCHIVE_DIRECTORY',
  'CUSTODIA_BLOB_DIRECTORY',
  'CUSTODIA_ATTACHMENT_MEBIBYTES',
  'CUSTODIA_LEDGER_LAG_SECONDS',
  'CUSTODIA_ORIGIN',
  'CUSTODIA_LEDGER_WITNESSES',
  'CUSTODIA_LEDGER_QUORUM',
  'CUSTODIA_POLICY_TENANTS',
  'CUSTODIA_CORS_ORIGINS',
  'CUSTODIA_TRUSTED_DOCUMENTS',
  'CUSTODIA_LOG_LEVEL',
] as const;

/**
 * Reads the environment. An unknown `CUSTODIA_*` variable is refused as a bad value is: a misspelt protection that is
 * silently off would be worse than no start. An empty variable counts as absent.
 */
export function readConfiguration(environment: Environment = process.env): Configuration {
  for (const name of Object.keys(environment)) {
    if (name.startsWith('CUSTODIA_') && !(VARIABLES as readonly string[]).includes(name)) {
      throw new Refusal(
        `${name} is not a variable of Custodia; known are ${VARIABLES.join(', ')}, DATABASE_URL and DATABASE_URL_FILE.`,
      );
    }
  }
  const profile = oneOf(environment, 'CUSTODIA_PROFILE', ['trial', 'production'] as const, 'trial');
  const dataDirectory = path.resolve(text(environment, 'CUSTODIA_DATA_DIRECTORY') ?? '.data');
  const within = (variable: string, name: string) =>
    path.resolve(text(environment, variable) ?? path.join(dataDirectory, name));
  const checkpointDirectory = within('CUSTODIA_CHECKPOINT_DIRECTORY', 'checkpoints');
  const configuration: Configuration = {
    profile,
    host: host(environment),
    port: port(environment, 'CUSTODIA_PORT', 4000),
    databaseUrl: databaseUrl(environment),
    databasePort: port(environment, 'CUSTODIA_DATABASE_PORT', 0),
    dataDirectory,
    keyDirectory: within('CUSTODIA_KEY_DIRECTORY', 'keys'),
    checkpointDirectory,
    tombstoneDirectory: path.resolve(
      text(environment, 'CUSTODIA_TOMBSTONE_DIRECTORY') ?? path.join(path.dirname(checkpointDirectory), 'tombstones'),
    ),
    keyAgent: keyAgent(environment),
    archiveDirectory: within('CUSTODIA_ARCHIVE_DIRECTORY', 'archive'),
    blobDirectory: within('CUSTODIA_BLOB_DIRECTORY', 'blobs'),
    largestAttachment: largestAttachment(environment),
    ledgerLagLimit: ledgerLagLimit(environment),
    origin: origin(environment),
    ledgerWitnesses: file(environment, 'CUSTODIA_LEDGER_WITNESSES'),
    ledgerQuorum: oneOf(environment, 'CUSTODIA_LEDGER_QUORUM', ['reported', 'demanded'] as const, 'reported'),
    policyTenants: policyTenants(environment),
    corsOrigins: Object.freeze(corsOrigins(environment, profile)),
    trustedDocuments: file(environment, 'CUSTODIA_TRUSTED_DOCUMENTS'),
    logLevel: oneOf(environment, 'CUSTODIA_LOG_LEVEL', LOG_LEVELS, 'info'),
  };
  if (profile === 'production') refuseTrialSettings(configuration);
  return Object.freeze(configuration);
}

/** The same for another data directory than the one of the environment; places that were not set lie in it. */
export function readConfigurationIn(dataDirectory: string, environment: Environment = process.env): Configuration {
  return readConfiguration({ ...environment, CUSTODIA_DATA_DIRECTORY: dataDirectory });
}

/**
 * Who holds the database must not hold the keys and the checkpoints too (see the table of trust in the README). The root key
 * may still be a file of this process's user: that keeps the database's administrator out, and not this host's operator, whom
 * only a key agent of another user keeps out. Which of the two is meant cannot be told from a setting, so it is not refused.
 */
function refuseTrialSettings(configuration: Configuration): void {
  if (configuration.databaseUrl === null) {
    throw new Refusal(
      'DATABASE_URL or DATABASE_URL_FILE is required in the production profile; the embedded server is for trying out.',
    );
  }
  if (configuration.trustedDocuments === null) {
    throw new Refusal(
      'CUSTODIA_TRUSTED_DOCUMENTS is required in the production profile: the list that "npm run documents" makes.',
    );
  }
  for (const [variable, directory] of [
    ['CUSTODIA_KEY_DIRECTORY', configuration.keyDirectory],
    ['CUSTODIA_CHECKPOINT_DIRECTORY', configuration.checkpointDirectory],
    ['CUSTODIA_TOMBSTONE_DIRECTORY', configuration.tombstoneDirectory],
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

function file(environment: Environment, variable: string): string | null {
  const value = text(environment, variable);
  return value === undefined ? null : path.resolve(value);
}

/** A socket without its token, or the other way round, would be an agent that is silently not asked. */
function keyAgent(environment: Environment): Configuration['keyAgent'] {
  const socket = file(environment, 'CUSTODIA_KEY_AGENT');
  const tokenFile = file(environment, 'CUSTODIA_KEY_AGENT_TOKEN_FILE');
  if (socket !== null && tokenFile !== null) return Object.freeze({ socket, tokenFile });
  if (socket === null && tokenFile === null) return null;
  throw new Refusal('CUSTODIA_KEY_AGENT and CUSTODIA_KEY_AGENT_TOKEN_FILE belong together: set both, or none.');
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

/** In mebibytes from 1 to 2047: the schema tells sizes as Int (32 bits). */
function largestAttachment(environment: Environment): number {
  const value = text(environment, 'CUSTODIA_ATTACHMENT_MEBIBYTES') ?? '20';
  if (!/^[1-9]\d{0,3}$/.test(value) || Number(value) > 2_047) {
    throw bad('CUSTODIA_ATTACHMENT_MEBIBYTES', 'a whole number from 1 to 2047');
  }
  return Number(value) * 1024 * 1024;
}

/** In seconds from 6, above the lag that raises the alarm, to 3600. */
function ledgerLagLimit(environment: Environment): number {
  const value = text(environment, 'CUSTODIA_LEDGER_LAG_SECONDS') ?? '15';
  if (!/^\d{1,4}$/.test(value) || Number(value) < 6 || Number(value) > 3_600) {
    throw bad('CUSTODIA_LEDGER_LAG_SECONDS', 'a whole number from 6 to 3600');
  }
  return Number(value) * 1_000;
}

function host(environment: Environment): string {
  const value = text(environment, 'CUSTODIA_HOST') ?? '127.0.0.1';
  if (!/^[0-9A-Za-z.:_-]{1,253}$/.test(value)) throw bad('CUSTODIA_HOST', 'an address or a host name');
  return value;
}

/** In the environment, or in a file, where an orchestrator mounts secrets: not in both. */
function databaseUrl(environment: Environment): string | null {
  const file = text(environment, 'DATABASE_URL_FILE');
  const direct = text(environment, 'DATABASE_URL');
  if (file !== undefined && direct !== undefined) {
    throw new Refusal('DATABASE_URL and DATABASE_URL_FILE are both set: keep the one that is meant.');
  }
  const value = file === undefined ? direct : secretIn(file, 'DATABASE_URL_FILE');
  if (value === undefined) return null;
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2 || url.username === '') {
    const allowed = 'the owner’s URL, postgresql://user:password@host:port/database';
    throw file === undefined ? bad('DATABASE_URL', allowed) : bad('DATABASE_URL_FILE', `a file that holds ${allowed}`);
  }
  return value;
}

function secretIn(file: string, variable: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Refusal(`The file of ${variable} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
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

function policyTenants(environment: Environment): readonly string[] | null {
  const value = text(environment, 'CUSTODIA_POLICY_TENANTS');
  if (value === undefined) return null;
  const tenants = value.split(',').map((item) => item.trim());
  if (tenants.every((tenant) => /^[A-Z0-9][A-Z0-9-]{1,31}$/.test(tenant))) return Object.freeze(tenants);
  throw bad('CUSTODIA_POLICY_TENANTS', 'a comma-separated list of codes of tenants, such as T-NORTH');
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
