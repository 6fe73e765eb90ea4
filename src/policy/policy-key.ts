import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { Refusal } from '../config/refusal.js';

const FILE = 'policy.pem';

/**
 * The installation's key for releases of the policies: Ed25519, in a file of the key directory, mode 0600. It is never in
 * the database, so that whoever writes there can put nothing in force.
 */
export class PolicyKey {
  private readonly publicKey: KeyObject;

  private constructor(private readonly privateKey: KeyObject) {
    this.publicKey = createPublicKey(privateKey);
  }

  /**
   * Reads the key. It is made only where nothing was signed yet (`make`): a new key beside old releases would verify none
   * of them. Throws Refusal for a file that is missing, readable by others, or no key.
   */
  static open(directory: string, make: boolean): PolicyKey {
    const file = path.join(directory, FILE);
    if (make) create(directory, file);
    return new PolicyKey(read(file));
  }

  /** 64 bytes over the UTF-8 of a text. */
  sign(text: string): Buffer {
    return sign(null, Buffer.from(text), this.privateKey);
  }

  /** False for anything that this key did not sign, whatever its length. */
  verifies(text: string, signature: Buffer | null): boolean {
    if (signature === null || signature.length !== 64) return false;
    return verify(null, Buffer.from(text), this.publicKey, signature);
  }
}

function read(file: string): KeyObject {
  try {
    if ((statSync(file).mode & 0o077) !== 0) {
      throw new Refusal(`The policy key ${file} can be read by others than its owner: set its mode to 0600.`);
    }
    const key = createPrivateKey(readFileSync(file, 'utf8'));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Refusal(
        `The policy key ${file} is missing, but releases are signed with it: restore it from its backup.`,
      );
    }
    // What OpenSSL says of it may quote the file.
  }
  throw new Refusal(`The file ${file} is no policy key: restore it from its backup.`);
}

/** Of two processes that make it at the same moment one wins; the file is complete before it gets its name. */
function create(directory: string, file: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const descriptor = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(
      descriptor,
      generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    );
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  try {
    linkSync(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(temporary);
  }
}
