import { hash, randomBytes } from 'node:crypto';
import { generateSecret, generateSync, generateURI, ScureBase32Plugin, verifySync } from 'otplib';

const ISSUER = 'Custodia';
const PERIOD_MILLISECONDS = 30_000;
/** ASCII digits only: full-width digits and spaces are no code of ours. */
const CODE = /^[0-9]{6}$/;
const RECOVERY_CODE = /^[A-Z2-7]{24}$/;
const RECOVERY_CODES = 10;
/** 120 bits: more than the 112 from which a plain hash is enough (ASVS 5.0.0, 6.5.2). */
const RECOVERY_BYTES = 15;
const base32 = new ScureBase32Plugin();

/** A time step that no code has: the replay guard refuses it for every factor. */
export const NO_STEP = -1;

/**
 * For how many seconds after its window a code is still good. No code of a future window is, and the window itself always
 * is (RFC 6238, 5.2; ASVS 5.0.0, 6.5.5 allows 30 seconds at most).
 */
export const TOLERANCE = { signIn: 30, stepUp: 5 } as const;

/** 160 random bits in base32 (RFC 4226, 4, R6). */
export function newTotpSecret(): string {
  return generateSecret();
}

/** `otpauth://` URI for an authenticator: SHA-1, six digits, 30 seconds, which every authenticator understands. */
export function otpauthUri(secret: string, label: string): string {
  return generateURI({ issuer: ISSUER, label, secret });
}

/** The code of the window that contains this moment (Unix milliseconds): what an authenticator shows then. */
export function totpCode(secret: string, milliseconds: number): string {
  return generateSync({ secret, epoch: Math.floor(milliseconds / 1000) });
}

/**
 * The time step whose code this is, or {@link NO_STEP}. Whether the step was used before is not asked here.
 * @param now Unix milliseconds
 * @param tolerance seconds after the end of a window
 */
export function matchingStep(secret: string, code: string, now: number, tolerance: number): number {
  if (!CODE.test(code)) return NO_STEP;
  const epoch = Math.floor(now / 1000);
  // The result is an object in both cases: only `valid` tells them apart.
  const result = verifySync({ secret, token: code, epoch, epochTolerance: [tolerance, 0] });
  if (!result.valid) return NO_STEP;
  return Math.floor(now / PERIOD_MILLISECONDS) + result.delta;
}

export function newRecoveryCodes(): readonly string[] {
  return Array.from({ length: RECOVERY_CODES }, () => base32.encode(randomBytes(RECOVERY_BYTES)));
}

/** What the database keeps of a recovery code (SHA-256); null for a text that cannot be one. */
export function recoveryHash(code: string): Buffer | null {
  return RECOVERY_CODE.test(code) ? hash('sha256', code, 'buffer') : null;
}
