import { createPrivateKey, createSecretKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure } from '../kernel/failure.js';

/** Name and key with which a log signs its checkpoints. The name is the log's origin. */
export interface LogSigner {
  readonly name: string;
  readonly privateKey: KeyObject;
}

/** The keys of the ledger. None of them is ever in the database. */
export interface LedgerKeys {
  /** HMAC-SHA-256 key of the writers: who has only the database cannot invent an entry before it is sequenced. */
  readonly macKey: KeyObject;
  /**
   * The Ed25519 key of a log; made when the log is first named. In the name of the incarnation that these keys are for, or of
   * another one.
   */
  signer(log: string, incarnation?: number): LogSigner;
}

const LOG_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MAC_KEY_BYTES = 32;

/** Log names become file names and parts of an origin; throws INTERNAL_SERVER_ERROR for anything else. */
export function requireLogName(log: string): string {
  if (LOG_NAME.test(log)) return log;
  throw new Failure('INTERNAL_SERVER_ERROR', 'A log has a name that it cannot have.', 'Use the code of the tenant.');
}

/**
 * Keys in files of one directory, mode 0600, made where they are missing: `ledger-mac.key` (32 bytes, hexadecimal) and
 * `ledger-<log>.pem` (Ed25519, PKCS #8). Whoever reads these files can write a ledger that verifies: the production
 * profile keeps them away from the database's administrators. `originPrefix` is the part of the origin before the log;
 * `current` is the incarnation of the ledger, which the checkpoint store knows.
 */
export function fileLedgerKeys(directory: string, originPrefix = 'custodia.local', current = 1): LedgerKeys {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const macText = readOrCreate(
    join(directory, 'ledger-mac.key'),
    () => randomBytes(MAC_KEY_BYTES).toString('hex') + '\n',
  );
  const macBytes = Buffer.from(macText.trim(), 'hex');
  if (macBytes.length !== MAC_KEY_BYTES) throw noKey('ledger-mac.key');
  const signingKeys = new Map<string, KeyObject>();
  return {
    macKey: createSecretKey(macBytes),
    signer(log, incarnation = current) {
      const file = `ledger-${requireLogName(log)}.pem`;
      let privateKey = signingKeys.get(log);
      if (privateKey === undefined) {
        const pem = readOrCreate(join(directory, file), () =>
          generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
        );
        privateKey = privateKeyOf(pem, file);
        signingKeys.set(log, privateKey);
      }
      return { name: originOf(originPrefix, log, incarnation), privateKey };
    },
  };
}

/**
 * The origin of a log, which is the name of its key. After a declared restore it is another log for everybody who compares
 * checkpoints: what the same key signed for the same origin must never contradict itself.
 */
function originOf(prefix: string, log: string, incarnation: number): string {
  return incarnation === 1 ? `${prefix}/${log}` : `${prefix}/${log}/${incarnation}`;
}

function privateKeyOf(pem: string, file: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // What OpenSSL says of it may quote the file.
  }
  throw noKey(file);
}

function noKey(file: string): Failure {
  return new Failure('INTEGRITY_FAILED', `The file ${file} is not a key of the ledger.`, 'Restore it from its copy.');
}

/**
 * The file's text; made if it is missing. Of two processes that make it at the same moment one wins, and both then
 * read the winner's: the new text is complete in a file of its own before it gets the name.
 */
function readOrCreate(path: string, make: () => string): string {
  const existing = readIfPresent(path);
  if (existing !== null) return existing;
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(file, make());
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    linkSync(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(temporary);
  }
  const directory = openSync(dirname(path), 'r');
  fsyncSync(directory);
  closeSync(directory);
  return readFileSync(path, 'utf8');
}

function readIfPresent(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
