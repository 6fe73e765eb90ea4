import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import { Failure } from '../kernel/failure.js';

const MINIMUM_CHARACTERS = 12;
const MAXIMUM_CHARACTERS = 128;
/** Before normalisation: 128 characters may arrive decomposed, and NFKC can make 18 characters of one. */
const MAXIMUM_BYTES = 1024;
/** A shorter local part (`a@…`) would forbid nearly every password. */
const SHORTEST_LOCAL_PART = 3;

/** OWASP Password Storage Cheat Sheet, Argon2id. The variant is the library's default; a test reads it back. */
const ARGON2_PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32 } as const;

/** The text that is hashed: NFKC, 12 to 128 code points (NIST SP 800-63B-4, 3.1.1.2). Null: it cannot be a password of ours. */
export function normalisePassword(text: string): string | null {
  if (Buffer.byteLength(text) > MAXIMUM_BYTES || /\p{Surrogate}/u.test(text)) return null;
  const normalised = text.normalize('NFKC');
  const characters = [...normalised].length;
  return characters < MINIMUM_CHARACTERS || characters > MAXIMUM_CHARACTERS ? null : normalised;
}

/** The text that a new account's password is hashed from. Throws BAD_USER_INPUT; the message holds no part of it. */
export function acceptNewPassword(password: string, normalisedEmail: string): string {
  const normalised = normalisePassword(password);
  if (normalised === null) {
    throw new Failure('BAD_USER_INPUT', 'A password has 12 to 128 characters.', 'Choose a longer or a shorter one.');
  }
  const localPart = normalisedEmail.slice(0, normalisedEmail.lastIndexOf('@'));
  if (localPart.length >= SHORTEST_LOCAL_PART && normalised.toLowerCase().includes(localPart)) {
    throw new Failure('BAD_USER_INPUT', 'The password contains the name in the e-mail.', 'Choose another one.');
  }
  return normalised;
}

function phcBase64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}

/** Argon2id (RFC 9106). Callers bound how many run at once: see Admission. */
export class Passwords {
  /** A well-formed hash of no password: verifying against it costs what verifying against a real one costs. */
  private readonly decoy: string;

  constructor() {
    const { memoryCost, timeCost, parallelism, outputLen } = ARGON2_PARAMETERS;
    const parameters = `m=${memoryCost},t=${timeCost},p=${parallelism}`;
    this.decoy = `$argon2id$v=19$${parameters}$${phcBase64(randomBytes(16))}$${phcBase64(randomBytes(outputLen))}`;
  }

  hash(normalised: string): Promise<string> {
    return hash(normalised, ARGON2_PARAMETERS);
  }

  /** Always one Argon2id run, whether or not there is a stored hash and whether or not the text can be a password. */
  async verify(stored: string | null, normalised: string | null): Promise<boolean> {
    const equal = await verify(stored ?? this.decoy, normalised ?? '');
    return equal && stored !== null && normalised !== null;
  }
}
