import { isIP } from 'node:net';

/** RFC 5321, 4.5.3.1.3: a path holds 256 octets with its angle brackets. */
const LONGEST_EMAIL = 254;
const TENANT_CODE = /^[A-Z0-9][A-Z0-9-]{1,31}$/;

/** The form that the table of tenants requires. A tenant code is part of tokens, where a dot ends it. */
export function isTenantCode(text: string): boolean {
  return TENANT_CODE.test(text);
}

/** The one spelling under which an account is found. An overlong text becomes the empty one, which no account has. */
export function normaliseEmail(text: string): string {
  return text.length > LONGEST_EMAIL ? '' : text.normalize('NFKC').trim().toLowerCase();
}

/** Whether the (normalised) text can be the name of a new account: one `@` with something on both sides, no spaces. */
export function isEmail(normalised: string): boolean {
  return normalised.length <= LONGEST_EMAIL && /^[^\s@]+@[^\s@]+$/.test(normalised);
}

/**
 * What counts as one client for the rate limit: an IPv4 address, or the /64 network of an IPv6 address, because one
 * subscriber has at least that many addresses (RFC 6177). Text that is no address counts as itself.
 */
export function clientNetwork(address: string): string {
  const text = (address.split('%')[0] ?? '').toLowerCase();
  if (isIP(text) !== 6) return text;
  // The URL parser writes an IPv6 address in its one canonical form (RFC 5952), an embedded IPv4 part as hexadecimal.
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back];
  const mapped = groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff';
  if (!mapped) return `${groups.slice(0, 4).join(':')}::/64`;
  const ipv4 = groups.slice(6).flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
  return ipv4.join('.');
}
