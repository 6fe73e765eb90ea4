/**
 * Points of low order on the curve of Ed25519. No key pair that was made as it should be has one; with one in the place of
 * a key a signature can hold for many messages. RFC 8032 leaves open whether they are accepted, and versions of OpenSSL
 * differ, so they are refused here before the platform is asked.
 *
 * @module
 */
import { toHex } from './bytes.mjs';

/** The y of all eight points, in hexadecimal and the low byte first; two of them are also written as y + p. */
const LOW_ORDER = new Set([
  `00${'00'.repeat(31)}`,
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
]);

/**
 * @param {Uint8Array} point 32 bytes as RFC 8032 writes them; what follows is not looked at
 * @returns {boolean}
 */
export function hasLowOrder(point) {
  const y = Uint8Array.from(point.subarray(0, 32));
  y[31] = (y[31] ?? 0) & 0x7f;
  return LOW_ORDER.has(toHex(y));
}
