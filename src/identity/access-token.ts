import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';

const LABEL = 'custodia access token 1\n';
const MAC_CHARACTERS = 43;
const ID_CHARACTERS = 36;
const LONGEST_TOKEN = 256;

/** What a genuine token says: which session to look up, nothing about what its owner may do. */
export interface AccessClaim {
  readonly tenant: string;
  readonly sessionId: string;
}

/**
 * Access tokens: `tenant.session.expiry.mac`, expiry in Unix milliseconds (base 36), mac = HMAC-SHA-256 in base64url over
 * all that precedes it. Verification is synchronous and needs no database.
 */
export class AccessTokens {
  constructor(private readonly key: KeyObject) {}

  issue(claim: AccessClaim, expiresAt: number): string {
    const body = `${claim.tenant}.${claim.sessionId}.${expiresAt.toString(36)}`;
    return `${body}.${this.mac(body)}`;
  }

  /** Null when the token is not ours, was changed in any character, or has expired at `now` (Unix milliseconds). */
  verify(token: string, now: number): AccessClaim | null {
    const bodyEnd = token.length - MAC_CHARACTERS - 1;
    if (bodyEnd < 1 || token.length > LONGEST_TOKEN) return null;
    const body = token.slice(0, bodyEnd);
    // Text is compared, not decoded bytes: the last base64url character has two unused bits, which would be malleable.
    const presented = Buffer.from(token.slice(bodyEnd));
    const expected = Buffer.from(`.${this.mac(body)}`);
    if (presented.length !== expected.length || !timingSafeEqual(presented, expected)) return null;
    const sessionEnd = body.lastIndexOf('.');
    if (now >= Number.parseInt(body.slice(sessionEnd + 1), 36)) return null;
    const sessionStart = sessionEnd - ID_CHARACTERS;
    return { tenant: body.slice(0, sessionStart - 1), sessionId: body.slice(sessionStart, sessionEnd) };
  }

  private mac(body: string): string {
    return createHmac('sha256', this.key)
      .update(LABEL + body)
      .digest('base64url');
  }
}
