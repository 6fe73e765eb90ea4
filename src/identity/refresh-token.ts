import { hash, randomBytes } from 'node:crypto';
import { isId } from '../kernel/identifier.js';
import { isTenantCode } from './credentials.js';

const SECRET_BYTES = 32;
const LONGEST_TOKEN = 256;

/** A refresh token and what the database keeps of it. 256 random bits need no salt and no slow hash (ASVS 5.0.0, 6.5.2). */
export interface RefreshToken {
  readonly text: string;
  readonly hash: Buffer;
}

/** `tenant.session.secret`: the tenant is in it because no row is visible before the tenant is set. */
export function newRefreshToken(tenant: string, sessionId: string): RefreshToken {
  const text = `${tenant}.${sessionId}.${randomBytes(SECRET_BYTES).toString('base64url')}`;
  return { text, hash: hashOf(text) };
}

/** Where to look a presented token up; null when it cannot be one of ours. The hash covers every character. */
export function readRefreshToken(text: string): { tenant: string; sessionId: string; hash: Buffer } | null {
  if (text.length > LONGEST_TOKEN) return null;
  const [tenant, sessionId, secret, ...more] = text.split('.');
  if (tenant === undefined || sessionId === undefined || secret === undefined || more.length > 0) return null;
  return isTenantCode(tenant) && isId(sessionId) ? { tenant, sessionId, hash: hashOf(text) } : null;
}

function hashOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
